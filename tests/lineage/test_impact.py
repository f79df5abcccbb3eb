"""What a planned change or a mishap does downstream, at column grain."""

from __future__ import annotations

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from catalog.models import Column, Pipeline, Table
from lineage.impact import Impact, Level, spread_of
from lineage.impact import told as told_of
from lineage.models import ColumnEdge, SqlVersion
from lineage.planned import PlannedChange
from tests.factories import NOON, make_column, make_edge, make_owner, make_pipeline, make_sql_version, make_table

pytestmark = pytest.mark.django_db


class Warehouse:
    """Tables by name, each built from SQL by a pipeline of its name."""

    def __init__(self) -> None:
        self.tables: dict[str, Table] = {}

    def table(self, name: str, *columns: str, **facts) -> Table:
        self.tables[name] = make_table(name, **facts)
        for position, column in enumerate(columns):
            make_column(column, self.tables[name], position=position + 1)
        return self.tables[name]

    def build(self, target: str, sql: str, edges: list[tuple[str, str, str]], **facts) -> Pipeline:
        """`edges` are ("source.column", "column" or "*", kind); without any the columns are not known."""
        pipeline = make_pipeline(f"build_{target}", **facts)
        version = make_sql_version(pipeline, sql, dialect="duckdb", statements=1, statements_read=1)
        for source in sorted({source.rpartition(".")[0] for source, _, _ in edges}):
            make_edge(pipeline, self.tables[source], self.tables[target], sql_version=version, origin="sql")
        for source, column, kind in edges:
            table, _, source_column = source.rpartition(".")
            ColumnEdge.objects.create(
                pipeline=pipeline,
                sql_version=version,
                source_table=self.tables[table],
                source_column=self.column(table, source_column),
                target_table=self.tables[target],
                target_column=self.column(target, column),
                kind=kind,
                basis="parsed",
                statement=0,
                origin="sql",
                valid_from=NOON,
            )
        return pipeline

    def column(self, table: str, name: str) -> Column | None:
        return None if name == "*" else Column.objects.get(table=self.tables[table], name=name)


@pytest.fixture
def shop() -> Warehouse:
    """refunds -> clean (by a star) -> rates (names reason) -> board; clean -> totals (not the reason)."""
    shop = Warehouse()
    shop.table("refunds", "id", "reason", "amount")
    shop.table("clean", "id", "reason", "amount")
    shop.table("rates", "why", "n")
    shop.table("totals", "total")
    shop.table("board", kind="dashboard")
    copies = [(f"refunds.{column}", column, "IDENTITY") for column in ("id", "reason", "amount")]
    shop.build("clean", "select * from refunds -- the reason too", copies)
    rates = [("clean.reason", "why", "IDENTITY"), ("clean.id", "n", "AGGREGATION"), ("clean.reason", "*", "GROUP_BY")]
    shop.build("rates", "select reason as why, count(id) as n from clean group by reason", rates)
    shop.build("totals", "select sum(amount) as total from clean", [("clean.amount", "total", "AGGREGATION")])
    make_edge(make_pipeline("show_board"), shop.tables["rates"], shop.tables["board"])
    return shop


def impact(*changes: str) -> Impact:
    planned = [PlannedChange.parse(change) for change in changes]
    return told_of(spread_of(planned), planned)


def told(hits) -> dict[str, Level]:
    return {hit.thing.name: hit.level for hit in hits}


def test_a_dropped_column_breaks_who_names_it_and_vanishes_where_a_star_copies_it(shop) -> None:
    found = impact("drop_column column:warehouse:refunds:reason")
    (broken,) = found.breaks
    assert (broken.thing.name, broken.why) == ("build_rates", "names column reason")
    assert broken.path == (
        "column:warehouse:refunds:reason",
        "pipeline:build_clean",
        "table:warehouse:clean",
        "pipeline:build_rates",
    )
    assert told(found.stale) == {"rates": Level.STALE, "board": Level.STALE}
    assert [(hit.thing.name, hit.columns) for hit in found.affected] == [("clean", (("reason", Level.AFFECTED),))]
    assert found.unknown == []
    assert [pipeline.name for pipeline in found.unaffected] == ["build_totals"]


def test_a_dropped_table_breaks_all_who_read_it_and_affects_who_writes_it(shop) -> None:
    found = impact("drop_table table:warehouse:clean")
    assert [hit.thing.name for hit in found.breaks] == ["build_rates", "build_totals"]
    assert told(found.stale) == {"rates": Level.STALE, "totals": Level.STALE, "board": Level.STALE}
    assert "build_clean" not in told(found.breaks)


def test_wrong_rows_go_with_the_data_and_only_affect_what_they_group(shop) -> None:
    found = impact("wrong_rows column:warehouse:refunds:reason 2026-03-01..2026-03-04")
    wrong = {hit.thing.name: dict(hit.columns) for hit in found.stale}
    assert wrong["rates"] == {"why": Level.WRONG}
    assert wrong["clean"] == {"reason": Level.WRONG}
    assert "totals" not in told(found.hits)
    assert found.changes[0].words == "column reason of refunds has wrong rows from 2026-03-01 to 2026-03-04"


def test_a_retyped_column_breaks_nothing_and_affects_what_is_made_of_it(shop) -> None:
    found = impact("retype_column column:warehouse:refunds:amount TEXT")
    assert (found.breaks, found.stale) == ([], [])
    assert told(found.affected) == dict.fromkeys(["refunds", "clean", "totals"], Level.AFFECTED)


@pytest.mark.parametrize("change", ["retire_pipeline pipeline:build_clean", "run_failed pipeline:build_clean"])
def test_what_a_pipeline_no_longer_fills_is_stale_to_the_end(shop, change) -> None:
    found = impact(change)
    assert [hit.thing.name for hit in found.stale] == ["clean", "rates", "totals", "board"]
    assert found.stale[-1].is_end and found.stale[-1].path == (
        "pipeline:build_clean", "table:warehouse:clean", "pipeline:build_rates", "table:warehouse:rates",
        "pipeline:show_board", "table:warehouse:board",
    )  # fmt: skip


def test_not_refreshed_says_since_when(shop) -> None:
    found = impact("not_refreshed table:warehouse:rates 2026-03-01")
    assert told(found.stale) == {"rates": Level.STALE, "board": Level.STALE}
    assert found.changes[0].words == "rates has no new data since 2026-03-01"


def test_where_columns_are_not_known_nothing_is_called_unaffected(shop) -> None:
    make_edge(make_pipeline("declared"), shop.tables["refunds"], shop.table("mystery"))
    shop.table("starred")
    shop.build("starred", "select * from refunds", [("refunds.*", "*", "IDENTITY")])
    found = impact("drop_column column:warehouse:refunds:reason")
    assert told(found.unknown) == dict.fromkeys(["mystery", "starred"], Level.UNKNOWN)
    assert [pipeline.name for pipeline in found.unaffected] == ["build_totals"]


def test_sql_that_was_not_read_to_the_end_is_in_doubt(shop) -> None:
    SqlVersion.objects.filter(pipeline__name="build_totals").update(statements=2)
    found = impact("drop_column column:warehouse:refunds:reason")
    assert (found.unaffected, told(found.unknown)["totals"]) == ([], Level.UNKNOWN)


def test_other_sql_takes_columns_away(shop) -> None:
    found = impact("replace_sql pipeline:build_clean select id, amount from refunds")
    assert told(found.breaks) == {"build_rates": Level.BREAKS}
    assert told(found.affected) == {"clean": Level.AFFECTED}
    assert impact("replace_sql pipeline:build_clean select id, reason, amount from refunds where id > 1").hits == []


def test_other_sql_that_cannot_be_read_leaves_all_in_doubt(shop) -> None:
    found = impact("replace_sql pipeline:build_clean selec id from ((")
    assert {"clean", "rates", "totals"} <= set(told(found.unknown))
    assert found.breaks == []


def test_an_export_stands_at_the_end_with_its_owner(shop) -> None:
    owner = make_owner("Olga")
    make_edge(make_pipeline("export", owner=owner, kind="production_export"), shop.tables["rates"])
    found = impact("drop_table table:warehouse:rates")
    assert [hit.thing.name for hit in found.breaks] == ["show_board", "export"]
    assert {owner.name: [hit.thing.name for hit in hits] for owner, hits in found.by_owner().items()} == {
        "Olga": ["export"]
    }


def test_circles_end(shop) -> None:
    shop.build("refunds", "select id, why as reason from rates", [("rates.why", "reason", "IDENTITY")])
    found = impact("wrong_rows table:warehouse:refunds")
    assert told(found.stale)["rates"] == Level.WRONG and all(len(hit.path) < 12 for hit in found.hits)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("burn table:warehouse:refunds", "'burn' is no change known here"),
        ("drop_table pipeline:build_clean", "drop_table is about a table, not a pipeline"),
        ("drop_table table:warehouse:nothing", "There is no table nothing in source warehouse"),
        ("drop_table refunds", "is not a node id"),
        ("rename_column column:warehouse:refunds:id", "Write the new name after the node id"),
        ("drop_table table:warehouse:refunds now", "Nothing is asked after the node id"),
        ("wrong_rows table:warehouse:refunds yesterday", "'yesterday' is not a day"),
        ("wrong_rows table:warehouse:refunds 2026-03-04..2026-03-01", "2026-03-01 lies before 2026-03-04"),
        ("replace_sql pipeline:build_clean " + "x" * 100_001, "100,000 at most"),
    ],
)  # fmt: skip
def test_what_cannot_be_asked_says_why(shop, text, words) -> None:
    with pytest.raises((ValueError, LookupError), match=words.replace("(", r"\(")):
        PlannedChange.parse(text)


def test_a_change_reads_back_as_it_was_written(shop) -> None:
    for text in ("drop_table table:warehouse:refunds", "rename_column column:warehouse:refunds:id key"):
        assert str(PlannedChange.parse(text)) == text


def test_it_costs_the_same_for_few_readers_and_many(shop) -> None:
    costs = []
    for number in (2, 12):
        for _ in range(number):
            name = shop.table(f"t{Table.objects.count()}", "id").name
            shop.build(name, "select reason as id from clean", [("clean.reason", "id", "IDENTITY")])
        with CaptureQueriesContext(connection) as asked:
            impact("drop_column column:warehouse:refunds:reason")
        costs.append(len(asked))
    assert costs[0] == costs[1]
