"""Comment lines at the top of a SQL file: `-- owner: ann@example.com`, one fact a line."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from lineage.facts import WARNING, FileProblem

_LINE = re.compile(r"(?:--+|#+|//)\s*([A-Za-z][\w -]*?)\s*:\s*(.*)")
_ALIASES = {"owners": "owner", "technical_owner": "owner", "business_owners": "business_owner", "tag": "tags"}
_LISTS = {"owner": "technical_owners", "business_owner": "business_owners", "tags": "tags"}
_TEXTS = {"description", "schedule", "dag", "orchestrator", "backfill"}
CHOICES = {
    "kind": ("raw_ingest", "summary", "ab_test", "production_export"),
    "load_strategy": ("full_refresh", "incremental", "append", "merge"),
    "status": ("active", "paused", "deprecated", "retired"),
    "tier": ("1", "2", "3", "4"),
    "catchup": ("true", "false"),
}


def read_front_comments(path: str, sql: str) -> tuple[dict[str, Any], tuple[FileProblem, ...]]:
    """Facts in the comments before the first line of SQL; a value that means nothing is a problem at its line."""
    facts: dict[str, Any] = {}
    problems = []
    for line, key, value in _front_lines(sql):
        if key in _LISTS:
            names = tuple(name for part in value.split(",") if (name := part.strip()))
            facts[_LISTS[key]] = (*facts.get(_LISTS[key], ()), *names)
        elif key in _TEXTS:
            facts[key] = value
        elif value.lower() in CHOICES[key]:
            facts[key] = int(value) if key == "tier" else value.lower()
        else:
            message = f"`{key}: {value}` should be one of {', '.join(CHOICES[key])}."
            problems.append(FileProblem(path, "bad_front_comment", WARNING, message, line))
    return facts, tuple(problems)


def _front_lines(sql: str) -> Iterator[tuple[int, str, str]]:
    """(line, key, value) of the known keys; the comments end at the first line that is none."""
    for number, line in enumerate(sql.split("\n"), 1):
        text = line.strip()
        if text and not text.startswith(("--", "#", "//")):
            return
        if found := _LINE.fullmatch(text):
            key = re.sub(r"[ -]", "_", found[1].lower())
            key = _ALIASES.get(key, key)
            if found[2] and (key in _LISTS or key in _TEXTS or key in CHOICES):
                yield number, key, found[2].strip()
