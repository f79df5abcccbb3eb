"""What many events say together, whatever their order and however often each came: pure, without a database.

Each fact is a register that keeps its newest word: the time of the event, then a digest that decides between events of
the same time. Taking the greater of two is the same in any order and any number of times, so the state that events end
in depends on which events there were, and on nothing else.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ingest.openlineage.reading import LARGEST

Stamp = list[Any]  # [microseconds since 1970, digest of the value], as JSON keeps it
Stamps = dict[str, Stamp]
GONE = "gone"  # the digest of a facet that an event takes away

STARTED, COMPLETED, ABORTED, FAILED = "START", "COMPLETE", "ABORT", "FAIL"
_ENDS = (COMPLETED, ABORTED, FAILED)  # of ends at the same moment the last here counts


@dataclass(frozen=True)
class Offer:
    """A facet as one event states it; None takes it away."""

    value: Any
    digest: str

    @classmethod
    def of(cls, value: Any) -> Offer:
        if isinstance(value, dict) and value.get("_deleted") is True:
            value = None
        return cls(value, GONE if value is None else value_digest(value))


def value_digest(value: Any) -> str:
    """Equal values have equal digests."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"))
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


def merged(stamps: Stamps, offers: Mapping[str, Offer], at: int) -> dict[str, Any]:
    """Lay an event's facets over the registers, in place; the facets whose value is another now."""
    changed = {}
    for name, offer in offers.items():
        before, stamp = stamps.get(name), [at, offer.digest]
        if before is not None and before >= stamp:
            continue
        stamps[name] = stamp
        if before is None or before[1] != offer.digest:
            changed[name] = offer.value
    return changed


@dataclass
class RunState:
    """What is known of a run: when events of each type came last, the first of all, and what it reads and writes.

    `inputs` and `outputs` map a dataset's id to [time, rows], empty where no event counted its rows.
    """

    times: dict[str, int] = field(default_factory=dict)
    facts: dict[str, list[Any]] = field(default_factory=dict)  # name -> [time, digest, value]
    inputs: dict[str, list[Any]] = field(default_factory=dict)
    outputs: dict[str, list[Any]] = field(default_factory=dict)

    def note_event(self, kind: str, at: int) -> None:
        """An event of this type came at that time."""
        self.times["first"] = min(at, self.times.get("first", at))
        if kind == STARTED or kind in _ENDS:
            self.times[kind] = max(at, self.times.get(kind, at))

    def note_fact(self, name: str, value: Any, at: int) -> None:
        """The newest word on a fact counts."""
        stamp = [at, value_digest(value)]
        if name not in self.facts or self.facts[name][:2] < stamp:
            self.facts[name] = [*stamp, value]

    def note_data(self, side: str, dataset: int, rows: int | None, at: int) -> None:
        """The run reads or writes a dataset; the newest count of rows counts."""
        known = getattr(self, side)
        before = known.setdefault(str(dataset), [])
        if rows is not None and before < [at, rows]:
            known[str(dataset)] = [at, rows]

    def fact(self, name: str) -> Any:
        return self.facts[name][2] if name in self.facts else None

    @property
    def started_at(self) -> int:
        """A run that is repeated under the same id counts from its last start."""
        return self.times.get(STARTED, self.times["first"])

    @property
    def end(self) -> tuple[str, int] | None:
        """How and when it ended; None while it runs, or runs again."""
        ends = [(self.times[kind], number) for number, kind in enumerate(_ENDS) if kind in self.times]
        at, number = max(ends, default=(0, 0))
        return (_ENDS[number], at) if ends and at >= self.started_at else None

    def rows(self, side: str) -> int | None:
        """All rows read or written; None where no event counted any."""
        counts = [counted[1] for counted in getattr(self, side).values() if counted]
        return min(sum(counts), LARGEST) if counts else None

    def data(self) -> Data:
        return Data.of(map(int, self.inputs), map(int, self.outputs))

    def to_json(self) -> dict[str, Any]:
        return self.__dict__


@dataclass(frozen=True)
class Data:
    """Ids of the datasets that are read and written."""

    inputs: frozenset[int] = frozenset()
    outputs: frozenset[int] = frozenset()

    @classmethod
    def of(cls, inputs: Any, outputs: Any) -> Data:
        return cls(frozenset(inputs), frozenset(outputs))

    def listed(self) -> dict[str, list[int]]:
        """As a job keeps it."""
        return {"inputs": sorted(self.inputs), "outputs": sorted(self.outputs)}

    def __or__(self, other: Data) -> Data:
        return Data(self.inputs | other.inputs, self.outputs | other.outputs)

    def __bool__(self) -> bool:
        return bool(self.inputs or self.outputs)
