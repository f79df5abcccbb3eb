"""From facts to verdicts with their evidence, ready to be stored or printed: one pass, everything in memory."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from audits.deletion import judgement
from audits.deletion.evidence import LOG_CODES
from audits.deletion.facts import Gathered, Hole, Ints
from audits.deletion.judgement import Verdict as Word

WORDS = {word: word.name.lower() for word in Word}
FLAGGED = (Word.UNREAD, Word.FEEDS_UNREAD)
_MIX = np.uint64(0x9E3779B97F4A7C15)  # the golden ratio in 64 bits, which spreads neighbouring numbers

_OTHER_MIX = np.uint64(0xC2B2AE3D27D4EB4F)


@dataclass(frozen=True)
class Judged:
    """Verdicts per table in the order of `facts.ids`; `because` is a place, or -1; retired tables have none."""

    facts: Gathered
    verdict: NDArray[np.int8]
    because: Ints
    is_proposed: NDArray[np.bool_]

    @property
    def places(self) -> Ints:
        """The places of the tables that have a verdict."""
        return np.flatnonzero(~self.facts.is_retired)

    def counts(self) -> dict[str, int]:
        """Tables per verdict."""
        found = Counter(self.verdict[self.places].tolist())
        return {name: found.get(int(word), 0) for word, name in WORDS.items()}


@dataclass(frozen=True)
class Proposals:
    """Pipelines that go whole, and those to be trimmed with the outputs (table ids) to stop."""

    delete: frozenset[int]
    trim: dict[int, list[int]]
    by_table: dict[int, list[int]]
    """Per proposed table (its place), the pipelines that build it."""


def judge(facts: Gathered) -> Judged:
    """The verdict of every table, and whether dropping it is proposed."""
    found = judgement.judge(facts.to_judge())
    can_return = ~facts.is_original & (facts.has_builder | facts.is_rebuildable)
    proposed = np.isin(found.verdict, FLAGGED) & ~facts.is_retired & can_return
    return Judged(facts, found.verdict, found.because, proposed)


def going_pipelines(judged: Judged) -> Ints:
    """Ids of the pipelines all of whose outputs are proposed, in order. One that nobody could read whole stays."""
    facts = judged.facts
    goes = judged.is_proposed[facts.builds[:, 0]]
    also = [*facts.half_exports, *facts.unread_sql]
    stays = np.concatenate([facts.builds[~goes, 1], np.array(also, dtype=np.int64)])
    return np.setdiff1d(facts.builds[goes, 1], stays)


def proposals(judged: Judged) -> Proposals:
    """Which pipelines go with the proposed tables, and which are to be trimmed of them."""
    facts, whole = judged.facts, frozenset(going_pipelines(judged).tolist())
    by_table: dict[int, list[int]] = {}
    trim: dict[int, list[int]] = {}
    for place, pipeline in facts.builds[judged.is_proposed[facts.builds[:, 0]]].tolist():
        by_table.setdefault(place, []).append(pipeline)
        if pipeline not in whole:
            trim.setdefault(pipeline, []).append(int(facts.ids[place]))
    return Proposals(whole, trim, by_table)


def evidence_of(judged: Judged, place: int) -> dict[str, Any]:
    """The evidence of one table as codes and values. Nothing in it moves while the verdict's grounds stay the same."""
    facts = judged.facts
    word = Word(judged.verdict[place])
    own = judged.because[place] < 0
    evidence: dict[str, Any] = {"window": int(facts.window[place]), "reasons": _reasons(judged, place, word, own)}
    for name, numbers in _COUNTS:
        if number := int(getattr(facts, numbers)[place]):
            evidence[name] = number
    if word in (Word.UNKNOWN, *FLAGGED) and facts.last_read[place]:
        evidence["last_read"] = dt.date.fromordinal(int(facts.last_read[place])).isoformat()
    if word in FLAGGED and not judged.is_proposed[place]:
        evidence["original" if facts.is_original[place] else "unbuilt"] = True
    return evidence


_COUNTS = (("readers", "readers_ever"), ("pipelines", "reading_pipelines"), ("dependants", "dependants"))


def _reasons(judged: Judged, place: int, word: Word, own: bool) -> list[dict[str, Any]]:
    facts = judged.facts
    if not own or word in FLAGGED:
        return []
    if word is Word.IN_USE:
        return [{"code": "read"}]
    known = facts.reasons.get(place, [])
    if word is Word.PROTECTED:
        return [reason for reason in known if reason["code"] not in _DOUBTS]
    of_log = [{"code": str(hole.name).lower()} for hole in Hole if int(facts.hole[place]) & hole and _is_of_log(hole)]
    return of_log + [reason for reason in known if reason["code"] in _DOUBTS]


_DOUBTS = {str(hole.name).lower() for hole in Hole}


def _is_of_log(hole: Hole) -> bool:
    return str(hole.name).lower() in LOG_CODES


def digests_and_evidence(judged: Judged, weight: Ints) -> tuple[Ints, list[str]]:
    """Per place of `judged.places`, a number that differs when the verdict, its evidence or the weight does, and the
    evidence as JSON text. `weight` is by place, as everything else. Tables with like evidence share it, so a million of
    them cost a few thousand texts."""
    facts, places = judged.facts, judged.places
    shown_read = np.where(np.isin(judged.verdict, (Word.UNKNOWN, *FLAGGED)), facts.last_read, 0)
    columns = (
        judged.verdict,
        judged.because >= 0,
        judged.is_proposed,
        facts.is_original,
        facts.keep,
        facts.hole,
        facts.window,
        shown_read,
        facts.readers_ever,
        facts.reading_pipelines,
        facts.dependants,
    )
    texts: list[str] = []
    numbers: list[int] = []
    known: dict[Any, tuple[str, int]] = {}
    for place, *key in zip(places.tolist(), *(column[places].tolist() for column in columns), strict=True):
        like = (*key, place) if place in facts.reasons else tuple(key)
        if like not in known:
            text = json.dumps(evidence_of(judged, place))
            known[like] = text, _number(f"{key[0]}{key[2]}{text}")
        text, number = known[like]
        texts.append(text)
        numbers.append(number)
    because = np.where(judged.because >= 0, facts.ids[judged.because], 0)[places].astype(np.uint64)
    heavy = weight[places].astype(np.uint64)
    return (np.array(numbers, dtype=np.uint64) ^ (because * _MIX) ^ (heavy * _OTHER_MIX)).view(np.int64), texts


def _number(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big")


def chain(judged: Judged, place: int) -> Iterator[int]:
    """The places that the verdict came through, one hop downstream after the other, up to its own ground."""
    while (place := int(judged.because[place])) >= 0:
        yield place
