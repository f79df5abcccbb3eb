"""The plan as a patch for the repository: files of pipelines that go, statements of those that are trimmed, metadata.

Made from the files as they lie in a checkout, so that `git apply` takes it. Pure but for reading files.
"""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import yaml

from catalog.table_names import parts_of
from lineage.sql import analyze

_ABOUT_A_TABLE = (
    "metadata.yaml",
    "schema.yaml",
    "backfill.yaml",
)  # beside a pipeline's file, where one folder is one table
_DECLARATIONS = "pipekeeper.yaml"


@dataclass(frozen=True)
class Wanted:
    """What the patch should do: files to delete, files to trim of tables, names to take out of metadata."""

    delete: Collection[str]
    trim: Mapping[str, Collection[str]]
    tables: Collection[str]
    pipelines: Collection[str]
    dialect: str = ""


@dataclass(frozen=True)
class Patch:
    """A unified diff, and what is left to do by hand, in sentences."""

    text: str
    by_hand: tuple[str, ...]


def make_patch(root: Path, wanted: Wanted) -> Patch:
    """The diff against the files under `root`; a file that is not there is left to people."""
    changes: dict[str, tuple[str, str | None]] = {}
    by_hand: list[str] = []
    for path in sorted({*wanted.delete, *wanted.trim, _DECLARATIONS}):
        before = _read(root, path)
        if before is None:
            if path != _DECLARATIONS:
                by_hand.append(f"{path} is not in this checkout.")
            continue
        if path in wanted.delete:
            changes[path] = before, None
        elif path == _DECLARATIONS:
            changes[path] = before, without_declarations(before, wanted)
        else:
            after = without_statements(before, wanted.trim[path], wanted.dialect)
            by_hand += [] if after else [f"{path}: take out what writes {', '.join(sorted(wanted.trim[path]))}."]
            changes[path] = before, after or before
    for path in _orphaned(root, wanted.delete):
        changes[path] = (_read(root, path) or "", None)
    text = "".join(_diff(path, before, after) for path, (before, after) in sorted(changes.items()) if before != after)
    return Patch(text, tuple(by_hand))


def without_statements(sql: str, tables: Collection[str], dialect: str) -> str | None:
    """The script without the statements that write these tables; None where that cannot be done on the text alone."""
    analysis = analyze(sql, dialect=dialect)
    if analysis.rendered != sql or any(problem.severity == "error" for problem in analysis.problems):
        return None
    going = [statement for statement in analysis.statements if _all_among(statement.outputs, tables)]
    left = [statement for statement in analysis.statements if statement not in going]
    if not going or any(_any_among((*each.outputs, *each.inputs), tables) for each in left):
        return None
    for statement in reversed(going):
        end = sql.find(";", statement.end)
        stop = end + 1 if end >= 0 and not sql[statement.end : end].strip() else statement.end
        sql = sql[: statement.start].rstrip() + "\n\n" + sql[stop:].lstrip()
    return sql.rstrip() + "\n"


def without_declarations(text: str, wanted: Wanted) -> str:
    """The settings without the entries of tables and pipelines that go; comments elsewhere stay as they are."""
    lines = text.splitlines(keepends=True)
    for start, end in sorted(_entries(text, wanted), reverse=True):
        while end > start + 1 and _is_between(lines[end - 1]):
            end -= 1
        del lines[start:end]
    return "".join(lines)


def _entries(text: str, wanted: Wanted) -> Iterator[tuple[int, int]]:
    """First line, and line after the last, of each list entry that goes."""
    root = yaml.compose(text, Loader=yaml.SafeLoader)
    for key, node in root.value if isinstance(root, yaml.MappingNode) else ():
        names = {"tables": wanted.tables, "pipelines": wanted.pipelines}.get(key.value, ())
        for item in node.value if isinstance(node, yaml.SequenceNode) else ():
            facts = {k.value: v.value for k, v in item.value} if isinstance(item, yaml.MappingNode) else {}
            if "name" in facts and _any_among([str(facts["name"])], names) and "source" not in facts:
                yield item.start_mark.line, item.end_mark.line


def _is_between(line: str) -> bool:
    return not line.strip() or line.lstrip().startswith("#")


def _all_among(names: Iterable[str], tables: Collection[str]) -> bool:
    names = list(names)
    return bool(names) and all(_any_among([name], tables) for name in names)


def _any_among(names: Iterable[str], known: Collection[str]) -> bool:
    """Whether a name is one of these, which may stand there with more parts before it."""
    wanted = [parts_of(name) for name in known]
    return any(parts and whole[-len(parts) :] == parts for parts in map(parts_of, names) for whole in wanted)


def _orphaned(root: Path, deleted: Collection[str]) -> Iterator[str]:
    """Metadata files that spoke only of what a deleted file built: nothing else is left in their folder."""
    for folder in {Path(path).parent for path in deleted}:
        about = [str(folder / name) for name in _ABOUT_A_TABLE if (root / folder / name).is_file()]
        left = {str(each.relative_to(root)) for each in (root / folder).glob("*") if each.is_file()}
        if about and left <= {*deleted, *about}:
            yield from about


def _read(root: Path, path: str) -> str | None:
    """A file inside the checkout, None where there is none."""
    file = (root / path).resolve()
    if not file.is_file() or root.resolve() not in file.parents:
        return None
    return file.read_text(encoding="utf-8")


def _diff(path: str, before: str, after: str | None) -> str:
    to = f"b/{path}" if after is not None else "/dev/null"
    head = f"diff --git a/{path} b/{path}\n" + ("" if after is not None else "deleted file mode 100644\n")
    old, new = before.splitlines(keepends=True), (after or "").splitlines(keepends=True)
    lines = difflib.unified_diff(old, new, f"a/{path}", to)
    return head + "".join(line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in lines)
