"""Worker processes: a death costs one job, waiting jobs wait, circles are opened."""

from __future__ import annotations

from pathlib import Path

import pytest

from ingest import spread
from ingest.workers import Died, Schedule, Workers
from lineage.models import SqlVersion
from tests.ingest import killers
from tests.ingest.folders import edges, ingest, problems, write
from tests.ingest.killers import FATAL, FragileWorkers, work


def test_a_worker_that_dies_or_hangs_costs_only_its_job() -> None:
    jobs = ["a", "die", "b", "hang", "c", "die", "d"]
    with Workers(2, [killers.__name__]) as workers:
        answers = dict(workers.run(work, {n: set() for n in range(len(jobs))}, jobs.__getitem__, 1.5))
    assert {n: answer for n, answer in answers.items() if not isinstance(answer, Died)} == {
        0: "a",
        2: "b",
        4: "c",
        6: "d",
    }
    assert "SIGSEGV" in answers[1].how
    assert "took longer than 1.5 seconds" in answers[3].how


def test_a_failure_in_a_worker_is_raised_with_its_trace() -> None:
    with Workers(1) as workers, pytest.raises(RuntimeError, match="as asked"):
        list(workers.run(work, {0: set()}, lambda _: "raise", 5))


@pytest.mark.parametrize("count", [0, 2])
def test_a_job_begins_when_those_before_it_are_done(count: int) -> None:
    before = {"c": {"b"}, "b": {"a"}, "a": set(), "d": {"not there"}}
    learned: list[str] = []
    seen: dict[str, set[str]] = {}

    def payload(job: str) -> str:
        seen[job] = set(learned)
        return job

    with Workers(count) as workers:
        list(workers.run(work, before, payload, 30, lambda job, answer: learned.append(answer)))
    assert "b" in seen["c"]
    assert "a" in seen["b"]
    assert sorted(learned) == ["a", "b", "c", "d"]


def test_a_circle_is_opened_where_the_fewest_are_waited_for() -> None:
    schedule = Schedule({"a": {"b", "c"}, "b": {"a"}, "c": {"a"}})
    order = []
    while (job := schedule.take()) is not None:
        order.append(job)
        schedule.done(job)
    assert order[0] == "b"
    assert sorted(order) == ["a", "b", "c"]


@pytest.mark.django_db
def test_a_statement_that_kills_its_worker_costs_only_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spread, "Workers", FragileWorkers)
    sql = f"""INSERT INTO mart.a (x) SELECT x FROM src.a;
    INSERT INTO mart.b (x)
    SELECT x FROM {FATAL};
    INSERT INTO mart.c (x) SELECT x FROM src.c;
    """
    write(tmp_path, {"mart/x.sql": sql, "mart/y.sql": "SELECT y FROM src.y", "mart/z.sql": f"SELECT z FROM {FATAL}"})
    outcome = ingest(tmp_path, dialect="postgres", jobs=2)
    assert edges() == {("src.a", "mart.a"), ("src.c", "mart.c"), ("src.y", "mart.y")}
    assert problems(code="worker_died") == [("mart/x.sql", "worker_died", 2), ("mart/z.sql", "worker_died", None)]
    assert SqlVersion.objects.get(pipeline__name="mart.x").sql.strip() == sql.strip()
    assert outcome.summary.parse_coverage == 0.6
    assert ingest(tmp_path, dialect="postgres", jobs=2).unchanged
