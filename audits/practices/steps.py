"""What to do next: which single step mends most, by the weight of the findings that it would turn from fail to pass."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from django.db.models import TextField
from django.db.models.functions import Cast

from audits.practices.models import FindingQuerySet, Outcome
from audits.practices.scores import Tally
from catalog.models import Pipeline, node_id

MOST_NAMED = 20  # pipelines of one step


@dataclass(frozen=True)
class Step:
    """One thing to do, about a table or a pipeline (`node`), or alike in many pipelines (`node` is ""). `gain` is what
    it adds to the score, 0 to 1.

    `mends` counts the findings that pass once it is done, `helps` those that need more besides; `pipelines` names some
    of the `spread` pipelines that have them.
    """

    words: str
    node: str
    practice: str
    pipelines: list[str]
    spread: int
    mends: int
    helps: int
    gain: float

    def to_dict(self) -> dict[str, Any]:
        names = ("words", "node", "practice", "pipelines", "spread", "mends", "helps")
        return {name: getattr(self, name) for name in names} | {"gain": round(self.gain, 4)}


@dataclass(slots=True)
class _Sum:
    """What one step does, added up. Of steps that mend as much the one that helps more comes first."""

    practice: str
    pipelines: dict[int, None] = field(default_factory=dict)
    mends: int = 0
    helps: int = 0
    weight: int = 0
    share: float = 0.0


_Key = tuple[str, str]  # words, and the node that it is about, "" for the pipeline itself


def next_steps(findings: FindingQuerySet, tally: Tally, most: int = 5) -> list[Step]:
    """The steps that gain most among these findings, whose tally is `tally`. Two queries."""
    failing = findings.with_standing().filter(standing=Outcome.FAIL).order_by()
    sums = _sums(
        failing.annotate(text=Cast("remedies", TextField())).values_list("pipeline_id", "practice", "weight", "text")
    )
    best = sorted(sums.items(), key=lambda item: (-item[1].weight, -item[1].share, item[0]))[:most]
    named = {pk for _, each in best for pk in list(each.pipelines)[:MOST_NAMED]}
    names = dict(Pipeline.objects.filter(pk__in=named).values_list("pk", "name"))
    return [
        Step(
            words=words,
            node=node or (node_id("pipeline", names[next(iter(each.pipelines))]) if len(each.pipelines) == 1 else ""),
            practice=each.practice,
            pipelines=sorted(names[pk] for pk in list(each.pipelines)[:MOST_NAMED]),
            spread=len(each.pipelines),
            mends=each.mends,
            helps=each.helps,
            gain=each.weight / (tally.passed + tally.failed),
        )
        for (words, node), each in best
    ]


def _sums(rows: Iterable[tuple[int, str, int, str]]) -> dict[_Key, _Sum]:
    found: dict[_Key, _Sum] = {}
    read: dict[str, list[list[str]]] = {}  # many pipelines lack the same
    for pipeline, practice, weight, text in rows:
        remedies = read.get(text)
        if remedies is None:
            remedies = read[text] = json.loads(text)
        for words, node in remedies:
            step = found.get((words, node))
            if step is None:
                step = found[words, node] = _Sum(practice)
            step.pipelines[pipeline] = None
            if len(remedies) == 1:
                step.mends += 1
                step.weight += weight
            else:
                step.helps += 1
                step.share += weight / len(remedies)
    return found
