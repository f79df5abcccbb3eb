"""What differs between dialects, in one table; the rest of the engine asks these rules and never a dialect's name."""

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from sqlglot import exp
from sqlglot.dialects.dialect import Dialect, NormalizationStrategy
from sqlglot.errors import SqlglotError
from sqlglot.parsers.bigquery import BigQueryParser
from sqlglot.parsers.redshift import RedshiftParser
from sqlglot.tokens import Token, Tokenizer

from .bounds import TooLarge, bounded

# These parsers would copy the source of every FROM in search of `FROM t, t.items`, a quarter of BigQuery's parse;
# `sources.walked_array` reads that as it stands. Set on the class: a compiled one can have no subclass of ours.
BigQueryParser.SUPPORTS_IMPLICIT_UNNEST = RedshiftParser.SUPPORTS_IMPLICIT_UNNEST = False

# An opaque command becomes a problem of ours; sqlglot would also log each one.
logging.getLogger("sqlglot").setLevel(logging.ERROR)


@dataclass(frozen=True, slots=True)
class Rules:
    """SQL rules of a dialect that the tree alone does not show."""

    lateral_alias: bool = False  # a select item may use the alias of an earlier one
    struct_dot: bool = False  # a.b may be the field b of a struct column a
    implicit_recursion: bool = False  # WITH needs no RECURSIVE
    tables_keep_case: bool = False  # table names keep their case where columns do not
    columns_ignore_case: bool = False  # column names do, quoted or not, where sqlglot keeps all case
    sharded: bool = False  # events_20240101 and events_* are shards of one table
    truncate_commits: bool | None = False  # TRUNCATE ends the transaction
    ddl_commits: bool | None = False  # CREATE, DROP, ALTER end the transaction
    bodies_are_atomic: bool = False  # a routine's body runs in one transaction
    overwrite_is_atomic: bool = False  # INSERT OVERWRITE, whatever the table's format
    copy_remembers: bool = False  # COPY skips files that it loaded before
    use_sets: str = "schema"  # what a bare USE x sets
    unnest_alias_is_value: bool = False  # UNNEST(a) AS e names the element, not a row
    own_schema: str = ""  # stands for the schema that the script itself fills
    parts: int = 3  # a full table name has this many parts
    no_columns: frozenset[str] = frozenset()  # names that look like columns and have no source
    pseudo_columns: frozenset[str] = frozenset()
    files_in_from: bool = False  # FROM 'x.parquet' reads a file
    names_tables_in_calls: bool = False  # f(TABLE t) hands a table to a function
    ctas_by_name: bool = False  # CREATE TABLE u (a INT) SELECT … fills its columns by name
    arrow_is_access: bool = False  # f(doc -> 'a') hands over a part of doc, no function
    as_table_is_like: bool = False  # CREATE TABLE u AS t takes t's columns and none of its rows
    formats_in_from: bool = False  # FROM parquet.`path` reads a file
    columns_function: bool = False  # COLUMNS('pattern') stands for several columns
    row_values: bool = False  # a table's alias may stand for its whole row
    unnamed: str = "{text}"  # the name of a select item without one
    values_column: str = "column{number}"  # of VALUES (…) without names
    names_casts: bool = False  # CAST(a AS INT) is still called a
    optional_semicolons: bool = False  # a statement may begin without a semicolon before it
    declares_by_statement: bool = True  # DECLARE x … is a statement that sqlglot reads
    declare_sections: bool = False  # DECLARE opens a section that BEGIN ends
    lookups: tuple[str, ...] = ()  # functions whose name begins so read the table that their first argument names
    tables_in_text: frozenset[str] = frozenset()  # functions in FROM that read the table which their text names
    retokenize: bool = False  # the tokens depend on the kind of statement
    into_is_variable: bool = False  # SELECT … INTO x fills a variable, where others make a table
    has_dual: bool = False  # FROM DUAL reads no table
    has_packages: bool = False  # CREATE PACKAGE BODY p AS PROCEDURE q IS …
    client: str = ""  # the program whose commands may stand among the SQL


BIGQUERY_PSEUDO = frozenset(
    {"_table_suffix", "_partitiontime", "_partitiondate", "_file_name", "_change_type", "_change_timestamp"}
)
SNOWFLAKE_PSEUDO = frozenset({"METADATA$FILENAME", "METADATA$FILE_ROW_NUMBER", "METADATA$ACTION", "METADATA$ISUPDATE"})
POSTGRES_PSEUDO = frozenset({"ctid", "xmin", "xmax", "tableoid"})

SPARK = Rules(
    into_is_variable=True,
    values_column="col{number}",
    lateral_alias=True,
    struct_dot=True,
    formats_in_from=True,
    ddl_commits=None,
    truncate_commits=None,
)
RULES = {
    "bigquery": Rules(
        into_is_variable=True,
        struct_dot=True,
        tables_keep_case=True,
        sharded=True,
        row_values=True,
        unnamed="f{place}_",
        unnest_alias_is_value=True,
        names_tables_in_calls=True,
        pseudo_columns=BIGQUERY_PSEUDO,
    ),
    "snowflake": Rules(
        into_is_variable=True,
        has_dual=True,
        client="snowsql",
        lateral_alias=True,
        implicit_recursion=True,
        ddl_commits=True,
        pseudo_columns=SNOWFLAKE_PSEUDO,
        declare_sections=True,
        overwrite_is_atomic=True,
        copy_remembers=True,
    ),
    "redshift": Rules(
        client="rsql",
        lateral_alias=True,
        struct_dot=True,
        truncate_commits=True,
        unnamed="{function}",
        names_casts=True,
        bodies_are_atomic=True,
        declare_sections=True,
    ),
    "postgres": Rules(
        client="psql",
        arrow_is_access=True,
        pseudo_columns=POSTGRES_PSEUDO,
        row_values=True,
        unnamed="{function}",
        names_casts=True,
        bodies_are_atomic=True,
        declare_sections=True,
    ),
    "spark": SPARK,
    "spark2": SPARK,
    "databricks": replace(
        SPARK,
        own_schema="live",
        copy_remembers=True,
        tables_in_text=frozenset({"table_changes"}),
        client="notebook",
    ),
    "hive": Rules(
        values_column="col{number}",
        unnamed="_c{place}",
        struct_dot=True,
        parts=2,
        ddl_commits=None,
        truncate_commits=None,
    ),
    "trino": Rules(
        values_column="_col{place}", struct_dot=True, unnamed="_col{place}", ddl_commits=None, truncate_commits=None
    ),
    "presto": Rules(
        values_column="_col{place}", struct_dot=True, unnamed="_col{place}", ddl_commits=None, truncate_commits=None
    ),
    "athena": Rules(
        values_column="_col{place}",
        struct_dot=True,
        unnamed="_col{place}",
        ddl_commits=None,
        truncate_commits=None,
        retokenize=True,
    ),
    "mysql": Rules(  # https://dev.mysql.com/doc/refman/8.4/en/identifier-case-sensitivity.html
        arrow_is_access=True,
        tables_keep_case=True,
        columns_ignore_case=True,
        client="mysql",
        into_is_variable=True,
        has_dual=True,
        values_column="column_{place}",
        ctas_by_name=True,
        declares_by_statement=False,
        truncate_commits=True,
        ddl_commits=True,
        parts=2,
    ),
    "duckdb": Rules(
        arrow_is_access=True,
        columns_function=True,
        values_column="col{place}",
        lateral_alias=True,
        struct_dot=True,
        row_values=True,
        files_in_from=True,
        pseudo_columns=frozenset({"rowid", "filename"}),
    ),
    "tsql": Rules(
        client="sqlcmd",
        unnamed="",
        implicit_recursion=True,
        use_sets="database",
        optional_semicolons=True,
        no_columns=frozenset({"$action"}),
    ),
    "fabric": Rules(unnamed="", implicit_recursion=True, use_sets="database", optional_semicolons=True),
    "clickhouse": Rules(
        lateral_alias=True,
        struct_dot=True,
        parts=2,
        as_table_is_like=True,
        overwrite_is_atomic=True,
        lookups=("DICTGET", "JOINGET"),
        pseudo_columns=frozenset({"_part", "_file"}),
    ),
    "oracle": Rules(
        client="sqlplus",
        has_packages=True,
        into_is_variable=True,
        has_dual=True,
        implicit_recursion=True,
        truncate_commits=True,
        ddl_commits=True,
        parts=2,
        declare_sections=True,
        no_columns=frozenset({"ROWNUM", "LEVEL"}),
    ),
    "sqlite": Rules(arrow_is_access=True, pseudo_columns=frozenset({"rowid"})),
}


class Language:
    """A dialect ready for use: sqlglot's reader of it, its rules, and its names in normal form."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.dialect = Dialect.get_or_raise(name)
        self.rules = RULES.get(name, Rules())
        # sqlglot's tokenizer hides what follows CALL, BEGIN, EXECUTE in one string; scripts need the tokens.
        plain = {"COMMANDS": set(), "tokenize": Tokenizer.tokenize}
        self._tokenizer = type("Tokens", (self.dialect.tokenizer_class,), plain)(self.dialect)
        self._parser = self.dialect.parser()
        strategy = self.dialect.normalization_strategy
        upper = strategy in (NormalizationStrategy.UPPERCASE, NormalizationStrategy.CASE_INSENSITIVE_UPPERCASE)
        keeps = strategy is NormalizationStrategy.CASE_SENSITIVE and not self.rules.columns_ignore_case
        # A name written without quotes, in normal form.
        self.fold: Callable[[str], str] = str if keeps else str.upper if upper else str.lower
        self.fold_quoted: Callable[[str], str] = (
            self.fold
            if self.rules.columns_ignore_case
            or strategy in (NormalizationStrategy.CASE_INSENSITIVE, NormalizationStrategy.CASE_INSENSITIVE_UPPERCASE)
            else str
        )
        self._types: dict[Any, str] = {}
        self.column = self._column_folder()

    def tokenize(self, text: str) -> list[Token]:
        """Every token of a script. Raises TokenError."""
        return self._tokenizer.tokenize(text)

    def parse(self, tokens: list[Token], text: str) -> exp.Expression | None:
        """The tree of one statement's tokens; None when they hold none. Raises ParseError."""
        return self._parser.parse(tokens, text)[0]

    def parse_text(self, text: str) -> exp.Expression | None:
        """The tree of SQL that stands in a string, within the bounds of every statement; None where it is none."""
        try:
            return self.parse(bounded(self.tokenize(text), True, True, True), text)
        except (SqlglotError, TooLarge):
            return None

    def _column_folder(self) -> Callable[[Any], str]:
        """A function for the normal form of a column's, alias's or CTE's identifier: the busiest one of the engine."""
        fold, fold_quoted, identifier = self.fold, self.fold_quoted, exp.Identifier

        def column(node: Any) -> str:
            if node.__class__ is identifier:
                args = node.args
                return fold_quoted(args["this"]) if args.get("quoted") else fold(args["this"])
            if node.__class__ is str or node is None:  # None stands for the name that a broken statement lacks
                return node or ""
            return fold(node.name)

        return column

    def part(self, node: Any) -> str:
        """The normal form of one part of a table's name, without the quotes a dot would need."""
        if not isinstance(node, exp.Expression):
            return node or ""
        if self.rules.tables_keep_case:
            return str(node.name)
        name, args = self.column(node), node.args
        if len(args) > 2 and (args.get("temporary") or args.get("global_")):
            sign = "#" if args.get("temporary") else "##"  # of T-SQL's temp tables, which sqlglot takes off
            return sign + name
        return name

    def type_name(self, node: exp.Expression | None) -> str | None:
        """A data type in the dialect's own words, such as INT64 or ARRAY<STRING>; None for one nested without end."""
        if node is None:
            return None
        simple = not node.args.get("expressions") and not node.args.get("kind")
        if not simple:
            try:
                return node.sql(dialect=self.dialect)
            except RecursionError:
                return None
        kind = node.this
        if kind not in self._types:
            self._types[kind] = node.sql(dialect=self.dialect)
        return self._types[kind]


_spoken = threading.local()  # parsers keep state while they parse: each thread has its own


def language(name: str | None) -> Language:
    """The dialect of that name; None or "" is sqlglot's own. Raises ValueError for an unknown one."""
    key = (name or "").strip().lower()
    known: dict[str, Language] = _spoken.__dict__
    if key not in known:
        known[key] = Language(key)
    return known[key]


def words(text: str) -> frozenset[str]:
    """A set of words, written as one text."""
    return frozenset(text.split())


def dotted(parts: list[str]) -> str:
    """Parts of a name joined by dots; a part that holds a dot is double-quoted."""
    joined = ".".join(parts)
    if joined.count(".") < len(parts):
        return joined
    return ".".join([f'"{part}"' if "." in part else part for part in parts])
