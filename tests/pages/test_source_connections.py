"""A source's connection on its page and over REST: named by stewards, tested by a button, its address never shown."""

from __future__ import annotations

import pytest

from catalog.models import HistoryEntry, Source
from ingest import jobs
from ingest.models import IngestRun
from tests.factories import make_source
from tests.live import PASSWORD, DuckDB
from tests.pages.reading import text_of

ADDRESS = f"postgresql://reader:{PASSWORD}@host/shop"


@pytest.fixture
def source(db) -> Source:
    return make_source("shop")


def form(**changed: str) -> dict[str, str]:
    return {"name": "Shop", "platform": "duckdb", "storage": "warehouse", **changed}


def test_a_steward_names_a_connection_and_an_editor_does_not(source, steward, editor, signed_in) -> None:
    url = "/sources/shop/edit/"
    assert signed_in(editor).post(url, form(connection="SHOP_URL")).status_code == 302
    source.refresh_from_db()
    assert source.connection == ""
    assert signed_in(steward).post(url, form(connection="SHOP_URL")).status_code == 302
    source.refresh_from_db()
    assert source.connection == "SHOP_URL"
    assert signed_in(editor).post(url, form(description="Ours")).status_code == 302
    source.refresh_from_db()
    assert (source.connection, source.description) == ("SHOP_URL", "Ours")


def test_an_address_is_refused_and_kept_nowhere(source, steward, signed_in, with_token) -> None:
    page = signed_in(steward).post("/sources/shop/edit/", form(connection=ADDRESS))
    assert page.status_code == 422
    assert "looks like an address itself" in text_of(page)
    assert PASSWORD not in page.content.decode()
    url = f"/api/v1/sources/{source.pk}/"
    answer = with_token(steward, "write").patch(url, {"connection": ADDRESS})
    assert answer.status_code == 400
    assert "looks like an address itself" in answer.content.decode()
    assert PASSWORD not in answer.content.decode()
    assert PASSWORD not in str(list(HistoryEntry.objects.values()))


def test_a_program_names_a_connection_only_as_a_steward(source, steward, editor, with_token) -> None:
    url = f"/api/v1/sources/{source.pk}/"
    assert with_token(editor, "write").patch(url, {"connection": "SHOP_URL"}).status_code == 403
    new = {"name": "New", "platform": "postgres", "connection": "SHOP_URL"}
    assert with_token(editor, "write").post("/api/v1/sources/", new).status_code == 403
    answer = with_token(steward, "write").patch(url, {"connection": "SHOP_URL"})
    assert answer.json()["connection"] == "SHOP_URL"


@pytest.mark.parametrize("name", ["DATABASE_URL", "SECRET_KEY", "a-b", "secret/file"])
def test_other_names_are_refused(name, source, steward, with_token) -> None:
    answer = with_token(steward, "write").patch(f"/api/v1/sources/{source.pk}/", {"connection": name})
    assert answer.status_code == 400


def test_the_button_says_whether_the_source_answers(source, steward, signed_in, tmp_path, monkeypatch) -> None:
    Source.objects.update(connection="SHOP_URL")
    browser = signed_in(steward)
    assert "Test the connection" in text_of(browser.get("/sources/shop/"))
    said = text_of(browser.post("/sources/shop/connection/", follow=True))
    assert "The environment variable SHOP_URL is not set" in said
    monkeypatch.setenv("SHOP_URL", DuckDB(tmp_path, "shop").address)
    assert "Shop answers. Pipekeeper reads it as duckdb." in text_of(
        browser.post("/sources/shop/connection/", follow=True)
    )


def test_the_button_is_for_stewards(source, editor, signed_in) -> None:
    Source.objects.update(connection="SHOP_URL")
    browser = signed_in(editor)
    assert "Test the connection" not in text_of(browser.get("/sources/shop/"))
    assert browser.post("/sources/shop/connection/").status_code == 403


@pytest.fixture
def started(monkeypatch) -> list[IngestRun]:
    """Runs that would be started: what they do is tested where crawls are."""
    begun: list[IngestRun] = []
    monkeypatch.setattr(jobs, "start", begun.append)
    return begun


@pytest.mark.django_db(transaction=True)
def test_a_steward_starts_a_crawl_once(steward, signed_in, with_token, started) -> None:
    make_source("shop", connection="SHOP_URL")
    page = signed_in(steward).post("/sources/shop/crawl/")
    run = IngestRun.objects.get()
    assert page.headers["Location"] == run.get_absolute_url()
    assert (run.kind, run.scope, run.state, started) == ("crawl", "crawl:shop", "waiting", [run])
    IngestRun.objects.update(host="another machine")  # where it waits
    assert "under way already" in text_of(signed_in(steward).post("/sources/shop/crawl/", follow=True))
    answer = with_token(steward, "write").post("/api/v1/ingest-runs/crawl/", {"source": "shop"})
    assert (answer.status_code, len(started)) == (400, 1)
    IngestRun.objects.update(state="done")
    answer = with_token(steward, "write").post("/api/v1/ingest-runs/crawl/", {"source": "shop"})
    assert (answer.status_code, answer.json()["kind"], len(started)) == (201, "crawl", 2)


def test_an_editor_starts_no_crawl_and_nobody_one_without_a_connection(
    source, editor, steward, signed_in, with_token
) -> None:
    assert signed_in(editor).post("/sources/shop/crawl/").status_code == 403
    assert with_token(editor, "write").post("/api/v1/ingest-runs/crawl/", {"source": "shop"}).status_code == 403
    assert "names no connection" in text_of(signed_in(steward).post("/sources/shop/crawl/", follow=True))
    assert with_token(steward, "write").post("/api/v1/ingest-runs/crawl/", {"source": "no"}).status_code == 400
