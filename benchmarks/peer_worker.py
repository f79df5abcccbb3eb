"""One lineage engine over many statements, inside that engine's own environment; the other benchmarks start it.

Reads {"engine", "seconds", "statements": [{"sql", "dialect", "schema", "default_schema"}]} from the file named first,
writes {"results": [{"seconds", "error", "inputs", "outputs", "edges", "shaping"}], "peak_mb"} to the file named second.
Stops after `seconds` of processor time, so there may be fewer results than statements. Imports nothing of the product
unless the engine is the product's.
"""

import contextlib
import gc
import json
import logging
import resource
import signal
import sys
import time
import warnings
from typing import Any

LONGEST = 60  # seconds one statement may take before it counts as a failure

Answer = dict[str, Any]  # inputs, outputs: table names; edges, shaping: [source table, column, target table, column]
Statement = dict[str, Any]


class TooSlow(BaseException):
    """The statement took longer than LONGEST; no engine's own `except Exception` may swallow it."""


def answer(inputs: Any = (), outputs: Any = (), edges: Any = (), shaping: Any = (), error: Any = None) -> Answer:
    """One shape for all: `shaping` edges tell conditions and window keys, where an engine tells them apart."""
    return {
        "inputs": sorted({str(name) for name in inputs}),
        "outputs": sorted({str(name) for name in outputs}),
        "edges": sorted({tuple(str(part) for part in edge) for edge in edges}),
        "shaping": sorted({tuple(str(part) for part in edge) for edge in shaping}),
        "error": str(error)[:200] if error else None,
    }


def nested(schema: dict[str, Any]) -> dict[str, Any]:
    """{"s.t": columns} -> {"s": {"t": columns}}, as deep as the longest name; shorter ones are left out."""
    depth = max((name.count(".") for name in schema), default=0)
    tree: dict[str, Any] = {}
    for name, columns in schema.items():
        if name.count(".") == depth:
            *parents, last = name.split(".")
            branch = tree
            for part in parents:
                branch = branch.setdefault(part, {})
            branch[last] = dict(columns)
    return tree


class Parse:
    """The floor: plain `sqlglot.parse`, no lineage.

    The shape of every engine: `know` makes what it wants to know of a schema, once and outside the clock; `run` is
    timed; `read` turns what `run` returned into an answer.
    """

    def __init__(self) -> None:
        import sqlglot

        self.parse = sqlglot.parse

    def know(self, statement: Statement) -> Any:
        return None

    def run(self, statement: Statement, known: Any) -> Any:
        return self.parse(statement["sql"], read=statement["dialect"])

    def read(self, raw: Any) -> Answer:
        return answer()


class RestedParse(Parse):
    """The floor with Python's garbage collector at rest meanwhile, as ours has it."""

    def run(self, statement: Statement, known: Any) -> Any:
        gc.disable()
        try:
            super().run(statement, known)
        finally:
            gc.enable()
        gc.collect(0)  # inside the clock, as the next allocation would do it; in ours that is to_dict's first


class Pipekeeper:
    def __init__(self) -> None:
        from lineage.sql import analyze

        self.analyze = analyze

    def know(self, statement: Statement) -> Any:
        return statement.get("schema")

    def run(self, statement: Statement, known: Any) -> Any:
        return self.analyze(
            statement["sql"],
            dialect=statement["dialect"],
            schema=known,
            default_schema=statement.get("default_schema"),
            default_database=statement.get("default_database"),
        ).to_dict()

    def read(self, raw: Any) -> Answer:
        errors = [problem["message"] for problem in raw["problems"] if problem["severity"] == "error"]
        direct = [edge for edge in raw["column_edges"] if edge["kind"] in ("IDENTITY", "TRANSFORMATION", "AGGREGATION")]
        shaping = [edge for edge in raw["column_edges"] if edge["kind"] in ("CONDITIONAL", "WINDOW")]
        ends = [[[*edge["source"], *edge["target"]] for edge in edges] for edges in (direct, shaping)]
        return answer(raw["inputs"], filter(None, raw["outputs"]), *ends, error=errors[0] if errors else None)


class SqlglotLineage:
    """`sqlglot.lineage` as its documentation advises for many columns: qualified once, then column by column."""

    def __init__(self) -> None:
        import sqlglot
        from sqlglot import exp, lineage
        from sqlglot.optimizer import build_scope, qualify
        from sqlglot.schema import MappingSchema

        self.sqlglot, self.exp, self.lineage = sqlglot, exp, lineage.lineage
        self.build_scope, self.qualify, self.schema = build_scope, qualify.qualify, MappingSchema

    def know(self, statement: Statement) -> Any:
        return self.schema(nested(statement.get("schema") or {}), dialect=statement["dialect"])

    def run(self, statement: Statement, known: Any) -> Any:
        found = []
        for tree in self.sqlglot.parse(statement["sql"], read=statement["dialect"]):
            query = tree if isinstance(tree, self.exp.Query) else tree and tree.args.get("expression")
            if isinstance(query, self.exp.Query):
                found.append((tree, self.columns(query, statement["dialect"], known)))
        return found

    def columns(self, query: Any, dialect: str, schema: Any) -> list[Any]:
        qualified = self.qualify(query.copy(), schema=schema, dialect=dialect, validate_qualify_columns=False)
        scope = self.build_scope(qualified)
        return [
            self.lineage(name, qualified, dialect=dialect, scope=scope, copy=False, schema=schema)
            for name in qualified.named_selects
            if name != "*"
        ]

    def read(self, raw: Any) -> Answer:
        inputs, outputs, edges = set(), set(), set()
        for tree, nodes in raw:
            target = self.table_name(tree.find(self.exp.Table)) if not isinstance(tree, self.exp.Query) else ""
            outputs |= {target} if target else set()
            for node in nodes:
                for leaf in node.walk():
                    if isinstance(leaf.expression, self.exp.Table):
                        source = self.table_name(leaf.expression)
                        inputs.add(source)
                        edges.add((source, leaf.name.rpartition(".")[2].strip('"`'), target, node.name.strip('"`')))
        return answer(inputs, outputs, edges)

    def table_name(self, table: Any) -> str:
        return ".".join(part.name for part in table.parts)


class DataHub:
    """DataHub's `sqlglot_lineage`, for scripts too: its function for several statements found less of them."""

    PLATFORMS = {"": "postgres", "tsql": "mssql", "spark": "databricks"}

    def __init__(self) -> None:
        from datahub.sql_parsing.schema_resolver import SchemaResolver
        from datahub.sql_parsing.sqlglot_lineage import sqlglot_lineage

        self.resolver, self.lineage = SchemaResolver, sqlglot_lineage

    def know(self, statement: Statement) -> Any:
        platform = self.PLATFORMS.get(statement["dialect"], statement["dialect"])
        resolver = self.resolver(platform=platform, env="PROD")
        for table, columns in (statement.get("schema") or {}).items():
            name = ".".join(filter(None, [None if "." in table else statement.get("default_schema"), table]))
            urn = f"urn:li:dataset:(urn:li:dataPlatform:{resolver.platform},{name},PROD)"
            resolver.add_raw_schema_info(urn, dict(columns))
        return resolver

    def run(self, statement: Statement, known: Any) -> Any:
        return self.lineage(
            statement["sql"],
            schema_resolver=known,
            default_schema=statement.get("default_schema"),
            default_db=statement.get("default_database"),
            override_dialect=statement["dialect"] or "postgres",
        )

    def read(self, raw: Any) -> Answer:
        edges = [
            (self.name(upstream.table), upstream.column, self.name(info.downstream.table), info.downstream.column)
            for info in raw.column_lineage or ()
            for upstream in info.upstreams
        ]
        tables = map(self.name, raw.in_tables), map(self.name, raw.out_tables)
        return answer(*tables, edges, error=raw.debug_info.table_error)

    def name(self, urn: str | None) -> str:
        return urn.split(",")[1] if urn else ""


class SqlLineage:
    """reata/sqllineage and its fork: a runner that answers tables and (source, …, target) column paths."""

    DIALECTS = {"": "ansi", "spark": "sparksql"}

    def __init__(self, validating: bool = False) -> None:
        from sqllineage.core.metadata.dummy import DummyMetaDataProvider
        from sqllineage.runner import LineageRunner

        self.runner, self.metadata, self.validating = LineageRunner, DummyMetaDataProvider, validating

    def know(self, statement: Statement) -> Any:
        schema = (statement.get("schema") or {}).items()
        return self.metadata({self.full(table): list(columns) for table, columns in schema})

    def run(self, statement: Statement, known: Any) -> Any:
        dialect = self.DIALECTS.get(statement["dialect"], statement["dialect"]) if self.validating else "non-validating"
        runner = self.runner(statement["sql"], dialect=dialect, metadata_provider=known)
        return runner.source_tables, runner.target_tables, runner.get_column_lineage()

    def full(self, table: str) -> str:
        return table if "." in table else f"<default>.{table}"

    def read(self, raw: Any) -> Answer:
        sources, targets, paths = raw
        edges = [
            (self.name(source.parent), source.raw_name, self.name(target.parent), target.raw_name)
            for source, target in ((path[0], path[-1]) for path in paths)
        ]
        return answer(map(self.name, sources), map(self.name, targets), edges)

    def name(self, table: Any) -> str:
        text = str(table or "")
        return "" if "SubQuery" in repr(table) else text.removeprefix("<default>.")


class CollateSqlLineage(SqlLineage):
    def __init__(self) -> None:
        from collate_sqllineage.core.parser.sqlglot.analyzer import SqlGlotLineageAnalyzer
        from collate_sqllineage.runner import LineageRunner

        self.runner, self.analyzer = LineageRunner, SqlGlotLineageAnalyzer

    def know(self, statement: Statement) -> Any:
        return None

    def run(self, statement: Statement, known: Any) -> Any:
        dialect = self.DIALECTS.get(statement["dialect"], statement["dialect"])
        runner = self.runner(statement["sql"], dialect=dialect, analyzer=self.analyzer)
        return runner.source_tables, runner.target_tables, runner.get_column_lineage()


ENGINES = {
    "parse": Parse,
    "parse, gc at rest": RestedParse,
    "pipekeeper": Pipekeeper,
    "sqlglot.lineage": SqlglotLineage,
    "datahub": DataHub,
    "sqllineage": SqlLineage,
    "sqllineage (sqlfluff)": lambda: SqlLineage(validating=True),
    "collate-sqllineage": CollateSqlLineage,
}


def one(engine: Any, statement: Statement, known: Any) -> Answer:
    """The engine's answer with the processor seconds it took; a failure is its `error`."""
    started = time.process_time()
    try:
        signal.alarm(LONGEST)
        raw = engine.run(statement, known)
        seconds = time.process_time() - started
        found = engine.read(raw)
    except (Exception, TooSlow) as error:
        return answer(error=f"{type(error).__name__}: {error}") | {"seconds": time.process_time() - started}
    finally:
        signal.alarm(0)
    return found | {"seconds": seconds}


def measure(order: dict[str, Any]) -> dict[str, Any]:
    engine, statements = ENGINES[order["engine"]](), order["statements"]
    known: dict[str, Any] = {}
    results: list[Answer] = []
    warm_up = {"sql": "SELECT warm_up.a FROM warm_up", "dialect": statements[0]["dialect"]}
    one(engine, warm_up, engine.know(warm_up))
    while len(results) < len(statements) and sum(each["seconds"] for each in results) < order["seconds"]:
        statement = statements[len(results)]
        key = json.dumps([statement.get(part) for part in ("dialect", "schema", "default_schema", "default_database")])
        if key not in known:
            known[key] = engine.know(statement)
        results.append(one(engine, statement, known[key]))
    return {"results": results, "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024}


def too_slow(*_: Any) -> None:
    raise TooSlow("took too long")


def main() -> None:
    logging.disable(logging.CRITICAL)
    warnings.simplefilter("ignore")
    sys.setrecursionlimit(5000)
    signal.signal(signal.SIGALRM, too_slow)
    with open(sys.argv[1], encoding="utf-8") as order:
        asked = json.load(order)
    with contextlib.redirect_stdout(sys.stderr):
        found = measure(asked)
    with open(sys.argv[2], "w", encoding="utf-8") as result:
        json.dump(found, result)


if __name__ == "__main__":
    main()
