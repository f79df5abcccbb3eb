"""Judging pipelines and keeping what came of it, and waivers by people: one verb each, atomic, through the policy."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Max
from django.utils import timezone

from audits.practices import scores
from audits.practices.facts import Facts, Judgement
from audits.practices.gather import Ids, gather, of
from audits.practices.models import Finding, Waiver, today
from audits.practices.rules import RULES
from catalog.bulk import chunks
from catalog.models import Owner, Pipeline, User
from catalog.policy import Action
from catalog.services import policy_checked, record_history
from catalog.undo import Undo, puts_back, stored

LONGEST_WAIVER = dt.timedelta(days=366)
WEIGHTS = {1: 4, 2: 3, 3: 2, 4: 1}
WEIGHT_WITHOUT_TIER = WEIGHTS[3]
_KEPT = ("outcome", "waived_until", "evidence", "remedies", "sql_version_id", "weight")
_WRITTEN = [*(name.removesuffix("_id") for name in _KEPT), "since", "changed_at"]

Place = tuple[int, str]  # pipeline and practice


@dataclass(frozen=True)
class Judged:
    """How many pipelines were judged, and how many findings were new or different, or gone."""

    pipelines: int
    written: int


@transaction.atomic
def judge_all() -> Judged:
    """Judge every pipeline by every practice, keep what changed, and the day's scores."""
    facts = gather()
    written = _store(facts, None)
    scores.store_all(today())
    return Judged(len(facts), written)


@transaction.atomic
def judge_pipelines(ids: Collection[int]) -> Judged:
    """The same of some pipelines, after a change to them: their findings and own scores. Constant queries."""
    facts = gather(ids)
    written = _store(facts, ids)
    scores.store_pipelines(facts, today())
    return Judged(len(facts), written)


@transaction.atomic
def waive(
    *, actor: User | None, pipeline: Pipeline, practice: str, reason: str, owner: Owner, until: dt.date
) -> Waiver:
    """State that a pipeline need not keep a practice up to a day, a year ahead at most; `owner` answers for it."""
    policy_checked(actor, Action.EDIT, pipeline)
    if practice not in RULES:
        raise ValidationError({"practice": f"Not one of: {', '.join(RULES)}."})
    if not today() <= until <= today() + LONGEST_WAIVER:
        raise ValidationError({"until": "The last day must be today or later, and within a year."})
    if owner.status == Owner.Status.LEFT:
        raise ValidationError({"owner": f"{owner.name} has left and can answer for nothing."})
    waiver = Waiver(pipeline=pipeline, practice=practice, reason=reason.strip(), owner=owner, until=until)
    waiver.stated_by, waiver.stated_by_name = actor, actor.get_username() if actor else "pipekeeper"
    waiver.full_clean(exclude=["stated_by"])  # nobody, where the product itself states it
    waiver.save()
    record_history(actor, "waived", pipeline, {}, {practice: f"until {until}: {waiver.reason}"})
    judge_pipelines([pipeline.pk])
    return waiver


@transaction.atomic
def lift(*, actor: User | None, waiver: Waiver) -> Waiver:
    """End a waiver before its day."""
    policy_checked(actor, Action.EDIT, waiver.pipeline)
    if not waiver.is_in_force:
        raise ValidationError("This waiver is over already.")
    waiver.lifted_at = timezone.now()
    waiver.save(update_fields=["lifted_at"])
    undo = Undo("waiver", {"lifted_at": None}, stored(waiver, ["lifted_at"]), waiver.pk)
    record_history(actor, "waiver lifted", waiver.pipeline, {waiver.practice: f"until {waiver.until}"}, {}, undo)
    judge_pipelines([waiver.pipeline_id])
    return waiver


@puts_back("waiver", Waiver)
def _put_waiver_back(actor: User | None, waiver: Waiver, had: dict[str, Any]) -> None:
    """A waiver that was lifted holds again, up to its day. What it says may not be written anew meanwhile."""
    policy_checked(actor, Action.EDIT, waiver.pipeline)
    waiver.lifted_at = None
    if not waiver.is_in_force:
        raise ValidationError(f"The waiver ended on {waiver.until} by itself.")
    waiver.full_clean(exclude=["stated_by"])
    waiver.save(update_fields=["lifted_at"])
    record_history(actor, "waiver put back", waiver.pipeline, {}, {waiver.practice: f"until {waiver.until}"})
    judge_pipelines([waiver.pipeline_id])


def _store(facts: dict[int, Facts], ids: Ids) -> int:
    """Bring the stored findings of these pipelines up to date; how many were written or taken away."""
    waived, now = _waived(ids), timezone.now()
    stored = {(one.pipeline_id, one.practice): one for one in of(Finding.objects.order_by(), ids)}
    found = {(one.pipeline_id, one.practice): one for one in _findings(facts, waived)}
    changed = [one for place, one in found.items() if not _is_same(one, stored.get(place))]
    for one in changed:
        before = stored.get((one.pipeline_id, one.practice))
        one.since = before.since if before and before.outcome == one.outcome else now
        one.changed_at = now
    gone = [one.pk for place, one in stored.items() if place not in found]
    for part in chunks(gone):
        Finding.objects.filter(pk__in=part).delete()
    Finding.objects.bulk_create(
        changed,
        update_conflicts=True,
        unique_fields=["pipeline", "practice"],
        update_fields=_WRITTEN,
        batch_size=500,
    )
    return len(changed) + len(gone)


def _findings(facts: dict[int, Facts], waived: dict[Place, dt.date]) -> Iterable[Finding]:
    for pk, each in facts.items():
        weight = WEIGHTS.get(each.tier or 0, WEIGHT_WITHOUT_TIER)
        for rule in RULES.values():
            yield _finding(pk, rule.code, rule.judge(each), each, weight, waived.get((pk, rule.code)))


def _finding(
    pk: int, practice: str, judged: Judgement, facts: Facts, weight: int, waived_until: dt.date | None
) -> Finding:
    shows_line = any(sentence.line for sentence in judged.evidence)
    return Finding(
        pipeline_id=pk,
        practice=practice,
        outcome=judged.outcome,
        waived_until=waived_until,
        evidence=[[sentence.words, sentence.line] for sentence in judged.evidence],
        remedies=[[remedy.words, remedy.about] for remedy in judged.remedies],
        sql_version_id=facts.sql.version if facts.sql and shows_line else None,
        weight=weight,
    )


def _is_same(one: Finding, stored: Finding | None) -> bool:
    return stored is not None and all(getattr(one, name) == getattr(stored, name) for name in _KEPT)


def _waived(ids: Ids) -> dict[Place, dt.date]:
    """The last day of the waivers in force."""
    in_force = of(Waiver.objects.filter(lifted_at__isnull=True, until__gte=today()), ids).order_by()
    rows = in_force.values_list("pipeline_id", "practice").annotate(last=Max("until"))
    return {(pk, practice): last for pk, practice, last in rows}
