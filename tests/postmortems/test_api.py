"""REST of incidents, post-mortems, action items and alerts: the same rules as the pages."""

from __future__ import annotations

import datetime as dt

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from drf_spectacular.generators import SchemaGenerator

from audits.checks.models import Check
from audits.postmortems import services
from audits.postmortems.models import ActionItem, Incident, PostMortem
from tests.factories import make_run, make_user

pytestmark = pytest.mark.django_db

URL = "/api/v1/incidents/"
SOON = str(timezone.now().date() + dt.timedelta(days=5))


def refused(response, *words: str) -> None:
    assert response.status_code == 400, response.content
    for word in words:
        assert word in response.json()["error"]["message"]


# Incidents


def test_one_call_opens_an_incident_with_severity_things_and_first_finding(shop, editor, with_token) -> None:
    program = with_token(editor, "write")
    sent = {
        "title": "Orders twice",
        "severity": 1,
        "things": ["table:warehouse:shop.orders"],
        "finding": "Twice the rows.",
        "lead": "jo",
        "participants": ["ann"],
        "links": [{"url": "https://chat.example/7"}],
    }
    opened = program.post(URL, sent)
    assert opened.status_code == 201, opened.content
    body = opened.json()
    assert (body["severity"], body["status"], body["lead"], body["participants"]) == (1, "open", "jo", ["ann"])
    assert body["began"] == ["table:warehouse:shop.orders"]
    assert body["links"] == [{"title": "https://chat.example/7", "url": "https://chat.example/7"}]
    assert program.get(opened.headers["Location"]).json() == body
    hits = program.get(f"{body['url']}hits/").json()
    assert {hit["node"] for hit in hits} >= {"table:warehouse:boards.sales", "owner:jo"}
    assert [entry["text"] for entry in program.get(f"{body['url']}timeline/").json() if entry["is_pinned"]] == [
        "Twice the rows."
    ]


def test_what_was_read_may_be_sent_back_and_changes_nothing(incident, editor, with_token) -> None:
    program = with_token(editor, "write")
    body = program.get(f"{URL}{incident.pk}/").json()
    assert program.patch(f"{URL}{incident.pk}/", body).json() == body


def test_a_run_or_a_check_says_the_rest(shop, editor, with_token) -> None:
    program = with_token(editor, "write")
    run = make_run(shop.pipeline, state="failed")
    assert program.post(URL, {"run": run.pk}).json()["title"] == "shop.build_revenue failed"
    check = Check.objects.create(table=shop.orders, kind="unique_key", name="one row", parameters={})
    body = program.post(URL, {"check": check.pk, "severity": 3}).json()
    assert (body["title"], body["detection"], body["severity"]) == ("one row fails on shop.orders", "check", 3)


@pytest.mark.parametrize(
    ("sent", "words"),
    [
        ({}, "title"),
        ({"title": "x", "severity": 9}, "severity"),
        ({"title": "x", "things": ["table:warehouse:no"]}, "There is no table no"),
        ({"title": "x", "things": ["nonsense"]}, "is not a node id"),
        ({"title": "x", "lead": "nobody"}, "No owner has the slug nobody"),
        ({"title": "x", "participants": ["nobody"]}, "No owner has the slug nobody"),
        ({"title": "x", "tables": []}, "There is no such field"),
        ({"title": "x", "started_at": "2026-01-02T00:00:00Z", "detected_at": "2026-01-01T00:00:00Z"}, "Detected ("),
        ({"title": "x", "run": 7}, "run"),
        ({"title": "x", "links": [{"url": "javascript:alert(1)"}]}, "no link"),
    ],
)
def test_what_cannot_be_opened_says_why(shop, editor, with_token, sent, words) -> None:
    refused(with_token(editor, "write").post(URL, sent), words)
    assert not Incident.objects.exists()


def test_the_course_of_an_incident_over_rest(incident, editor, with_token) -> None:
    program, url = with_token(editor, "write"), f"{URL}{incident.pk}/"
    assert program.post(f"{url}acknowledge/").json()["acknowledged_at"]
    refused(program.post(f"{url}acknowledge/"), "acknowledged already")
    early = (incident.detected_at - dt.timedelta(days=2)).isoformat()
    refused(program.post(f"{url}mitigate/", {"at": early}), "is before")
    assert program.post(f"{url}resolve/", {"words": "Loaded again"}).json()["status"] == "resolved"
    refused(program.post(f"{url}reopen/"), "words")
    assert program.post(f"{url}reopen/", {"words": "Not yet"}).json()["status"] == "open"
    assert program.patch(url, {"lead": "jo"}).json()["lead"] == "jo"
    assert program.patch(url, {"participants": ["ann"]}).json()["lead"] == "jo"
    refused(program.patch(url, {"things": []}), "for opening")


def test_timeline_hits_and_attachments_are_added(incident, shop, editor, with_token) -> None:
    program, url = with_token(editor, "write"), f"{URL}{incident.pk}/"
    assert program.post(f"{url}timeline/", {"text": "Found it", "is_pinned": True}).status_code == 201
    entry = program.get(f"{url}timeline/").json()[-1]
    mended = program.patch(f"{url}timeline/{entry['id']}/", {"text": "Found the cause", "is_pinned": False}).json()
    assert (mended["text"], mended["is_pinned"], mended["at"]) == ("Found the cause", False, entry["at"])
    assert program.patch(f"{url}timeline/999999/", {"text": "x"}).status_code == 404
    assert program.post(f"{url}hits/", {"node": "owner:growth", "note": "asks"}).json()["name"] == "Growth"
    assert program.post(f"{url}hits/", {"node": "table:warehouse:boards.sales", "is_out": True}).json()["is_out"]
    refused(program.post(f"{url}hits/", {"node": "owner:nobody"}), "No owner")
    kept = program.post(f"{url}attachments/", {"name": "a.log", "content": " x "}).json()
    assert kept["size"] == 3
    [listed] = program.get(f"{url}attachments/").json()
    assert listed == kept
    assert "content" not in listed


def test_who_may_only_read_changes_nothing(incident, viewer, editor, with_token) -> None:
    url = f"{URL}{incident.pk}/"
    for program in (with_token(viewer, "write"), with_token(editor, "read")):
        for verb in ("acknowledge", "mitigate", "resolve", "reopen", "timeline", "hits", "attachments"):
            sent = {"words": "x", "text": "x", "node": "owner:jo", "name": "x", "content": "x"}
            fields = {"timeline": ("text",), "hits": ("node",), "attachments": ("name", "content")}.get(
                verb, ("words",)
            )
            answer = program.post(f"{url}{verb}/", {name: sent[name] for name in fields})
            assert answer.status_code == 403, verb
        assert program.post(URL, {"title": "x"}).status_code == 403
        assert program.post(f"{URL}pagerduty/", PAGERDUTY).status_code == 403
        assert program.patch(url, {"severity": 1}).status_code == 403
    assert incident.timeline.count() == 2
    assert Incident.objects.count() == 1


def test_an_owner_works_over_rest_on_what_hits_them(incident, jo, with_token) -> None:
    program = with_token(jo, "write")
    assert program.post(f"{URL}{incident.pk}/acknowledge/").status_code == 200
    assert program.post(URL, {"title": "x", "things": ["pipeline:shop.build_revenue"]}).status_code == 201
    assert program.post(URL, {"title": "x", "things": ["table:warehouse:shop.orders"]}).status_code == 403


def test_lists_cost_the_same_for_ten_and_fifty(shop, editor, viewer, with_token) -> None:
    for number in range(51):
        incident = services.open_incident(actor=editor, title=f"No {number}", things=[shop.orders])
        services.set_people(actor=editor, incident=incident, lead=shop.jo, participants=[shop.ann])
    program = with_token(viewer)
    program.get(URL)

    def cost(rows: int) -> int:
        with CaptureQueriesContext(connection) as asked:
            assert len(program.get(f"{URL}?limit={rows}").json()["results"]) == rows
        return len(asked)

    assert cost(10) == cost(50) <= 7


# Alerts of other tools

PAGERDUTY = {
    "routing_key": "R0UT1NG",
    "event_action": "trigger",
    "dedup_key": "orders-rows",
    "payload": {
        "summary": "Row count of shop.orders doubled",
        "source": "monitor-1",
        "severity": "critical",
        "timestamp": "2026-03-02T04:05:06.000Z",
        "component": "shop.build_revenue",
        "custom_details": {"table": "warehouse:shop.orders", "rows": 2400},
    },
    "links": [{"href": "https://monitor.example/7", "text": "graph"}],
}
ALERTMANAGER = {
    "version": "4",
    "groupKey": '{}:{alertname="RowsDoubled"}',
    "status": "firing",
    "receiver": "pipekeeper",
    "groupLabels": {"alertname": "RowsDoubled"},
    "commonLabels": {"alertname": "RowsDoubled", "severity": "warning"},
    "commonAnnotations": {"summary": "Row counts doubled"},
    "externalURL": "https://alerts.example",
    "alerts": [
        {
            "status": "firing",
            "labels": {"alertname": "RowsDoubled", "table": "shop.orders"},
            "annotations": {"description": "shop.orders has twice its rows"},
            "startsAt": "2026-03-02T04:05:06Z",
            "endsAt": "0001-01-01T00:00:00Z",
            "generatorURL": "https://prometheus.example/graph",
            "fingerprint": "c2f0",
        },
        {
            "status": "firing",
            "labels": {"alertname": "RowsDoubled", "table": "no.such", "pipeline": "shop.build_revenue"},
            "annotations": {},
            "startsAt": "2026-03-02T04:00:00Z",
        },
    ],
}


def test_a_pagerduty_event_opens_one_incident_however_often_it_fires(shop, editor, with_token) -> None:
    program = with_token(editor, "write")
    [opened] = program.post(f"{URL}pagerduty/", PAGERDUTY).json()
    assert opened["outcome"] == "opened"
    body = program.get(opened["incident"]).json()
    assert (body["severity"], body["detection"], body["started_at"]) == (1, "alert", "2026-03-02T04:05:06Z")
    assert body["began"] == ["pipeline:shop.build_revenue", "table:warehouse:shop.orders"]
    again = program.post(f"{URL}pagerduty/", PAGERDUTY).json()
    assert again == [{"outcome": "noted", "incident": opened["incident"]}]
    steps = [
        program.post(f"{URL}pagerduty/", PAGERDUTY | {"event_action": verb}) for verb in ("acknowledge", "resolve")
    ]
    assert [step.json()[0]["outcome"] for step in steps] == ["acknowledged", "noted"]
    incident = Incident.objects.get()
    assert incident.status == "open"  # that an alert is over does not make data right
    assert incident.acknowledged_at
    assert incident.timeline.filter(text__startswith="The alert is over").exists()
    services.resolve(actor=editor, incident=incident)
    assert program.post(f"{URL}pagerduty/", PAGERDUTY | {"event_action": "resolve"}).json()[0]["outcome"] == "ignored"
    assert program.post(f"{URL}pagerduty/", PAGERDUTY).json()[0]["outcome"] == "opened"


def test_a_pagerduty_webhook_is_read_too(shop, editor, with_token) -> None:
    data = {"id": "PGR0VU2", "type": "incident", "title": "A little bump", "urgency": "high"}
    data |= {"html_url": "https://acme.pagerduty.com/incidents/PGR0VU2", "created_at": "2026-03-02T18:02:27Z"}
    event = {"id": "5ac64822", "event_type": "incident.triggered", "occurred_at": "2026-03-02T18:02:30Z", "data": data}
    program = with_token(editor, "write")
    assert program.post(f"{URL}pagerduty/", {"event": event}).json()[0]["outcome"] == "opened"
    acknowledged = {"event": event | {"event_type": "incident.acknowledged", "agent": {"summary": "Tenex Engineer"}}}
    assert program.post(f"{URL}pagerduty/", acknowledged).json()[0]["outcome"] == "acknowledged"
    assert Incident.objects.get().timeline.filter(text="Acknowledged by Tenex Engineer.").exists()


def test_an_alertmanager_group_is_one_incident(shop, editor, with_token) -> None:
    program = with_token(editor, "write")
    [opened] = program.post(f"{URL}alertmanager/", ALERTMANAGER).json()
    incident = Incident.objects.get()
    assert (opened["outcome"], incident.title, incident.severity) == ("opened", "Row counts doubled", 3)
    assert incident.started_at.isoformat() == "2026-03-02T04:00:00+00:00"
    assert {hit.name for hit in incident.hits.filter(distance=0, kind__in=["table", "pipeline"])} >= {"shop.orders"}
    finding = incident.timeline.get(is_pinned=True).text
    assert "shop.orders has twice its rows" in finding
    assert "Named, but not known here: no.such." in finding
    assert program.post(f"{URL}alertmanager/", ALERTMANAGER | {"status": "resolved"}).json()[0]["outcome"] == "noted"


@pytest.mark.parametrize(
    ("address", "sent", "words"),
    [
        ("pagerduty", {}, "no PagerDuty event"),
        ("pagerduty", [], "no PagerDuty event"),
        ("pagerduty", {"event_action": "shout"}, "none of trigger"),
        ("pagerduty", {"event_action": "trigger", "payload": "x"}, "summary"),
        ("pagerduty", {"event": {"event_type": "incident.annotated"}}, "event_type"),
        ("alertmanager", {"alerts": []}, "no Alertmanager notification"),
        ("alertmanager", ALERTMANAGER | {"alerts": [{}] * 101}, "too many"),
    ],
)
def test_what_is_no_alert_is_refused_in_words(shop, editor, with_token, address, sent, words) -> None:
    refused(with_token(editor, "write").post(f"{URL}{address}/", sent), words)


def test_an_alert_full_of_nonsense_still_opens_one(shop, editor, with_token) -> None:
    payload = {"summary": "x\0y" + "z" * 500, "severity": [], "timestamp": "yesterday", "custom_details": {"table": {}}}
    sent = {
        "event_action": "trigger",
        "dedup_key": "k" * 5000,
        "payload": payload,
        "links": [{"href": "javascript:x"}, 7],
    }
    assert with_token(editor, "write").post(f"{URL}pagerduty/", sent).json()[0]["outcome"] == "opened"
    assert Incident.objects.get().links == []


# Post-mortems


def test_a_report_is_written_and_published_over_rest(incident, editor, jo, with_token) -> None:
    program, reviewer = with_token(editor, "write"), with_token(jo, "write")
    started = program.post("/api/v1/post-mortems/", {"incident": incident.pk})
    assert started.status_code == 201
    body, url = started.json(), started.json()["url"]
    sections = dict.fromkeys(body["sections"], "Said.")
    changed = program.patch(url, {"sections": sections, "revisions": body["revisions"], "root_cause": "rerun"}).json()
    assert set(changed["sections"].values()) == {"Said."}
    assert changed["root_cause"] == "rerun"
    assert program.patch(url, changed).json() == changed
    stale = program.patch(url, {"sections": {"summary": "Over it"}, "revisions": {"summary": 0}})
    assert stale.status_code == 409
    refused(program.patch(url, {"sections": {"summary": "x"}}), "which revision of summary")
    refused(program.patch(url, {"sections": {"blame": "x"}, "revisions": {"blame": 0}}), "No section")
    refused(program.post(f"{url}review/", {"reviewer": "nobody"}), "Nobody here")
    assert program.post(f"{url}review/", {"reviewer": "jo"}).json()["state"] == "in_review"
    assert program.post(f"{url}publish/").status_code == 403
    assert reviewer.post(f"{url}send-back/", {"words": "More"}).json()["state"] == "draft"
    program.post(f"{url}review/", {"reviewer": "jo"})
    assert reviewer.post(f"{url}publish/").json()["state"] == "published"
    assert program.post(f"{url}reopen/", {"words": "More to say"}).json()["state"] == "reopened"
    assert PostMortem.objects.get().versions.count() == 5
    other = program.post("/api/v1/incidents/", {"title": "Another"}).json()
    program.post("/api/v1/post-mortems/", {"incident": other["id"]})
    for noun in ("incidents", "post-mortems"):  # in lists each has its own parts
        for row in program.get(f"/api/v1/{noun}/").json()["results"]:
            assert row == program.get(row["url"]).json()
    causes = {row["incident"]: row["root_cause"] for row in program.get("/api/v1/post-mortems/").json()["results"]}
    assert causes == {incident.pk: "rerun", other["id"]: None}


def test_a_viewer_writes_no_report(incident, viewer, with_token) -> None:
    program = with_token(viewer, "write")
    assert program.post("/api/v1/post-mortems/", {"incident": incident.pk}).status_code == 403


# Action items


def test_an_item_is_decided_and_ended_over_rest(incident, shop, editor, with_token) -> None:
    program = with_token(editor, "write")
    check = Check.objects.create(table=shop.orders, kind="unique_key", name="one row", parameters={})
    sent = {"incident": incident.pk, "title": "Check it", "type": "detect", "owner": "jo", "due": SOON}
    decided = program.post("/api/v1/action-items/", sent | {"check": check.pk})
    assert decided.status_code == 201, decided.content
    body, url = decided.json(), decided.json()["url"]
    assert (body["proof"], body["check"], body["owner"]) == ("check", check.pk, "jo")
    assert program.patch(url, body).json() == body
    assert program.post(f"{url}start/").json()["status"] == "in_progress"
    refused(program.post(f"{url}drop/", {"words": " "}), "words")
    assert program.post(f"{url}drop/", {"words": "No longer needed"}).json()["drop_reason"] == "No longer needed"
    assert program.post(f"{url}reopen/").json()["status"] == "open"
    plain = program.post("/api/v1/action-items/", sent).json()["url"]
    refused(program.post(f"{plain}finish/"), "how one can tell")
    assert program.post(f"{plain}finish/", {"words": "Seen"}).json()["status"] == "done"
    found = program.get("/api/v1/action-items/?status=unfinished").json()["results"]
    assert [each["title"] for each in found] == ["Check it"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"due": "2020-01-01"}, "2020-01-01 is past; today is"),
        ({"owner": "nobody"}, "No owner has the slug nobody"),
        ({"type": "punish"}, "Not one of"),
        ({"due": "soon"}, "due"),
        ({"incident": 0}, "incident"),
    ],
)
def test_what_cannot_be_decided_says_why(incident, shop, editor, with_token, change, words) -> None:
    sent = {"incident": incident.pk, "title": "x", "type": "detect", "owner": "jo", "due": SOON}
    refused(with_token(editor, "write").post("/api/v1/action-items/", sent | change), words)
    assert not ActionItem.objects.exists()


def test_an_item_s_owner_works_on_it(incident, editor, shop, with_token) -> None:
    sent = {"incident": incident.pk, "title": "x", "type": "detect", "owner": "growth", "due": SOON}
    url = with_token(editor, "write").post("/api/v1/action-items/", sent).json()["url"]
    member = make_user("viewer", owner=shop.team)
    assert with_token(member, "write").post(f"{url}start/").status_code == 200
    assert with_token(make_user("viewer"), "write").post(f"{url}start/").status_code == 403


def test_objects_have_exactly_the_fields_that_the_schema_names(incident, shop, editor, with_token) -> None:
    """Representations are written out by hand; here they are held against the serializers."""
    program = with_token(editor, "write")
    program.post("/api/v1/post-mortems/", {"incident": incident.pk})
    item = {"incident": incident.pk, "title": "x", "type": "detect", "owner": "jo", "due": SOON}
    program.post("/api/v1/action-items/", item)
    schemas = SchemaGenerator().get_schema(request=None, public=True)["components"]["schemas"]
    for component, noun in (("Incident", "incidents"), ("PostMortem", "post-mortems"), ("ActionItem", "action-items")):
        [row] = program.get(f"/api/v1/{noun}/").json()["results"]
        assert list(row) == list(schemas[component]["properties"]), component
