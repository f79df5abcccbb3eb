"""Post-mortems: written by several at once without loss, reviewed by somebody else, kept in versions, given out."""

from __future__ import annotations

import datetime as dt
import json

import pytest
from django.core.exceptions import PermissionDenied, ValidationError

from audits.postmortems import queries, reports, services
from audits.postmortems.models import Incident, PostMortem, Section
from catalog.models import OutgoingMessage, User
from tests.factories import make_user

pytestmark = pytest.mark.django_db


@pytest.fixture
def report(incident: Incident, editor: User) -> PostMortem:
    services.resolve(actor=editor, incident=incident)
    return reports.start_post_mortem(actor=editor, incident=incident)


def write(report: PostMortem, actor: User, name: str, text: str, revision: int | None = None) -> reports.Saved:
    section = report.sections.get(name=name)
    base = section.revision if revision is None else revision
    return reports.save_section(actor=actor, post_mortem=report, name=name, text=text, revision=base)


def write_all(report: PostMortem, actor: User) -> None:
    for section in report.sections.all():
        write(report, actor, section.name, f"What is to be said under {section.name}.")
    reports.set_causes(actor=actor, post_mortem=report, root="rerun", contributing=["unknown_dependency"])


def in_review(report: PostMortem, actor: User, reviewer: User) -> PostMortem:
    write_all(report, actor)
    return reports.send_to_review(actor=actor, post_mortem=report, reviewer=reviewer)


@pytest.mark.parametrize(("severity", "number"), [(1, 10), (2, 10), (3, 4), (4, 4)])
def test_severity_decides_what_is_asked_for(incident, editor, severity, number) -> None:
    services.change_incident(actor=editor, incident=incident, severity=severity)
    incident.refresh_from_db()
    report = reports.start_post_mortem(actor=editor, incident=incident)
    assert report.sections.count() == number
    assert "`shop.orders`" in report.sections.get(name="impact").text


def test_a_section_that_was_not_asked_for_is_added_in_its_place(incident, editor) -> None:
    services.change_incident(actor=editor, incident=incident, severity=4)
    incident.refresh_from_db()
    report = reports.start_post_mortem(actor=editor, incident=incident)
    reports.add_section(actor=editor, post_mortem=report, name="trigger")
    assert list(report.sections.values_list("name", flat=True)) == [
        "summary",
        "impact",
        "trigger",
        "root_cause",
        "resolution",
    ]


def test_one_incident_has_one_report(report, incident, editor) -> None:
    with pytest.raises(ValidationError, match="already"):
        reports.start_post_mortem(actor=editor, incident=incident)


# Writing together


def test_two_who_write_the_same_section_lose_nothing(report, editor, jo) -> None:
    assert write(report, editor, "summary", "Ours", revision=0).refused is None
    late = write(report, jo, "summary", "Theirs", revision=0)
    assert (late.section.text, late.refused) == ("Ours", "Theirs")
    assert report.sections.get(name="summary").text == "Ours"
    kept = report.versions.get()
    assert (kept.by_name, kept.content["sections"]) == ("Jo", {"summary": "Theirs"})
    write(report, jo, "summary", "Theirs, longer", revision=0)
    assert report.versions.get().content["sections"] == {"summary": "Theirs, longer"}
    assert write(report, jo, "summary", "Both", revision=late.section.revision).refused is None


def test_two_who_write_different_sections_do_not_meet(report, editor, jo) -> None:
    write(report, editor, "summary", "Ours")
    assert write(report, jo, "trigger", "Theirs").refused is None
    assert {each.name: each.text for each in report.sections.filter(name__in=["summary", "trigger"])} == {
        "summary": "Ours",
        "trigger": "Theirs",
    }


def test_what_one_left_is_kept_before_another_goes_on(report, editor, jo) -> None:
    write(report, editor, "summary", "First")
    write(report, editor, "summary", "First, longer")
    assert not report.versions.exists()  # one's own typing makes no versions
    write(report, jo, "summary", "Rewritten")
    kept = report.versions.get()
    assert (kept.words, kept.content["sections"]["summary"]) == ("As edith left it", "First, longer")


def test_a_log_does_not_fit_into_a_section(report, editor) -> None:
    with pytest.raises(ValidationError, match="a section may hold 100,000. Attach the log"):
        write(report, editor, "summary", "x" * 5_000_000)
    with pytest.raises(ValidationError, match="no section"):
        reports.save_section(actor=editor, post_mortem=report, name="blame", text="x", revision=0)


def test_a_viewer_writes_nothing(report, viewer) -> None:
    with pytest.raises(PermissionDenied):
        write(report, viewer, "summary", "x")


# Review


def test_review_needs_every_section_a_root_cause_and_somebody_else(report, editor, jo) -> None:
    with pytest.raises(ValidationError, match="Nothing is written yet under: Summary, Trigger"):
        reports.send_to_review(actor=editor, post_mortem=report, reviewer=jo)
    write_all(report, editor)
    reports.set_causes(actor=editor, post_mortem=report, root="", contributing=["bug"])
    with pytest.raises(ValidationError, match="root cause"):
        reports.send_to_review(actor=editor, post_mortem=report, reviewer=jo)
    reports.set_causes(actor=editor, post_mortem=report, root="bug", contributing=["bug", "capacity"])
    assert [(cause.code, cause.is_root) for cause in report.causes.all()] == [("bug", True), ("capacity", False)]
    with pytest.raises(ValidationError, match="author cannot review"):
        reports.send_to_review(actor=editor, post_mortem=report, reviewer=editor)
    with pytest.raises(ValidationError, match="no role"):
        reports.send_to_review(actor=editor, post_mortem=report, reviewer=make_user(""))
    assert reports.send_to_review(actor=editor, post_mortem=report, reviewer=jo).state == "in_review"
    assert OutgoingMessage.objects.get(event="post_mortem.review").mail_to == "jo@shop.example"


def test_only_the_reviewer_publishes_and_then_the_text_stays(report, editor, jo, admin) -> None:
    report = in_review(report, editor, jo)
    for other in (editor, admin):
        with pytest.raises(PermissionDenied, match="Only Jo"):
            reports.publish(actor=other, post_mortem=report)
    with pytest.raises(ValidationError, match="its text stays"):
        write(report, editor, "summary", "Sneaked in")
    report = reports.publish(actor=jo, post_mortem=report)
    assert report.published_at
    assert OutgoingMessage.objects.filter(event="post_mortem.published").count() == 2
    with pytest.raises(ValidationError, match="its text stays"):
        write(report, editor, "summary", "Too late")


def test_it_goes_back_and_is_opened_again_with_every_step_kept(report, editor, jo) -> None:
    report = in_review(report, editor, jo)
    with pytest.raises(ValidationError, match="what is missing"):
        reports.send_back(actor=jo, post_mortem=report, words="")
    report = reports.send_back(actor=jo, post_mortem=report, words="What of the dashboards?")
    write(report, editor, "impact", "The sales board too.")
    report = reports.publish(
        actor=jo, post_mortem=reports.send_to_review(actor=editor, post_mortem=report, reviewer=jo)
    )
    report = reports.reopen(actor=editor, post_mortem=report, words="One more cause")
    assert report.state == "reopened"
    assert [version.words for version in report.versions.all()][::-1] == [
        "Sent to Jo for review",
        "Sent back: What of the dashboards?",
        "Sent to Jo for review",
        "Published",
        "Opened again: One more cause",
    ]
    first, second = report.versions.get(number=1), report.versions.get(number=3)
    [change] = queries.changes_between(first, second)
    assert change.label == "Impact"
    assert ("+", "The sales board too.") in change.lines


def test_a_published_version_reads_the_same_whatever_comes_after(report, editor, jo) -> None:
    report = reports.publish(actor=jo, post_mortem=in_review(report, editor, jo))
    before = report.versions.get(words="Published").content
    reports.reopen(actor=editor, post_mortem=report, words="x")
    write(report, editor, "summary", "Otherwise")
    User.objects.filter(pk=jo.pk).delete()
    report.refresh_from_db()
    assert report.versions.get(words="Published").content == before
    assert report.reviewer_name == "Jo"


def test_names_in_the_text_are_pointed_out(report, editor) -> None:
    write(report, editor, "trigger", "Jo’s change, made in haste. Annabel saw it.")
    assert queries.names_in(report) == ["Jo"]


# Pages


def test_the_editor_saves_as_one_types_and_shows_a_conflict(report, editor, jo, signed_in) -> None:
    hers, his = signed_in(editor), signed_in(jo)
    url, htmx = f"/post-mortems/{report.pk}/sections/summary/", {"HX-Request": "true"}
    answer = hers.post(url, {"text": "Hers", "revision": "0"}, headers=htmx)
    assert 'name="revision" value="1"' in answer.content.decode()
    page = his.post(url, {"text": "His <b>", "revision": "0"}, headers=htmx).content.decode()
    assert "edith saved this section meanwhile" in page
    assert 'name="revision" value="0"' in page  # typing on does not overwrite what one has seen in passing
    assert "Hers" in page
    plain = his.post(url, {"text": "His <b>", "revision": "0"})
    assert plain.status_code == 409
    assert "His &lt;b&gt;" in plain.content.decode()
    his.post(url, {"text": "His <b>", "revision": "0", "over": "1"}, headers=htmx)
    assert report.sections.get(name="summary").text == "His <b>"


@pytest.mark.parametrize("revision", ["", "x", "-1", "9" * 30])
def test_a_broken_form_is_refused_in_words(report, editor, signed_in, revision) -> None:
    sent = {"text": "x", "revision": revision}
    page = signed_in(editor).post(f"/post-mortems/{report.pk}/sections/summary/", sent, headers={"HX-Request": "true"})
    assert "load the page again" in page.content.decode()


def test_the_report_is_rendered_harmless_everywhere(report, editor, jo, signed_in) -> None:
    write(report, editor, "summary", "<script>alert(1)</script> **strong** [x](javascript:alert(1))")
    browser = signed_in(editor)
    pages = [browser.get(f"/post-mortems/{report.pk}/{path}") for path in ("", "edit/", "print/")]
    pages.append(browser.post(f"/post-mortems/{report.pk}/preview/", {"text": "<script>alert(1)</script> **strong**"}))
    for page in pages:
        assert "<script>alert" not in page.content.decode()
        assert 'href="javascript' not in page.content.decode()
    assert "<strong>strong</strong>" in pages[0].content.decode()
    assert "<strong>strong</strong>" in pages[3].content.decode()


def test_the_days_of_wrong_data_read_the_same_on_the_page_and_in_print(report, incident, editor, signed_in) -> None:
    day = dt.date(2026, 3, 2)
    browser, pages = signed_in(editor), (incident.get_absolute_url(), f"/post-mortems/{report.pk}/print/")
    said = {(day, None): "2026-03-02 to today", (None, day): "? to 2026-03-02", (None, None): "Dates not known"}
    for (first, last), words in said.items():
        Incident.objects.update(data_from=first, data_to=last, wrong_rows=1)
        for page in (browser.get(address).content.decode() for address in pages):
            assert f"<dt>Wrong data</dt><dd>{words}" in page
            assert "1 row<" in page


def test_the_way_of_a_report_on_its_pages(report, incident, editor, jo, signed_in) -> None:
    browser, url = signed_in(editor), f"/post-mortems/{report.pk}/"
    write_all(report, editor)
    assert "Send to review" in browser.get(url).content.decode()
    browser.post(f"{url}review/", {"reviewer": jo.pk})
    assert "Publish it" not in browser.get(url).content.decode()
    reviewer = signed_in(jo)
    assert "Publish it" in reviewer.get(url).content.decode()
    assert browser.get(f"{url}edit/").status_code == 302
    reviewer.post(f"{url}publish/")
    assert PostMortem.objects.get().state == "published"
    assert "Version 2: Published" in browser.get(f"{url}versions/").content.decode()
    assert "The first version" in browser.get(f"{url}versions/?number=1").content.decode()


def test_the_library_is_searched_and_narrowed(report, editor, viewer, signed_in) -> None:
    write_all(report, editor)
    browser = signed_in(viewer)
    for query in ("q=said+under+lucky", "q=orders", "cause=unknown_dependency", "root_cause=rerun", "state=draft"):
        assert f"/post-mortems/{report.pk}/" in browser.get(f"/post-mortems/?{query}").content.decode(), query
    for query in ("q=nothing", "root_cause=unknown_dependency", "state=published", "has_open_items=true", "severity=4"):
        assert f"/post-mortems/{report.pk}/" not in browser.get(f"/post-mortems/?{query}").content.decode(), query


def test_it_goes_out_as_markdown_and_json(report, editor, viewer, signed_in) -> None:
    write_all(report, editor)
    browser = signed_in(viewer)
    markdown = browser.get(f"/post-mortems/{report.pk}/export/markdown/")
    assert markdown.headers["Content-Disposition"].startswith('attachment; filename="post-mortem-')
    text = markdown.content.decode()
    for part in (
        "# Orders twice",
        "## Root cause",
        "Root cause: Non-idempotent re-run. Besides: Unknown dependency.",
        "- Table: shop.orders",
    ):
        assert part in text
    whole = json.loads(browser.get(f"/post-mortems/{report.pk}/export/json/").content)
    assert set(whole["sections"]) == set(Section.Name.values)
    assert {hit["node"] for hit in whole["hits"]} >= {"table:warehouse:shop.orders"}
    assert browser.get(f"/post-mortems/{report.pk}/export/word/").status_code == 404
