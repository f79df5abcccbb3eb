"""What pages offer for download, fetched by programs with a token."""

from __future__ import annotations

import pytest
from django.test import Client
from django.urls import reverse

from tests.factories import make_edge, make_pipeline, make_table


@pytest.fixture
def addresses(db) -> list[str]:
    raw, orders = make_table("shop.raw"), make_table("shop.orders")
    make_edge(make_pipeline("build"), raw, orders)
    lineage = f"{orders.get_absolute_url()}lineage/"
    return [
        "/tables/?as=csv",
        "/pipelines/?as=csv",
        "/owners/?as=csv",
        *(f"{lineage}?as={form}" for form in ("svg", "png", "csv", "json", "mermaid", "dot", "graphml", "openlineage")),
        f"/impact/?change=drop_table+{raw.node}&format=csv",
        reverse("scorecard-csv"),
    ]


def test_a_token_that_may_read_gets_what_the_page_gives(viewer, signed_in, with_token, addresses) -> None:
    program, person = with_token(viewer), signed_in(viewer)
    for address in addresses:
        got, shown = program.get(address), person.get(address)
        assert got.status_code == 200, address
        assert got.headers["Content-Type"] == shown.headers["Content-Type"]
        assert b"".join(got) == b"".join(shown) or "openlineage" in address  # whose events say when they were written
    assert "sessionid" not in program.cookies


def test_without_a_token_that_may_read_there_is_nothing(viewer, stranger, with_token, addresses) -> None:
    for address in addresses:
        assert Client().get(address).status_code == 302
        unknown = Client(headers={"Authorization": "Bearer pk_wrong"}).get(address)
        assert (unknown.status_code, unknown.json()["error"]["code"]) == (401, "unauthenticated")
        assert with_token(viewer, "ingest").get(address).status_code == 403
        assert with_token(stranger).get(address).status_code == 403


def test_pages_themselves_are_not_for_tokens(viewer, editor, with_token, addresses) -> None:
    program = with_token(viewer)
    assert program.get("/tables/").status_code == 302
    no_such = program.get("/tables/?as=xlsx")
    assert (no_such.status_code, no_such.json()["error"]["code"]) == (400, "bad_request")
    assert with_token(editor, "write").post("/tables/new/?as=csv", {}).status_code == 302
