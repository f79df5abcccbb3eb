"""Runs checks on live sources: one scan for all checks of a table that can share one, through a read-only connection.

What cannot be measured is an error with its reason, never a pass, and costs the other checks nothing.
"""

from __future__ import annotations

import datetime as dt
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from django.utils import timezone

from audits.checks import distinct, kinds, samples, sql
from audits.checks.guard import checked_query, printed
from audits.checks.judge import Judgement, Past, judge
from audits.checks.kinds import BadParameters, Parameters
from audits.checks.models import Check, CheckResult, State
from audits.checks.place import Place
from catalog.connections import Answer, OpenSource, open_source
from catalog.models import Source, Table
from catalog.queries import find_table

TIMEOUT = 60.0  # seconds of one statement
_MOST_PAST = 400  # earlier results that bounds are read off


@dataclass(frozen=True)
class Measured:
    """What one check came to, before it is stored."""

    check: Check
    at: dt.datetime
    state: str
    value: float | None = None
    low: float | None = None
    high: float | None = None
    words: str = ""
    sample: samples.Sample = ()


@dataclass
class _Job:
    """A check that is being run: what the database answered, or why it did not."""

    check: Check
    parameters: Parameters
    answer: Any = None
    problem: str = ""
    is_answered: bool = False
    sample: samples.Sample = ()

    def take(self, answer: Any) -> None:
        self.answer, self.is_answered = answer, True


def run(checks: Iterable[Check], timeout: float = TIMEOUT, at: dt.datetime | None = None) -> Iterator[Measured]:
    """Run checks, source by source and table by table; they need their `table__source` at hand.

    Each table's results are handed out before the next table is asked, so that what is measured can be stored. With
    `at`, the source is as it was at that moment, and is judged as of then.
    """
    by_source: dict[Source | None, list[_Job]] = defaultdict(list)
    for check in checks:
        try:
            by_source[check.source].append(_Job(check, check.typed))
        except BadParameters as error:
            yield Measured(check, at or timezone.now(), State.ERROR, words=str(error))
    for job in by_source.pop(None, []):
        _measure_ratio(job, timeout)
        yield _ended(job, at)
    for source, jobs in by_source.items():
        yield from (_ended(job, at) for job in _of_source(source, jobs, timeout))


def _of_source(source: Source | None, jobs: list[_Job], timeout: float) -> Iterator[_Job]:
    """The jobs, each with its answer or its problem, a table at a time."""
    assert source is not None  # noqa: S101 those of pipelines are run by themselves
    by_table: dict[Table | None, list[_Job]] = defaultdict(list)
    for job in jobs:
        by_table[job.check.table].append(job)
    try:
        with open_source(source) as connection:
            for table, of_table in by_table.items():
                assert table is not None  # noqa: S101 likewise
                _TableRun(connection, table, timeout).measure(of_table)
                yield from of_table
    except ValueError as problem:  # of opening: what goes wrong with a statement is kept with its jobs
        for job in jobs:
            job.problem = str(problem)
            yield job


def _measure_ratio(job: _Job, timeout: float) -> None:
    """Rows of an output for each row of the input; the two may be in different sources."""
    assert isinstance(job.parameters, kinds.InOutRatio)  # noqa: S101 `check_of_one_thing`
    try:
        into, out_of = (_rows_of(name, timeout) for name in (job.parameters.input, job.parameters.output))
    except ValueError as problem:
        job.problem = str(problem)
        return
    if into:
        job.take(out_of / into)
    else:
        job.problem = f"{job.parameters.input} has no rows, so there is no ratio."


def _rows_of(name: str, timeout: float) -> int:
    """The row count of `source:table`. ValueError says why there is none."""
    slug, _, table_name = name.partition(":")
    try:
        table = find_table(slug, table_name)
    except Table.DoesNotExist as error:
        raise ValueError(f"There is no table {name} any more.") from error
    with open_source(table.source) as connection:
        statement = sql.row_count(Place(table.name, connection.dialect))
        return connection.run(statement, timeout, 1).rows[0][0]


def _ended(job: _Job, at: dt.datetime | None) -> Measured:
    at = at or timezone.now()
    if not job.is_answered:
        return Measured(job.check, at, State.ERROR, words=job.problem)
    found = judge(job.parameters, job.answer, _past(job), at)
    sample = job.sample if found.passes is False else ()
    return Measured(job.check, at, _state(job.check, found), found.value, found.low, found.high, found.words, sample)


def _state(check: Check, found: Judgement) -> str:
    if found.is_error:
        return State.ERROR
    if found.passes is None:
        return State.UNKNOWN
    return State.PASS if found.passes else check.severity


def _past(job: _Job) -> Past:
    """Earlier figures of a check whose bounds come from them. One query."""
    if not isinstance(job.parameters, kinds.RowCountChange | kinds.UsualRowCount):
        return ()
    results = CheckResult.objects.filter(check_of=job.check, value__isnull=False).order_by("-at", "-id")
    return list(results.values_list("at", "value")[:_MOST_PAST])


@dataclass
class _TableRun:
    """The statements of one table over one connection."""

    connection: OpenSource
    table: Table
    timeout: float
    place: Place = field(init=False)

    def measure(self, jobs: list[_Job]) -> None:
        """Give each job its answer or its problem."""
        name, dialect = self.table.name, self.connection.dialect
        try:
            columns = self._ask(sql.probe(Place(name, dialect))).columns
        except ValueError as problem:
            for job in jobs:
                job.problem = f"{name} cannot be read. {problem}"
            return
        self.place = Place(name, dialect, columns)
        jobs = [job for job in jobs if self._has_its_columns(job)]
        self._learn_ranges(jobs)
        together: dict[str, list[_Job]] = defaultdict(list)
        for job in jobs:
            if sql.shares_a_scan(job.parameters):
                together[getattr(job.parameters, "where", "")].append(job)
        for group in together.values():
            self._take_rising_keys(group)
            self._take_keys_by_one_column(group)
            self._scan([job for job in group if not job.is_answered])
        for job in jobs:
            if not sql.shares_a_scan(job.parameters):
                self._measure_apart(job, jobs)
        self._take_samples(jobs)

    def _has_its_columns(self, job: _Job) -> bool:
        gone = [name for name in job.parameters.columns_read() if not self.place.has(name)]
        if gone:
            has = ", ".join(self.place.columns or ())
            job.problem = f"{self.table.name} has no column {', '.join(gone)} any more. It has: {has[:500]}."
        return not gone

    def _learn_ranges(self, jobs: list[_Job]) -> None:
        """The least and the most of what keys are made of, where those are to be had for next to nothing."""
        columns = [self.place.spelled(name) for _, key in self._with_quick_keys(jobs) for name in key.columns]
        columns = list(dict.fromkeys(columns))
        row = self._try(distinct.ranges(self.place, columns)) if columns else ()
        pairs = zip(columns, row[::2], row[1::2], strict=False)
        self.place = replace(self.place, ranges={name: (least, most) for name, least, most in pairs})

    def _take_rising_keys(self, jobs: list[_Job]) -> None:
        """Answer for keys that rise from row to row: a look at the first rows, and at all where they rise there."""
        asked, rows = self._with_quick_keys(jobs), distinct.FIRST
        for most in (distinct.FIRST, None):
            if not asked or rows < distinct.FIRST:
                break
            keys = [key for _, key in asked]
            row = self._try(distinct.rising(self.place, keys, most))
            if not row:
                return
            rows = row[0]
            asked = [each for each, rises in zip(asked, distinct.rise_always(keys, row), strict=True) if rises]
        for job, _ in asked:
            job.take(0)

    def _take_keys_by_one_column(self, jobs: list[_Job]) -> None:
        """Answer for keys of which a column is another in every row: a look at the first rows, then at all."""
        keys = [(job, key) for job, key in self._with_quick_keys(jobs) if not job.is_answered]
        asked = [(job, distinct.telling(self.place, key)) for job, key in keys]
        columns = list(dict.fromkeys(name for _, names in asked for name in names))
        for statement in (distinct.first_values, distinct.seats_taken):
            row = self._try(statement(self.place, columns, keys[0][1].where)) if columns else ()
            columns = [name for name, number in zip(columns, row[1:], strict=False) if number == row[0]]
        for job, names in asked:
            if not set(names).isdisjoint(columns):
                job.take(0)

    def _with_quick_keys(self, jobs: list[_Job]) -> list[tuple[_Job, kinds.UniqueKey]]:
        """Those of keys, of a table whose database has quick ways to count them."""
        if not distinct.has_quick_ways(self.place.dialect, self.table.kind):
            return []
        return [(job, job.parameters) for job in jobs if isinstance(job.parameters, kinds.UniqueKey)]

    def _try(self, statement: str) -> tuple[Any, ...]:
        """The one row of an answer that could save work; empty where it cannot be had."""
        try:
            return self._row(statement)
        except ValueError:
            return ()

    def _scan(self, jobs: list[_Job]) -> None:
        """All of them by one statement; where that fails, and not for lack of time, each by its own."""
        if not jobs:
            return
        started = time.monotonic()
        try:
            row = self._row(sql.scan(self.place, [job.parameters for job in jobs]))
        except ValueError as problem:
            if len(jobs) > 1 and time.monotonic() - started < 0.9 * self.timeout:
                for job in jobs:
                    self._scan([job])
                return
            for job in jobs:
                job.problem = self._said(problem)
            return
        for job, figure in zip(jobs, row[1:], strict=True):
            job.take(figure)

    def _measure_apart(self, job: _Job, others: list[_Job]) -> None:
        if isinstance(job.parameters, kinds.DuplicateRows) and _has_unique_key(job.parameters, others):
            job.take(0)  # rows that are alike would have keys that are alike
            return
        try:
            job.take(self._row(self._statement(job.parameters))[0])
        except ValueError as problem:
            job.problem = self._said(problem)

    def _statement(self, parameters: Parameters) -> str:
        source, dialect = self.table.source, self.place.dialect
        if isinstance(parameters, kinds.CustomSql):
            tables = source.tables.values_list("name", flat=True)
            return printed(checked_query(parameters.sql, dialect, tables), dialect)
        if isinstance(parameters, kinds.Referential) and parameters.to_table.partition(":")[0] != source.slug:
            raise ValueError(f"{parameters.to_table} is in another source: no query can compare the two.")
        return sql.apart(self.place, parameters)

    def _take_samples(self, jobs: list[_Job]) -> None:
        """Some offending keys of what fails. A sample that cannot be had costs the result nothing."""
        offending = [job for job in jobs if job.is_answered and isinstance(job.answer, int) and job.answer > 0]
        asked = [(job, sql.sample(self.place, job.parameters, self._key(), samples.MOST)) for job in offending]
        if not any(statement for _, statement in asked):
            return
        sensitive = samples.sensitive_columns(self.table)
        for job, statement in asked:
            if statement:
                try:
                    answer = self._ask(statement, samples.MOST)
                except ValueError:
                    continue
                job.sample = samples.kept(answer.columns, answer.rows, sensitive)

    def _said(self, problem: ValueError) -> str:
        """What went wrong. A database's own words may quote a value: masked where the table has sensitive ones."""
        return samples.without_values(str(problem), samples.sensitive_columns(self.table))

    def _key(self) -> list[str]:
        """Columns that name a row: of the primary key, as far as the table still has them."""
        names = self.table.columns.filter(is_primary_key=True).values_list("name", flat=True)
        return [name for name in names if self.place.has(name)]

    def _ask(self, statement: str, most: int = 1) -> Answer:
        return self.connection.run(statement, self.timeout, most)

    def _row(self, statement: str) -> tuple[Any, ...]:
        """The one row of an answer."""
        answer = self._ask(statement)
        if len(answer.rows) != 1 or answer.truncated:
            number = "several rows" if answer.rows else "no row"
            raise ValueError(f"The query gave {number}; a check needs one row, its figure first.")
        return answer.rows[0]


def _has_unique_key(parameters: kinds.DuplicateRows, others: list[_Job]) -> bool:
    """Whether a key of the same rows was just found to be unique."""
    return any(
        isinstance(each.parameters, kinds.UniqueKey)
        and each.parameters.where == parameters.where
        and each.is_answered
        and each.answer == 0
        for each in others
    )
