"""The review, walked: who may what in which state, what stops it, whose silence counts, and what is mailed."""

from __future__ import annotations

import datetime as dt
import re

import pytest
from django.core import mail
from django.core.exceptions import PermissionDenied, ValidationError
from django.core.management import call_command
from django.utils import timezone

from audits.deletion import services
from audits.deletion.asking import tables_without_a_hearing
from audits.deletion.mails import notice_of, token_of
from audits.deletion.models import DeletionReview, OwnerNotice, Protection, Verdict
from audits.deletion.plan import plan_for
from audits.deletion.watch import look_after_reviews, stop_reviews_that_must
from audits.usage.models import LogCoverage, LoggedEdge, Reader, SeenName, SeenRead
from catalog.models import Owner, Pipeline, Table
from tests.deletion.helpers import TODAY, agreed, build, fail, moment, quarantined, read
from tests.factories import make_edge, make_owner, make_pipeline, make_table, make_user

pytestmark = pytest.mark.django_db
State = DeletionReview.State


def now(review: DeletionReview) -> DeletionReview:
    return DeletionReview.objects.get(pk=review.pk)


def days_pass(monkeypatch, days: int) -> None:
    later = timezone.now() + dt.timedelta(days=days)
    monkeypatch.setattr("django.utils.timezone.now", lambda: later)


# The plan


def test_what_is_built_from_a_table_goes_along_and_before_it(flagged) -> None:
    first, second = flagged
    plan = plan_for([first])
    assert plan.tables == (second, first)
    assert plan.added == (second,)
    assert [pipeline.name for pipeline in plan.delete] == ["build_first", "build_second"]
    assert plan.obstacles == ()


def test_a_table_in_use_or_original_cannot_be_planned_away(warehouse, flagged) -> None:
    used = Table.objects.get(name="read.daily")
    assert plan_for([used]).obstacles == ("read.daily is in use.",)
    original = make_table("shop.original", source=warehouse, provenance="original")
    build(original, flagged[1])
    call_command("flag_unused")
    assert plan_for([flagged[0]]).obstacles == (
        "shop.original could not be built again. It is built from what you chose.",
    )


def test_a_pipeline_with_another_output_is_trimmed(warehouse, flagged) -> None:
    both = make_pipeline("both")
    make_edge(both, None, flagged[1])
    make_edge(both, None, Table.objects.get(name="read.daily"))
    plan = plan_for([flagged[1]])
    assert [(trim.pipeline.name, [table.name for table in trim.outputs]) for trim in plan.trim] == [
        ("both", ["shop.second"])
    ]
    assert [pipeline.name for pipeline in plan.delete] == ["build_second"]
    assert plan.stays == (flagged[0],)


def test_tables_built_of_each_other_go_together(warehouse) -> None:
    a, b = make_table("shop.a", source=warehouse), make_table("shop.b", source=warehouse)
    build(a, b)
    build(b, a)
    call_command("flag_unused")
    assert set(plan_for([a]).tables) == {a, b}


# Who may what


def test_the_whole_way(review, jo, steward, editor, monkeypatch, flagged) -> None:
    review = quarantined(review, jo, steward, editor)
    assert review.state == State.QUARANTINED
    assert set(Pipeline.objects.filter(name__startswith="build").values_list("status", flat=True)) == {"paused"}
    days_pass(monkeypatch, 20)
    with pytest.raises(ValidationError, match="ingest it up to"):
        services.record_deletion(actor=steward, review=review)
    LogCoverage.objects.update(covers_to=timezone.now())
    call_command("flag_unused")
    review = services.record_deletion(actor=steward, review=review)
    assert review.state == State.DELETED
    assert look_after_reviews().confirmed == []
    Table.objects.filter(name__startswith="shop.").update(status="retired")
    assert look_after_reviews().confirmed == [review]
    states = [event.to_state for event in review.events.all() if event.to_state != event.from_state]
    assert states == ["flagged", "notified", "agreed", "quarantined", "deleted", "confirmed"]


def test_only_stewards_approve_and_record(review, viewer, editor, steward, jo) -> None:
    services.notify(actor=editor, review=review)
    owner = make_user(owner=jo)
    services.agree(actor=owner, notice=review.notices.get(owner=jo))
    for person in (viewer, editor, owner):
        with pytest.raises(PermissionDenied):
            services.approve(actor=person, review=review)
    services.approve(actor=steward, review=review)
    for person in (viewer, editor):
        with pytest.raises(PermissionDenied):
            services.record_quarantine(actor=person, review=review)


def test_a_viewer_opens_notifies_and_stops_nothing(flagged, viewer, review) -> None:
    for verb in (services.notify, services.remind):
        with pytest.raises(PermissionDenied):
            verb(actor=viewer, review=review)
    with pytest.raises(PermissionDenied):
        services.stop(actor=viewer, review=review, reason="no")
    with pytest.raises(PermissionDenied):
        services.open_review(actor=viewer, tables=[flagged[1]])


def test_no_step_is_skipped(review, steward) -> None:
    for verb in (services.approve, services.record_quarantine, services.record_deletion, services.record_restoration):
        with pytest.raises(ValidationError, match="This needs a review that is"):
            verb(actor=steward, review=review)


def test_a_table_is_in_one_open_review(review, flagged, editor) -> None:
    with pytest.raises(ValidationError, match="already holds"):
        services.open_review(actor=editor, tables=[flagged[1]])
    services.stop(actor=editor, review=review, reason="mistake")
    services.open_review(actor=editor, tables=[flagged[1]])


def test_nobody_alone_for_a_tier_1_pipeline(flagged, editor, steward, jo) -> None:
    Pipeline.objects.filter(name="build_second").update(tier=1)
    review = services.open_review(actor=editor, tables=[flagged[1]])
    review = agreed(review, jo, steward, editor)
    assert review.state == State.NOTIFIED
    with pytest.raises(ValidationError, match="another steward"):
        services.approve(actor=steward, review=review)
    assert services.approve(actor=make_user("steward"), review=review).state == State.AGREED


def test_what_cannot_be_taken_back_needs_two(warehouse, editor) -> None:
    build(make_table("shop.board", source=warehouse, kind="view"))
    call_command("flag_unused")
    review = services.open_review(actor=editor, tables=[Table.objects.get(name="shop.board")])
    assert (review.is_reversible, review.approvals_needed) == (False, 2)


# Whose silence counts


def test_silence_counts_only_after_the_notice_period(review, steward, editor, monkeypatch) -> None:
    services.notify(actor=editor, review=review)
    with pytest.raises(ValidationError, match="they have until"):
        services.approve(actor=steward, review=review)
    days_pass(monkeypatch, 15)
    LogCoverage.objects.update(covers_to=timezone.now())
    assert services.approve(actor=steward, review=review).state == State.AGREED


def test_an_owner_who_left_is_answered_for_by_the_team(review, jo, team, editor) -> None:
    jo.status = "left"
    jo.save()
    services.notify(actor=editor, review=review)
    reach = dict(review.notices.values_list("owner__name", "reach"))
    assert reach == {"Jo": "left", "Growth": "sent"}
    assert [message.to for message in mail.outbox] == [["growth@shop.example"]]
    assert "for Jo, who cannot answer" in mail.outbox[0].body
    assert tables_without_a_hearing(review) == []
    assert now(review).approvals_needed == 1


def test_mail_that_came_back_goes_to_the_team_with_a_notice_period_of_its_own(review, jo, editor, monkeypatch) -> None:
    services.notify(actor=editor, review=review)
    before = now(review).notice_until
    days_pass(monkeypatch, 10)
    services.note_unreached(actor=editor, notice=review.notices.get(owner=jo), reach="bounced")
    assert now(review).notice_until == before + dt.timedelta(days=10)
    assert review.notices.get(owner__name="Growth").reach == "sent"


def test_where_nobody_can_be_asked_two_stewards_decide(review, jo, team, editor, steward, monkeypatch) -> None:
    Owner.objects.update(status="left")
    services.notify(actor=editor, review=review)
    assert now(review).approvals_needed == 2
    with pytest.raises(ValidationError, match="they have until"):
        services.approve(actor=steward, review=review)


def test_reminders_go_out_halfway_to_the_silent_only(review, jo, editor, monkeypatch) -> None:
    services.notify(actor=editor, review=review)
    assert look_after_reviews().reminded == []
    days_pass(monkeypatch, 8)
    LogCoverage.objects.update(covers_to=timezone.now())
    assert look_after_reviews().reminded == [review]
    assert now(review).state == State.REMINDED
    assert [message.subject.startswith("Reminder") for message in mail.outbox] == [False, True]


def test_only_the_one_who_was_asked_agrees(review, jo, team, editor, steward) -> None:
    services.notify(actor=editor, review=review)
    notice = review.notices.get(owner=jo)
    for person in (editor, steward, make_user(owner=make_owner(team=team))):
        with pytest.raises(PermissionDenied, match="Only Jo"):
            services.agree(actor=person, notice=notice)


def test_without_a_mail_server_nobody_is_taken_for_silent(review, editor, settings) -> None:
    settings.EMAIL_BACKEND = "django.core.mail.backends.filebased.EmailBackend"
    with pytest.raises(ValidationError, match="EMAIL_HOST"):
        services.notify(actor=editor, review=review)
    assert now(review).state == State.FLAGGED
    assert not OwnerNotice.objects.exists()


# What stops it


def test_an_objection_stops_it_and_pins_the_tables(review, jo, editor, flagged) -> None:
    services.notify(actor=editor, review=review)
    with pytest.raises(ValidationError, match="few words"):
        services.object_to(actor=None, notice=review.notices.get(owner=jo), reason=" ")
    services.object_to(actor=None, notice=review.notices.get(owner=jo), reason="spring budget")
    assert now(review).state == State.STOPPED
    assert "spring budget" in now(review).stop_reason
    assert set(Protection.objects.values_list("table", flat=True)) == {table.pk for table in flagged}
    call_command("flag_unused")
    assert Verdict.objects.get(table=flagged[0]).verdict == "protected"


@pytest.mark.parametrize("step", [None, agreed, quarantined])
def test_an_outside_read_stops_it_in_every_state(step, review, jo, steward, editor, flagged) -> None:
    if step:
        review = step(review, jo, steward, editor)
    assert stop_reviews_that_must() == []
    read(flagged[1], 0, by="ann@shop.example")
    call_command("flag_unused")
    review = now(review)
    assert review.state == State.STOPPED
    assert "was read on" in review.stop_reason
    assert "a person" in review.stop_reason
    assert "ann" not in review.stop_reason  # who it was is for the owners to see
    assert review.is_restored == (step is not quarantined)


def test_a_read_in_a_log_that_came_late_stops_it(review, flagged) -> None:
    read(flagged[1], 40)
    assert stop_reviews_that_must() == [review]


def test_the_builder_reading_does_not_stop_it(review, flagged) -> None:
    pipeline = Pipeline.objects.get(name="build_second")
    read(flagged[0], 0, by="build_second", pipeline=pipeline, kind="pipeline")
    assert stop_reviews_that_must() == []


def test_a_new_dependency_stops_it(review, flagged) -> None:
    make_edge(make_pipeline("new_report"), flagged[1], Table.objects.get(name="read.daily"))
    (stopped,) = stop_reviews_that_must()
    assert stopped.stop_reason == "new_report depends on shop.second now."


def test_a_query_that_copies_it_away_stops_it(review, flagged, warehouse) -> None:
    reader = Reader.objects.create(source=warehouse, name="ben", kind="human")
    facts = {"source": warehouse, "reader": reader, "count": 1, "source_name": "shop.second", "target_name": "tmp.x"}
    at = moment(-1)
    LoggedEdge.objects.create(source_table=flagged[1], first_at=at, last_at=at, **facts)
    (stopped,) = stop_reviews_that_must()
    assert stopped.stop_reason == "A query by a person carried shop.second to tmp.x."


@pytest.mark.parametrize("hidden", [False, True])
def test_a_failed_query_in_quarantine_revives_the_table(
    hidden, review, jo, steward, editor, flagged, warehouse
) -> None:
    fail(warehouse, "shop.second", moment(3))  # long before: no sign of anything
    review = quarantined(review, jo, steward, editor)
    assert stop_reviews_that_must() == []
    name = review.tables.first().quarantine_name if hidden else "shop.second"
    fail(warehouse, name, timezone.now())
    (stopped,) = stop_reviews_that_must()
    assert "somebody misses it" in stopped.stop_reason
    assert not stopped.is_restored
    services.record_restoration(actor=steward, review=stopped)
    assert now(review).is_restored
    assert set(Pipeline.objects.filter(name__startswith="build").values_list("status", flat=True)) == {"active"}
    call_command("flag_unused")
    assert Verdict.objects.get(table=flagged[1]).verdict == "protected"  # not flagged again tomorrow


def test_a_read_under_its_new_name_revives_the_table(review, jo, steward, editor, warehouse) -> None:
    review = quarantined(review, jo, steward, editor)
    name = SeenName.objects.create(source=warehouse, name=review.tables.first().quarantine_name)
    reader = Reader.objects.create(source=warehouse, name="ben")
    SeenRead.objects.create(name=name, day=TODAY, reader=reader, count=1, last_at=timezone.now())
    (stopped,) = stop_reviews_that_must()
    assert "was read in quarantine" in stopped.stop_reason


def test_a_failed_query_of_the_quarantine_that_comes_after_the_drop_still_counts(
    review, jo, steward, editor, warehouse, monkeypatch
) -> None:
    review = quarantined(review, jo, steward, editor)
    during = timezone.now() + dt.timedelta(days=3)
    days_pass(monkeypatch, 20)
    LogCoverage.objects.update(covers_to=timezone.now())
    call_command("flag_unused")
    services.record_deletion(actor=steward, review=review)
    fail(warehouse, "shop.second", during)
    (stopped,) = stop_reviews_that_must()
    assert not stopped.is_restored


def test_a_pin_stops_it(review, flagged, editor) -> None:
    services.protect(actor=editor, table=flagged[1], reason="audit", until=TODAY + dt.timedelta(days=30))
    assert now(review).state == State.STOPPED


def test_a_hole_in_the_evidence_holds_it_up_without_stopping_it(review, jo, steward, editor) -> None:
    review = agreed(review, jo, steward, editor)
    LogCoverage.objects.update(covers_to=moment(30), covers_from=moment(60))
    call_command("flag_unused")
    assert now(review).state == State.AGREED
    with pytest.raises(ValidationError, match="not known now"):
        services.record_quarantine(actor=steward, review=review)


# Links in mails


def test_the_link_opens_one_notice_and_runs_out(review, editor, jo, monkeypatch) -> None:
    services.notify(actor=editor, review=review)
    notice = review.notices.get(owner=jo)
    token = re.search(r"/deletion/notices/(\S+)/", mail.outbox[0].body)[1]
    assert notice_of(token) == notice
    assert notice_of(token_of(notice)[:-1] + "x") is None
    assert notice_of("nonsense") is None
    monkeypatch.setattr("time.time", lambda: dt.datetime.now().timestamp() + 31 * 86400)
    assert notice_of(token) is None


def test_a_legal_hold_is_set_and_lifted_by_stewards_only(flagged, editor, steward) -> None:
    hold = {"table": flagged[0], "reason": "case 7", "until": None, "kind": "legal_hold"}
    with pytest.raises(PermissionDenied):
        services.protect(actor=editor, **hold)
    protection = services.protect(actor=steward, **hold)
    with pytest.raises(PermissionDenied):
        services.lift(actor=editor, protection=protection)
    assert services.lift(actor=steward, protection=protection).lifted_at


def test_a_pin_needs_a_reason_and_an_end(flagged, editor) -> None:
    with pytest.raises(ValidationError, match="last day"):
        services.protect(actor=editor, table=flagged[0], reason="x", until=None)
    with pytest.raises(ValidationError):
        services.protect(actor=editor, table=flagged[0], reason=" ", until=TODAY)


def test_savings_are_rows_runs_and_money(review, flagged, settings, warehouse, editor) -> None:
    from audits.deletion.savings import savings_of
    from tests.factories import make_run

    flagged[0].size_bytes = 5 * 10**9
    pipeline = Pipeline.objects.get(name="build_first")
    for number in range(3):
        started = moment(number + 1)
        make_run(pipeline, started_at=started, ended_at=started + dt.timedelta(minutes=20))
    assert savings_of(flagged, [pipeline]).money_per_month is None
    settings.PRICE_GB_MONTH, settings.PRICE_COMPUTE_HOUR = 0.02, 3
    found = savings_of(flagged, [pipeline])
    assert (found.rows, found.bytes, found.unsized) == (20, 5 * 10**9, 1)
    assert (found.runs_per_month, found.compute_seconds_per_month, found.money_per_month) == (3, 3600, 3.1)
