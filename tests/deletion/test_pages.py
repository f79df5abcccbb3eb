"""The pages of deletion: what they show, to whom, and what their buttons do."""

from __future__ import annotations

import datetime as dt

import pytest
from django.core.management import call_command
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from audits.deletion import services
from audits.deletion.mails import token_of
from audits.deletion.models import DeletionReview, Protection, UnreadWindow
from catalog.models import Source, Table
from tests.deletion.helpers import TODAY, agreed, build, quarantined
from tests.factories import make_table, make_user

pytestmark = pytest.mark.django_db


def text_of(response) -> str:
    return response.content.decode()


def test_the_board_before_any_verdict_says_what_to_do(viewer, signed_in) -> None:
    assert "flag_unused" in text_of(signed_in(viewer).get("/deletion/"))


def test_the_board_lists_the_largest_first_with_evidence(flagged, viewer, signed_in) -> None:
    Table.objects.filter(name="shop.second").update(row_count=1_000_000)
    call_command("flag_unused")
    page = text_of(signed_in(viewer).get("/deletion/"))
    assert page.index("shop.<wbr>second") < page.index("shop.<wbr>first")
    assert "1,000,010" in page
    assert "Nobody has read it for 90 days" in page
    assert "Look at what would go" not in page  # a viewer opens no review


def test_choosing_shows_the_plan_and_a_post_opens_it(flagged, editor, signed_in) -> None:
    browser = signed_in(editor)
    page = text_of(browser.get(f"/deletion/preview/?table={flagged[0].pk}"))
    for part in ("goes along", "build_<wbr>second", "Picture of the plan", "Open a review"):
        assert part in page
    assert not DeletionReview.objects.exists()
    opened = browser.post("/deletion/preview/", {"table": flagged[0].pk}, follow=True)
    assert "Nobody has been told yet" in text_of(opened)
    assert DeletionReview.objects.get().tables.count() == 2


def test_what_stands_against_a_plan_is_shown_and_not_opened(flagged, editor, signed_in) -> None:
    used = Table.objects.get(name="read.daily")
    browser = signed_in(editor)
    page = text_of(browser.get(f"/deletion/preview/?table={used.pk}"))
    assert "read.daily is in use." in page
    assert "Open a review" not in page
    assert "read.daily is in use." in text_of(browser.post("/deletion/preview/", {"table": used.pk}, follow=True))
    assert not DeletionReview.objects.exists()


@pytest.mark.parametrize("query", ["", "?table=", "?table=x", "?table=99999999999999999999", "?table=123456"])
def test_a_preview_of_nothing_says_so(query, viewer, signed_in) -> None:
    assert "No table is chosen" in text_of(signed_in(viewer).get(f"/deletion/preview/{query}"))


def test_buttons_follow_state_and_role(review, jo, viewer, editor, steward, signed_in) -> None:
    def buttons(person) -> set[str]:
        page = text_of(signed_in(person).get(review.get_absolute_url()))
        labels = ("Tell the owners", "Approve the deletion", "Remind the owners", "tables renamed", "Stop</button>")
        return {label for label in labels if label in page}

    assert [buttons(person) for person in (viewer, editor)] == [set(), {"Tell the owners", "Stop</button>"}]
    services.notify(actor=editor, review=review)
    assert buttons(editor) == {"Remind the owners", "Stop</button>"}
    assert buttons(steward) == {"Approve the deletion", "Remind the owners", "Stop</button>"}
    services.agree(actor=make_user(owner=jo), notice=review.notices.get(owner=jo))
    services.approve(actor=steward, review=review)
    assert buttons(steward) == {"tables renamed", "Stop</button>"}
    assert buttons(editor) == {"Stop</button>"}


def test_the_scripts_follow_the_state(review, jo, steward, editor, viewer, signed_in) -> None:
    browser = signed_in(viewer)
    assert "ALTER TABLE" not in text_of(browser.get(review.get_absolute_url()))
    agreed(review, jo, steward, editor)
    page = text_of(browser.get(review.get_absolute_url()))
    assert "Put into quarantine" in page
    assert "build_first: stop it" in page
    services.record_quarantine(actor=steward, review=review)
    page = text_of(browser.get(review.get_absolute_url()))
    assert "Take the quarantine back" in page
    assert "DROP TABLE" not in page  # not before the quarantine is over
    services.stop(actor=editor, review=review, reason="no")
    assert "Bring the tables back" in text_of(browser.get(review.get_absolute_url()))


def test_a_button_that_comes_too_early_says_why(review, steward, signed_in) -> None:
    answer = signed_in(steward).post(f"/deletion/reviews/{review.pk}/approve/", follow=True)
    assert "This needs a review that is" in text_of(answer)
    assert signed_in(steward).post(f"/deletion/reviews/{review.pk}/burn/").status_code == 404


def test_owner_steward_and_stranger_on_the_mail_s_page(review, jo, editor, steward, stranger, signed_in) -> None:
    services.notify(actor=editor, review=review)
    path = f"/deletion/notices/{token_of(review.notices.get(owner=jo))}/"
    page = text_of(Client().get(path))
    assert "Sign in to agree" in page
    assert "shop.<wbr>first" in page
    assert Client().post(path, {"answer": "agree"}).url.startswith("/login/")
    for person in (steward, stranger):
        assert "who is not Jo" in text_of(signed_in(person).get(path))
        assert signed_in(person).post(path, {"answer": "agree"}).status_code == 403
    owner = signed_in(make_user("viewer", owner=jo))
    assert "You have answered: agreed" in text_of(owner.post(path, {"answer": "agree"}, follow=True))


def test_an_objection_by_the_link_alone_stops_the_review(review, jo, editor) -> None:
    services.notify(actor=editor, review=review)
    path = f"/deletion/notices/{token_of(review.notices.get(owner=jo))}/"
    assert Client().post(path, {"answer": "object", "reason": ""}).status_code == 422
    until = TODAY + dt.timedelta(days=40)
    page = text_of(Client().post(path, {"answer": "object", "reason": "audit", "until": until}, follow=True))
    assert "Jo objected: audit" in page
    assert DeletionReview.objects.get().state == "stopped"
    assert set(Protection.objects.values_list("until", flat=True)) == {until}


def test_opening_the_link_changes_nothing(review, jo, editor) -> None:
    services.notify(actor=editor, review=review)
    notice = review.notices.get(owner=jo)
    for method in ("get", "head"):
        getattr(Client(), method)(f"/deletion/notices/{token_of(notice)}/")
    notice.refresh_from_db()
    assert (notice.answer, review.events.count()) == ("", 2)


def test_a_forged_or_old_link_is_refused_in_words(db) -> None:
    answer = Client().get("/deletion/notices/nonsense/")
    assert answer.status_code == 403
    assert "older than a month" in text_of(answer)


def test_the_verdict_page_shows_why_and_the_way_to_it(flagged, warehouse, viewer, signed_in) -> None:
    browser = signed_in(viewer)
    page = text_of(browser.get("/tables/warehouse/shop.second/verdict/"))
    assert "Nobody has read it for 90 days" in page
    assert "/pipelines/build_second/" in page
    used = Table.objects.get(name="read.daily")
    base = make_table("shop.base", source=warehouse)
    build(used, base)
    call_command("flag_unused")
    page = text_of(browser.get("/tables/warehouse/shop.base/verdict/"))
    assert "read.daily is built from it, and is in use" in page
    assert "The way to it" in page
    assert "Last read by" not in page
    assert "Last read by" in text_of(browser.get("/tables/warehouse/read.daily/verdict/"))


def test_the_verdict_page_tells_what_is_built_from_the_table_with_the_verdict_on_each(
    flagged, viewer, signed_in
) -> None:
    page = text_of(signed_in(viewer).get("/tables/warehouse/shop.first/verdict/"))
    built = page[page.index('id="made-of-it"') :]
    assert "/tables/warehouse/shop.second/verdict/" in built
    assert "unread</span>" in built


def test_pages_of_table_and_pipeline_tell_the_verdict(flagged, viewer, signed_in) -> None:
    browser = signed_in(viewer)
    assert "unread</span>" in text_of(browser.get("/tables/warehouse/shop.second/"))
    page = text_of(browser.get("/pipelines/build_second/"))
    assert "all of them" in page
    assert "shop.<wbr>second" in page


def test_protecting_and_lifting(flagged, viewer, editor, signed_in) -> None:
    path = "/tables/warehouse/shop.second/protect/"
    assert signed_in(viewer).get(path).status_code == 403
    browser = signed_in(editor)
    sent = {"kind": "pinned", "until": "", "reason": "audit"}
    refused = browser.post(path, sent)
    assert refused.status_code == 422
    assert "last day" in text_of(refused)
    browser.post(path, sent | {"until": TODAY.isoformat()})
    protection = Protection.objects.get()
    assert "audit" in text_of(browser.get("/tables/warehouse/shop.second/verdict/"))
    assert signed_in(viewer).post(f"/deletion/protections/{protection.pk}/lift/").status_code == 403
    browser.post(f"/deletion/protections/{protection.pk}/lift/")
    protection.refresh_from_db()
    assert protection.lifted_at


def test_marking_an_owner_as_away_asks_the_team(review, jo, editor, viewer, signed_in) -> None:
    services.notify(actor=editor, review=review)
    path = f"/deletion/notices/{review.notices.get(owner=jo).pk}/unreached/"
    assert signed_in(viewer).post(path, {"reach": "away"}).status_code == 403
    page = text_of(signed_in(editor).post(path, {"reach": "away"}, follow=True))
    assert "Growth" in page
    assert "for Jo" in page


def test_the_board_costs_the_same_for_ten_rows_and_twenty(warehouse, editor, signed_in) -> None:
    def cost() -> int:
        call_command("flag_unused")
        browser = signed_in(editor)
        with CaptureQueriesContext(connection) as asked:
            assert browser.get("/deletion/").status_code == 200
        return len(asked)

    counts = []
    for batch in range(2):
        for number in range(10):
            build(make_table(f"shop.t{batch}_{number}", source=warehouse))
        counts.append(cost())
    assert counts[0] == counts[1] <= 15


def test_the_list_of_reviews(review, viewer, signed_in) -> None:
    page = text_of(signed_in(viewer).get("/deletion/reviews/?state=flagged"))
    assert f"Deletion review {review.pk}" in page
    assert "Nothing matches" in text_of(signed_in(viewer).get("/deletion/reviews/?state=confirmed"))


def test_a_review_in_quarantine_says_until_when(review, jo, steward, editor, viewer, signed_in) -> None:
    review = quarantined(review, jo, steward, editor)
    assert "nothing is dropped" in text_of(signed_in(viewer).get(review.get_absolute_url()))


def test_an_admin_states_a_window(admin, steward, signed_in) -> None:
    path = "/admin/deletion/unreadwindow/add/"
    assert signed_in(steward).get(path).status_code in (302, 403)
    browser = signed_in(admin)
    assert "A window is for one source" in text_of(browser.post(path, {"tier": "", "days": 30}))
    browser.post(path, {"tier": 1, "days": 30})
    assert UnreadWindow.objects.get().days == 30


def test_revoking_is_offered_where_grants_can_be_read(review, warehouse, jo, steward, editor, signed_in) -> None:
    review = agreed(review, jo, steward, editor)
    page = signed_in(steward).get(review.get_absolute_url())
    assert "Revoke rights" not in page.content.decode()
    Source.objects.filter(pk=warehouse.pk).update(dialect="postgres", connection="SHOP_URL")
    page = signed_in(steward).get(review.get_absolute_url())
    assert "Revoke rights" in page.content.decode()
