"""The evidence behind a verdict: kept as codes and values, said in words by one function for every door."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from audits.deletion.facts import Hole
from audits.deletion.logs import GRACE_DAYS, MOST_UNMATCHED, MOST_UNPARSED
from audits.deletion.models import Verdict

Values = Mapping[str, Any]

_LOG_DOUBTS = (Hole.NO_LOG, Hole.LOG_ENDS_EARLY, Hole.LOG_TOO_SHORT, Hole.LOG_UNPARSED, Hole.LOG_UNMATCHED)
LOG_CODES = tuple(str(hole.name).lower() for hole in _LOG_DOUBTS)


@dataclass(frozen=True)
class Around:
    """What the words of a verdict need besides the verdict: when it was judged, and what the source's log covers.

    `because` names the table the verdict comes from; `last_read` is the newest that is known, where it is known.
    """

    as_of: str
    source: str = ""
    log: Values | None = None
    because: str = ""
    last_read: str | None = None


def words(verdict: str, evidence: Values, around: Around) -> list[str]:
    """Sentences that say why, in the order of weight: the reason, the window, the log, reads, who depends on it."""
    return [
        *_reasons(verdict, evidence, around),
        *_window(verdict, evidence, around),
        *_log(around),
        _last_read(verdict, evidence, around),
        _readers(evidence),
    ]


def _reasons(verdict: str, evidence: Values, around: Around) -> Iterable[str]:
    if around.because:
        yield _INHERITED[verdict].format(because=around.because)
    for reason in evidence.get("reasons", ()):
        yield _reason(reason, around)
    if verdict == Verdict.Word.UNREAD:
        yield f"Nobody has read it for {evidence['window']} days but what builds it."
    if verdict == Verdict.Word.FEEDS_UNREAD:
        yield f"Read only by {counted(evidence.get('pipelines', 0), 'pipeline')}, and nothing that comes of it is used."
    if evidence.get("original"):
        yield "It is an original: no pipeline can build it again, so dropping it is not proposed."
    elif evidence.get("unbuilt"):
        yield "No pipeline is known to build it, so it could not be built again, and dropping it is not proposed."


_INHERITED = {
    Verdict.Word.PROTECTED: "{because} is built from it, and is protected.",
    Verdict.Word.IN_USE: "{because} is built from it, and is in use, itself or through what is built from it.",
    Verdict.Word.UNKNOWN: "{because} is built from it, and nobody can say whether that is used.",
}


def _reason(reason: Values, around: Around) -> str:
    code = reason["code"]
    if code in LOG_CODES:
        return log_doubt(code, around)
    return _REASONS[code](reason)


def log_doubt(code: str, around: Around) -> str:
    """What is amiss with a source's log, by one of LOG_CODES."""
    log, source = around.log or {}, around.source or "this source"
    match code:
        case "no_log":
            return f"No query log of {source} is known for these days, so nobody can say who reads it."
        case "log_ends_early":
            return f"The query log of {source} ends on {log.get('covered_to')}, over {GRACE_DAYS} days before."
        case "log_too_short":
            return (
                f"The query log of {source} covers no earlier day than {log.get('covered_from')}, less than the window."
            )
        case "log_unparsed":
            bad, entries = log.get("unparsed", 0), log.get("entries", 0)
            return f"{bad:,} of {entries:,} entries in the log of {source} could not be read, over {MOST_UNPARSED:.0%}."
    bad, names = log.get("names_unmatched", 0), log.get("names_read", 0)
    return f"{bad:,} of {names:,} names read in {source} match no table here, over {MOST_UNMATCHED:.0%}."


def _pinned(reason: Values) -> str:
    return f"Pinned until {reason['until']} by {reason['by']}: {reason['reason']}"


def _legal_hold(reason: Values) -> str:
    until = f" until {reason['until']}" if reason["until"] else ""
    return f"Under legal hold{until}, stated by {reason['by']}: {reason['reason']}"


def _retention(reason: Values) -> str:
    if reason["days"] is None:
        return "An original to be kept for ever."
    written = (
        f"; last written on {reason['written']}" if reason["written"] else "; nobody knows when it was last written"
    )
    return f"An original to be kept for {reason['days']} days{written}."


def _exported(reason: Values) -> str:
    if "pipeline" in reason:
        return f"{reason['pipeline']} carries it out of the catalog's sight, where reads cannot be seen."
    return f"Written to where no log shows reads ({reason['storage'].replace('_', ' ')})."


def _seasonal(reason: Values) -> str:
    if "gap" in reason:
        return f"Seasonal: its reads lay up to {reason['gap']} days apart before."
    return f"Seasonal: it was read in this season last year, on {reason['last_year']}."


def _named_in_pipeline(reason: Values) -> str:
    return f"SQL that could not be read whole names it: {', '.join(reason['pipelines'])}."


def _named_in_log(reason: Values) -> str:
    return f"Logged queries that could not be read name it, in {', '.join(reason['sources'])}."


_REASONS = {
    "pinned": _pinned,
    "legal_hold": _legal_hold,
    "retention": _retention,
    "exported": _exported,
    "young": lambda reason: f"Young: made in its source on {reason['created']}, within the window.",
    "seasonal": _seasonal,
    "named_in_pipeline": _named_in_pipeline,
    "named_in_log": _named_in_log,
    "feeds_unknown_name": lambda reason: f"A query writes it to {reason['name']}, which is read but not known here.",
    "read": lambda reason: "Read within the window by others than what builds it.",
}


def _window(verdict: str, evidence: Values, around: Around) -> Iterable[str]:
    if verdict != Verdict.Word.PROTECTED:
        yield f"Looked at: the {evidence['window']} days up to {_end(around)}."


def _end(around: Around) -> str:
    covered = (around.log or {}).get("covered_to")
    return min(around.as_of, covered) if covered else around.as_of


def _log(around: Around) -> Iterable[str]:
    log = around.log or {}
    if log.get("covered_from"):
        channels = f" in {log['channels']} channels" if log["channels"] > 1 else ""
        entries, read = log["entries"], log["entries"] - log["unparsed"]
        share = (
            f"; {read:,} of {entries:,} entries in the window were read" if entries else "; none of it in the window"
        )
        source = around.source or "its source"
        yield f"The query log of {source} covers {log['covered_from']} to {log['covered_to']}{channels}{share}."


def _last_read(verdict: str, evidence: Values, around: Around) -> str:
    day = around.last_read or evidence.get("last_read")
    if day:
        return f"Last read by others: {day}."
    moves = verdict in (Verdict.Word.IN_USE, Verdict.Word.PROTECTED)
    return "No read by others is on record." if not moves or not evidence.get("readers") else "Read by others."


def _readers(evidence: Values) -> str:
    readers, pipelines, tables = (evidence.get(name, 0) for name in ("readers", "pipelines", "dependants"))
    return (
        f"Readers on record: {readers:,}; other pipelines reading it now: {pipelines:,}; "
        f"tables built from it directly: {tables:,}."
    )


def counted(number: int, noun: str) -> str:
    """`1 table`, `2 tables`, `no table`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}" if number else f"no {noun}"
