"""What is known of one pipeline, as typed values: all that a rule may look at, and what it answers."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass, field

FULL_REFRESH, INCREMENTAL, APPEND, MERGE = "full_refresh", "incremental", "append", "merge"
SPOKEN = {FULL_REFRESH: "a full refresh", INCREMENTAL: "incremental", APPEND: "an append", MERGE: "a merge"}
REPEATABLE = (  # one remedy for all that a second run of the SQL does wrong, so that its whole gain is seen
    "Make a second run leave the same rows: replace exactly the days that the run's parameters name, or merge by a key."
)
NEEDED, UNNEEDED = ("in_use", "protected"), ("unread", "feeds_unread")  # verdicts on a table's use


@dataclass(frozen=True, slots=True)
class Reason:
    """Why the engine judged the SQL so; `line` counts from 1."""

    practice: str
    words: str
    line: int | None = None


@dataclass(frozen=True, slots=True)
class Sql:
    """What is read off the current SQL; None where the SQL alone cannot tell, "" for such a load strategy."""

    version: int
    load_strategy: str = ""
    idempotent: bool | None = None
    atomic: bool | None = None
    backfill_safe: bool | None = None
    reasons: tuple[Reason, ...] = ()

    def reason(self, *practices: str) -> Reason | None:
        """The first reason given for the first of these that has one."""
        return next((one for name in practices for one in self.reasons if one.practice == name), None)


@dataclass(frozen=True, slots=True)
class Runs:
    """The successful runs of the last weeks. `rows` is how many they wrote on average, `every` the time between runs of
    different dates, failed ones too, None where too few tell."""

    number: int
    longest: dt.timedelta
    rows: float | None = None
    every: dt.timedelta | None = None


@dataclass(frozen=True, slots=True)
class Person:
    """An owner, as far as a rule asks."""

    name: str
    has_left: bool = False


@dataclass(frozen=True, slots=True)
class TableFact:
    """A table that a pipeline reads or writes. `keeps` is its retention in days, None where nobody limits it; `checks`
    are the kinds of those that are measured, of which `is_failing` says that one fails; `unheard` has the kind of each
    that another tool is said to run and of which no result has ever arrived."""

    node: str
    name: str
    is_described: bool = False
    is_original: bool = False
    rows: int | None = None
    keeps: int | None = None
    verdict: str = ""
    checks: frozenset[str] = frozenset()
    is_failing: bool = False
    unheard: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class IncidentFact:
    """An incident that began in the pipeline or in a table that it writes."""

    title: str
    is_over: bool
    has_report: bool
    days_over: int = 0
    overdue: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Facts:
    """One pipeline. `load_strategy`, `backfill`, `catchup` and `scheduled` are what people and files declare, the last
    as the shortest and the usual time between two starts."""

    name: str
    tier: int | None = None
    load_strategy: str = ""
    backfill: str = ""
    catchup: bool | None = None
    scheduled: tuple[dt.timedelta, dt.timedelta] | None = None
    orchestrator: str = ""
    sql: Sql | None = None
    runs: Runs | None = None
    business: tuple[Person, ...] = ()
    technical: tuple[Person, ...] = ()
    inputs: tuple[TableFact, ...] = ()
    outputs: tuple[TableFact, ...] = ()
    incidents: tuple[IncidentFact, ...] = ()
    records_incidents: bool = False
    checks: frozenset[str] = frozenset()
    is_failing: bool = False

    @property
    def detected(self) -> str:
        """The load strategy that the SQL shows, "" where it shows none."""
        return self.sql.load_strategy if self.sql else ""


@dataclass(frozen=True, slots=True)
class Sentence:
    """A piece of evidence, with the line of the SQL that shows it."""

    words: str
    line: int | None = None


@dataclass(frozen=True, slots=True)
class Remedy:
    """One thing to do. What stands in the way of several pipelines at once is named by its `about`: one remedy then
    mends them all; without it the remedy is the pipeline's own."""

    words: str
    about: str = ""


@dataclass(frozen=True, slots=True)
class Judgement:
    """What a rule says of a pipeline: "pass", "fail" or "unknown", why, and what would mend it."""

    outcome: str
    evidence: tuple[Sentence, ...]
    remedies: tuple[Remedy, ...] = field(default=())


def passes(*evidence: Sentence | str) -> Judgement:
    return Judgement("pass", _sentences(evidence))


def unknown(*evidence: Sentence | str) -> Judgement:
    return Judgement("unknown", _sentences(evidence))


def fails(*evidence: Sentence | str, mend: Iterable[Remedy | str]) -> Judgement:
    return Judgement("fail", _sentences(evidence), tuple(r if isinstance(r, Remedy) else Remedy(r) for r in mend))


def shown_by(reason: Reason | None, otherwise: str) -> Sentence:
    """The engine's reason as a sentence, or other words where it gave none."""
    return Sentence(f"{reason.words[0].upper()}{reason.words[1:]}.", reason.line) if reason else Sentence(otherwise)


def _sentences(evidence: Iterable[Sentence | str]) -> tuple[Sentence, ...]:
    return tuple(Sentence(one) if isinstance(one, str) else one for one in evidence)
