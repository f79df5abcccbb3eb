"""The scripts really run, forward and back, on three engines; and say what they must whatever the engine."""

from __future__ import annotations

import datetime as dt
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import replace

import duckdb
import psycopg
import pytest
import sqlglot
from sqlglot import exp

from audits.deletion import scripts
from audits.deletion.scripts import NoScript, Order, Stop, Target
from catalog.table_names import parts_of

NOW = dt.datetime.now(dt.UTC)
SCHEMA = f"pipekeeper_scripts_{os.environ.get('PYTEST_XDIST_WORKER', 'alone')}"  # tests run side by side


def order(dialect: str, prefix: str = SCHEMA, **changes) -> Order:
    """Two tables, one with a name that must be quoted, and the pipeline that builds them."""
    names = [f"{prefix}.monthly", f"{prefix}.Odd name, 'quoted'"]
    targets = [
        Target(
            name=name,
            quarantine_name=scripts.beside(name, "__quarantine_7"),
            kept_name=scripts.beside(name, "__kept_7"),
            description="What it's for",
            evidence=["Nobody has read it for 90 days.\nDROP TABLE users"],
        )
        for name in names
    ]
    stops = [Stop("growth.report", "In airflow, DAG growth: pause it.")]
    made = Order(7, dialect, targets, stops, written_at=NOW, evidence_until=NOW.date())
    return replace(made, **changes)


class DuckDB:
    """A file of its own."""

    dialect, prefix = "duckdb", f"warehouse.{SCHEMA}"

    def __init__(self, folder) -> None:
        self.path = folder / "warehouse.duckdb"

    def run(self, sql: str) -> list[tuple]:
        with duckdb.connect(str(self.path)) as connection:
            return connection.execute(sql).fetchall()

    def comment(self, table: str) -> str:
        return self.run(f"SELECT comment FROM duckdb_tables() WHERE table_name = '{table}'")[0][0]


class PostgreSQL:
    dialect, prefix = "postgres", f"test.{SCHEMA}"
    address = "host=127.0.0.1 port=5432 dbname=test user=postgres connect_timeout=3"

    def __init__(self, folder) -> None:
        try:
            psycopg.connect(self.address).close()
        except psycopg.OperationalError:
            pytest.skip("no PostgreSQL at 127.0.0.1:5432")
        self.run(f"DROP SCHEMA IF EXISTS {SCHEMA} CASCADE")

    def run(self, sql: str) -> list[tuple]:
        with psycopg.connect(self.address, autocommit=True) as connection:
            result = connection.execute(sql)
            return result.fetchall() if result.description else []

    def comment(self, table: str) -> str:
        return self.run(f"SELECT obj_description('{SCHEMA}.{table}'::regclass, 'pg_class')")[0][0]


class MySQL:
    """By the server's own client: Python has no driver for it here."""

    dialect, prefix = "mysql", f"shop.{SCHEMA}"

    def __init__(self, folder) -> None:
        self.client = shutil.which("mariadb") or shutil.which("mysql")
        if not self.client or self._call("SELECT 1").returncode:
            pytest.skip("no MySQL at 127.0.0.1:3306, or no client for it")
        self.run(f"DROP SCHEMA IF EXISTS {SCHEMA}")

    def _call(self, sql: str) -> subprocess.CompletedProcess:
        command = [self.client, "-h127.0.0.1", "-uroot", "--batch", "--skip-column-names"]
        return subprocess.run(command, input=sql, capture_output=True, text=True, timeout=60)

    def run(self, sql: str) -> list[tuple]:
        done = self._call(sql)
        if done.returncode:
            raise RuntimeError(done.stderr)
        return [tuple(line.split("\t")) for line in done.stdout.splitlines()]

    def comment(self, table: str) -> str:
        where = f"table_schema = '{SCHEMA}' AND table_name = '{table}'"
        return self.run(f"SELECT table_comment FROM information_schema.tables WHERE {where}")[0][0]


@pytest.fixture(params=[DuckDB, PostgreSQL, MySQL], ids=lambda engine: engine.dialect)
def engine(request, tmp_path) -> Iterator[DuckDB | PostgreSQL | MySQL]:
    engine = request.param(tmp_path)
    quoted = [scripts.quoted(engine.dialect, target.name) for target in order(engine.dialect, engine.prefix).targets]
    comment = " COMMENT 'What it''s for'" if engine.dialect == "mysql" else ""
    engine.run(f"CREATE SCHEMA {SCHEMA}")
    for name in quoted:
        engine.run(f"CREATE TABLE {name} (id integer NOT NULL, amount decimal(9, 2)){comment}")
        engine.run(f"INSERT INTO {name} VALUES (1, 2.50), (2, NULL)")
        if engine.dialect != "mysql":
            engine.run(f"COMMENT ON TABLE {name} IS 'What it''s for'")
    yield engine
    if engine.dialect != "duckdb":
        engine.run(f"DROP SCHEMA {SCHEMA}" + (" CASCADE" if engine.dialect == "postgres" else ""))


def tables(engine) -> set[str]:
    rows = engine.run(f"SELECT table_name FROM information_schema.tables WHERE table_schema = '{SCHEMA}'")
    return {row[0] for row in rows}


def contents(engine) -> list[list[tuple]]:
    names = [scripts.quoted(engine.dialect, target.name) for target in order(engine.dialect, engine.prefix).targets]
    return [[tuple(map(str, row)) for row in engine.run(f"SELECT * FROM {name} ORDER BY id")] for name in names]


def test_quarantine_and_back(engine) -> None:
    before, rows = tables(engine), contents(engine)
    script = scripts.quarantine_script(order(engine.dialect, engine.prefix))
    engine.run(script.forward)
    assert tables(engine) == {f"{name}__quarantine_7" for name in before}
    engine.run(script.back)
    assert tables(engine) == before
    assert contents(engine) == rows


def test_deletion_and_back(engine) -> None:
    before, rows = tables(engine), contents(engine)
    asked = order(engine.dialect, engine.prefix)
    engine.run(scripts.quarantine_script(asked).forward)
    script = scripts.delete_script(asked)
    engine.run(script.forward)
    assert tables(engine) == {f"{name}__kept_7" for name in before}
    engine.run(script.back)
    assert tables(engine) == before
    assert contents(engine) == rows
    assert engine.comment("monthly") == "What it's for"


def test_what_was_kept_can_be_forgotten(engine) -> None:
    asked = order(engine.dialect, engine.prefix)
    engine.run(scripts.quarantine_script(asked).forward)
    engine.run(scripts.delete_script(asked).forward)
    engine.run(scripts.forget_script(asked))
    assert tables(engine) == set()


def test_an_old_script_refuses_to_run(engine) -> None:
    before = tables(engine)
    old = order(engine.dialect, engine.prefix, written_at=NOW - dt.timedelta(days=8))
    with pytest.raises(Exception, match="ran out|more than 1 row"):
        engine.run(scripts.quarantine_script(old).forward)
    assert tables(engine) == before


def test_a_view_is_made_again_by_its_sql(engine) -> None:
    name = f"{engine.prefix}.board"
    monthly = scripts.quoted(engine.dialect, f"{engine.prefix}.monthly")
    definition = f"CREATE VIEW {scripts.quoted(engine.dialect, name)} AS SELECT id FROM {monthly}"
    engine.run(definition)
    view = Target(name, scripts.beside(name, "__quarantine_7"), "", kind="view", definition=definition)
    asked = order(engine.dialect, targets=[view])
    engine.run(scripts.quarantine_script(asked).forward)
    assert "board" not in tables(engine)
    script = scripts.delete_script(asked)
    engine.run(script.forward)
    assert "board__quarantine_7" not in tables(engine)
    engine.run(script.back)
    assert engine.run(f"SELECT count(*) FROM {scripts.quoted(engine.dialect, name)}")[0][0] in (2, "2")


def test_grants_numbering_and_defaults_come_back_on_postgres(tmp_path) -> None:
    engine = PostgreSQL(tmp_path)
    engine.run(f"CREATE SCHEMA {SCHEMA}; CREATE TABLE {SCHEMA}.t (id serial PRIMARY KEY, at date DEFAULT '2026-01-01')")
    engine.run(f"INSERT INTO {SCHEMA}.t DEFAULT VALUES; GRANT SELECT ON {SCHEMA}.t TO PUBLIC")
    name = f"{SCHEMA}.t"
    target = Target(name, scripts.beside(name, "__quarantine"), scripts.beside(name, "__kept"))
    asked = order("postgres", targets=[target])
    for script in (scripts.quarantine_script(asked), scripts.delete_script(asked)):
        engine.run(script.forward)
    engine.run(scripts.delete_script(asked).back)
    engine.run(f"INSERT INTO {SCHEMA}.t DEFAULT VALUES")
    assert [row[0] for row in engine.run(f"SELECT id FROM {SCHEMA}.t ORDER BY id")] == [1, 2]
    assert "=r/" in str(engine.run(f"SELECT relacl FROM pg_class WHERE oid = '{SCHEMA}.t'::regclass"))
    engine.run(f"DROP SCHEMA {SCHEMA} CASCADE")


def test_numbers_go_on_and_generated_columns_are_made_again_on_postgres(tmp_path) -> None:
    engine = PostgreSQL(tmp_path)
    columns = 'id int GENERATED ALWAYS AS IDENTITY, "a b" int, twice int GENERATED ALWAYS AS ("a b" * 2) STORED'
    engine.run(f"CREATE SCHEMA {SCHEMA}; CREATE TABLE {SCHEMA}.t ({columns}, gone int)")
    engine.run(f'ALTER TABLE {SCHEMA}.t DROP gone; INSERT INTO {SCHEMA}.t ("a b") VALUES (1), (2)')
    name = f"{SCHEMA}.t"
    asked = order(
        "postgres", targets=[Target(name, scripts.beside(name, "__quarantine"), scripts.beside(name, "__kept"))]
    )
    for script in (scripts.quarantine_script(asked), scripts.delete_script(asked)):
        engine.run(script.forward)
    engine.run(scripts.delete_script(asked).back)
    engine.run(f'INSERT INTO {SCHEMA}.t ("a b") VALUES (3)')
    assert engine.run(f"SELECT * FROM {SCHEMA}.t ORDER BY id") == [(1, 1, 2), (2, 2, 4), (3, 3, 6)]
    engine.run(f"DROP SCHEMA {SCHEMA} CASCADE")


def test_rows_that_a_policy_hides_are_not_lost_on_postgres(tmp_path) -> None:
    """Who sees some of the rows alone gets an error, not a copy of those."""
    engine = PostgreSQL(tmp_path)
    engine.run(f"CREATE SCHEMA {SCHEMA}; CREATE TABLE {SCHEMA}.t (id int); INSERT INTO {SCHEMA}.t VALUES (1), (2)")
    engine.run(f"DROP ROLE IF EXISTS {SCHEMA}_own; CREATE ROLE {SCHEMA}_own")
    engine.run(f"GRANT ALL ON SCHEMA {SCHEMA} TO {SCHEMA}_own")
    engine.run(f"ALTER TABLE {SCHEMA}.t OWNER TO {SCHEMA}_own; CREATE POLICY one ON {SCHEMA}.t USING (id = 1)")
    engine.run(f"ALTER TABLE {SCHEMA}.t ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY")
    name = f"{SCHEMA}.t"
    target = Target(name, scripts.beside(name, "__quarantine"), scripts.beside(name, "__kept"))
    try:
        engine.run(scripts.quarantine_script(order("postgres", targets=[target])).forward)
        with pytest.raises(psycopg.errors.InsufficientPrivilege, match="row-level security"):
            engine.run(f"SET ROLE {SCHEMA}_own;" + scripts.delete_script(order("postgres", targets=[target])).forward)
        assert tables(engine) == {"t__quarantine"}
    finally:
        engine.run(f"DROP SCHEMA {SCHEMA} CASCADE; DROP ROLE {SCHEMA}_own")


def test_a_copy_keeps_zeros_and_refuses_what_it_would_leave_out_on_mysql(tmp_path) -> None:
    engine = MySQL(tmp_path)
    engine.run(f"CREATE SCHEMA {SCHEMA}")
    name = f"shop.{SCHEMA}.t"
    asked = order("mysql", targets=[Target(name, scripts.beside(name, "__quarantine"), scripts.beside(name, "__kept"))])
    try:
        engine.run(f"CREATE TABLE {SCHEMA}.t (id INT AUTO_INCREMENT PRIMARY KEY)")
        engine.run(f"SET sql_mode = 'NO_AUTO_VALUE_ON_ZERO'; INSERT INTO {SCHEMA}.t VALUES (0), (7)")
        engine.run(scripts.quarantine_script(asked).forward)
        engine.run(scripts.delete_script(asked).forward)
        assert engine.run(f"SELECT id FROM {SCHEMA}.t__kept ORDER BY id") == [("0",), ("7",)]
        engine.run(f"CREATE TABLE {SCHEMA}.t__quarantine (id INT, own INT INVISIBLE)")
        with pytest.raises(RuntimeError, match="more than 1 row"):
            engine.run(scripts.delete_script(asked).forward)
    finally:
        engine.run(f"DROP SCHEMA {SCHEMA}")


def test_what_the_vendors_say_of_a_drop_a_copy_and_a_rename() -> None:
    """Each is stated, with the page it is from, where the script is made."""
    drops = {dialect: scripts.drop(dialect, "a.b") for dialect in scripts.SUPPORTED}
    assert [dialect for dialect, sql in drops.items() if sql.endswith("RESTRICT;")] == ["snowflake"]
    assert scripts.drop("snowflake", "a.b", "view") == 'DROP VIEW "a"."b";'
    databricks = scripts.delete_script(order("databricks"))
    assert "DEEP CLONE" in databricks.forward and "COMMENT ON TABLE" in databricks.forward
    assert "tags and grants" in databricks.notes[0]
    redshift = scripts.delete_script(order("redshift")).forward
    assert re.search(r"CREATE TABLE \S+ \(LIKE \S+ INCLUDING DEFAULTS\);\nINSERT INTO", redshift)
    bigquery = scripts.quarantine_script(order("bigquery", prefix="shop.mart"))
    assert "FROM `shop`.`region-us`.`INFORMATION_SCHEMA`.SCHEMATA_OPTIONS" in bigquery.forward
    assert "'default_table_expiration_days'" in bigquery.forward
    assert "search and vector indexes" in bigquery.notes[0]


def test_what_depends_on_a_table_keeps_it_on_postgres(tmp_path) -> None:
    engine = PostgreSQL(tmp_path)
    engine.run(f"CREATE SCHEMA {SCHEMA}; CREATE TABLE {SCHEMA}.t (id int); CREATE VIEW {SCHEMA}.v AS TABLE {SCHEMA}.t")
    name = f"{SCHEMA}.t"
    target = Target(name, scripts.beside(name, "__quarantine"), scripts.beside(name, "__kept"))
    asked = order("postgres", targets=[target])
    engine.run(scripts.quarantine_script(asked).forward)
    with pytest.raises(psycopg.errors.DependentObjectsStillExist):
        engine.run(scripts.delete_script(asked).forward)
    assert tables(engine) == {"t__quarantine", "v"}  # the copy went back with the transaction
    engine.run(f"DROP SCHEMA {SCHEMA} CASCADE")


@pytest.mark.parametrize("dialect", scripts.SUPPORTED)
def test_no_script_cascades_or_names_anything_unquoted(dialect) -> None:
    asked = order(dialect, prefix="a.b" if dialect != "mysql" else "b")
    for text in (
        *vars(scripts.quarantine_script(asked)).values(),
        *vars(scripts.delete_script(asked)).values(),
        scripts.forget_script(asked),
    ):
        code = "\n".join(line for line in str(text).splitlines() if not line.startswith("--"))
        assert "CASCADE" not in code.upper()
        assert "users" not in code  # evidence of two lines stays a comment
    tree = sqlglot.parse_one(scripts.rename(dialect, "a.b", "a.c"), dialect=dialect)
    assert all(identifier.quoted for identifier in tree.find_all(exp.Identifier))


# What sqlglot has no grammar for: it is taken away, and what is left must parse.
_UNKNOWN_TO_SQLGLOT = {
    "bigquery": r"SNAPSHOT (?=TABLE)| OPTIONS \(expiration_timestamp = [^)]*\)",
    "snowflake": " COPY GRANTS",
    "databricks": "DEEP (?=CLONE)",
}
_SCRIPTING = {"snowflake": {"EXECUTE"}, "bigquery": {"BEGIN", "IF", "END"}}
_NO_SERVER = ("bigquery", "snowflake", "redshift", "databricks", "spark", "trino")


def parsed(dialect: str, script: str) -> list[exp.Expression]:
    """The statements of a script, none of which sqlglot gives up on but the scripting of two dialects' guards."""
    text = re.sub(_UNKNOWN_TO_SQLGLOT.get(dialect, r"\0"), "", script)
    trees = [tree for tree in sqlglot.parse(text, dialect=dialect) if tree and not isinstance(tree, exp.Semicolon)]
    given_up = [tree.this for tree in trees if isinstance(tree, exp.Command)]
    assert set(given_up) <= _SCRIPTING.get(dialect, set())
    return trees


def names_changed(trees: list[exp.Expression]) -> list[list[str]]:
    """Per statement that changes something, the names in it, all of which must be quoted."""
    changes = [tree for tree in trees if isinstance(tree, exp.Create | exp.Drop | exp.Alter)]
    for tree in changes:
        assert all(part.quoted for table in tree.find_all(exp.Table) for part in table.parts), tree.sql()
    return [sorted(table.name for table in tree.find_all(exp.Table)) for tree in changes]


@pytest.mark.parametrize("dialect", _NO_SERVER)
@pytest.mark.parametrize("kind", ["table", "view"])
def test_scripts_for_engines_that_are_not_here_can_be_read_back(dialect, kind) -> None:
    name = "a.b.Odd name"
    hidden, kept = (scripts.beside(name, suffix) for suffix in ("__quarantine_7", "__kept_7"))
    definition = f"CREATE VIEW {scripts.quoted(dialect, name)} AS SELECT 1 AS x"
    asked = order(dialect, targets=[Target(name, hidden, kept, kind=kind, definition=definition)])
    if not scripts.can_script(dialect, kind):
        assert (dialect, kind) == ("bigquery", "view")
        return
    own, hidden, kept = (scripts.last_part(each) for each in (name, hidden, kept))
    quarantine, deletion = scripts.quarantine_script(asked), scripts.delete_script(asked)
    assert names_changed(parsed(dialect, quarantine.forward)) == [sorted([own, hidden])]
    assert names_changed(parsed(dialect, quarantine.back)) == [sorted([own, hidden])]
    forward, back = (names_changed(parsed(dialect, text)) for text in (deletion.forward, deletion.back))
    if kind == "view":
        assert (forward, back) == ([[hidden]], [[own]])
    else:
        assert (forward, back) == ([sorted([hidden, kept]), [hidden]], [sorted([own, kept])])


def test_an_engine_that_divides_by_zero_in_silence_raises_an_error_by_name() -> None:
    for dialect in ("spark", "databricks"):
        assert "RAISE_ERROR('This script ran out" in scripts.quarantine_script(order(dialect)).forward


def test_a_quote_in_a_string_is_escaped_as_the_dialect_does() -> None:
    assert scripts.text("postgres", "it's") == scripts.text("mysql", "it's") == "'it''s'"
    assert scripts.text("bigquery", "it's") == scripts.text("snowflake", "it's") == r"'it\'s'"


def test_the_builder_is_stopped_before_the_first_statement() -> None:
    text = scripts.quarantine_script(order("duckdb")).forward
    assert text.index("growth.report: stop it") < text.index("ALTER TABLE")
    assert f"refuses to run after {NOW + dt.timedelta(days=7):%Y-%m-%d}" in text


def test_names_with_dots_quotes_and_too_many_parts() -> None:
    assert parts_of('a."b.c".d') == ["a", "b.c", "d"]
    assert scripts.quoted("postgres", 'a."b.c".d"e') == '"a"."b.c"."d""e"'
    assert scripts.beside('a."b.c"', "__x") == 'a."b.c__x"'
    assert len(scripts.last_part(scripts.beside("a." + "t" * 90, "__quarantine_7"))) <= 63
    with pytest.raises(NoScript, match="4 parts"):
        scripts.quoted("duckdb", "a.b.c.d")
    with pytest.raises(NoScript, match="characters"):
        scripts.quoted("postgres", "a.$pipekeeper$; DROP TABLE b")


def test_what_can_be_taken_back() -> None:
    table, view = Target("a.b", "a.c", "a.d"), Target("a.b", "a.c", "", kind="view")
    assert scripts.is_reversible("duckdb", table)
    assert not scripts.is_reversible("duckdb", view)
    assert scripts.is_reversible("duckdb", replace(view, definition="CREATE VIEW a.b AS SELECT 1"))
    assert not scripts.is_reversible("", table)
    assert not scripts.is_reversible("duckdb", replace(table, kind="topic"))
