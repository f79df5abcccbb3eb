"""What owners are told of a check, once each: that it fails, that it could not be run, that it passes again."""

from __future__ import annotations

import datetime as dt

from audits.checks.models import Check
from catalog.models import Owner, Table
from catalog.outbox import Notice, announce
from catalog.queries import Owners, owners_of, owners_with_fallback
from lineage.queries import builders_of


def tell_of_failure(check: Check) -> None:
    """Say that a check fails, with its figure and with what goes wrong then."""
    words = [f"{check.name}, on {check.thing}: {_latest_words(check)}", check.description]
    _tell(check, "check.failed", f"{check.get_state_display()}: {check.name} on {check.thing}", words)


def tell_of_error(check: Check) -> None:
    """Say that a check could not be run, why, and that nobody knows meanwhile."""
    words = [
        f"{check.name}, on {check.thing}: {_latest_words(check)}",
        "Until it runs again, nobody knows whether the data is as it should be.",
    ]
    _tell(check, "check.error", f"Could not run: {check.name} on {check.thing}", words)


def tell_of_recovery(check: Check, failing_since: dt.datetime | None, error_since: dt.datetime | None) -> None:
    """Say that a check that failed, or could not be run, passes again: the notice is closed."""
    until = f"until {_spoken(check.checked_at)}."
    words = [
        f"It failed from {_spoken(failing_since)} {until}" if failing_since else "",
        f"It could not be run on {_spoken(error_since)}, and did not pass {until}" if error_since else "",
    ]
    _tell(check, "check.recovered", f"Passes again: {check.name} on {check.thing}", words)


def _tell(check: Check, event: str, subject: str, words: list[str]) -> None:
    text = "\n\n".join(filter(None, words))
    notice = Notice(event=event, subject=subject, text=text, path=check.get_absolute_url(), facts=_facts(check))
    announce(notice, mail_to=addresses_of(check))


def _latest_words(check: Check) -> str:
    result = check.results.first()
    return result.words if result else check.state


def _spoken(moment: dt.datetime | None) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC" if moment else ""


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
