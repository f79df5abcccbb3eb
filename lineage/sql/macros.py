"""Macros that a dbt project defines: found in its files, and chosen for the templates that call them.

{% macro cents(amount) %}round({{ amount }} / 100, 2){% endmacro %}

https://docs.getdbt.com/docs/build/jinja-macros
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping

_DEFINES = r"\{%-?\s*(macro|test|data_test|materialization)\s+"
_DEFINITION = re.compile(_DEFINES + r"(\w+).*?\{%-?\s*end\1\s*-?%\}", re.DOTALL)
_TEMPLATE_COMMENT = re.compile(r"\{#.*?#\}", re.DOTALL)
_COMMENT = re.compile(r"--[^\n]*|/\*.*?\*/", re.DOTALL)
_MARKED = re.compile(r"\{\{.*?\}\}|\{%.*?%\}", re.DOTALL)
_QUOTED = re.compile(r"['\"]([\w.-]+)['\"]")
_CALLED = re.compile(r"\bdispatch\(\s*['\"](\w+)|\b(\w+)\s*\(")


def macros_of(text: str) -> dict[str, str] | None:
    """The definition of each macro by its name, in a file that holds definitions and nothing else; None for any other.

    Tests and materializations are definitions too, but nothing that a template could call.
    """
    if not re.search(_DEFINES, text):
        return None
    text = _TEMPLATE_COMMENT.sub("", text)
    if _COMMENT.sub("", _DEFINITION.sub("", text)).strip():
        return None
    return {found[2]: found[0] for found in _DEFINITION.finditer(text) if found[1] == "macro"}


def calls_of(text: str) -> frozenset[str]:
    """Names that a template calls, or asks `adapter.dispatch` for: more than it runs, since no branch is decided."""
    calls = (call for mark in _MARKED.findall(text) for call in _CALLED.findall(mark))
    return frozenset(dispatched or name for dispatched, name in calls)


def quoted_in(text: str) -> frozenset[str]:
    """Words that stand in quotes inside a template's marks: among them all that it asks for by ref() and var()."""
    return frozenset(word for mark in _MARKED.findall(text) for word in _QUOTED.findall(mark))


class Macros:
    """The macros of a folder. One called `snowflake__cents` also answers to who asks `adapter.dispatch('cents')`."""

    def __init__(self, definitions: Mapping[str, str]) -> None:
        self._definitions = definitions
        self._answering: dict[str, set[str]] = defaultdict(set)
        for name in definitions:
            self._answering[name].add(name)
            self._answering[name.partition("__")[2]].add(name)
        self._calls: dict[str, frozenset[str]] = {}

    def needed_by(self, calls: Iterable[str]) -> str:
        """The definitions behind those calls, and behind the calls in these; "" for none."""
        needed: set[str] = set()
        left = list(calls)
        while left:
            for name in self._answering.get(left.pop(), set()) - needed:
                needed.add(name)
                left += self._calls_in(name)
        return "".join(self._definitions[name] for name in sorted(needed))

    def _calls_in(self, name: str) -> frozenset[str]:
        if name not in self._calls:
            self._calls[name] = calls_of(self._definitions[name])
        return self._calls[name]
