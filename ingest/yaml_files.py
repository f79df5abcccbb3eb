"""YAML as people write it in metadata files: plain values only, unknown tags passed over, errors with their line."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import yaml
from yaml.nodes import MappingNode, ScalarNode, SequenceNode

_STR = "tag:yaml.org,2002:str"
_TIMESTAMP = "tag:yaml.org,2002:timestamp"


class YamlError(Exception):
    """What is wrong, in words, and on which line (from 1)."""

    def __init__(self, message: str, line: int | None) -> None:
        super().__init__(message)
        self.line = line


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """The safe loader, in C where libyaml is there; a tag such as !include-field reads as nothing."""

    def resolve(self, kind: type, value: str | None, implicit: Any) -> str:
        """The tag of a node without one. PyYAML tries regular expressions on each scalar; most values come again."""
        if kind is ScalarNode:
            return _scalar_tag(value or "") if implicit[0] else _STR
        return "tag:yaml.org,2002:seq" if kind is SequenceNode else "tag:yaml.org,2002:map"

    def descend_resolver(self, current_node: Any, current_index: Any) -> None:
        """Nothing: only resolvers by path need it."""

    def ascend_resolver(self) -> None:
        """Nothing, likewise."""


_Loader.add_multi_constructor("!", lambda loader, suffix, node: None)
# A date stays the text that was written: metadata holds impossible ones too, and they must not cost the file.
_Loader.add_constructor(_TIMESTAMP, yaml.SafeLoader.construct_yaml_str)


def load_yaml(text: str) -> Any:
    """The document in `text`, or YamlError."""
    loader = None
    try:
        loader = _Loader(text)
        if "&" in text or "<<" in text:  # anchors and merges: shared parts are made once
            return loader.get_single_data()
        node = loader.get_single_node()
        return None if node is None else _value(node, loader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise YamlError(f"is not valid YAML: {error.problem or error}", mark.line + 1 if mark else None) from error
    except (yaml.YAMLError, ValueError, TypeError, RecursionError) as error:
        raise YamlError(f"is not valid YAML: {error}", None) from error
    finally:
        if loader is not None:
            loader.dispose()


@lru_cache(maxsize=10_000)
def _scalar_tag(value: str) -> str:
    return yaml.resolver.Resolver.resolve(_RESOLVER, ScalarNode, value, (True, False))


_RESOLVER = yaml.resolver.Resolver()


def _value(node: Any, loader: _Loader) -> Any:
    """What PyYAML makes of a tree of nodes, in half the time, as long as no node is there twice."""
    tag = node.tag
    if tag.startswith("!"):
        return None
    if isinstance(node, MappingNode):
        return {_value(key, loader): _value(value, loader) for key, value in node.value}
    if isinstance(node, SequenceNode):
        return [_value(item, loader) for item in node.value]
    return node.value if tag in (_STR, _TIMESTAMP) else loader.construct_object(node, deep=True)
