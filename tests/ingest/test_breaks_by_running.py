"""What breaks, held against what really fails: small repositories made at random, changed, and run by DuckDB."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import duckdb
import pytest
from django.core.management import call_command
from hypothesis import HealthCheck, given, note, settings
from hypothesis import strategies as st

from catalog.models import Table
from ingest.changes import Report, Version, compare, read_version
from ingest.layout import read_layout
from ingest.settings import read_settings
from lineage.impact import spread_of, told
from lineage.planned import PlannedChange
from tests.factories import make_edge, make_pipeline, make_table
from tests.ingest.folders import ingest, write

SETTINGS = "dialect: duckdb\nsource: warehouse\ndefault_database: memory\ndefault_schema: main\n"
NAMES = "abcde"


@dataclass(frozen=True)
class Builds:
    """How a table is built: which columns of `of` by name, as what; by a star, of all but some; or from nothing."""

    of: str = ""
    named: tuple[tuple[str, str], ...] = ()
    star: str = ""  # "*", "t.*", "* EXCLUDE"
    excluded: str = ""
    where: str = ""
    in_cte: bool = False
    qualified: bool = True

    def sql(self) -> str:
        if not self.of:
            return "SELECT " + ", ".join(f"{number} AS {name}" for number, (_, name) in enumerate(self.named))
        aliases = {name for column, name in self.named if name != column}
        # A bare name of a column that is gone may mean an alias of the same SELECT: other data, but no failure.
        dot = "t." if self.qualified or aliases & {self.where, *(column for column, _ in self.named)} else ""
        items = [f"{dot}{column} AS {name}" for column, name in self.named]
        if self.star:
            items.insert(0, f"* EXCLUDE ({self.excluded})" if self.star == "* EXCLUDE" else self.star)
        source = "(SELECT * FROM main.{})" if self.in_cte else "main.{}"
        where = f" WHERE {dot}{self.where} >= 0" if self.where else ""
        return f"SELECT {', '.join(items)} FROM {source.format(self.of)} AS t{where}"

    def columns(self, tables: Mapping[str, list[str]]) -> list[str]:
        """What it makes, whether or not it can."""
        stars = [name for name in tables.get(self.of, ()) if name != self.excluded] if self.star else []
        return [*stars, *(name for _, name in self.named)]


@st.composite
def repositories(draw) -> dict[str, Builds]:
    """Tables t0, t1, … each built from one before it; none has two columns of a name."""
    tables: dict[str, list[str]] = {}
    built: dict[str, Builds] = {}
    for number in range(draw(st.integers(3, 7))):
        of = draw(st.sampled_from(["", *tables])) if tables else ""
        one = draw(_builds(of, tables.get(of, [])))
        built[f"t{number}"], tables[f"t{number}"] = one, one.columns(tables)
    return built


@st.composite
def _builds(draw, of: str, columns: list[str]) -> Builds:
    if not of:
        names = draw(st.lists(st.sampled_from(NAMES), min_size=2, unique=True))
        return Builds(named=tuple(("", name) for name in names))
    column = st.sampled_from(columns)
    star = draw(st.sampled_from(["", "", "*", "t.*", "* EXCLUDE"] if len(columns) > 1 else ["", "*", "t.*"]))
    excluded = draw(column) if star == "* EXCLUDE" else ""
    free = [name for name in NAMES if not star or name not in columns]
    named = (
        draw(st.lists(st.tuples(column, st.sampled_from(free)), max_size=3, unique_by=lambda item: item[1]))
        if free
        else []
    )
    if not star and not named:
        named = [(columns[0], columns[0])]
    where = draw(st.sampled_from(["", *columns]))
    return Builds(of, tuple(named), star, excluded, where, draw(st.booleans()), draw(st.booleans()))


def run(new: Mapping[str, Builds], base: Mapping[str, Builds]) -> tuple[set[str], dict[str, list[str]]]:
    """Which tables DuckDB cannot build after the change, and the columns that all then have."""
    failed, tables = set(), {}
    with duckdb.connect() as connection:
        for name, one in base.items():
            connection.execute(f"CREATE TABLE main.{name} AS {one.sql()}")
        for name in base.keys() - new.keys():
            connection.execute(f"DROP TABLE main.{name}")
        for name, one in new.items():
            try:
                connection.execute(f"CREATE OR REPLACE TABLE main.{name} AS {one.sql()}")
            except duckdb.Error:
                failed.add(name)  # what it built before stays
            rows = connection.execute(f"SELECT * FROM main.{name} LIMIT 0").description
            tables[name] = [column for column, *_ in rows]
    return failed, tables


def files(built: Mapping[str, Builds]) -> dict[str, str]:
    return {"pipekeeper.yaml": SETTINGS} | {f"main/{name}.sql": one.sql() for name, one in built.items()}


def version(folder: Path, built: Mapping[str, Builds], before: Version | None = None) -> Version:
    write(folder, files(built))
    known = read_settings(folder)
    return read_version(folder, read_layout("plain"), known, 0, before)


def tables_of(hits: Iterable) -> set[str]:
    return {hit.pipeline.rsplit(".", 1)[-1] for hit in hits}


def checked(base: Mapping[str, Builds], new: Mapping[str, Builds]) -> Report:
    with tempfile.TemporaryDirectory() as scratch:
        older = version(Path(scratch) / "base", base)
        return compare(older, version(Path(scratch) / "new", new, older))


@st.composite
def changed(draw) -> tuple[dict[str, Builds], dict[str, Builds]]:
    """A repository, and the same with a column or a table taken away; some readers mended."""
    base = draw(repositories())
    name = draw(st.sampled_from([name for name, one in base.items() if len(one.named) > 1] or ["t0"]))
    one = base[name]
    if draw(st.booleans()):
        new = base | {name: replace(one, named=one.named[1:])}
    else:
        new = {other: built for other, built in base.items() if other != name}
    _, tables = run(new, base)
    for reader, built in new.items():
        if built.of == name and tables.get(name) and draw(st.booleans()):
            new[reader] = replace(
                built,
                named=tuple((tables[name][0], to) for _, to in built.named),
                where="",
                star="" if built.named else built.star and "*",
            )
    return base, new


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(changed())
def test_what_is_said_to_break_is_what_duckdb_cannot_build(versions) -> None:
    base, new = versions
    note("\n".join(f"{name}: {one.sql()} -> {new[name].sql() if name in new else None}" for name, one in base.items()))
    report = checked(base, new)
    failed, tables = run(new, base)
    assert tables_of(report.breaks) == failed
    assert report.unknown == []
    _, before = run(base, base)
    other = {name for name in new if new[name] == base[name] and tables[name] != before[name]}
    assert other <= tables_of([*report.breaks, *report.affected])


@st.composite
def doubtful(draw) -> tuple[dict[str, Builds], str, str]:
    """A repository, and a table and a column in it that is not its only one: no table is without columns."""
    base = draw(repositories())
    _, tables = run(base, base)
    name = draw(st.sampled_from(sorted(name for name in base if len(tables[name]) > 1)))
    return base, name, draw(st.sampled_from(tables[name]))


def without(base: Mapping[str, Builds], table: str, column: str) -> dict[str, Builds]:
    """The same, the table built without the column."""
    _, tables = run(base, base)
    left = tuple(("", name) for name in tables[table] if name != column)
    return dict(base) | {table: Builds(named=left)}


DOUBTS = {  # readers of a table of which nobody can tell whether they use a column
    "half": "CREATE TABLE main.half AS SELECT 1 AS one FROM main.{name};\nSELEC FROM ((",
    "guess": "SELECT {column} AS one FROM main.{name} AS t, main.{name} AS again",
}


@pytest.mark.django_db(transaction=True)
@settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck))
@given(doubtful())
def test_the_catalog_says_the_same_and_never_calls_unaffected_what_it_cannot_read(asked) -> None:
    base, name, column = asked
    note("\n".join([f"without {name}.{column}", *(f"{table}: {one.sql()}" for table, one in base.items())]))
    flush()
    with tempfile.TemporaryDirectory() as scratch:
        doubts = {f"main/{file}.sql": sql.format(column=column, name=name) for file, sql in DOUBTS.items()}
        ingest(write(Path(scratch), files(base) | doubts))
    make_edge(make_pipeline("declared"), Table.objects.get(name=f"memory.main.{name}"), make_table("end"))
    changes = [PlannedChange.parse(f"drop_column column:warehouse:memory.main.{name}:{column}")]
    found = told(spread_of(changes), changes)
    failed, tables = run(without(base, name, column), base)
    assert {hit.thing.name.rsplit(".", 1)[-1] for hit in found.breaks} == failed
    unknown = {hit.thing.name for hit in found.unknown}
    assert {"end", "memory.main.half", "memory.main.guess"} <= unknown
    _, before = run(base, base)
    for pipeline in found.unaffected:
        table = pipeline.name.rsplit(".", 1)[-1]
        assert table not in failed and tables[table] == before[table]


def flush() -> None:
    call_command("flush", interactive=False, verbosity=0)
