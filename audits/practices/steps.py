"""What to do next: which single step mends most, by the weight of the findings that it would turn from fail to pass."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from audits.practices.models import FindingQuerySet, Outcome
from audits.practices.scores import Tally
from catalog.models import node_id


@dataclass
class Step:
    """One thing to do, about a pipeline or a table (`node`). `gain` is what it adds to the score, 0 to 1.

    `mends` counts the findings that pass once it is done, `helps` those that need more besides.
    """

    words: str
    node: str
    practice: str
    pipelines: list[str] = field(default_factory=list)
    mends: int = 0
    helps: int = 0
    gain: float = 0.0
    share: float = 0.0  # of the findings that need more besides, so that of equal steps the widest comes first

    def to_dict(self) -> dict[str, Any]:
        names = ("words", "node", "practice", "pipelines", "mends", "helps")
        return {name: getattr(self, name) for name in names} | {"gain": round(self.gain, 4)}


def next_steps(findings: FindingQuerySet, tally: Tally, most: int = 5) -> list[Step]:
    """The steps that gain most among these findings, whose tally is `tally`. One query."""
    failing = findings.with_standing().filter(standing=Outcome.FAIL).order_by()
    rows = failing.values_list("pipeline__name", "practice", "weight", "remedies")
    judged = tally.passed + tally.failed
    steps = _steps(rows, judged) if judged else []
    return sorted(steps, key=lambda step: (-step.gain, -step.share, step.words, step.node))[:most]


def _steps(rows: Iterable[tuple[str, str, int, list[list[str]]]], judged: int) -> Iterable[Step]:
    found: dict[tuple[str, str], Step] = {}
    pipelines: dict[tuple[str, str], set[str]] = defaultdict(set)
    for name, practice, weight, remedies in rows:
        for words, about in remedies:
            key = (words, about or node_id("pipeline", name))
            step = found.setdefault(key, Step(*key, practice))
            if name not in pipelines[key]:
                pipelines[key].add(name)
                step.pipelines.append(name)
            if len(remedies) == 1:
                step.mends += 1
                step.gain += weight / judged
            else:
                step.helps += 1
                step.share += weight / len(remedies)
    return found.values()
