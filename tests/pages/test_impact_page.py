"""The page and the REST address of the impact of a change."""

from __future__ import annotations

import csv
import io
from urllib.parse import parse_qs, urlsplit

import pytest
from django.utils import timezone

from audits.usage.models import ColumnRead, LoggedEdge, Reader
from catalog.models import Table
from lineage.models import ColumnEdge, Mishap
from tests.factories import NOON, make_column, make_edge, make_owner, make_pipeline, make_sql_version, make_table
from tests.pages.reading import text_of

pytestmark = pytest.mark.django_db

DROP = "drop_column column:warehouse:shop.orders:price"


@pytest.fixture
def orders() -> Table:
    """shop.sales is made of shop.orders.price by sum_sales, which Olga holds; =bad only reads another column."""
    orders, sales, other = (make_table(f"shop.{name}") for name in ("orders", "sales", "other"))
    price, size, total = make_column("price", orders), make_column("size", orders), make_column("total", sales)
    for name, source, target, column in (
        ("sum_sales", price, sales, total),
        ("=bad", size, other, make_column("n", other)),
    ):
        pipeline = make_pipeline(
            name, owner=make_owner("Olga", email="olga@shop.example") if name == "sum_sales" else None
        )
        version = make_sql_version(pipeline, f"select sum({source.name}) from orders", statements=1, statements_read=1)
        make_edge(pipeline, orders, target, sql_version=version, origin="sql")
        ColumnEdge.objects.create(
            pipeline=pipeline, sql_version=version, source_table=orders, source_column=source, target_table=target,
            target_column=column, kind="AGGREGATION", basis="parsed", statement=0, origin="sql", valid_from=NOON,
        )  # fmt: skip
    return orders


def test_without_a_change_it_asks_for_one(viewer, signed_in) -> None:
    assert "Choose a change" in text_of(signed_in(viewer).get("/impact/"))


def test_it_says_what_breaks_and_what_is_stale_and_whom_to_tell(orders, viewer, signed_in) -> None:
    text = text_of(signed_in(viewer).get("/impact/", {"change": DROP}))
    assert "column price of shop.orders is dropped" in text
    assert "Why Owners sum_sales breaks names column price" in text.split("Breaks 1", 1)[1]
    assert "shop.sales stale" in text and "built by a pipeline that breaks" in text
    assert "Unaffected readers 1" in text and "=bad" in text
    assert "Hello Olga, - column price of shop.orders is dropped Of yours, this breaks: - sum_sales: breaks" in text
    assert "http://testserver/impact/?change=drop_column%20column:warehouse:shop.orders:price" in text


@pytest.mark.parametrize(
    ("asked", "change"),
    [
        ({"verb": "drop_column", "thing": "shop.orders.price"}, DROP),
        ({"verb": "drop_column", "thing": "warehouse:shop.orders.price"}, DROP),
        ({"verb": "drop_table", "thing": "warehouse:shop.orders"}, "drop_table table:warehouse:shop.orders"),
        ({"verb": "wrong_rows", "thing": "shop.orders", "argument": "2026-03-01"},
         "wrong_rows table:warehouse:shop.orders 2026-03-01"),
        ({"verb": "wrong_rows", "thing": "shop.orders.size"}, "wrong_rows column:warehouse:shop.orders:size"),
        ({"verb": "run_failed", "thing": "sum_sales"}, "run_failed pipeline:sum_sales"),
        ({"verb": "rename_column", "thing": DROP.split()[1], "argument": "cost"},
         f"rename_column {DROP.split()[1]} cost"),
    ],
)  # fmt: skip
def test_a_change_added_by_form_goes_into_the_address(orders, viewer, signed_in, asked, change) -> None:
    other = "retire_pipeline pipeline:sum_sales"
    response = signed_in(viewer).post("/impact/", {"change": other, **asked})
    assert parse_qs(urlsplit(response.headers["Location"]).query)["change"] == [other, change]
    assert signed_in(viewer).get(response.headers["Location"]).status_code == 200


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"verb": "drop_column", "thing": "shop.orders.nothing"}, "No column is called shop.orders.nothing"),
        ({"verb": "drop_table", "thing": "nothing"}, "No table here is called nothing"),
        ({"verb": "run_failed", "thing": "nothing"}, "There is no pipeline nothing"),
        ({"verb": "burn", "thing": "shop.orders"}, "Choose what happens"),
        ({"verb": "rename_table", "thing": "shop.orders"}, "Write the new name"),
    ],
)
def test_what_cannot_be_added_says_why_and_keeps_what_was_typed(orders, viewer, signed_in, asked, words) -> None:
    response = signed_in(viewer).post("/impact/", {"change": DROP, **asked})
    assert response.status_code == 422
    assert words in text_of(response) and f'value="{asked["thing"]}"' in response.content.decode()
    assert "column price of shop.orders is dropped" in text_of(response)


def test_an_address_that_cannot_be_read_says_why(viewer, signed_in) -> None:
    response = signed_in(viewer).get("/impact/", {"change": "drop_table table:warehouse:gone"})
    assert response.status_code == 400 and "There is no table gone in source warehouse" in text_of(response)


def test_the_csv_has_every_hit_and_runs_nothing(orders, viewer, signed_in) -> None:
    response = signed_in(viewer).get("/impact/", {"change": "drop_table table:warehouse:shop.orders", "format": "csv"})
    rows = list(csv.DictReader(io.StringIO(b"".join(response.streaming_content).decode())))
    assert [(row["level"], row["name"]) for row in rows[:2]] == [("breaks", "'=bad"), ("breaks", "sum_sales")]
    assert (
        rows[1]["owners"].startswith("owner-") and rows[1]["path"] == "table:warehouse:shop.orders > pipeline:sum_sales"
    )


def test_rest_answers_the_same(orders, viewer, with_token) -> None:
    answer = with_token(viewer).get("/api/v1/impact/", {"change": DROP}).json()
    assert answer["changes"] == [DROP]
    assert [(hit["node"], hit["level"], hit["path"]) for hit in answer["breaks"]] == [
        ("pipeline:sum_sales", "breaks", ["column:warehouse:shop.orders:price", "pipeline:sum_sales"])
    ]
    assert [hit["node"] for hit in answer["stale"]] == ["table:warehouse:shop.sales"]
    assert (answer["affected"], answer["unknown"], answer["unaffected"]) == ([], [], ["=bad"])
    assert [message["email"] for message in answer["messages"]] == ["olga@shop.example"]


def test_rest_says_what_is_wrong_with_each_change(orders, viewer, with_token) -> None:
    program = with_token(viewer)
    assert "Say what changes" in program.get("/api/v1/impact/").json()["error"]["fields"]["change"][0]
    wrong = program.get("/api/v1/impact/", {"change": ["burn x", DROP, "drop_table column:a:b:c"]})
    assert len(wrong.json()["error"]["fields"]["change"]) == 2 and wrong.status_code == 400
    assert "50 changes at most" in program.get("/api/v1/impact/", {"change": [DROP] * 51}).json()["error"]["message"]


def test_sql_too_long_for_an_address_is_kept_without_its_secrets_and_still_has_a_link(
    orders, viewer, signed_in
) -> None:
    client = signed_in(viewer)
    sql = "select sum(size) as n -- password = 'hunter2'\nfrom orders where " + " or ".join(
        f"size = {n}" for n in range(900)
    )
    asked = {"verb": "replace_sql", "thing": "sum_sales", "argument": sql}
    address = client.post("/impact/", {"change": DROP, **asked}).headers["Location"]
    assert address.startswith("/impact/?saved=") and len(address) < 60
    text = text_of(client.get(address))
    assert "sum_sales gets another SQL" in text and "size = 899" in text and "hunter2" not in text
    answer = client.get(f"/api/v1{address}").json()
    assert [change.split()[0] for change in answer["changes"]] == ["drop_column", "replace_sql"]
    assert (
        client.post("/impact/", {"saved": address[-24:], "without": "1"}).headers["Location"]
        == client.post("/impact/", {"change": DROP, "verb": "drop_column", "thing": "shop.orders.price"}).headers[
            "Location"
        ]
    )


def test_a_question_no_longer_kept_says_so(viewer, signed_in) -> None:
    response = signed_in(viewer).get("/impact/", {"saved": "nothing"})
    assert response.status_code == 400 and "no longer kept" in text_of(response)


def test_rest_takes_a_question_of_any_length_from_a_token_that_reads(orders, viewer, with_token) -> None:
    sql = "select sum(price) as other from orders where " + " or ".join(f"size = {n}" for n in range(900))
    answer = with_token(viewer).post("/api/v1/impact/", {"changes": [f"replace_sql pipeline:sum_sales {sql}"]}).json()
    assert [hit["why"] for hit in answer["affected"]] == ["column total is gone"]
    assert answer["page"] == ""


def test_a_repository_is_judged_elsewhere_but_not_where_others_lead_back_to_it(orders, viewer, with_token) -> None:
    foreign = make_pipeline("foreign")
    copy = make_table("shop.copy")
    make_edge(foreign, orders, copy)
    make_edge(make_pipeline("ours"), copy, make_table("shop.ours"))
    ours = {"pipelines": ["sum_sales", "ours", "new one"], "rewritten": ["ours"]}
    changes = [DROP, "drop_column column:warehouse:shop.orders:new", "drop_table table:warehouse:shop.gone"]
    answer = with_token(viewer).post("/api/v1/impact/", {"changes": changes, "repository": ours}).json()
    assert answer["breaks"] == [] and answer["not_found"] == ["table:warehouse:shop.gone"]
    assert {hit["node"] for hit in answer["unknown"]} == {"table:warehouse:shop.copy", "table:warehouse:shop.ours"}


def test_who_reads_a_column_that_goes_is_counted_and_logs_alone_give_doubt(
    orders, viewer, signed_in, with_token
) -> None:
    source, today = orders.source, timezone.now().date()
    reader = Reader.objects.create(source=source, name="pia", kind="human")
    column = orders.columns.get(name="price")
    ColumnRead.objects.create(column=column, month=today.replace(day=1), reader=reader, count=12, days=1)
    by_hand = make_table("shop.by_hand")
    LoggedEdge.objects.create(
        source=source, source_name=orders.name, target_name=by_hand.name, source_table=orders, target_table=by_hand,
        reader=reader, count=1, first_at=NOON, last_at=NOON,
    )  # fmt: skip
    answer = with_token(viewer).get("/api/v1/impact/", {"change": "drop_table table:warehouse:shop.orders"}).json()
    assert [(hit["node"], hit["path"]) for hit in answer["unknown"]] == [
        ("table:warehouse:shop.by_hand", ["table:warehouse:shop.orders", "table:warehouse:shop.by_hand"])
    ]
    answer = with_token(viewer).get("/api/v1/impact/", {"change": DROP}).json()
    assert [(lost["node"], lost["reads"], lost["people"]) for lost in answer["reads"]] == [(column.node, 12, 1)]
    text = text_of(signed_in(viewer).get("/impact/", {"change": DROP}))
    assert "12 queries by 1 person" in text and "pia" not in text


WRONG = "wrong_rows table:warehouse:shop.orders 2026-03-01"


def test_a_declared_mishap_has_a_badge_on_every_page_downstream_until_it_is_ended(orders, editor, viewer, signed_in):
    client = signed_in(editor)
    assert "Declare it" in text_of(client.get("/impact/", {"change": WRONG}))
    assert "Declare it" not in text_of(signed_in(viewer).get("/impact/", {"change": WRONG}))
    assert "Declare it" not in text_of(client.get("/impact/", {"change": DROP}))
    client.post("/impact/declare/", {"change": WRONG})
    pages = ["/tables/", "/tables/warehouse/shop.sales/", "/pipelines/", "/pipelines/sum_sales/",
             "/pipelines/sum_sales/lineage/", "/tables/warehouse/shop.sales/lineage/"]  # fmt: skip
    words = "wrong: shop.orders has wrong rows for 2026-03-01"
    assert [page for page in pages if words not in client.get(page).content.decode()] == []
    text = text_of(client.get("/impact/"))
    assert "shop.orders has wrong rows for 2026-03-01 3 tables, 2 pipelines; declared" in text and "by edith" in text
    assert signed_in(viewer).post(f"/impact/mishaps/{Mishap.objects.get().pk}/end/").status_code == 403
    client.post(f"/impact/mishaps/{Mishap.objects.get().pk}/end/")
    assert [page for page in pages if words in client.get(page).content.decode()] == []


def test_a_long_list_shows_its_first_rows_and_its_dashboards(orders, viewer, signed_in) -> None:
    for number in range(60):
        make_edge(make_pipeline(f"copy_{number:02}"), orders, make_table(f"shop.copy_{number:02}"))
    make_edge(make_pipeline("show"), orders, make_table("zz board", kind="dashboard"))
    asked = {"change": "not_refreshed table:warehouse:shop.orders"}
    text = text_of(signed_in(viewer).get("/impact/", asked))
    assert "51 of 64: the first, and dashboards and exports" in text
    assert "zz board" in text and "copy_59" not in text
    assert "copy_59" in text_of(signed_in(viewer).get("/impact/", {**asked, "rows": "all"}))


def test_what_is_planned_cannot_be_declared(orders, editor, viewer, signed_in) -> None:
    response = signed_in(editor).post("/impact/declare/", {"change": [WRONG, DROP]})
    assert response.status_code == 422 and "Only what happened can be declared" in text_of(response)
    assert signed_in(viewer).post("/impact/declare/", {"change": WRONG}).status_code == 403
    assert signed_in(editor).post("/impact/declare/", {"change": "burn it"}).status_code == 400
    assert not Mishap.objects.exists()


def test_rest_declares_tells_and_ends(orders, editor, viewer, with_token) -> None:
    program = with_token(editor, "write")
    declared = program.post("/api/v1/mishaps/", {"change": WRONG})
    assert declared.status_code == 201 and declared.json()["words"] == "shop.orders has wrong rows for 2026-03-01"
    now = with_token(viewer).get("/api/v1/standing/").json()
    assert {(entry["node"], entry["level"]) for entry in now["tables"]} >= {("table:warehouse:shop.sales", "wrong")}
    assert "pipeline:sum_sales" in {entry["node"] for entry in now["pipelines"]}
    assert with_token(viewer, "write").post(f"/api/v1/mishaps/{declared.json()['id']}/end/").status_code == 403
    assert with_token(viewer, "write").post("/api/v1/mishaps/", {"change": WRONG}).status_code == 403
    ended = program.post(f"/api/v1/mishaps/{declared.json()['id']}/end/").json()
    assert ended["ended_by"] == "edith"
    assert program.get("/api/v1/standing/").json() == {"tables": [], "pipelines": []}
    assert [row["id"] for row in program.get("/api/v1/mishaps/?is_open=false").json()["results"]] == [ended["id"]]
    assert program.get("/api/v1/mishaps/?is_open=true").json()["results"] == []
    assert "Only what happened" in program.post("/api/v1/mishaps/", {"change": DROP}).json()["error"]["message"]
    assert "'burn' is no change" in program.post("/api/v1/mishaps/", {"change": "burn x"}).json()["error"]["message"]
