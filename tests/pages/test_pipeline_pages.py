"""A pipeline's page and forms."""

from __future__ import annotations

import pytest

from catalog.models import HistoryEntry, Pipeline
from lineage.queries import inputs_and_outputs
from tests.factories import (
    make_edge,
    make_owner,
    make_pipeline,
    make_problem,
    make_run,
    make_source,
    make_sql_version,
    make_table,
    make_user,
)
from tests.pages.reading import fields_of, text_of

pytestmark = pytest.mark.django_db


def test_the_page_says_who_what_and_where(viewer, signed_in) -> None:
    pipeline = make_pipeline("shop.daily", owner=make_owner("Ada"), schedule="0 3 * * *", dag="shop_nightly")
    make_edge(pipeline, make_table("shop.raw"), make_table("shop.orders"))
    make_run(pipeline, external_id="run-of-today")
    page = text_of(signed_in(viewer).get("/pipelines/shop.daily/"))
    assert "Reads 1 shop.raw" in page
    assert "Writes 1 shop.orders" in page
    assert "Business owner: who asked for it Nobody is on record" in page
    assert "Ada" in page
    assert "0 3 * * *" in page
    assert "run-of-today" in page


def test_problems_stand_under_their_line(viewer, signed_in) -> None:
    pipeline = make_pipeline("shop.daily")
    make_sql_version(pipeline, "select 1,\n  <script>\nfrom t", statements=1)
    make_problem(pipeline, line=2, message="Expected a column.")
    make_problem(pipeline, line=None, message="No such template.")
    response = signed_in(viewer).get("/pipelines/shop.daily/")
    before, after = response.context["code"].blocks
    assert [problem.message for problem in before.problems] == ["Expected a column."]
    assert 'has-error" id="L2"' in before.html
    assert 'id="L3"' in after.html
    assert [problem.message for problem in response.context["code"].elsewhere] == ["No such template."]
    assert b"<script>\n" not in response.content
    assert "Problems error parse error No such template." in text_of(response)


def test_practices_read_off_the_sql(viewer, signed_in) -> None:
    pipeline = make_pipeline("shop.daily")
    reasons = [{"practice": "idempotent", "message": "INSERT without DELETE.", "line": 1}]
    practices = {"load_strategy": "append", "idempotent": False, "atomic": True, "backfill_safe": None}
    make_sql_version(pipeline, "insert into t select 1", practices=practices | {"reasons": reasons})
    page = text_of(signed_in(viewer).get("/pipelines/shop.daily/"))
    assert "Load strategy append Idempotent no INSERT without DELETE. line 1 Atomic yes" in page
    assert "Safe to backfill cannot tell" in page


def test_a_disagreement_is_shown(viewer, signed_in) -> None:
    make_pipeline("shop.daily", schedule="hourly", stated_fields=["schedule"], ingested={"schedule": "daily"})
    page = text_of(signed_in(viewer).get("/pipelines/shop.daily/"))
    assert "schedule hourly The last ingest read: daily" in page


def test_register_with_owners_and_declared_tables(editor, signed_in) -> None:
    make_owner("Ada", slug="ada")
    make_owner("Finance", slug="finance", email="finance@example.com")
    make_table("orders", source=make_source("mysql"))
    make_table("raw.orders", source=make_source("lake"))
    form = {
        "name": "ingest_orders",
        "kind": "raw_ingest",
        "status": "active",
        "tags": "daily, pii",
        "technical_owners": "ada",
        "business_owners": "finance@example.com",
        "inputs": "mysql:orders",
        "outputs": "raw.orders",
    }
    response = signed_in(editor).post("/pipelines/new/", form, follow=True)
    assert response.redirect_chain == [("/pipelines/ingest_orders/", 302)]
    pipeline = Pipeline.objects.get()
    inputs, outputs = inputs_and_outputs(pipeline)
    assert ([table.name for table in inputs], [table.name for table in outputs]) == (["orders"], ["raw.orders"])
    assert sorted(pipeline.ownerships.values_list("role", "owner__slug")) == [
        ("business", "finance"),
        ("technical", "ada"),
    ]
    page = text_of(response)
    assert "ingest_orders is registered." in page
    assert f"{editor.username} registered it" in page
    assert "pii" in page


def test_a_rejected_form_is_a_422_with_the_errors_at_their_fields(editor, signed_in) -> None:
    make_pipeline("taken")
    form = {"name": "taken", "status": "active", "technical_owners": "nobody", "inputs": "no.such", "tags": "two words"}
    response = signed_in(editor).post("/pipelines/new/", form)
    assert response.status_code == 422
    errors = response.context["form"].errors
    assert set(errors) == {"name", "technical_owners", "inputs", "tags"}
    assert "No owner here is called nobody." in errors["technical_owners"][0]
    assert Pipeline.objects.count() == 1


def test_an_ambiguous_table_asks_for_its_source(editor, signed_in) -> None:
    for slug in ("lake", "mysql"):
        make_table("orders", source=make_source(slug))
    response = signed_in(editor).post("/pipelines/new/", {"name": "x", "status": "active", "inputs": "orders"})
    assert "write source:name" in response.context["form"].errors["inputs"][0]


def test_saving_a_form_unchanged_states_nothing(editor, signed_in) -> None:
    pipeline = make_pipeline("shop.daily", owner=make_owner(), kind="summary", kind_is_inferred=True, tier=2)
    make_edge(pipeline, make_table(), make_table())
    browser = signed_in(editor)
    form = fields_of(browser.get("/pipelines/shop.daily/edit/"))
    assert browser.post("/pipelines/shop.daily/edit/", form).status_code == 302
    pipeline.refresh_from_db()
    assert (pipeline.stated_fields, pipeline.kind_is_inferred) == ([], True)
    assert not HistoryEntry.objects.exists()


def test_a_change_is_saved_and_told(editor, signed_in) -> None:
    make_pipeline("shop.daily", schedule="daily")
    browser = signed_in(editor)
    form = fields_of(browser.get("/pipelines/shop.daily/edit/")) | {"schedule": "hourly"}
    page = text_of(browser.post("/pipelines/shop.daily/edit/", form, follow=True))
    assert "schedule: daily → hourly" in page


def test_the_owner_of_a_pipeline_may_change_it_and_a_colleague_may_not(signed_in) -> None:
    ada = make_owner("Ada")
    make_pipeline("shop.daily", owner=ada)
    owner, colleague = signed_in(make_user("viewer", owner=ada)), signed_in(make_user("viewer", owner=make_owner()))
    assert "/pipelines/shop.daily/edit/" in owner.get("/pipelines/shop.daily/").content.decode()
    assert "/pipelines/shop.daily/edit/" not in colleague.get("/pipelines/shop.daily/").content.decode()
    form = fields_of(owner.get("/pipelines/shop.daily/edit/")) | {"schedule": "hourly"}
    assert colleague.post("/pipelines/shop.daily/edit/", form).status_code == 403
    assert owner.post("/pipelines/shop.daily/edit/", form).status_code == 302
    assert Pipeline.objects.get().schedule == "hourly"


def test_retiring_needs_a_steward(editor, steward, signed_in) -> None:
    make_pipeline("shop.daily")
    form = fields_of(signed_in(editor).get("/pipelines/shop.daily/edit/")) | {"status": "retired"}
    assert signed_in(editor).post("/pipelines/shop.daily/edit/", form).status_code == 403
    assert signed_in(steward).post("/pipelines/shop.daily/edit/", form).status_code == 302


def test_a_long_text_is_shown_plain_and_cut(viewer, signed_in) -> None:
    pipeline = make_pipeline("shop.daily")
    make_sql_version(pipeline, "select '&'\n" * 20_000)
    response = signed_in(viewer).get("/pipelines/shop.daily/")
    assert response.context["code"].left_out == 17_000
    assert "17,000 more lines are not shown" in text_of(response)
