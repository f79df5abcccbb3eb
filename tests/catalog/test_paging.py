"""Keyset pages: each row once, whatever is inserted meanwhile, forwards and back."""

from __future__ import annotations

import base64
import json

import pytest

from catalog.models import Run, Table
from catalog.paging import BadCursor, page_of
from tests.factories import NOON, make_pipeline, make_run, make_source, make_table

pytestmark = pytest.mark.django_db
BY_NAME = ("name", "id")


def names(page) -> list[str]:
    return [table.name for table in page.items]


def test_pages_follow_each_other_in_order_and_back() -> None:
    for letter in "cabed":
        make_table(letter)
    first = page_of(Table.objects.all(), BY_NAME, size=2)
    second = page_of(Table.objects.all(), BY_NAME, first.next, size=2)
    third = page_of(Table.objects.all(), BY_NAME, second.next, size=2)
    assert [names(first), names(second), names(third)] == [["a", "b"], ["c", "d"], ["e"]]
    assert (first.previous, third.next) == (None, None)
    back = page_of(Table.objects.all(), BY_NAME, third.previous, size=2)
    assert names(back) == ["c", "d"]
    start = page_of(Table.objects.all(), BY_NAME, back.previous, size=2)
    assert (names(start), start.previous) == (["a", "b"], None)


def test_rows_of_one_name_are_told_apart_by_id() -> None:
    for _ in range(5):
        make_table("same", source=make_source())
    seen, cursor = [], ""
    while cursor is not None:
        page = page_of(Table.objects.all(), BY_NAME, cursor, size=2)
        seen += [table.pk for table in page.items]
        cursor = page.next
    assert seen == sorted(seen) and len(seen) == 5


def test_inserts_and_removals_never_shift_a_page() -> None:
    for letter in "bdfh":
        make_table(letter)
    first = page_of(Table.objects.all(), BY_NAME, size=2)
    make_table("a")
    make_table("c")
    Table.objects.get(name="d").delete()
    make_table("e")
    assert names(page_of(Table.objects.all(), BY_NAME, first.next, size=3)) == ["e", "f", "h"]


def test_newest_first() -> None:
    pipeline = make_pipeline()
    for hour in (3, 1, 2):
        make_run(pipeline, external_id=str(hour), started_at=NOON.replace(hour=hour))
    newest = ("-started_at", "-id")
    first = page_of(Run.objects.all(), newest, size=2)
    second = page_of(Run.objects.all(), newest, first.next, size=2)
    assert [run.external_id for run in first.items + second.items] == ["3", "2", "1"]


def test_a_page_is_one_query_that_counts_nothing(django_assert_num_queries) -> None:
    for _ in range(4):
        make_table()
    cursor = page_of(Table.objects.all(), BY_NAME, size=2).next
    with django_assert_num_queries(1) as asked:
        page_of(Table.objects.all(), BY_NAME, cursor, size=2)
    assert "COUNT(" not in asked.captured_queries[0]["sql"].upper()


def test_rows_as_values_page_as_well() -> None:
    for letter in "ab":
        make_table(letter)
    rows = Table.objects.values("id", "name")
    first = page_of(rows, BY_NAME, size=1)
    assert page_of(rows, BY_NAME, first.next, size=1).items[0]["name"] == "b"


def cursor_of(*parts: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(parts).encode()).decode().rstrip("=")


@pytest.mark.parametrize(
    "cursor",
    [
        "nonsense",
        "é",
        "A" * 5000,
        cursor_of("after", "a"),
        cursor_of("after", "a", "not a number"),
        cursor_of("beside", "a", 1),
        cursor_of("after", "a\0", 1),
        cursor_of("after", "\ud800", 1),
        cursor_of("after", None, 1),
        cursor_of("after", ["a"], 1),
        base64.urlsafe_b64encode(b"[" * 2000).decode(),
        base64.urlsafe_b64encode(b"{}").decode(),
        base64.urlsafe_b64encode(b"[]").decode(),
    ],
)
def test_a_foreign_cursor_is_refused_in_words(cursor: str) -> None:
    with pytest.raises(BadCursor, match="not one of this list"):
        page_of(Table.objects.all(), BY_NAME, cursor)


def test_a_cursor_beyond_every_number_finds_nothing() -> None:
    make_table("a")
    assert page_of(Table.objects.all(), BY_NAME, cursor_of("after", "a", 10**30)).items == []
