"""Reads and usage over REST: batches, lists, and who may see whose."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from audits.usage.models import ColumnRead, FailedRead, LogCoverage, Read, Reader, SeenRead
from catalog.models import Role
from tests.factories import make_column, make_owner, make_source, make_table, make_user

pytestmark = pytest.mark.django_db

AT = "2026-03-02T09:00:00Z"


@pytest.fixture
def table() -> Any:
    return make_table("shop.orders", make_source("warehouse"), make_owner("Olga", slug="olga"))


@pytest.fixture
def program(editor, with_token) -> Any:
    return with_token(editor, "write")


def batch(*reads: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {
        "source": "warehouse",
        "reads": [{"table": "shop.orders", "at": AT, "reader": "ann"} | read for read in reads],
    } | more


class TestBatch:
    def test_reads_are_counted(self, table, program) -> None:
        column = make_column("amount", table)
        answer = program.post(
            "/api/v1/reads/", batch({"columns": ["AMOUNT"], "reader_kind": "human"}, {"reader": "bo", "count": 3})
        )
        assert answer.status_code == 200 and answer.json() == {"counted": 2, "known": 0, "unmatched": []}
        assert set(Read.objects.values_list("reader__name", "count")) == {("ann", 1), ("bo", 3)}
        assert ColumnRead.objects.get().column == column

    def test_the_same_batch_again_counts_nothing(self, table, program) -> None:
        sent = batch({}, {"id": "q1"}, {"id": "q2"})
        assert program.post("/api/v1/reads/", sent).json()["counted"] == 3
        assert program.post("/api/v1/reads/", sent).json() == {"counted": 0, "known": 3, "unmatched": []}
        assert Read.objects.get().count == 3

    def test_one_query_may_read_two_tables(self, table, program) -> None:
        make_table("shop.lines", table.source)
        assert (
            program.post("/api/v1/reads/", batch({"id": "q"}, {"id": "q", "table": "shop.lines"})).json()["counted"]
            == 2
        )

    def test_failed_reads_and_unknown_names(self, table, program) -> None:
        answer = program.post("/api/v1/reads/", batch({"status": "failed"}, {"table": "shop.gone"})).json()
        assert answer == {"counted": 2, "known": 0, "unmatched": ["shop.gone"]}
        assert not Read.objects.exists()
        assert FailedRead.objects.get().table == table
        assert SeenRead.objects.get().name.name == "shop.gone"

    def test_the_period_it_covers(self, table, program) -> None:
        sent = batch({}, covers_from="2026-03-01T00:00:00Z", covers_to="2026-03-03T00:00:00Z", channel="eu")
        assert program.post("/api/v1/reads/", sent).status_code == 200
        coverage = LogCoverage.objects.get()
        assert (coverage.channel, coverage.covers_to.day, coverage.entries) == ("eu", 3, 1)

    @pytest.mark.parametrize(
        ("sent", "field"),
        [
            (batch({"at": "yesterday"}), "reads.0.at"),
            (batch({}, {"status": "odd"}), "reads.1.status"),
            (batch({}, covers_from=AT), "covers_to"),
            (batch({}) | {"source": "nowhere"}, "source"),
            ({"source": "warehouse"}, "reads"),
        ],
    )
    def test_bad_input_is_named(self, table, program, sent: dict[str, Any], field: str) -> None:
        answer = program.post("/api/v1/reads/", sent)
        assert answer.status_code == 400
        assert field in answer.json()["error"]["fields"], answer.json()
        assert not Read.objects.exists()

    def test_viewers_may_not_report(self, table, viewer, with_token) -> None:
        assert with_token(viewer, "write").post("/api/v1/reads/", batch({})).status_code == 403

    def test_a_token_that_only_reads_may_not(self, table, editor, with_token) -> None:
        assert with_token(editor, "read").post("/api/v1/reads/", batch({})).status_code == 403


class TestLists:
    def test_reads_newest_first_and_filtered(self, table, program) -> None:
        other = make_table("shop.lines", table.source)
        program.post("/api/v1/reads/", batch({}, {"at": "2026-03-05T00:00:00Z"}, {"table": "shop.lines"}))
        rows = program.get("/api/v1/reads/?table=shop.orders").json()["results"]
        assert [row["day"] for row in rows] == ["2026-03-05", "2026-03-02"]
        assert (
            len(
                program.get(f"/api/v1/reads/?table_id={other.pk}&day_from=2026-03-02&day_to=2026-03-02").json()[
                    "results"
                ]
            )
            == 1
        )
        assert program.get("/api/v1/reads/?day=1").status_code == 400

    def test_who_is_named_to_whom(self, table, program, with_token) -> None:
        program.post("/api/v1/reads/", batch({"reader_kind": "human"}))
        olga = table.ownerships.get().owner
        people = {"owner": make_user(owner=olga), "steward": make_user(Role.STEWARD), "stranger": make_user()}
        seen = {who: with_token(user).get("/api/v1/reads/").json()["results"][0] for who, user in people.items()}
        assert {who: row["reader"] for who, row in seen.items()} == {"owner": "ann", "steward": "ann", "stranger": None}
        assert seen["stranger"]["reader_kind"] == "human"

    def test_usage(self, table, program, with_token) -> None:
        today = dt.datetime.now(dt.UTC)
        program.post("/api/v1/reads/", batch({"at": today.isoformat()}, {"at": today.isoformat(), "reader": "bo"}))
        stranger = with_token(make_user())
        (row,) = stranger.get("/api/v1/usage/?source=warehouse").json()["results"]
        assert (row["table"], row["reads"], row["readers"]) == ("shop.orders", 2, 2)
        full = stranger.get(row["url"]).json()
        assert full["by_day"] == [{"day": today.date().isoformat(), "reads": 2, "readers": 2}]
        assert full["names_shown"] is False and "ann" not in str(full)

    def test_a_table_that_nobody_read(self, table, viewer, with_token) -> None:
        full = with_token(viewer).get(f"/api/v1/usage/{table.pk}/").json()
        assert (full["reads"], full["last_read_at"], full["is_covered"]) == (0, None, False)

    def test_readers_are_told_apart_by_source(self, table, program) -> None:
        make_table("a", make_source("lake"))
        program.post("/api/v1/reads/", batch({}))
        program.post("/api/v1/reads/", {"source": "lake", "reads": [{"table": "a", "at": AT, "reader": "ann"}]})
        assert Reader.objects.count() == 2

    @pytest.mark.parametrize("noun", ["reads", "usage"])
    def test_lists_cost_the_same_for_few_rows_and_many(self, table, program, with_token, noun: str) -> None:
        asking = with_token(make_user(owner=table.ownerships.get().owner))
        asking.get("/api/v1/tags/")  # the first use of a token is noted
        costs = []
        for rows in (5, 15):
            names = [make_table(source=table.source).name for _ in range(rows)]
            program.post("/api/v1/reads/", batch(*({"table": name, "reader": name} for name in names)))
            with CaptureQueriesContext(connection) as asked:
                assert asking.get(f"/api/v1/{noun}/").status_code == 200
            costs.append(len(asked))
        assert costs[0] == costs[1] <= 8
