"""What owners are told of a check: that it fails, once, and that it passes again."""

from __future__ import annotations

import datetime as dt

from audits.checks.models import Check
from catalog.models import Owner, Table
from catalog.outbox import Notice, announce
from catalog.queries import Owners, owners_of, owners_with_fallback
from lineage.queries import builders_of


def tell_of_failure(check: Check) -> None:
    """Say that a check fails, with its figure and with what goes wrong then."""
    result = check.results.first()
    words = [f"{check.name}, on {check.thing}: {result.words if result else check.state}", check.description]
    notice = Notice(
        event="check.failed",
        subject=f"{check.get_state_display()}: {check.name} on {check.thing}",
        text="\n\n".join(filter(None, words)),
        path=check.get_absolute_url(),
        facts=_facts(check),
    )
    announce(notice, mail_to=addresses_of(check))


def tell_of_recovery(check: Check, since: dt.datetime) -> None:
    """Say that a check that failed passes again: the notice is closed."""
    notice = Notice(
        event="check.recovered",
        subject=f"Passes again: {check.name} on {check.thing}",
        text=f"It failed from {since:%Y-%m-%d %H:%M} UTC until {check.checked_at:%Y-%m-%d %H:%M} UTC.",
        path=check.get_absolute_url(),
        facts=_facts(check),
    )
    announce(notice, mail_to=addresses_of(check))


def addresses_of(check: Check) -> set[str]:
    """Mail addresses of who answers for it: its own owner, else those of the table or pipeline. A few queries."""
    people = [check.owner] if check.owner else [*(owners := owners_of_check(check)).technical, *owners.business]
    return {_reachable(person).email for person in people} - {""}


def owners_of_check(check: Check) -> Owners:
    """The owners of what it is of; a table falls back to its builders'."""
    thing = check.thing
    if isinstance(thing, Table):
        return owners_with_fallback(thing, builders_of([thing.pk]).get(thing.pk, []))
    return owners_of(thing)


def _reachable(owner: Owner) -> Owner:
    """The owner, or the team of one who has left."""
    return owner.team if owner.status == Owner.Status.LEFT and owner.team else owner


def _facts(check: Check) -> dict[str, object]:
    return {
        "check": check.pk,
        "name": check.name,
        "kind": check.kind,
        "state": check.state,
        "of": check.thing.node,
        "severity": check.severity,
    }
