"""The pages of checks: the list, one check with its history, the aspects of tables and pipelines, forms, proposals."""

from __future__ import annotations

import datetime as dt

import pytest
from django.core.management import call_command

from audits.checks import services
from audits.checks.models import Check
from catalog.models import Table
from ingest.models import IngestRun
from pages.check_plot import HEIGHT, plot
from tests.factories import make_column, make_edge, make_pipeline, make_source, make_sql_version, make_table
from tests.pages.reading import fields_of, text_of

pytestmark = pytest.mark.django_db
MORNING = dt.datetime(2026, 3, 2, 6, tzinfo=dt.UTC)


@pytest.fixture
def sales() -> Table:
    table = make_table("shop.sales", source=make_source("warehouse", dialect="duckdb"))
    for name, type_ in (("day", "DATE"), ("country", "VARCHAR"), ("orders", "BIGINT")):
        make_column(name, table, type=type_)
    return table


@pytest.fixture
def check(sales) -> Check:
    return services.create_check(
        actor=None, of=sales, kind="row_count", parameters={"min": 100}, description="The board sees half a day."
    )


def record(check: Check, days: int, state: str, value: float | None, **facts) -> None:
    facts = {"low": 100, "words": f"{value} rows", **facts}
    services.record_result(
        actor=None, check=check, at=MORNING + dt.timedelta(days=days), state=state, value=value, **facts
    )


def test_one_check_with_its_history(check, viewer, signed_in) -> None:
    for days, (state, value) in enumerate([("pass", 120), ("fail", 80), ("fail", 70)]):
        record(check, days, state, value, sample=[{"day": "2026-03-01", "times": 2}] if state == "fail" else [])
    page = signed_in(viewer).get(check.get_absolute_url())
    words = text_of(page)
    wanted = ("fails", "70 rows", "It first failed", "The board sees half a day.", "2026-03-01", "COUNT(*)")
    assert [each for each in wanted if each not in words] == []
    assert "Run it now" not in words
    drawn = page.context["plot"]
    assert [dot.state for dot in drawn.dots] == ["pass", "fail", "fail"]
    assert (drawn.top, drawn.bottom) == ("120", "70")


def test_the_band_holds_what_passes_and_not_what_fails(check) -> None:
    record(check, 0, "pass", 150, high=200)
    record(check, 1, "fail", 250, high=200)
    record(check, 2, "error", None, low=None)
    drawn = plot(list(check.results.all()))
    corners = [tuple(map(float, corner.split(","))) for corner in drawn.band.split()]
    top, bottom = min(y for _, y in corners), max(y for _, y in corners)
    passes, fails, error = drawn.dots
    assert top <= passes.y <= bottom
    assert fails.y < top
    assert error.y == HEIGHT - 8
    assert plot(list(check.results.all()[:1])) is None


def test_one_figure_all_along_has_a_scale(check) -> None:
    for day in range(3):
        record(check, day, "pass", 0, low=None, high=0)
    drawn = plot(list(check.results.all()))
    assert (drawn.top, drawn.bottom) == ("1", "0")
    assert {dot.y for dot in drawn.dots} == {HEIGHT - 8}


def test_the_list_is_narrowed_and_shows_the_latest_result(check, viewer, signed_in) -> None:
    record(check, 0, "pass", 120)
    record(check, 1, "fail", 7)
    browser = signed_in(viewer)
    assert "7 rows" in text_of(browser.get("/checks/?state=fail"))
    assert "120 rows" not in text_of(browser.get("/checks/"))
    assert "Nothing matches" in text_of(browser.get("/checks/?state=pass"))
    assert "fails 1" in text_of(browser.get("/checks/"))


def test_a_table_stands_as_its_worst_check(check, sales, viewer, signed_in) -> None:
    browser = signed_in(viewer)
    assert "not known yet" in text_of(browser.get(sales.get_absolute_url()))
    other = services.create_check(actor=None, of=sales, kind="duplicate_rows", parameters={})
    record(check, 0, "pass", 120)
    record(other, 0, "fail", 3)
    assert "Checks fails" in text_of(browser.get(sales.get_absolute_url()))
    services.change_check(actor=None, check=other, is_active=False)
    assert "Checks passes" in text_of(browser.get(sales.get_absolute_url()))


def test_a_pipeline_shows_the_checks_of_what_it_writes(check, sales, viewer, signed_in) -> None:
    pipeline = make_pipeline("daily_sales")
    make_edge(pipeline, target=sales)
    browser = signed_in(viewer)
    assert "row count" in text_of(browser.get("/pipelines/daily_sales/checks/"))
    record(check, 0, "warn", 3)
    assert "Checks warns" in text_of(browser.get("/pipelines/daily_sales/"))
    assert "shop.sales warns" in text_of(browser.get("/tables/"))


# Forms


def test_a_check_is_made_and_changed_by_form(sales, editor, signed_in) -> None:
    browser = signed_in(editor)
    new = "/tables/warehouse/shop.sales/checks/new/"
    assert "No two rows have the same values" in text_of(browser.get(new))
    assert "Own SQL query" not in text_of(browser.get(new))
    made = browser.post(f"{new}?kind=unique_key", {"columns": "day\ncountry", "severity": "fail", "is_active": "on"})
    check = Check.objects.get()
    assert made.headers["Location"] == check.get_absolute_url()
    assert (check.parameters, check.origin) == ({"columns": ["day", "country"]}, "form")
    edit = f"{check.get_absolute_url()}edit/"
    browser.post(
        edit, fields_of(browser.get(edit)) | {"severity": "warn", "where": "day > DATE '2026-01-01'", "is_active": "on"}
    )
    check.refresh_from_db()
    assert (check.severity, check.parameters["where"], check.is_active) == ("warn", "day > DATE '2026-01-01'", True)


@pytest.mark.parametrize(
    ("kind", "sent", "parameters"),
    [
        ("accepted_values", {"column": "country", "values": "KR\n1"}, {"column": "country", "values": ["KR", "1"]}),
        ("accepted_values", {"column": "orders", "values": "1\n2.5"}, {"column": "orders", "values": [1, 2.5]}),
        ("freshness", {"column": "day", "hours": "26"}, {"column": "day", "hours": 26}),
        ("not_null", {"column": "day", "max": "0"}, {"column": "day", "max": 0}),
        ("external", {"what": "Looked at by eye"}, {"what": "Looked at by eye"}),
    ],
)
def test_parameters_of_each_kind(kind, sent, parameters, sales, editor, signed_in) -> None:
    page = signed_in(editor).post(
        f"/tables/warehouse/shop.sales/checks/new/?kind={kind}", {**sent, "severity": "fail", "is_active": "on"}
    )
    assert page.status_code == 302, text_of(page)
    assert Check.objects.get().parameters == parameters


@pytest.mark.parametrize(
    ("kind", "sent", "words"),
    [
        ("row_count", {}, "State min, max or both"),
        ("row_count", {"min": "1", "where": "1 = 1; DROP TABLE x"}, "one statement"),
        ("unique_key", {"columns": "day\nday"}, "named twice"),
        ("accepted_values", {"column": "orders", "values": "many"}, "'many' is none"),
        ("referential", {"columns": "day", "to_table": "x:y", "to_columns": "day"}, "no table y"),
    ],
)
def test_a_form_that_cannot_be_says_why(kind, sent, words, sales, editor, signed_in) -> None:
    facts = {**sent, "severity": "fail", "is_active": "on"}
    page = signed_in(editor).post(f"/tables/warehouse/shop.sales/checks/new/?kind={kind}", facts)
    assert page.status_code == 422
    assert words in text_of(page)
    assert 'aria-invalid="true"' in page.content.decode(), "the field that is meant is marked"
    assert not Check.objects.exists()


def test_only_stewards_are_offered_own_sql(sales, editor, steward, signed_in) -> None:
    new = "/tables/warehouse/shop.sales/checks/new/"
    assert "Own SQL query" in text_of(signed_in(steward).get(new))
    facts = {"sql": "SELECT 0", "severity": "fail", "is_active": "on"}
    assert signed_in(editor).post(f"{new}?kind=custom_sql", facts).status_code == 403
    assert signed_in(steward).post(f"{new}?kind=custom_sql", facts).status_code == 302


# Proposals


@pytest.mark.parametrize(
    ("sql", "because"),
    [
        ("SELECT day, land AS country, count(*) AS orders FROM shop.orders GROUP BY day, land", "groups by them"),
        ("SELECT day, country, count(*) FROM shop.orders GROUP BY 1, 2", "groups by them"),
        ("INSERT INTO shop.sales SELECT day, country, count(*) FROM shop.orders GROUP BY ALL; SELECT 1", None),
        ("INSERT INTO shop.sales (day, country) SELECT d, c FROM shop.orders GROUP BY d, c", "groups by them"),
        (
            "MERGE INTO shop.sales s USING shop.new n ON s.day = n.day AND n.country = s.country "
            "WHEN MATCHED THEN UPDATE SET orders = n.orders",
            "merges on them",
        ),
        ("MERGE INTO shop.sales s USING n ON s.day > n.day WHEN MATCHED THEN DELETE", None),
        ("SELECT count(*) AS orders FROM shop.orders GROUP BY day, country", None),
        ("SELECT day, country FROM shop.orders GROUP BY CUBE (day, country)", None),
        ("SELECT day FROM (", None),
    ],
)
def test_keys_are_read_off_the_sql(sql, because, sales, editor, signed_in) -> None:
    pipeline = make_pipeline("daily_sales")
    make_sql_version(pipeline, sql, dialect="duckdb")
    make_edge(pipeline, target=sales)
    browser = signed_in(editor)
    words = text_of(browser.get("/tables/warehouse/shop.sales/checks/"))
    assert ("unique key: day, country" in words) is bool(because)
    assert (because or "") in words
    assert "duplicate rows" in words


def test_a_proposal_is_accepted_with_one_click(sales, viewer, editor, signed_in) -> None:
    make_column("id", sales, is_primary_key=True)
    address = "/tables/warehouse/shop.sales/checks/"
    assert signed_in(viewer).post(f"{address}accept/", {"title": "unique key: id"}).status_code == 403
    browser = signed_in(editor)
    browser.post(f"{address}accept/", {"title": "unique key: id"})
    check = Check.objects.get()
    assert (check.kind, check.parameters, check.origin) == ("unique_key", {"columns": ["id"]}, "proposed")
    assert "They are the table's primary key." not in text_of(browser.get(address))
    browser.post(f"{address}accept/", {"title": "unique key: id"})
    assert "not proposed any more" in text_of(browser.get(address))
    assert Check.objects.count() == 1


# Running one now


def test_run_now_starts_a_process_and_the_page_waits(orders, editor, viewer, signed_in, monkeypatch) -> None:
    check = services.create_check(actor=None, of=orders, kind="row_count", parameters={"min": 9})
    started: list[IngestRun] = []
    monkeypatch.setattr("ingest.jobs.start", started.append)  # the process would look in another database
    assert signed_in(viewer).post(f"/checks/{check.pk}/run/").status_code == 403
    browser = signed_in(editor)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("ingest.jobs.transaction.on_commit", lambda work: work())
        answer = browser.post(f"/checks/{check.pk}/run/")
    assert [run.options for run in started] == [{"check": check.pk}]
    asked = f"/checks/{check.pk}/running/?run={started[0].pk}"
    assert "The check is running" in text_of(browser.get(answer.headers["Location"]))
    assert "The check is running" in browser.get(asked).content.decode()
    call_command("ingest_run", started[0].pk)
    assert browser.get(asked).headers["HX-Redirect"] == check.get_absolute_url()
    assert "5 rows; at least 9 are expected." in text_of(browser.get(check.get_absolute_url()))
    assert IngestRun.objects.get().summary == {"state": "fail", "checks": 1}


def test_what_is_measured_elsewhere_is_not_run_here(sales, editor, signed_in) -> None:
    check = services.create_check(actor=None, of=sales, kind="external", parameters={"what": "By eye"})
    browser = signed_in(editor)
    browser.post(f"/checks/{check.pk}/run/")
    assert "measured elsewhere" in text_of(browser.get(check.get_absolute_url()))
    assert not IngestRun.objects.exists()


def test_all_checks_of_a_table_run_at_once(orders, editor, viewer, signed_in, monkeypatch) -> None:
    monkeypatch.setattr("ingest.jobs.start", lambda run: None)  # the process would look in another database
    address = f"/tables/{orders.source.slug}/{orders.name}/checks/"
    assert "Run all now" not in text_of(signed_in(editor).get(address))
    for least in (1, 9):
        services.create_check(actor=None, of=orders, kind="row_count", name=f"{least}", parameters={"min": least})
    services.create_check(actor=None, of=orders, kind="external", parameters={"what": "By eye"})
    assert "Run all now" in text_of(signed_in(editor).get(address))
    assert signed_in(viewer).post(f"{address}run/").status_code == 403
    run = IngestRun.objects.get(pk=signed_in(editor).post(f"{address}run/").headers["Location"].split("/")[-2])
    call_command("ingest_run", run.pk)
    run.refresh_from_db()
    assert run.summary == {"state": "fail", "checks": 2}
    assert list(Check.objects.order_by("name").values_list("state", flat=True)) == ["pass", "fail", "unknown"]
