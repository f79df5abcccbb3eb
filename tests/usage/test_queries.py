"""Who uses what: what counts as use, who may see names, the most and the least used."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from audits.usage import queries
from audits.usage.models import ColumnRead, LogCoverage, LoggedEdge, Read, Reader
from catalog.models import Role, Table
from catalog.queries import Owners, owners_of
from tests.factories import make_column, make_edge, make_owner, make_pipeline, make_table, make_user

pytestmark = pytest.mark.django_db

TODAY = dt.date(2026, 3, 31)


def reader(table: Table, name: str = "ann", **facts: Any) -> Reader:
    return Reader.objects.get_or_create(source=table.source, name=name, defaults=facts)[0]


def read(table: Table, by: str | Reader = "ann", days_ago: int = 0, count: int = 1, today: dt.date = TODAY) -> Read:
    day = today - dt.timedelta(days=days_ago)
    moment = dt.datetime.combine(day, dt.time(9), dt.UTC)
    who = by if isinstance(by, Reader) else reader(table, by)
    return Read.objects.create(table=table, day=day, reader=who, count=count, last_at=moment)


def usage(table: Table, viewer: Any = None, owners: Owners | None = None) -> queries.Usage:
    return queries.usage_of(table, viewer=viewer, owners=owners or Owners(), until=TODAY)


class TestOutsideReads:
    def test_a_pipelines_reads_of_the_table_it_builds_are_no_use(self) -> None:
        table, builder = make_table(), make_pipeline()
        make_edge(builder, make_table(), table)
        read(table, reader(table, "etl", kind="pipeline", pipeline=builder))
        assert not queries.outside_reads().exists()

    def test_another_pipelines_are(self) -> None:
        table, other = make_table(), make_pipeline()
        make_edge(make_pipeline(), make_table(), table)
        read(table, reader(table, "other", kind="pipeline", pipeline=other))
        assert queries.outside_reads().count() == 1

    def test_those_of_an_account_that_writes_this_table_alone_are_none(self) -> None:
        table, other = make_table(), make_table()
        loader = reader(table, "loader", kind="service", builds=table)
        read(table, loader)
        used = read(other, loader)
        assert list(queries.outside_reads()) == [used]

    def test_a_pipeline_that_the_catalog_does_not_know_builds_what_it_writes(self) -> None:
        table, other = make_table(), make_table()
        etl = reader(table, "etl", kind="pipeline")
        moment = dt.datetime(2026, 3, 1, tzinfo=dt.UTC)
        for target in (table, make_table()):
            LoggedEdge.objects.create(
                source=table.source,
                target_name=target.name,
                target_table=target,
                reader=etl,
                count=1,
                first_at=moment,
                last_at=moment,
            )
        read(table, etl)
        used = read(other, etl)
        assert list(queries.outside_reads()) == [used]

    def test_a_person_who_once_wrote_it_uses_it_all_the_same(self) -> None:
        table = make_table()
        moment = dt.datetime(2026, 3, 1, tzinfo=dt.UTC)
        ann = reader(table, "ann", kind="human")
        LoggedEdge.objects.create(
            source=table.source,
            target_name=table.name,
            target_table=table,
            reader=ann,
            count=1,
            first_at=moment,
            last_at=moment,
        )
        read(table, ann)
        assert queries.outside_reads().count() == 1


class TestUsage:
    def test_counts_within_the_window(self) -> None:
        table = make_table()
        read(table, "ann", 0, 3)
        read(table, "bo", 0, 2)
        read(table, "ann", 89, 1)
        read(table, "ann", 90, 50)
        found = usage(table)
        assert (found.reads, found.readers) == (6, 2)
        assert [(day.day, day.reads, day.readers) for day in found.by_day] == [(found.since, 1, 1), (TODAY, 5, 2)]
        assert found.last_at == dt.datetime(2026, 3, 31, 9, tzinfo=dt.UTC)

    def test_the_last_read_ever_lies_before_the_window(self) -> None:
        table = make_table()
        read(table, "ann", 200)
        found = usage(table)
        assert found.reads == 0 and found.last_at is not None and found.last_at.date() == TODAY - dt.timedelta(days=200)

    def test_popular_columns(self) -> None:
        table = make_table()
        amount, note = make_column("amount", table), make_column("note", table)
        for column, who, days in ((amount, "ann", 0b101), (amount, "bo", 0b1), (note, "ann", 1 << 30)):
            ColumnRead.objects.create(
                column=column, month=dt.date(2026, 3, 1), reader=reader(table, who), count=days.bit_count(), days=days
            )
        assert [(use.name, use.reads, use.readers, use.last_day.day) for use in usage(table).columns] == [
            ("amount", 3, 2, 3),
            ("note", 1, 1, 31),
        ]

    def test_without_a_log_nothing_is_covered(self) -> None:
        assert not usage(make_table()).is_covered


class TestNames:
    def test_three_people(self) -> None:
        """The owner and a steward see who reads; a stranger sees how many, by team and kind."""
        team = make_owner("Analytics", kind="team")
        ann = make_owner("Ann", team=team)
        table = make_table(owner=make_owner("Olga"))
        (olga,) = owners_of(table).technical
        read(table, reader(table, "ann@shop.example", kind="human", owner=ann), count=2)
        read(table, reader(table, "svc", kind="service"))
        owner, steward, stranger = make_user(owner=olga), make_user(Role.STEWARD), make_user()
        for person in (owner, steward):
            found = usage(table, person, owners_of(table))
            assert found.names_shown
            assert [(top.label, top.reads) for top in found.top_readers] == [("Ann", 2), ("svc", 1)]
        found = usage(table, stranger, owners_of(table))
        assert not found.names_shown
        assert [(top.label, top.reader_kind, top.readers) for top in found.top_readers] == [
            ("Analytics", "human", 1),
            ("", "service", 1),
        ]

    def test_the_last_readers_ever_come_latest_first(self) -> None:
        table = make_table(owner=make_owner("Olga"))
        for who, days_ago in (("ann", 300), ("ann", 200), ("bo", 100)):
            read(table, who, days_ago)
        found = queries.last_readers(table, viewer=make_user(Role.STEWARD), owners=owners_of(table))
        assert [(each.label, each.reads) for each in found.readers] == [("bo", 1), ("ann", 2)]
        assert found.readers[1].last_day == TODAY - dt.timedelta(days=200)
        found = queries.last_readers(table, viewer=make_user(), owners=owners_of(table))
        assert not found.names_shown and sum(each.readers for each in found.readers) == 2
        assert {each.label for each in found.readers} == {""}

    def test_a_member_of_the_owning_team(self) -> None:
        team = make_owner("Analytics", kind="team")
        table = make_table(owner=team)
        assert queries.may_see_readers(make_user(owner=make_owner(team=team)), owners_of(table))

    def test_nobody_without_a_role(self) -> None:
        olga = make_owner()
        table = make_table(owner=olga)
        assert not queries.may_see_readers(make_user(Role.NONE, owner=olga), owners_of(table))


class TestLists:
    def test_most_used(self) -> None:
        today = dt.datetime.now(dt.UTC).date()
        little, much, old = make_table(), make_table(), make_table()
        read(little, count=1, today=today)
        read(much, count=9, today=today)
        read(old, days_ago=91, count=99, today=today)
        found = queries.most_used()
        assert [(table, table.reads_in_window) for table in found] == [(much, 9), (little, 1)]

    def test_least_used_the_never_read_first(self) -> None:
        today = dt.datetime.now(dt.UTC).date()
        used, old, never = make_table(), make_table(), make_table()
        moment = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
        LogCoverage.objects.create(
            source=used.source, covers_from=moment, covers_to=moment, format="generic", entries=1
        )
        make_table(status="retired")
        read(used, today=today)
        read(old, days_ago=200, today=today)
        assert queries.least_used() == [never, old, used]

    def test_nothing_is_least_used_where_no_log_is_known(self) -> None:
        make_table()
        assert queries.least_used() == []

    def test_edges_that_only_the_log_knows(self) -> None:
        source, target = make_table(), make_table()
        moment = dt.datetime(2026, 3, 1, tzinfo=dt.UTC)
        by_hand = LoggedEdge.objects.create(
            source=source.source,
            source_name=source.name,
            target_name=target.name,
            source_table=source,
            target_table=target,
            reader=reader(source),
            count=1,
            first_at=moment,
            last_at=moment,
        )
        assert list(queries.edges_only_in_log()) == [by_hand]
        make_edge(make_pipeline(), source, target)
        assert not queries.edges_only_in_log().exists()
