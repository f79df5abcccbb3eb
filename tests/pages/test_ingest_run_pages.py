"""Pages of ingest runs: one under way as it goes, cancelling and resuming, and sending a file."""

from __future__ import annotations

import json
import socket

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.utils import timezone

from ingest import jobs, uploads
from ingest.locks import held
from ingest.models import IngestRun, IngestUpload
from tests.factories import make_source
from tests.ingest.dbt_projects import shop
from tests.pages.reading import text_of


def make_run(**facts) -> IngestRun:
    here = {"host": socket.gethostname(), "seen_at": timezone.now()}
    return IngestRun.objects.create(**{"kind": "repo", "scope": "shop", "actor_name": "ada", **here, **facts})


@pytest.fixture(autouse=True)
def _own_var(settings, tmp_path) -> None:
    settings.VAR_DIR = tmp_path


@pytest.fixture
def started(monkeypatch) -> list[IngestRun]:
    """Runs that would have been started in a process of their own."""
    runs: list[IngestRun] = []
    monkeypatch.setattr(jobs, "start", runs.append)
    return runs


def test_a_run_under_way_says_how_far_it_is_and_asks_again(viewer, signed_in) -> None:
    run = make_run(step="Analysing SQL", done=1200, total=4000)
    with held(f"ingest run {run.pk}"):
        response = signed_in(viewer).get(f"/ingest-runs/{run.pk}/")
    assert "Analysing SQL: 1,200 of 4,000" in text_of(response)
    assert b'hx-trigger="every 1s"' in response.content
    assert b'<progress aria-label="Analysing SQL" value="1200" max="4000">' in response.content


def test_an_ended_run_tells_what_it_found_and_asks_no_more(viewer, signed_in) -> None:
    summary = {"tables": 1713, "parse_coverage": 0.9899, "problems": {"parse_error": 2}, "seconds": 3, "notes": ["One"]}
    run = make_run(state="done", summary=summary, options={"folder": "/srv/sql", "again": False})
    response = signed_in(viewer).get(f"/ingest-runs/{run.pk}/")
    page = text_of(response)
    for words in ("1,713 tables", "98.9 % parse coverage", "parse error 2", "One", "Folder /srv/sql"):
        assert words in page
    assert b"hx-trigger" not in response.content.split(b'id="run"')[1].split(b">")[0]
    assert "Again" not in page


def test_a_killed_run_is_seen_as_interrupted_and_an_editor_may_resume_it(
    viewer, editor, signed_in, started, django_capture_on_commit_callbacks
) -> None:
    run = make_run(options={"folder": "/srv/sql"})
    page = text_of(signed_in(viewer).get(f"/ingest-runs/{run.pk}/"))
    assert "interrupted" in page
    assert "Resuming goes on from there" in page
    assert "Resume" not in page.replace("Resuming", "")
    assert signed_in(viewer).post(f"/ingest-runs/{run.pk}/resume/").status_code == 403
    with django_capture_on_commit_callbacks(execute=True):
        assert signed_in(editor).post(f"/ingest-runs/{run.pk}/resume/").status_code == 302
    run.refresh_from_db()
    assert (run.state, run.attempt, started) == ("waiting", 2, [run])


def test_an_editor_cancels_what_is_under_way(editor, viewer, signed_in) -> None:
    run = make_run()
    with held(f"ingest run {run.pk}"):
        assert signed_in(viewer).post(f"/ingest-runs/{run.pk}/cancel/").status_code == 403
        page = text_of(signed_in(editor).post(f"/ingest-runs/{run.pk}/cancel/", follow=True))
    assert "being cancelled" in page
    assert text_of(signed_in(editor).post(f"/ingest-runs/{run.pk}/cancel/", follow=True)).count("cancelled") >= 1
    assert signed_in(editor).post(f"/ingest-runs/{run.pk}/explode/").status_code == 404


def send(client, kind: str, data: bytes, called: str = "sent", **fields: str):
    return client.post(f"/ingest-runs/upload/?kind={kind}", {"file": SimpleUploadedFile(called, data), **fields})


def test_an_editor_sends_a_manifest_and_sees_its_run(
    editor, signed_in, started, django_capture_on_commit_callbacks
) -> None:
    with django_capture_on_commit_callbacks(execute=True):
        response = send(signed_in(editor), "dbt", json.dumps(shop()).encode(), "manifest.json")
    run = IngestRun.objects.get()
    assert response.headers["Location"] == f"/ingest-runs/{run.pk}/"
    assert (run.state, started, IngestUpload.objects.get().name) == ("waiting", [run], "manifest.json")


@pytest.mark.parametrize(
    ("kind", "data", "fields", "says"),
    [
        ("dbt", b"hello", {}, "neither manifest.json nor a zip"),
        ("repo", b"hello", {"name": "x", "layout": "plain", "dialect": "bigqery"}, "Did you mean bigquery"),
        ("repo", b"hello", {"name": "x", "layout": "plain"}, "is no zip"),
        ("query_log", b"a,b", {"format": "snowflake"}, "Say whose log it is"),
        ("query_log", b"a,b", {"format": "snowflake", "source": "lake", "covers_from": "soon"}, "Enter a valid date"),
    ],
)
def test_what_cannot_be_read_is_said_beside_the_form(editor, signed_in, kind, data, fields, says) -> None:
    make_source("lake", dialect="spark")
    response = send(signed_in(editor), kind, data, **fields)
    assert response.status_code == 422
    assert says in text_of(response)
    assert not IngestRun.objects.exists()


def test_a_file_beyond_the_limit_is_refused_and_kept_nowhere(editor, signed_in, monkeypatch) -> None:
    monkeypatch.setattr(uploads, "MAX_BYTES", 1_000_000)
    response = send(signed_in(editor), "dbt", b"{" * 3_000_000)
    assert response.status_code == 422
    assert "1 MB at most" in text_of(response)
    assert not IngestRun.objects.exists()


def test_viewers_send_nothing_and_unknown_kinds_are_not_there(viewer, editor, signed_in) -> None:
    assert signed_in(viewer).get("/ingest-runs/upload/").status_code == 403
    assert signed_in(editor).get("/ingest-runs/upload/?kind=fax").status_code == 404
    assert signed_in(editor).get("/ingest-runs/upload/?kind=query_log").status_code == 200
