"""Action items: decided with an owner and a day, reminded of, proven, and never silently gone."""

from __future__ import annotations

import datetime as dt
import json

import pytest
from django.core.exceptions import PermissionDenied, ValidationError
from django.core.management import call_command
from django.utils import timezone

from audits.checks.models import Check, CheckResult
from audits.postmortems import actions, services
from audits.postmortems.models import ActionItem, Incident
from catalog.models import OutgoingMessage, Ownership, User
from tests.factories import make_column, make_owner, make_pipeline

pytestmark = pytest.mark.django_db

TODAY = timezone.now().date()


def day(ahead: int) -> dt.date:
    return TODAY + dt.timedelta(days=ahead)


@pytest.fixture
def item(incident: Incident, editor: User, shop) -> ActionItem:
    return decide(incident, editor, shop.jo)


def decide(incident: Incident, actor: User, owner, **facts) -> ActionItem:
    facts = {"title": "Check the rows", "type": "detect", "due": day(7), **facts}
    return actions.create_item(actor=actor, incident=incident, owner=owner, **facts)


def set_due(item: ActionItem, due: dt.date, **facts) -> None:
    ActionItem.objects.filter(pk=item.pk).update(due=due, **facts)


def told(event: str) -> list[str]:
    return sorted(OutgoingMessage.objects.filter(event=event).values_list("mail_to", flat=True))


def test_deciding_tells_the_owner(item) -> None:
    assert told("action_item.assigned") == ["jo@shop.example"]


def test_a_day_in_the_past_is_refused_and_named(incident, item, editor, shop) -> None:
    with pytest.raises(ValidationError, match=f"{day(-1)} is past; today is {TODAY}"):
        decide(incident, editor, shop.jo, due=day(-1))
    with pytest.raises(ValidationError, match="is past"):
        actions.change_item(actor=editor, item=item, due=day(-1))
    set_due(item, day(-3))
    assert actions.change_item(actor=editor, item=item, title="Other").title == "Other"  # only a new day must be ahead


def test_who_has_left_does_nothing_any_more(incident, editor) -> None:
    with pytest.raises(ValidationError, match="has left"):
        decide(incident, editor, make_owner("Lee", status="left"))


def test_a_ticket_is_a_link(item, editor) -> None:
    with pytest.raises(ValidationError, match="http"):
        actions.change_item(actor=editor, item=item, ticket="javascript:alert(1)")


def test_dropping_needs_a_reason(item, editor) -> None:
    with pytest.raises(ValidationError, match="Say why"):
        actions.drop(actor=editor, item=item, reason=" ")
    dropped = actions.drop(actor=editor, item=item, reason="The table goes")
    assert (dropped.status, dropped.drop_reason) == ("dropped", "The table goes")
    with pytest.raises(ValidationError, match="Reopen it first"):
        actions.finish(actor=editor, item=dropped, words="x")
    assert actions.reopen(actor=editor, item=dropped).status == "open"


def test_finishing_by_word_says_how_one_can_tell(item, jo) -> None:
    with pytest.raises(ValidationError, match="how one can tell"):
        actions.finish(actor=jo, item=item)
    assert actions.finish(actor=jo, item=item, words="Seen in the log").ended_by_name == "Jo"


def test_others_than_its_people_change_nothing(item, viewer) -> None:
    for verb in (actions.start, actions.reopen):
        with pytest.raises(PermissionDenied):
            verb(actor=viewer, item=item)


def test_it_outlives_its_incident(item, incident, editor) -> None:
    services.resolve(actor=editor, incident=incident)
    set_due(item, day(-1))
    assert actions.remind() == [item]


# Reminders


def test_reminders_before_the_day_once_and_after_it_each_week(item) -> None:
    set_due(item, day(10))
    days = [ahead for ahead in range(25) if actions.remind(day(ahead))]
    assert days == [7, 11, 18]
    assert told("action_item.due") == ["jo@shop.example"]
    assert told("action_item.overdue") == ["growth@shop.example"] * 2 + ["jo@shop.example"] * 2


def test_a_new_day_starts_the_reminders_anew(item, editor) -> None:
    set_due(item, day(1))
    assert actions.remind(TODAY) == [item]
    actions.change_item(actor=editor, item=item, due=day(2))
    assert actions.remind(TODAY) == [item]
    assert actions.remind(TODAY) == []


def test_what_is_ended_is_not_reminded_of(item, editor) -> None:
    actions.drop(actor=editor, item=item, reason="x")
    set_due(item, day(-5))
    assert actions.remind() == []


# Proof


def result(check: Check, state: str, at: dt.datetime | None = None) -> CheckResult:
    at = at or timezone.now()
    return CheckResult.objects.create(check_of=check, key=at.isoformat(), at=at, state=state, reported_by="test")


def test_a_check_proves_it_once_it_passes_after_the_decision(item, editor, shop) -> None:
    check = Check.objects.create(table=shop.orders, kind="unique_key", name="one row an order", parameters={})
    result(check, "pass", timezone.now() - dt.timedelta(days=1))
    item = actions.prove_by(actor=editor, item=item, proof="check", check=check)
    assert "has not run since" in actions.proof_of(item).words
    result(check, "fail")
    assert actions.close_what_is_proven() == []
    with pytest.raises(ValidationError, match="does not yet"):
        actions.finish(actor=editor, item=item, words="Trust me")
    result(check, "pass")
    call_command("watch_action_items")
    item.refresh_from_db()
    assert (item.status, item.ended_by_name) == ("done", "pipekeeper")
    assert "passes" in item.proof_words


def test_the_item_makes_a_check_and_waits_for_it(item, editor, shop, signed_in) -> None:
    make_column("id", shop.orders)
    browser, url = signed_in(editor), item.get_absolute_url()
    sent = {"check-table": "shop.orders", "check-kind": "unique_key", "check-columns": "nothing"}
    assert "nothing" in browser.post(f"{url}check/", sent, follow=True).content.decode()
    browser.post(f"{url}check/", sent | {"check-columns": "id"})
    item.refresh_from_db()
    made = item.proof_check
    assert (made.table, made.kind, made.parameters["columns"], item.status) == (
        shop.orders,
        "unique_key",
        ["id"],
        "open",
    )
    other = Check.objects.create(table=shop.orders, kind="duplicate_rows", name="no row twice", parameters={})
    browser.post(f"{url}check/", {"check-check": other.pk, "check-kind": "not_null"})
    item.refresh_from_db()
    assert item.proof_check == other
    result(other, "pass")
    browser.post(f"{url}look/")
    item.refresh_from_db()
    assert item.status == "done"


def test_a_proof_that_is_gone_proves_nothing(item, editor, shop) -> None:
    check = Check.objects.create(table=shop.orders, kind="unique_key", name="x", parameters={})
    item = actions.prove_by(actor=editor, item=item, proof="check", check=check)
    check.delete()
    item.refresh_from_db()
    assert not actions.proof_of(item).is_green
    with pytest.raises(ValidationError, match="Name the thing"):
        actions.prove_by(actor=editor, item=item, proof="owner", role="technical")


def test_a_backfill_note_is_written_by_the_item_and_closes_it(item, editor, shop) -> None:
    done = actions.note_backfill(actor=editor, item=item, pipeline=shop.pipeline, text="airflow dags backfill revenue")
    assert done.status == "done"
    shop.pipeline.refresh_from_db()
    assert shop.pipeline.backfill == "airflow dags backfill revenue"


def test_an_owner_is_put_on_record_by_the_item_and_closes_it(item, editor, shop) -> None:
    done = actions.assign_owner(actor=editor, item=item, thing=shop.orders, role="business", owner=shop.ann)
    assert done.status == "done"
    assert Ownership.objects.get(table=shop.orders).owner == shop.ann


def test_the_item_gives_nobody_rights_over_other_things(item, jo, shop) -> None:
    foreign = make_pipeline("finance.close")
    with pytest.raises(PermissionDenied):
        actions.note_backfill(actor=jo, item=item, pipeline=foreign, text="x")
    foreign.refresh_from_db()
    item.refresh_from_db()
    assert (foreign.backfill, item.proof) == ("", "")


def test_the_nightly_command_says_what_it_did(item, editor, shop, capsys) -> None:
    set_due(item, day(-2))
    call_command("watch_action_items", json=True)
    assert json.loads(capsys.readouterr().out) == {"closed": [], "reminded": [item.pk]}
    call_command("watch_incidents", json=True)
    assert json.loads(capsys.readouterr().out) == {"incidents": 1, "entries": 0}


# Pages


def test_the_board_shows_mine_my_team_s_and_overdue(item, incident, editor, jo, shop, signed_in) -> None:
    other = decide(incident, editor, shop.ann, title="Ask the business")
    teams = decide(incident, editor, shop.team, title="Write the runbook")
    set_due(other, day(-1))
    browser = signed_in(jo)

    def shown(query: str) -> set[str]:
        page = browser.get(f"/action-items/?{query}").content.decode()
        return {each.title for each in (item, other, teams) if each.title in page}

    assert shown("") == {"Check the rows", "Ask the business", "Write the runbook"}
    assert shown("whose=mine&status=unfinished") == {"Check the rows"}
    assert shown("whose=team&status=unfinished") == {"Check the rows", "Write the runbook"}
    assert shown("is_overdue=true") == {"Ask the business"}
    assert shown("team=growth") == {"Check the rows", "Write the runbook"}


def test_an_item_is_decided_changed_and_ended_on_its_pages(incident, editor, shop, signed_in) -> None:
    browser = signed_in(editor)
    facts = {"title": "Check it", "type": "detect", "priority": 1, "owner": "jo", "due": str(day(3))}
    new = f"/incidents/{incident.pk}/action-items/new/"
    refused = browser.post(new, facts | {"due": "2020-01-01", "owner": "jo\nann"})
    assert refused.status_code == 422
    assert "what two own, nobody does" in refused.content.decode()
    assert "is past" in browser.post(new, facts | {"due": "2020-01-01"}).content.decode()
    browser.post(new, facts)
    item = ActionItem.objects.get()
    url = item.get_absolute_url()
    browser.post(f"{url}edit/", facts | {"title": "Check all", "ticket": "https://tickets.example/7"})
    assert "tickets.example/7" in browser.get(url).content.decode()
    page = browser.post(f"{url}backfill/", {"backfill-pipeline": "no.such", "backfill-text": "x"}, follow=True)
    assert "No pipeline here is called no.such" in page.content.decode()
    browser.post(f"{url}owner/", {"owner-table": "shop.orders", "owner-role": "business", "owner-owner": "ann"})
    item.refresh_from_db()
    assert item.status == "done"
    browser.post(f"{url}reopen/")
    assert "Drop it" in browser.post(f"{url}drop/", {"reason": " "}, follow=True).content.decode()
    browser.post(f"{url}drop/", {"reason": "Not worth it"})
    assert "Not worth it" in browser.get(url).content.decode()


def test_a_viewer_sees_no_buttons(item, viewer, signed_in) -> None:
    page = signed_in(viewer).get(item.get_absolute_url()).content.decode()
    assert "It is done" not in page
    assert signed_in(viewer).post(f"{item.get_absolute_url()}finish/", {"words": "x"}).status_code == 403
