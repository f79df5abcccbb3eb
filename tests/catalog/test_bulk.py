"""Many rows at once come out as the ORM would have written them, on either database."""

from __future__ import annotations

import datetime as dt

import pytest
from django.db import IntegrityError, transaction
from django.db.models import F

from catalog.bulk import among, as_stored, chunks, insert_new, insert_rows, merge_rows, update_rows
from catalog.models import Column, Origin, SearchVariant, Table
from tests.factories import make_source, make_table

pytestmark = pytest.mark.django_db
MANY = 250  # more than one statement holds


def test_new_rows_are_what_saving_each_makes() -> None:
    source, at = make_source(), dt.datetime(2026, 3, 1, 12, 30, 15, 123456, tzinfo=dt.UTC)
    facts = {"origin": Origin.INGEST, "stated_fields": ["kind"], "ingested": {"kind": "vue « é »"}, "created_at": at}
    saved = Table.objects.create(source=source, name="saved", size_bytes=2**40, **facts)
    fields = ("source", "name", "size_bytes", *facts)
    values = (2**40, "ingest", '["kind"]', '{"kind": "vue « é »"}', as_stored(at))
    names = [f"t{number}" for number in range(MANY)]
    ids = insert_new(Table, fields, [(source.pk, name, *values) for name in names])
    same = [field.attname for field in Table._meta.concrete_fields if field.name not in ("id", "name")]
    stored = Table.objects.exclude(pk=saved.pk)
    assert dict(zip(ids, names, strict=True)) == dict(stored.values_list("pk", "name"))
    assert {str(row) for row in stored.values_list(*same)} == {
        str(row) for row in Table.objects.filter(pk=saved.pk).values_list(*same)
    }
    assert Table.objects.create(source=source, name="later").pk > max(ids)


def test_a_new_row_that_breaks_a_rule_leaves_none() -> None:
    source = make_source()
    with pytest.raises(IntegrityError), transaction.atomic():
        insert_new(Table, ("source", "name"), [(source.pk, name) for name in ("a", "b", "a")])
    assert not Table.objects.exists()


def test_rows_of_more_than_one_statement_are_all_there() -> None:
    table = make_table()
    rows = ((table.pk, f"c{number}", number, "INT", "", False, "[]", "{}") for number in range(MANY))
    fields = ("table", "name", "position", "type", "description", "is_primary_key", "stated_fields", "ingested")
    insert_rows(Column, fields, rows)
    assert list(Column.objects.order_by("position").values_list("name", flat=True)) == [f"c{n}" for n in range(MANY)]


@pytest.mark.parametrize("count", [2, MANY])
def test_rows_are_merged_into_those_of_the_same_keys(count: int) -> None:
    pks = [make_table(f"t{number}").pk for number in range(2)]
    keys = [(pk, f"c{number}") for pk in pks for number in range(count // 2)]

    def merge(type_: str | None, position: int, described: str) -> None:
        rows = ((*key, type_, position, described, "[]", "{}", False) for key in keys)
        how = {"type": "new", "position": "sum", "description": "set"}
        kept = {"stated_fields": "set", "ingested": "set", "is_primary_key": "set"}
        merge_rows(Column, ("table", "name"), rows, how | kept)

    merge("INT", 2, "before")
    merge("TEXT", 3, "after")
    assert set(Column.objects.values_list("type", "position", "description")) == {("TEXT", 5, "after")}
    assert Column.objects.count() == len(keys)


@pytest.mark.parametrize(("how", "left"), [("latest", 9), ("earliest", 5)])
def test_the_latest_or_the_earliest_stays(how: str, left: int) -> None:
    table = make_table()
    fixed = dict.fromkeys(("type", "description", "is_primary_key", "stated_fields", "ingested"), "set")
    for position in (7, 9, 5, 7):
        row = (table.pk, "c", position, "", "", False, "[]", "{}")
        merge_rows(Column, ("table", "name"), [row], {"position": how} | fixed)
    assert Column.objects.get().position == left


@pytest.mark.parametrize("count", [0, 2, MANY])
def test_rows_are_changed_by_their_key(count: int) -> None:
    pks = [make_table(f"t{number}", description="before").pk for number in range(count)]
    other = make_table("other", description="before")
    update_rows(Table, ("description", "row_count"), [(pk, "after", pk) for pk in pks])
    assert set(Table.objects.filter(description="after", row_count=F("pk")).values_list("pk", flat=True)) == set(pks)
    assert Table.objects.get(description="before") == other


def test_a_row_that_is_there_stays_where_nothing_says_how_to_merge() -> None:
    for _ in range(2):
        merge_rows(SearchVariant, ("variant", "word"), ((f"v{n}", "word") for n in range(MANY)), {})
    assert SearchVariant.objects.count() == MANY


def test_chunks_are_cut_from_anything_once() -> None:
    assert list(chunks(iter(range(5)), 2)) == [[0, 1], [2, 3], [4]]
    assert list(chunks([])) == []


def test_thousands_of_ids_are_one_value() -> None:
    wanted = {make_table(f"t{number}").pk for number in range(3)}
    make_table("other")
    assert (
        set(Table.objects.filter(pk__in=among([*wanted, *range(10**6, 10**6 + 5000)])).values_list("pk", flat=True))
        == wanted
    )
