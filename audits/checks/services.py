"""Writes of checks: one verb each, atomic, through `catalog.policy`, each with its history entry.

`actor` is the signed-in person; None is the product itself. Invalid facts raise ValidationError naming the field.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Max, Min, Q
from django.utils import timezone

from audits.checks import kinds
from audits.checks.guard import NotAllowed, checked_condition, checked_query
from audits.checks.judge import judge, written
from audits.checks.kinds import BadParameters, Parameters, read_parameters
from audits.checks.models import WORST_FIRST, Check, CheckResult, State
from audits.checks.notices import tell_of_error, tell_of_failure, tell_of_recovery
from audits.checks.samples import Sample
from catalog.models import Pipeline, Table, User
from catalog.policy import Action
from catalog.queries import find_table
from catalog.schedules import next_start
from catalog.services import policy_checked, record_history
from catalog.touched import touch
from catalog.undo import Undo, puts_back, revived, stored

if TYPE_CHECKING:
    from audits.checks.run import Measured  # which brings the drivers of all live databases

FAILING = (State.WARN, State.FAIL)
_SETTLED = ("kind", "table", "pipeline", "origin")  # cannot change once a check is there


# Checks


@transaction.atomic
def create_check(
    *,
    actor: User | None,
    of: Table | Pipeline,
    kind: str,
    parameters: Mapping[str, Any],
    name: str = "",
    **facts: Any,
) -> Check:
    """A new check of a table or pipeline, called by what it does unless a name is given. Own SQL needs a steward."""
    policy_checked(actor, Action.EDIT, of)
    typed = _typed(actor, of, kind, parameters)
    check = Check(kind=kind, parameters=typed.to_dict(), name=(name.strip() or typed.title())[:300], **facts)
    setattr(check, of._meta.model_name, of)
    _clean(check)
    check.save()
    _record_making(actor, check)
    return check


def _clean(check: Check) -> None:
    """Refuse what a check cannot be, a schedule in other words than cron's among it."""
    check.full_clean()
    if check.schedule and next_start(check.schedule, timezone.now()) is None:
        raise ValidationError({"schedule": "Write it as cron does, such as 0 6 * * 1-5, in UTC."})


def _record_making(actor: User | None, check: Check) -> None:
    stated = {name: value for name, value in _said(check).items() if value not in ("", True)}
    record_history(actor, "registered", check, {}, stated)


@transaction.atomic
def change_check(*, actor: User | None, check: Check, **facts: Any) -> Check:
    """Set facts of a check; what it is of, and its kind, stay."""
    policy_checked(actor, Action.EDIT, check.thing)
    settled = [name for name in _SETTLED if name in facts and facts[name] != getattr(check, name)]
    if settled:
        raise ValidationError(dict.fromkeys(settled, "This cannot change once there is a check: make another."))
    if "parameters" in facts and facts["parameters"] != check.parameters:
        facts["parameters"] = _typed(actor, check.thing, check.kind, facts["parameters"]).to_dict()
    changed = [name for name, value in facts.items() if getattr(check, name) != value]
    if not changed:
        return check
    before, exact = _said(check), stored(check, changed)
    for name in changed:
        setattr(check, name, facts[name])
    _clean(check)
    check.save(update_fields=changed)
    after = _said(check)
    told = ({name: said[name] for name in changed if name in said} for said in (before, after))
    record_history(actor, "changed", check, *told, Undo("check", exact, stored(check, changed)))
    return check


@puts_back("check", Check)
def _put_back(actor: User | None, check: Check, had: dict[str, Any]) -> None:
    change_check(actor=actor, check=check, **revived(Check, had))


def _said(check: Check) -> dict[str, Any]:
    """What the history says of a check."""
    names = ("name", "kind", "severity", "schedule", "description", "is_active", "parameters")
    return {name: getattr(check, name) for name in names} | {"owner": str(check.owner) if check.owner else ""}


def _typed(actor: User | None, of: Table | Pipeline, kind: str, parameters: Mapping[str, Any]) -> Parameters:
    """The parameters, after everything that can be known of them before the check runs. Raises ValidationError."""
    try:
        typed = read_parameters(kind, parameters)
    except BadParameters as error:
        raise ValidationError(
            {name if name == "kind" else "parameters": _named(error) for name in error.faults}
        ) from error
    if isinstance(typed, kinds.CustomSql):
        policy_checked(actor, Action.RETIRE)
    if isinstance(of, Table):
        _refuse_unsafe_sql(of, typed)
    for name in ("input", "output", "to_table"):
        if hasattr(typed, name):
            _refuse_unknown_table(name, getattr(typed, name))
    return typed


def _named(error: BadParameters) -> list[str]:
    return [
        f"{name}: {' '.join(words)}" if name not in ("kind", "parameters") else " ".join(words)
        for name, words in error.faults.items()
    ]


def _refuse_unsafe_sql(table: Table, typed: Parameters) -> None:
    dialect = table.source.dialect
    try:
        if isinstance(typed, kinds.CustomSql):
            checked_query(typed.sql, dialect, table.source.tables.values_list("name", flat=True))
        elif where := getattr(typed, "where", ""):
            checked_condition(where, dialect)
    except NotAllowed as error:
        name = "sql" if isinstance(typed, kinds.CustomSql) else "where"
        raise ValidationError({"parameters": f"{name}: {error}"}) from error


def _refuse_unknown_table(parameter: str, name: str) -> None:
    slug, _, table = name.partition(":")
    try:
        find_table(slug, table)
    except Table.DoesNotExist as error:
        raise ValidationError({"parameters": f"{parameter}: There is no table {table} in a source {slug}."}) from error


_STATED = ("kind", "parameters", "severity", "description", "is_active")


@transaction.atomic
def state_checks(wanted: Iterable[Check], *, files: Iterable[str]) -> None:
    """Bring checks that a repository states for its own tool to run, not yet saved, to what its `files` state now.

    What they state no longer is switched off. One of the same name that stands elsewhere keeps its facts.
    """
    stated = {(check.table_id, check.name): check for check in sorted(wanted, key=lambda check: check.severity)[::-1]}
    known = {(check.table_id, check.name): check for check in Check.objects.filter(table__in=[pk for pk, _ in stated])}
    for check in stated.values():
        check.origin = Check.Origin.REPOSITORY
    mine = [known[key] for key, check in stated.items() if key in known and known[key].stated_in == check.stated_in]
    for check in mine:
        for name in _STATED:
            setattr(check, name, getattr(stated[check.table_id, check.name], name))
    Check.objects.bulk_create([check for key, check in stated.items() if key not in known])
    Check.objects.bulk_update(mine, _STATED, batch_size=500)
    gone = Check.objects.filter(stated_in__in=files, is_active=True)
    for check in gone:
        if (check.table_id, check.name) not in stated:
            Check.objects.filter(pk=check.pk).update(is_active=False)


# Results


@dataclass(frozen=True)
class Reported:
    """A result that arrived from outside, with enough of its check to make that one where nobody knows it yet.

    `key` tells it from other results of the check: reported again, it counts once. `state` is empty where the value
    alone was reported: then the check's own bounds decide.
    """

    of: Table | Pipeline
    kind: str
    parameters: Mapping[str, Any]
    at: dt.datetime
    key: str
    state: str = ""
    value: float | None = None
    low: float | None = None
    high: float | None = None
    words: str = ""
    sample: Sample = ()
    name: str = ""
    severity: str = Check.Severity.FAIL
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Recorded:
    """What a batch of results came to."""

    new: int
    known: int
    checks_made: int


def record_measured(measured: Measured, reported_by: str = "pipekeeper") -> CheckResult | None:
    """Store what Pipekeeper measured itself."""
    facts = {name: getattr(measured, name) for name in ("state", "value", "low", "high", "words")}
    key = f"{reported_by} {measured.at.isoformat()}"
    return _record(measured.check, measured.at, key, reported_by, sample=list(measured.sample), **facts)


@transaction.atomic
def record_results(*, actor: User | None, origin: str, results: Iterable[Reported]) -> Recorded:
    """Store results of another tool, making checks of that origin where there are none of their names yet.

    A check that a person made under the same name keeps its facts and takes the results.
    """
    new = known = made = 0
    for result in results:
        policy_checked(actor, Action.EDIT, result.of)
        check, is_made = _check_of(actor, origin, result)
        made += is_made
        is_new = record_result(
            actor=actor, check=check, **{name: getattr(result, name) for name in _REPORTED}, reported_by=origin
        )
        new, known = new + (is_new is not None), known + (is_new is None)
    return Recorded(new, known, made)


_REPORTED = ("at", "key", "state", "value", "low", "high", "words", "sample")


def _check_of(actor: User | None, origin: str, result: Reported) -> tuple[Check, bool]:
    typed = read_parameters(result.kind, result.parameters)
    name = (result.name.strip() or typed.title())[:300]
    noun = result.of._meta.model_name
    found = Check.objects.filter(**{noun: result.of}, name=name).first()
    if found is not None:
        return found, False
    check = Check(
        kind=result.kind,
        name=name,
        parameters=typed.to_dict(),
        severity=result.severity,
        origin=origin,
        **{noun: result.of},
        **result.facts,
    )
    _clean(check)
    check.save()
    _record_making(actor, check)
    return check, True


def record_result(
    *,
    actor: User | None,
    check: Check,
    at: dt.datetime,
    key: str = "",
    state: str = "",
    value: float | None = None,
    low: float | None = None,
    high: float | None = None,
    words: str = "",
    sample: Sample = (),
    reported_by: str = "",
    replaces: bool = False,
) -> CheckResult | None:
    """Store one result of a check that was measured elsewhere; None where it was known. ValidationError names faults.

    Without a state, the check's own bounds judge the value. One that `replaces` what its key stood for is that of all
    that is known by now; else the later of the two stays.
    """
    policy_checked(actor, Action.EDIT, check.thing)
    if at > timezone.now() + dt.timedelta(hours=1):
        raise ValidationError({"at": "This moment is in the future."})
    reported_by = reported_by or (actor.get_username() if actor else "pipekeeper")
    facts: dict[str, Any] = {"state": state, "value": value, "low": low, "high": high, "words": words}
    for name in ("value", "low", "high"):
        if facts[name] is not None and not math.isfinite(facts[name]):
            facts |= {
                name: None,
                "state": State.ERROR,
                "words": f"{name} is {facts[name]}, which is no figure. {words}".strip(),
            }
    if not facts["state"]:
        if facts["value"] is None:
            raise ValidationError({"state": "State what it came to, or a value to judge."})
        facts |= _judged(check, value, at)
    facts["sample"] = list(sample)
    return _record(check, at, key_of(key, reported_by, at), reported_by, replaces, **facts)


def key_of(key: str, reported_by: str, at: dt.datetime) -> str:
    """The key that a result is kept under: as given, its digest where it is too long, else who measured it when."""
    key = key or f"{reported_by} {at.isoformat()}"
    return key if len(key) <= 200 else hashlib.sha256(key.encode()).hexdigest()


def _judged(check: Check, value: Any, at: dt.datetime) -> dict[str, Any]:
    """State, bounds and words of a value by the check's own bounds."""
    if isinstance(check.typed, kinds.Freshness):
        value = at - dt.timedelta(hours=float(value))
    past = check.results.filter(value__isnull=False, at__lt=at).order_by("-at").values_list("at", "value")[:400]
    found = judge(check.typed, value, list(past), at)
    state = State.UNKNOWN if found.passes is None else State.PASS if found.passes else State(check.severity)
    return {"state": state, "low": found.low, "high": found.high, "words": found.words}


@transaction.atomic
def _record(
    check: Check, at: dt.datetime, key: str, reported_by: str, replaces: bool = False, **facts: Any
) -> CheckResult | None:
    """Store a result once, and bring the check up to date; None where it changes nothing.

    Of two different results under one key the later one stays, and of one moment the worse one, so that the order in
    which they arrive makes no difference; unless the new one `replaces` the other.
    """
    check = (
        Check.objects.select_for_update(of=("self",))
        .select_related("table__source", "pipeline", "owner")
        .get(pk=check.pk)
    )
    result = CheckResult(check_of=check, at=at, key=key, reported_by=reported_by[:150], **facts)
    known = CheckResult.objects.filter(check_of=check, key=key).first()
    if known is not None:
        is_same = all(getattr(known, name) == getattr(result, name) for name in ("at", *facts))
        if is_same or (not replaces and (known.at, -_rank(known.state)) >= (at, -_rank(result.state))):
            return None
        result.pk, result.received_at = known.pk, known.received_at
    result.clean_fields(exclude=["sample"])  # which may be empty
    result.save()
    _settle(check)
    return result


def _rank(state: str) -> int:
    """0 is the worst."""
    return WORST_FIRST.index(State(state))


def _settle(check: Check) -> None:
    """Read the check's state off its results, and tell its owners of what is new since it last passed."""
    state, failing_since, error_since = check.state, check.failing_since, check.error_since
    check.checked_at = check.results.aggregate(last=Max("at"))["last"]
    latest = check.results.filter(at=check.checked_at).values_list("state", flat=True)
    check.state = min(latest, key=_rank)
    check.failing_since = _first_since_it_passed(check, FAILING)
    check.error_since = _first_since_it_passed(check, (State.ERROR,))
    check.save(update_fields=["checked_at", "state", "failing_since", "error_since"])
    if check.state != state:
        touch(check)
    if not check.is_active:
        return
    if check.state in FAILING and failing_since is None:
        tell_of_failure(check)
    elif check.state == State.ERROR and error_since is None:
        tell_of_error(check)
    elif check.state == State.PASS and (failing_since or error_since):
        tell_of_recovery(check, failing_since, error_since)


def _first_since_it_passed(check: Check, states: tuple[State, ...]) -> dt.datetime | None:
    """The first result in one of the states since it last passed, None where it passes."""
    if check.state == State.PASS:
        return None
    passed = check.results.filter(state=State.PASS).aggregate(last=Max("at"))["last"]
    since = Q(at__gt=passed) if passed else Q()
    return check.results.filter(since, state__in=states).aggregate(first=Min("at"))["first"]


def summary_of(check: Check) -> str:
    """A check's latest result in a sentence; empty before the first. One query."""
    result = check.results.first()
    return (result.words or written(result.value)) if result else ""
