"""An ingest as a person follows it: a file sent, its run seen as it goes, without asking again, to its end."""

from __future__ import annotations

import json
import socket

from django.utils import timezone
from playwright.sync_api import expect

from ingest import jobs
from ingest.locks import held
from ingest.models import IngestRun
from tests.factories import make_user
from tests.ingest.dbt_projects import shop


def test_a_manifest_is_sent_and_its_run_followed_to_the_end(page, sign_in, assert_accessible, monkeypatch) -> None:
    monkeypatch.setattr(jobs, "start", lambda run: None)
    sign_in(make_user("editor"))
    page.goto("/ingest-runs/")
    page.get_by_role("link", name="Send a file").click()
    assert_accessible()
    manifest = {"name": "manifest.json", "mimeType": "application/json", "buffer": json.dumps(shop()).encode()}
    page.get_by_label("File").set_input_files(manifest)
    page.get_by_role("button", name="Send and read").click()
    expect(page.get_by_text("It is about to begin.")).to_be_visible()

    run = IngestRun.objects.get()
    row = IngestRun.objects.filter(pk=run.pk)
    with held(f"ingest run {run.pk}"):
        row.update(state="running", host=socket.gethostname(), step="Analysing SQL", done=3, total=9)
        expect(page.get_by_text("Analysing SQL: 3 of 9")).to_be_visible()
        row.update(done=7)
        expect(page.get_by_text("Analysing SQL: 7 of 9")).to_be_visible()
        assert_accessible()
        page.goto("/ingest-runs/")
        expect(page.get_by_text("Analysing SQL: 7 of 9")).to_be_visible()
        row.update(state="done", ended_at=timezone.now(), summary={"tables": 5, "problems": {"not_compiled": 1}})
    expect(page.get_by_text("done", exact=True)).to_be_visible()
    page.get_by_role("link", name="manifest.json").click()
    expect(page.get_by_role("link", name="not compiled")).to_be_visible()
    assert_accessible()


def test_a_run_is_cancelled_and_taken_up_again_by_its_buttons(page, sign_in, monkeypatch) -> None:
    monkeypatch.setattr(jobs, "start", lambda run: None)
    sign_in(make_user("editor"))
    run = IngestRun.objects.create(
        kind="repo", scope="shop", actor_name="ada", state="waiting", options={"folder": "/srv/sql"}
    )
    page.goto(run.get_absolute_url())
    page.get_by_role("button", name="Cancel").click()
    expect(page.get_by_text("A person cancelled this run.")).to_be_visible()
    page.get_by_role("button", name="Resume").click()
    expect(page.get_by_text("attempt 2")).to_be_visible()
