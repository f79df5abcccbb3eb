"""Ingesting a folder again: what did not change writes nothing, what changed is followed, what is gone is retired."""

from __future__ import annotations

from pathlib import Path

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from catalog import services
from catalog.models import Owner, Pipeline, Table
from catalog.queries import disagreements, owners_of
from ingest import services as ingest_services
from ingest.models import IngestedFile, IngestRun
from lineage.models import ColumnEdge, GraphVersion, SqlVersion, TableEdge
from tests.factories import make_owner, make_pipeline, make_source, make_table
from tests.ingest.folders import column_edges, edges, ingest, pipeline, problems, table, write

pytestmark = pytest.mark.django_db

SHOP = {
    "raw/orders.sql": "-- owner: ann@example.com\n-- tags: money\nSELECT id, amount FROM src.orders",
    "mart/daily.sql": "SELECT * FROM raw.orders",
    "mart/other.sql": "SELECT x FROM src.other",
}


def rows() -> tuple[int, ...]:
    return tuple(model.objects.count() for model in (SqlVersion, TableEdge, ColumnEdge, Table, Pipeline))


def test_unchanged_files_are_skipped_and_count_the_same(tmp_path: Path) -> None:
    write(tmp_path, SHOP)
    first = ingest(tmp_path).summary
    before, version = rows(), GraphVersion.objects.get().number
    with CaptureQueriesContext(
        connection,
    ) as queries:
        outcome = ingest(tmp_path)
    assert outcome.unchanged
    assert {**outcome.summary.to_dict(), "seconds": 0} == {**first.to_dict(), "seconds": 0}
    assert (rows(), GraphVersion.objects.get().number) == (before, version)
    assert len(queries) <= 13  # one of them, on PostgreSQL, asks which locks are held


def test_reading_everything_again_changes_nothing(tmp_path: Path) -> None:
    write(tmp_path, SHOP)
    first = ingest(tmp_path).summary
    before = rows()
    second = ingest(tmp_path, again=True)
    assert not second.unchanged
    assert {**second.summary.to_dict(), "seconds": 0} == {**first.to_dict(), "seconds": 0}
    assert rows() == before


def test_changed_sql_ends_the_old_versions_edges_and_opens_new_ones(tmp_path: Path) -> None:
    write(tmp_path, SHOP)
    ingest(tmp_path)
    write(tmp_path, {"mart/other.sql": "SELECT y FROM src.another"})
    ingest(tmp_path)
    assert edges(pipeline__name="mart.other") == {("src.another", "mart.other")}
    old, new = SqlVersion.objects.filter(pipeline__name="mart.other").order_by("id")
    assert (old.valid_to, new.valid_to) == (new.valid_from, None)
    ended = TableEdge.objects.get(pipeline__name="mart.other", valid_to__isnull=False)
    assert (ended.sql_version, ended.source_table.name, ended.valid_to) == (old, "src.other", new.valid_from)
    assert SqlVersion.objects.filter(pipeline__name="mart.daily").count() == 1


def test_a_new_column_upstream_reaches_those_who_read_it_by_star(tmp_path: Path) -> None:
    write(tmp_path, SHOP)
    ingest(tmp_path)
    write(tmp_path, {"raw/orders.sql": "SELECT id, amount, country FROM src.orders"})
    ingest(tmp_path)
    assert ("raw.orders.country", "mart.daily.country") in column_edges()
    assert SqlVersion.objects.filter(pipeline__name="mart.daily").count() == 1  # the same text: only edges were added
    kept = ColumnEdge.objects.get(source_column__name="id", source_table__name="raw.orders")
    assert kept.valid_to is None
    assert SqlVersion.objects.filter(pipeline__name="mart.other").count() == 1


def test_owners_and_tags_follow_the_file(tmp_path: Path) -> None:
    write(tmp_path, SHOP)
    ingest(tmp_path)
    services.change_pipeline(actor=None, pipeline=pipeline("raw.orders"), tags=["money", "by-hand"])
    write(tmp_path, {"raw/orders.sql": "-- owner: bo@example.com\n-- tags: core\nSELECT id FROM src.orders"})
    ingest(tmp_path)
    orders = pipeline("raw.orders")
    assert [owner.email for owner in owners_of(orders).technical] == ["bo@example.com"]
    assert sorted(tag.name for tag in orders.tags.all()) == ["by-hand", "core"]


def test_what_a_person_stated_wins_and_the_disagreement_is_kept(tmp_path: Path) -> None:
    write(tmp_path, {"mart/x.sql": "-- owner: ann@example.com\n-- tier: 3\n-- description: Old\nSELECT a FROM t"})
    ingest(tmp_path)
    services.change_pipeline(actor=None, pipeline=pipeline("mart.x"), tier=1)
    boss = make_owner("Boss")
    services.set_owners(actor=None, thing=pipeline("mart.x"), role="technical", owners=[boss])
    write(tmp_path, {"mart/x.sql": "-- owner: ann@example.com\n-- tier: 4\n-- description: New\nSELECT a FROM t"})
    ingest(tmp_path)
    found = pipeline("mart.x")
    assert (found.tier, found.description) == (1, "New")
    assert [(one.field, one.stated, one.ingested) for one in disagreements(found)] == [("tier", 1, 4)]
    assert owners_of(found).technical == (boss,)


def test_a_person_who_is_known_by_mail_is_not_entered_twice(tmp_path: Path) -> None:
    ann = make_owner("Ann Lee", slug="ann", email="Ann@example.com")
    write(tmp_path, SHOP)
    ingest(tmp_path)
    assert owners_of(pipeline("raw.orders")).technical == (ann,)
    assert Owner.objects.get() == ann


def test_a_file_that_vanished_retires_what_it_stated(tmp_path: Path) -> None:
    write(tmp_path, SHOP)
    ingest(tmp_path)
    (tmp_path / "mart/other.sql").unlink()
    outcome = ingest(tmp_path)
    assert pipeline("mart.other").status == "retired"
    assert (table("mart.other").status, table("src.other").status) == ("retired", "retired")
    assert table("src.orders").status == "active"
    assert edges(pipeline__name="mart.other") == set()
    assert outcome.summary.pipelines == 2
    write(tmp_path, SHOP)
    ingest(tmp_path)
    assert pipeline("mart.other").status == "active"
    assert edges(pipeline__name="mart.other") == {("src.other", "mart.other")}
    assert (table("mart.other").status, table("src.other").status) == ("active", "active")


def test_an_emptied_file_moves_nothing_any_more(tmp_path: Path) -> None:
    write(tmp_path, SHOP)
    ingest(tmp_path)
    write(tmp_path, {"mart/other.sql": ""})
    ingest(tmp_path)
    assert edges(pipeline__name="mart.other") == set()
    assert problems() == [("mart/other.sql", "empty_file", None)]
    assert pipeline("mart.other").status == "active"


def test_a_file_that_became_unreadable_keeps_what_was_last_read(tmp_path: Path) -> None:
    write(tmp_path, SHOP)
    ingest(tmp_path)
    write(tmp_path, {"mart/other.sql": b"SELECT \xff"})
    ingest(tmp_path)
    assert edges(pipeline__name="mart.other") == {("src.other", "mart.other")}
    assert problems() == [("mart/other.sql", "not_utf8", 1)]


def test_what_a_person_registered_is_never_retired(tmp_path: Path) -> None:
    make_pipeline("mart.other")
    make_table("mart.other", make_source("warehouse"))
    write(tmp_path, SHOP)
    ingest(tmp_path)
    (tmp_path / "mart/other.sql").unlink()
    ingest(tmp_path)
    assert pipeline("mart.other").status == "active"
    assert table("mart.other").status == "active"
    assert edges(pipeline__name="mart.other") == set()  # but its SQL is gone


def test_many_vanished_files_retire_nothing_until_allowed(tmp_path: Path) -> None:
    write(tmp_path, {f"mart/t{n}.sql": f"-- owner: ann@example.com\nSELECT a FROM src.s{n}" for n in range(20)})
    ingest(tmp_path)
    for n in range(6):
        (tmp_path / f"mart/t{n}.sql").unlink()
    outcome = ingest(tmp_path)
    assert outcome.held_back == 6
    assert problems(code="vanished_files") == [("", "vanished_files", None)]
    assert not Pipeline.objects.filter(status="retired").exists()
    assert len(edges()) == 20
    outcome = ingest(tmp_path, allow_retire=True)
    assert outcome.held_back == 0
    assert Pipeline.objects.filter(status="retired").count() == 6
    assert problems(code="vanished_files") == []


def test_half_the_metadata_missing_takes_no_owner_away(tmp_path: Path) -> None:
    files = {}
    for n in range(10):
        files[f"sql/p/d/t{n}/query.sql"] = "SELECT 1 AS a"
        files[f"sql/p/d/t{n}/metadata.yaml"] = "owners: [ann@example.com]\nlabels: {application: shop}"
    write(tmp_path, files)
    ingest(tmp_path, "bigquery-etl")
    for n in range(10):
        (tmp_path / f"sql/p/d/t{n}/metadata.yaml").unlink()
    outcome = ingest(tmp_path, "bigquery-etl")
    assert outcome.held_back == 10
    found = pipeline("p.d.t3")
    assert [owner.email for owner in owners_of(found).technical] == ["ann@example.com"]
    assert [tag.name for tag in found.tags.all()] == ["shop"]


class Killed(BaseException):
    """As a signal would end it."""


def test_killed_in_the_middle_what_is_stored_is_whole_and_the_next_run_completes_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ingest_services, "CHUNK_FILES", 2)
    write(tmp_path, {f"mart/t{n}.sql": f"SELECT a FROM src.s{n}" for n in range(7)})

    def killer(step: str, done: int, of: int) -> None:
        if step == "Analysing SQL" and done >= 4:
            raise Killed

    with pytest.raises(Killed):
        ingest(tmp_path, progress=killer)
    assert IngestRun.objects.latest("id").state == "interrupted"
    IngestRun.objects.update(state="running")  # as a signal that cannot be caught would leave it
    assert Pipeline.objects.count() == SqlVersion.objects.count() == TableEdge.objects.count() == 4
    assert IngestedFile.objects.count() == 4
    outcome = ingest(tmp_path)
    assert not outcome.unchanged
    assert edges() == {(f"src.s{n}", f"mart.t{n}") for n in range(7)}
    assert SqlVersion.objects.count() == 7
    assert [run.state for run in IngestRun.objects.order_by("id")] == ["interrupted", "done"]
    assert ingest(tmp_path).unchanged


def test_repositories_of_two_sources_may_call_pipelines_alike(tmp_path: Path) -> None:
    one = write(tmp_path / "one", {"mart/a.sql": "SELECT x FROM src.t"})
    two = write(tmp_path / "two", {"mart/a.sql": "SELECT y FROM src.t", "pipekeeper.yaml": "source: lake"})
    for _ in range(2):
        ingest(one, scope="one")
        ingest(two, scope="two")
        assert column_edges(pipeline__name="mart.a") == {("src.t.x", "mart.a.x")}
        assert column_edges(pipeline__name="two.mart.a") == {("src.t.y", "mart.a.y")}
    (one / "mart/a.sql").unlink()
    ingest(one, scope="one")
    write(two, {"mart/a.sql": "SELECT z FROM src.t"})
    ingest(two, scope="two")
    assert column_edges(pipeline__name="two.mart.a") == {("src.t.z", "mart.a.z")}  # called as before
    assert (pipeline("mart.a").status, problems()) == ("retired", [])


def test_two_repositories_share_tables_and_neither_takes_the_others(tmp_path: Path) -> None:
    one = write(tmp_path / "one", {"mart/a.sql": "SELECT x FROM src.shared"})
    two = write(tmp_path / "two", {"mart/b.sql": "SELECT x FROM src.shared", "mart/a.sql": "SELECT y FROM src.z"})
    ingest(one, scope="one")
    ingest(two, scope="two")
    assert edges(pipeline__name="mart.a") == {("src.shared", "mart.a")}
    assert problems(scope="two") == [("mart/a.sql", "name_taken", None)]
    (one / "mart/a.sql").unlink()
    ingest(one, scope="one")
    assert table("src.shared").status == "active"
    assert pipeline("mart.b").status == "active"
