"""Times on pages are in the reader's zone; what programs read is in UTC."""

from __future__ import annotations

import datetime as dt
import re
from pathlib import Path

import pytest
from django.conf import settings
from django.core.exceptions import ValidationError
from django.urls import reverse
from django.utils import timezone

from audits.postmortems.models import Incident
from pages.zones import MomentField, MomentInput
from tests.factories import NOON, make_pipeline, make_run

BERLIN = "Europe/Berlin"
WINTER = dt.datetime(2026, 1, 5, 23, 30, tzinfo=dt.UTC)  # the next day in Berlin


@pytest.fixture
def run(db):
    return make_run(make_pipeline("nightly"), started_at=WINTER, ended_at=WINTER, nominal_at=NOON, state="succeeded")


def test_times_are_in_the_zone_of_the_browser_with_utc_on_hover(viewer, signed_in, run) -> None:
    client = signed_in(viewer)
    client.cookies["zone"] = BERLIN
    page = client.get(reverse("run-detail", args=[run.pk])).content.decode()
    assert '<time datetime="2026-01-05T23:30:00+00:00" title="2026-01-05 23:30 UTC">2026-01-06 00:30:00</time>' in page
    assert f"Times in {BERLIN}" in page
    assert "2026-03-02 12:00 UTC</time>" in page  # what the run is for, as its scheduler calls it


def test_the_accounts_choice_comes_before_the_browsers(viewer, signed_in, run) -> None:
    client = signed_in(viewer)
    client.cookies["zone"] = BERLIN
    client.post(reverse("zone"), {"time_zone": "Asia/Tokyo"})
    assert "2026-01-06 08:30:00" in client.get(reverse("run-detail", args=[run.pk])).content.decode()
    client.post(reverse("zone"), {"time_zone": "UTC"})
    assert "2026-01-05 23:30:00" in client.get(reverse("run-detail", args=[run.pk])).content.decode()
    client.post(reverse("zone"), {"time_zone": ""})
    assert "2026-01-06 00:30:00" in client.get(reverse("run-detail", args=[run.pk])).content.decode()


@pytest.mark.parametrize("name", ["", "Mars/Phobos", "../../etc/passwd", "UTC\0", "localtime"])
def test_a_zone_that_is_none_is_utc(viewer, signed_in, run, name) -> None:
    client = signed_in(viewer)
    client.cookies["zone"] = name
    assert "Times in UTC" in client.get(reverse("run-detail", args=[run.pk])).content.decode()


def test_an_unknown_zone_is_refused_by_the_account(viewer, signed_in) -> None:
    client = signed_in(viewer)
    page = client.post(reverse("zone"), {"time_zone": "Mars/Phobos"}, follow=True).content.decode()
    assert "Mars/Phobos is not one of the available choices" in page
    viewer.refresh_from_db()
    assert viewer.time_zone == ""


def test_rest_is_in_utc_whatever_the_reader_chose(viewer, with_token, run) -> None:
    viewer.time_zone = "Asia/Tokyo"
    viewer.save()
    client = with_token(viewer)
    client.cookies["zone"] = BERLIN
    assert client.get(f"/api/v1/runs/{run.pk}/").json()["started_at"] == "2026-01-05T23:30:00Z"


def test_forms_take_and_show_the_readers_zone(editor, signed_in) -> None:
    client = signed_in(editor)
    client.cookies["zone"] = BERLIN
    asked = {"title": "Wrong totals", "severity": 3, "detection": "luck", "started_at": "2026-01-06T00:30"}
    pipeline = make_pipeline("totals")
    client.post(reverse("incident-create"), asked | {"pipelines": pipeline.name})
    incident = Incident.objects.get()
    assert incident.started_at == WINTER
    page = client.get(reverse("incident-edit", args=[incident.pk]))
    assert 'value="2026-01-06T00:30:00"' in page.content.decode()
    assert f'Started <span class="optional">{BERLIN}</span>' in page.content.decode()


@pytest.fixture
def berlin():
    with timezone.override(BERLIN):
        yield


def test_a_time_that_clocks_skip_is_refused_with_words(berlin) -> None:
    with pytest.raises(ValidationError, match="There was no 02:30 on 2026-03-29 in Europe/Berlin: clocks"):
        MomentField().clean("2026-03-29T02:30")


def test_of_an_hour_that_comes_twice_the_first_is_meant(berlin) -> None:
    assert MomentField().clean("2026-10-25T02:30") == dt.datetime(2026, 10, 25, 0, 30, tzinfo=dt.UTC)


def test_the_second_of_an_hour_that_comes_twice_stays_when_left_alone(berlin) -> None:
    field, second = MomentField(), dt.datetime(2026, 10, 25, 1, 30, tzinfo=dt.UTC)
    shown = MomentInput().format_value(field.prepare_value(second))
    assert shown == "2026-10-25T02:30:00"
    assert not field.has_changed(second, shown)
    assert field.has_changed(second, "2026-10-25T02:31:00")


@pytest.mark.parametrize("text", ["soon", "2026-13-01T00:00", "0001-01-01T00:00", "2026-02-30 10:00"])
def test_what_is_no_time_is_refused(berlin, text) -> None:
    with pytest.raises(ValidationError, match="Write a day and a time"):
        MomentField().clean(text)


def test_no_template_writes_a_moment_by_hand() -> None:
    by_hand = re.compile(r"_at\|date:|\.at\|date:|\|date:['\"][^'\"]*H|<time ")
    templates = (Path(settings.BASE_DIR) / "templates").rglob("*.html")
    assert [str(each) for each in templates if by_hand.search(each.read_text())] == []
