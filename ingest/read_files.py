"""One file of a folder in, what it states out. Runs in worker processes: no Django, no database, no other file."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from catalog.facts import ColumnFact
from ingest.checks.assertions import StatedCheck, read_assertions
from ingest.front_comments import read_front_comments
from ingest.layout import Layout, MetadataPattern, PipelinePattern, first_match, value_at
from ingest.yaml_files import YamlError, load_yaml
from lineage.facts import ERROR, WARNING, FileProblem
from lineage.sql.macros import calls_of, macros_of, quoted_in

MAX_BYTES = 20_000_000  # of one file; larger ones are data, not code
MAX_FIELDS = 20_000  # of one schema file, nested ones counted
MAX_TYPE = 20_000  # characters of one column's type; wider structs are cut

_UNREADABLE = {"file_too_large", "not_utf8", "reader_died"}
# Expressions for lower-case SQL: ignoring case would make them half as fast.
_NAME = r'[`"\[]?[\w$.*-]+[`"\]]?(?:\s*\.\s*[`"\[]?[\w$*-]+[`"\]]?)*'
# Behind no letter: asked behind the first one, so that the search skips to letters that one of the words begins with.
_BEFORE_TABLES = "|".join(
    rf"{word[0]}(?<!\w{word[0]}){word[1:]}"
    for word in ("from", "join", "into", "update", "using", "table", "overwrite", "merge")
)
_MENTION = re.compile(
    rf"(?:{_BEFORE_TABLES})\b(?:\s+(?:into|table|overwrite|only|lateral)\b)*\s*"
    rf"({_NAME}(?:(?:\s+(?:as\s+)?\w+)?\s*,\s*{_NAME})*)"
)
_ALIAS = re.compile(r"(?<!\.)\s+(?!\.).*", re.DOTALL)
_MADE = re.compile(
    rf"\b(?:create\s+(?:\w+\s+){{0,4}}?(?:table|view)\s+(?:if\s+not\s+exists\s+)?"
    rf"|insert\s+(?:into|overwrite)\s+(?:table\s+)?|merge\s+into\s+)({_NAME})"
)
_QUOTES = str.maketrans("", "", '`"[] \t\r\n')


@dataclass(frozen=True, slots=True)
class FileFacts:
    """What one file states.

    `about` is the table it speaks of or builds; `database` goes before names in its SQL that have none. `mentions`,
    `makes`, and `quoted` and `calls` of its template, are names that it may read, may build, may ask for, and macros
    that it may need: a cheap guess, used only to choose what to look up and what to read first. `macros` are those
    that a file of nothing but definitions holds. `config` is how dbt loads what compiled SQL selects.
    """

    path: str
    form: str
    about: str = ""
    parts: Mapping[str, str] = field(default_factory=dict)
    facts: Mapping[str, Any] = field(default_factory=dict)
    columns: tuple[ColumnFact, ...] = ()
    table_kind: str = ""
    language: str = ""
    database: str = ""
    mentions: frozenset[str] = frozenset()
    makes: frozenset[str] = frozenset()
    quoted: frozenset[str] = frozenset()
    calls: frozenset[str] = frozenset()
    macros: Mapping[str, str] = field(default_factory=dict)
    config: Mapping[str, Any] = field(default_factory=dict)
    checks: tuple[StatedCheck, ...] = ()
    problems: tuple[FileProblem, ...] = ()

    @property
    def is_readable(self) -> bool:
        """Whether there is a text to analyse."""
        return not any(problem.code in _UNREADABLE for problem in self.problems)


def read_file(path: str, data: bytes, layout: Layout) -> FileFacts:
    """What the file at `path` (relative, with /) states; whatever is wrong with it is among its problems."""
    if found := first_match(layout.pipelines, path):
        return _read_pipeline(path, data, *found)
    if found := first_match(layout.metadata, path):
        return _read_metadata(path, data, *found)
    raise ValueError(f"{path} is no file of the layout {layout.name}")


def decode(path: str, data: bytes) -> tuple[str, tuple[FileProblem, ...]]:
    """The text of a file, or "" and the problem with it."""
    if len(data) > MAX_BYTES:
        message = f"The file has {len(data):,} bytes; files over {MAX_BYTES:,} are not read."
        return "", (FileProblem(path, "file_too_large", ERROR, message),)
    wrong = data.find(b"\0")  # valid UTF-8, but no text: a binary file, or UTF-16 without its mark
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        wrong = error.start
    if wrong < 0:
        return text, ()
    line = data.count(b"\n", 0, wrong) + 1
    message = f"Byte {wrong} (0x{data[wrong]:02x}) is not UTF-8 text. Save the file as UTF-8."
    return "", (FileProblem(path, "not_utf8", ERROR, message, line),)


def mentioned_names(sql: str) -> frozenset[str]:
    """Names that stand where a table may, in SQL that is all lower case: `from a as x, b.c` -> a, b.c"""
    lists = (part for found in _MENTION.findall(sql) for part in found.split(","))
    return frozenset(_ALIAS.sub("", part.strip()).translate(_QUOTES).strip(".") for part in lists)


def _read_pipeline(path: str, data: bytes, pattern: PipelinePattern, parts: Mapping[str, str]) -> FileFacts:
    text, problems = decode(path, data)
    if pattern.language == "sql" and (macros := macros_of(text)) is not None:
        return FileFacts(path, "macros", macros=macros)
    facts: Mapping[str, Any] = {}
    if not problems and not text.strip():
        problems = (FileProblem(path, "empty_file", WARNING, "The file is empty, so this pipeline does nothing."),)
    if pattern.front_comments:
        facts, wrong = read_front_comments(path, text)
        problems = (*problems, *wrong)
    lower = text.lower() if pattern.language == "sql" else ""
    return FileFacts(
        path=path,
        form="pipeline",
        about=pattern.builds.format(**parts),
        parts=parts,
        facts=facts,
        table_kind=pattern.table_kind,
        language=pattern.language,
        database=pattern.default_database.format(**parts),
        mentions=mentioned_names(lower),
        makes=frozenset(name.translate(_QUOTES) for name in _MADE.findall(lower)),
        quoted=quoted_in(text) if "{" in lower else frozenset(),
        calls=calls_of(text) if "{" in lower else frozenset(),
        problems=problems,
    )


def _read_metadata(path: str, data: bytes, pattern: MetadataPattern, parts: Mapping[str, str]) -> FileFacts:
    about = pattern.about.format(**parts)
    if pattern.form == "function":
        return FileFacts(path, pattern.form, about)
    text, problems = decode(path, data)
    if pattern.form == "checks":
        stated = read_assertions(text, parts)
        faults = (FileProblem(path, "unread_check", WARNING, fault) for fault in stated.faults)
        return FileFacts(
            path, pattern.form, about, parts=parts, checks=tuple(stated.checks), problems=(*problems, *faults)
        )
    try:
        content = load_yaml(text) if text else None
    except YamlError as error:
        return FileFacts(path, pattern.form, about, problems=(_broken_yaml(path, str(error), error.line),))
    if content is not None and not isinstance(content, dict):
        problem = _broken_yaml(path, f"holds a {type(content).__name__} where keys were expected", 1)
        return FileFacts(path, pattern.form, about, problems=(problem,))
    try:
        facts, columns = _READERS[pattern.form](content or {}, pattern)
    except (TypeError, ValueError, AttributeError, RecursionError) as error:
        return FileFacts(path, pattern.form, about, problems=(_broken_yaml(path, f"cannot be read: {error}", None),))
    return FileFacts(path, pattern.form, about, parts=parts, facts=facts, columns=columns, problems=problems)


def _broken_yaml(path: str, message: str, line: int | None) -> FileProblem:
    return FileProblem(path, "broken_yaml", ERROR, f"{path.rsplit('/', 1)[-1]} {message}.", line)


def _read_facts(content: dict[str, Any], pattern: MetadataPattern) -> tuple[dict[str, Any], tuple[ColumnFact, ...]]:
    facts: dict[str, Any] = {}
    for name, where in pattern.fields.items():
        found = _texts(where.read_all(content)) if name in _LISTS else _scalar(where.read(content))
        if found not in (None, (), ""):
            facts[name] = found
    return facts, ()


_LISTS = {"technical_owners", "business_owners", "tags", "inputs", "outputs"}


def _read_dags(content: dict[str, Any], pattern: MetadataPattern) -> tuple[dict[str, Any], tuple[ColumnFact, ...]]:
    return {
        str(dag): _read_facts(details, pattern)[0] for dag, details in content.items() if isinstance(details, dict)
    }, ()


def _read_variables(content: dict[str, Any], pattern: MetadataPattern) -> tuple[dict[str, Any], tuple[ColumnFact, ...]]:
    """What `var()` gives in this project."""
    stated = pattern.fields["variables"].read(content)
    stated = stated if isinstance(stated, dict) else {}
    own = stated.get(_scalar(pattern.fields["project"].read(content)))
    stated = {**stated, **(own if isinstance(own, dict) else {})}
    return {str(name): value for name, value in stated.items() if isinstance(value, str | int | float)}, ()


def _read_backfills(content: dict[str, Any], pattern: MetadataPattern) -> tuple[dict[str, Any], tuple[ColumnFact, ...]]:
    """Past backfills, newest first, as lines of text: `2026-06-11: 2025-06-08 to 2026-06-09 (Complete). Why.`"""
    lines = []
    for entry, details in sorted(content.items(), key=lambda item: str(item[0]), reverse=True):
        read = {name: _scalar(where.read(details)) for name, where in pattern.fields.items()}
        reason = " ".join(str(read.get("reason") or "").split())
        span = f"{read.get('start') or '?'} to {read.get('end') or '?'}"
        lines.append(f"{entry}: {span} ({read.get('status') or 'no status'}). {reason}".strip())
    return ({"backfill": "\n".join(lines)} if lines else {}), ()


def _read_columns(content: dict[str, Any], pattern: MetadataPattern) -> tuple[dict[str, Any], tuple[ColumnFact, ...]]:
    """Columns as listed; a nested one is one column of type STRUCT<…>, its fields in the type."""
    keys = {name: where.paths[0] for name, where in pattern.fields.items()}
    entries = value_at(content, keys.get("list", "")) or []
    budget = [MAX_FIELDS]
    columns = {}
    for entry in entries if isinstance(entries, list) else []:
        if isinstance(entry, dict) and isinstance(name := entry.get(keys["name"]), str | int):
            described = str(_scalar(value_at(entry, keys.get("description", ""))) or "")
            type_ = _type_of(entry, keys, budget)[:MAX_TYPE]
            columns.setdefault(str(name), ColumnFact(str(name), type_, described, False))
    return {}, tuple(columns.values())


def _type_of(entry: dict[str, Any], keys: Mapping[str, str], budget: list[int]) -> str:
    budget[0] -= 1
    if budget[0] < 0:
        raise ValueError(f"more than {MAX_FIELDS:,} fields")
    name = str(entry.get(keys["type"]) or "")
    children = entry.get(keys.get("children", "")) or []
    if name.upper() in ("RECORD", "STRUCT") and isinstance(children, list):
        fields = (
            f"{_field_name(child.get(keys['name']))} {_type_of(child, keys, budget)}"
            for child in children
            if isinstance(child, dict)
        )
        name = f"STRUCT<{', '.join(fields)}>" if children else "STRUCT"
    return f"ARRAY<{name}>" if str(entry.get(keys.get("mode", ""))).upper() == "REPEATED" and name else name


def _field_name(name: Any) -> str:
    return str(name) if re.fullmatch(r"[A-Za-z_]\w*", str(name)) else f"`{name}`"


_READERS: dict[str, Callable[[dict[str, Any], MetadataPattern], tuple[dict[str, Any], tuple[ColumnFact, ...]]]] = {
    "facts": _read_facts,
    "dags": _read_dags,
    "backfills": _read_backfills,
    "columns": _read_columns,
    "variables": _read_variables,
}


def _texts(values: list[Any]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(str(_scalar(value)) for value in values if isinstance(value, str | int | float)))


def _scalar(value: Any) -> Any:
    """A value that is one text or number; lists and mappings are not facts (and may be bombs of aliases)."""
    if isinstance(value, str):
        return value.strip() if value.isprintable() else _storable(value).strip()
    return value if isinstance(value, bool | int | float) else None


def _storable(text: str) -> str:
    """Without what YAML can write as an escape and no database keeps: NUL, and halves of surrogate pairs."""
    return text.replace("\0", "").encode("utf-8", "replace").decode()
