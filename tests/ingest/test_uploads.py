"""Files sent to be read: what is refused, and why, and what becomes of the others."""

from __future__ import annotations

import gzip
import io
import json
import stat
import zipfile

import pytest
from django.core.exceptions import PermissionDenied, ValidationError
from django.utils import timezone

from catalog.models import Pipeline, Table
from ingest import jobs, uploads
from ingest.models import IngestRun, IngestUpload
from ingest.uploads import check_upload
from tests.factories import make_source, make_user
from tests.ingest.dbt_projects import catalog, shop
from tests.openlineage.events import job_event

pytestmark = pytest.mark.django_db


def zip_of(files: dict[str, str | bytes], **options) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def link_out() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        member = zipfile.ZipInfo("a.sql")
        member.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(member, "/etc/passwd")
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("kind", "data", "says"),
    [
        ("dbt", b"", "is empty"),
        ("dbt", b"\x00\x01", r"neither manifest\.json nor a zip"),
        ("dbt", zip_of({"target/catalog.json": "{}"}), r"holds no manifest\.json"),
        ("dbt", zip_of({"manifest.json": "{}"})[:-30], "no whole zip"),
        ("repo", b"select 1", "is no zip"),
        ("repo", zip_of({"readme.md": "x"}), r"holds no \.sql file"),
        ("repo", zip_of({"../../etc/cron.d/x.sql": "x"}), "leads out of its folder"),
        ("repo", link_out(), "leads out of its folder"),
        ("repo", zip_of({"a.sql": b"0" * 500_000_000}), "unpacks to 500,000,000 bytes"),
        ("openlineage", b"hello", "holds no events"),
        ("query_log", zip_of({"log.csv": "x"}), "is a zip"),
    ],
    ids=lambda value: "" if isinstance(value, bytes) else value,  # a zip holds the time it was made
)
def test_what_cannot_be_read_is_refused_with_what_would_be_right(kind: str, data: bytes, says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        check_upload(kind, "sent", data)


def test_a_file_may_be_so_large_and_no_larger(monkeypatch) -> None:
    monkeypatch.setattr(uploads, "MAX_BYTES", 10_000_000)
    check_upload("query_log", "sent", b"x" * 10_000_000)
    with pytest.raises(ValidationError, match="10 MB at most"):
        check_upload("query_log", "sent", b"x" * 10_000_001)


def submitted(kind: str, data: bytes, **facts) -> IngestRun:
    editor = make_user("editor", username="ed")
    return jobs.submit(
        **{"actor": editor, "kind": kind, "scope": "sent", "options": {}, "name": "x", **facts}, data=data
    )


def test_only_editors_send_files() -> None:
    with pytest.raises(PermissionDenied):
        submitted("dbt", b"{}", actor=make_user("viewer"))
    assert not IngestRun.objects.exists()


def test_a_dbt_project_is_read_out_of_a_zip_and_the_file_is_not_kept() -> None:
    files = {"shop/target/manifest.json": json.dumps(shop()), "shop/target/catalog.json": json.dumps(catalog())}
    run = submitted("dbt", zip_of(files), options={"jobs": 0})
    assert (run.state, run.actor_name) == ("waiting", "ed")
    jobs.perform(run)
    run.refresh_from_db()
    assert (run.state, run.scope, run.summary["pipelines"]) == ("done", "dbt shop", 3)
    assert not IngestUpload.objects.exists()
    assert Pipeline.objects.filter(stated_in="dbt shop").count() == 3


def test_a_manifest_alone_will_do() -> None:
    run = submitted("dbt", json.dumps(shop()).encode(), options={"jobs": 0})
    jobs.perform(run)
    assert Pipeline.objects.count() == 3


def test_a_folder_of_sql_is_read_under_the_name_that_it_is_given() -> None:
    data = zip_of({"shop/raw/orders.sql": "select id from src.orders"})
    run = submitted("repo", data, scope="the shop", options={"name": "the shop", "dialect": "duckdb", "jobs": 0})
    jobs.perform(run)
    assert Pipeline.objects.get().stated_in == "the shop"
    assert Table.objects.filter(name="raw.orders").exists()


def test_events_are_read_out_of_lines() -> None:
    run = submitted("openlineage", json.dumps(job_event(job="orders.hourly")).encode())
    jobs.perform(run)
    assert Pipeline.objects.filter(name__contains="orders.hourly").exists()


def test_what_is_left_out_of_a_file_is_noted_under_its_own_name() -> None:
    make_source("wh", dialect="duckdb")
    read = {"query": "select 1", "user": "ann", "start_time": "2026-03-01T00:00:00"}
    cut = gzip.compress(f"{json.dumps(read)}\n".encode())[:-8]
    options = {"source": "wh", "format": "generic", "jobs": 0}
    run = submitted("query_log", cut, name="march.jsonl.gz", options=options)
    jobs.perform(run)
    run.refresh_from_db()
    assert run.summary["notes"][0].startswith("march.jsonl.gz is cut off")


def test_a_file_that_fails_is_kept_for_a_while_so_that_the_run_can_be_resumed() -> None:
    run = submitted("dbt", b"{ no json", options={"jobs": 0})
    with pytest.raises(Exception, match="not whole JSON"):
        jobs.perform(run)
    run.refresh_from_db()
    assert (run.state, run.is_resumable, IngestUpload.objects.count()) == ("failed", True, 1)
    assert run.error.startswith("manifest.json is not whole JSON")
    IngestRun.objects.update(ended_at=timezone.now() - uploads.KEPT * 2)
    uploads.forget_old_uploads()
    with pytest.raises(ValidationError, match="x is not kept any more. Send it again."):
        jobs.perform(run)
