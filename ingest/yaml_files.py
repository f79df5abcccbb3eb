"""YAML as people write it in metadata files: plain values only, unknown tags passed over, errors with their line."""

from __future__ import annotations

from typing import Any

import yaml


class YamlError(Exception):
    """What is wrong, in words, and on which line (from 1)."""

    def __init__(self, message: str, line: int | None) -> None:
        super().__init__(message)
        self.line = line


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """The safe loader, in C where libyaml is there; a tag such as !include-field reads as nothing."""


_Loader.add_multi_constructor("!", lambda loader, suffix, node: None)
# A date stays the text that was written: metadata holds impossible ones too, and they must not cost the file.
_Loader.add_constructor("tag:yaml.org,2002:timestamp", yaml.SafeLoader.construct_yaml_str)


def load_yaml(text: str) -> Any:
    """The first document in `text`, or YamlError."""
    try:
        return yaml.load(text, _Loader)  # noqa: S506 - _Loader is a safe loader
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise YamlError(f"is not valid YAML: {error.problem or error}", mark.line + 1 if mark else None) from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise YamlError(f"is not valid YAML: {error}", None) from error
