"""The pages of incidents, post-mortems and action items: what they show, to whom, and what their buttons do."""

from __future__ import annotations

import datetime as dt

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.test.utils import CaptureQueriesContext

from audits.postmortems import actions, reports, services
from audits.postmortems.models import Incident
from tests.factories import make_column, make_edge, make_owner, make_pipeline, make_run, make_table

pytestmark = pytest.mark.django_db

NEXT_WEEK = dt.date.today() + dt.timedelta(days=7)


def text_of(response) -> str:
    return response.content.decode()


# Incidents


def test_the_board_before_any_incident_says_how_one_comes(viewer, signed_in) -> None:
    assert "No incident yet" in text_of(signed_in(viewer).get("/incidents/"))


def test_the_board_lists_and_narrows(incident, viewer, signed_in) -> None:
    browser = signed_in(viewer)
    assert "Orders twice" in text_of(browser.get("/incidents/"))
    for query in ("status=unresolved", "severity=2", "q=revenue", "table=shop.orders", "owner=jo", "source=warehouse"):
        assert "Orders twice" in text_of(browser.get(f"/incidents/?{query}")), query
    for query in ("status=resolved", "severity=1", "q=nothing", "table=shop", "owner=nobody", "cause=bug"):
        assert "Orders twice" not in text_of(browser.get(f"/incidents/?{query}")), query


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("table=warehouse:shop.orders", "shop.orders is wrong"),
        ("pipeline=shop.build_revenue", "shop.build_revenue is wrong"),
        ("column={column}", "shop.orders.amount is wrong"),
        ("run={run}", "shop.build_revenue failed"),
    ],
)
def test_one_click_from_a_thing_opens_the_form_filled_in(shop, editor, signed_in, query, words) -> None:
    run = make_run(shop.pipeline, state="failed", error="boom")
    query = query.format(column=make_column("amount", shop.orders).pk, run=run.pk)
    browser = signed_in(editor)
    page = browser.get(f"/incidents/new/?{query}")
    assert words in text_of(page)
    fields = {name: page.context["form"][name].value() or "" for name in page.context["form"].fields}
    fields |= {"tables": "\n".join(fields["tables"]), "started_at": fields["started_at"] and "2026-03-02T12:00:00"}
    opened = browser.post(f"/incidents/new/?{query}", fields, follow=True)
    assert "The incident is open" in text_of(opened)
    assert Incident.objects.get().hits.filter(distance=0).exclude(kind="owner").count() == 1


@pytest.mark.parametrize("query", ["table=warehouse:no", "table=x", "pipeline=no", "run=7", "check=x", "column=1e9"])
def test_an_incident_on_what_is_not_there_is_a_404(query, editor, signed_in) -> None:
    assert signed_in(editor).get(f"/incidents/new/?{query}").status_code == 404


def test_bad_input_stands_at_its_field(shop, editor, signed_in) -> None:
    browser = signed_in(editor)
    facts = {"title": "x", "severity": 2, "tables": "warehouse:no.such", "started_at": "2100-01-01T00:00"}
    refused = browser.post("/incidents/new/", facts)
    assert refused.status_code == 422
    assert "No table here is called warehouse:no.such" in text_of(refused)
    refused = browser.post("/incidents/new/", facts | {"tables": ""})
    assert "is in the future" in text_of(refused)
    assert not Incident.objects.exists()


def test_buttons_follow_status_and_person(incident, jo, viewer, signed_in) -> None:
    def buttons(person) -> set[str]:
        page = text_of(signed_in(person).get(incident.get_absolute_url()))
        labels = ("I take it on", "It does no more harm", "The data is right again</button>", "Write the post-mortem")
        return {label for label in labels if label in page}

    assert buttons(viewer) == set()
    assert buttons(jo) == {"I take it on", "It does no more harm", "The data is right again</button>"}
    browser = signed_in(jo)
    for verb in ("acknowledge", "mitigate", "resolve"):
        browser.post(f"{incident.get_absolute_url()}{verb}/", {"words": "done so"})
    assert buttons(jo) == {"Write the post-mortem"}
    assert signed_in(viewer).post(f"{incident.get_absolute_url()}reopen/", {"words": "x"}).status_code == 403
    assert browser.post(f"{incident.get_absolute_url()}explode/").status_code == 404


def test_a_form_left_alone_changes_nothing(incident, editor, signed_in) -> None:
    browser, url = signed_in(editor), f"{incident.get_absolute_url()}edit/"
    form = browser.get(url).context["form"]
    sent = {}
    for field in form:
        value = field.value()
        shown = field.field.widget.format_value(value) if value is not None else ""
        sent[field.name] = shown[0] if isinstance(shown, list) else shown or ""
    before = Incident.objects.values().get()
    assert browser.post(url, sent).status_code == 302
    assert Incident.objects.values().get() == before
    page = text_of(browser.post(url, sent | {"acknowledged_at": "2020-01-01T00:00:00"}))
    assert "is before detected" in page


def test_an_entry_with_a_file_and_a_pin(incident, editor, signed_in) -> None:
    browser, url = signed_in(editor), incident.get_absolute_url()
    file = SimpleUploadedFile("night.log", b"<script>alert(1)</script>", "text/html")
    browser.post(f"{url}entry/", {"text": "The log of the night", "file": file, "is_pinned": "on"})
    entry = incident.timeline.get(text="The log of the night")
    assert entry.is_pinned
    handed_out = browser.get(entry.link)
    assert handed_out.content == b"<script>alert(1)</script>"
    assert handed_out.headers["Content-Type"] == "application/octet-stream"
    assert handed_out.headers["Content-Disposition"] == 'attachment; filename="night.log"'
    browser.post(f"/incidents/entries/{entry.pk}/", {"pin": "no"})
    entry.refresh_from_db()
    assert not entry.is_pinned
    browser.post(f"/incidents/entries/{entry.pk}/", {"text": "The log of Monday", "at": "2026-03-02T04:00:00"})
    entry.refresh_from_db()
    assert (entry.text, entry.at.isoformat()) == ("The log of Monday", "2026-03-02T04:00:00+00:00")
    mended = {"text": "x", "at": "2100-01-01T00:00:00"}
    assert "in the future" in text_of(browser.post(f"/incidents/entries/{entry.pk}/", mended, follow=True))
    assert "Write something" in text_of(browser.post(f"{url}entry/", {"text": " "}, follow=True))


def test_five_megabytes_pasted_into_the_page_are_kept(incident, editor, signed_in) -> None:
    log = "ERROR line of a log\n" * 250_000
    signed_in(editor).post(f"{incident.get_absolute_url()}entry/", {"text": log})
    assert incident.attachments.get().size == len(log)


def test_a_pasted_log_past_the_limit_is_refused_in_words(incident, editor, signed_in) -> None:
    sent = {"text": "x" * 8_000_001}
    page = signed_in(editor).post(f"{incident.get_absolute_url()}entry/", sent, follow=True)
    assert "one attachment may hold 8,000,000" in text_of(page)
    assert not incident.attachments.exists()


def test_hits_are_added_and_crossed_out(incident, shop, editor, signed_in) -> None:
    browser, url = signed_in(editor), incident.get_absolute_url()
    make_table("lake.raw")
    browser.post(f"{url}hits/", {"names": "lake.raw\ngrowth", "note": "by hand"})
    assert set(incident.hits.filter(added_by_name="edith").values_list("name", flat=True)) == {"lake.raw", "Growth"}
    assert "called nobody" in text_of(browser.post(f"{url}hits/", {"names": "nobody"}, follow=True))
    hit = incident.hits.get(name="boards.sales")
    assert "not hit" in text_of(browser.post(f"/incidents/hits/{hit.pk}/", {"out": "yes"}, follow=True))


def test_what_is_written_is_escaped_everywhere(incident, editor, signed_in) -> None:
    services.change_incident(actor=editor, incident=incident, title="<script>alert(1)</script>")
    services.add_entry(actor=editor, incident=incident, text="<img src=x onerror=alert(2)>")
    for path in ("/incidents/", incident.get_absolute_url()):
        page = text_of(signed_in(editor).get(path))
        assert "<script>alert(1)" not in page
        assert "<img src=x" not in page


def test_history_stands_on_tables_pipelines_and_owners(incident, shop, viewer, signed_in) -> None:
    browser = signed_in(viewer)
    for path in (
        "/tables/warehouse/shop.revenue/incidents/",
        "/pipelines/shop.build_revenue/incidents/",
        "/owners/jo/incidents/",
    ):
        assert "Orders twice" in text_of(browser.get(path)), path
    assert "No incident" in text_of(browser.get("/owners/growth/incidents/"))


def test_a_busy_incident_costs_at_most_twenty_queries(shop, editor, jo, signed_in) -> None:
    def grow(number: int) -> None:
        for _ in range(number):
            table = make_table(owner=make_owner())
            make_edge(make_pipeline(owner=make_owner()), shop.orders, table)
            services.add_hits(actor=editor, incident=incident, things=[table])
            services.attach(actor=editor, incident=incident, name="a.log", content=b"x")
            services.add_entry(actor=editor, incident=incident, text="x")
            services.change_incident(actor=editor, incident=incident, wrong_rows=number)
            actions.create_item(
                actor=editor, incident=incident, title="x", type="prevent", owner=shop.jo, due=NEXT_WEEK
            )

    def cost() -> int:
        with CaptureQueriesContext(connection) as asked:
            assert browser.get(incident.get_absolute_url()).status_code == 200
        return len(asked)

    incident = services.open_incident(actor=editor, title="x", things=[shop.orders])
    reports.start_post_mortem(actor=editor, incident=incident)
    browser = signed_in(jo)
    grow(10)
    few = cost()
    grow(10)
    assert cost() == few <= 20


def test_lists_cost_the_same_for_ten_and_twenty(shop, editor, jo, signed_in) -> None:
    def grow() -> None:
        for _ in range(10):
            incident = services.open_incident(actor=editor, title="x", things=[shop.orders])
            services.set_people(actor=editor, incident=incident, lead=shop.jo, participants=[shop.ann])
            post_mortem = reports.start_post_mortem(actor=editor, incident=incident)
            reports.set_causes(actor=editor, post_mortem=post_mortem, root="bug", contributing=["capacity"])
            actions.create_item(
                actor=editor, incident=incident, title="x", type="prevent", owner=shop.jo, due=NEXT_WEEK
            )

    def costs() -> dict[str, int]:
        found = {}
        for path in paths:
            with CaptureQueriesContext(connection) as asked:
                assert browser.get(path).status_code == 200
            found[path] = len(asked)
        return found

    paths = ["/incidents/", "/post-mortems/", "/action-items/", "/action-items/?whose=team&status=unfinished"]
    paths += ["/tables/warehouse/shop.orders/incidents/", "/owners/jo/incidents/"]
    browser = signed_in(jo)
    grow()
    few = costs()
    grow()
    assert costs() == few
    assert max(few.values()) <= 15


def test_a_table_says_that_it_is_hit_while_that_is_not_resolved(incident, editor, viewer, signed_in) -> None:
    browser = signed_in(viewer)
    assert "not resolved hits this table" in text_of(browser.get("/tables/warehouse/shop.revenue/"))
    services.resolve(actor=editor, incident=incident)
    assert "hits this table" not in text_of(browser.get("/tables/warehouse/shop.revenue/"))
