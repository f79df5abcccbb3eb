"""Secrets out of an event before anything of it is kept."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from ingest.redact import redact


def redacted(data: Any, text: str) -> Any:
    """The event with secrets masked, or `data` itself where its text, in one, shows none; `text` is its JSON."""
    plain = text.replace('\\"', "'").replace("\\n", " ")
    return data if redact(plain) == plain else _cleaned(data)


def _cleaned(data: Any) -> Any:
    if isinstance(data, dict):
        return {
            key: "***" if isinstance(value, str) and _means_secret(key) else _cleaned(value)
            for key, value in data.items()
        }
    if isinstance(data, list):
        return [_cleaned(value) for value in data]
    return redact(data) if isinstance(data, str) else data


@lru_cache(maxsize=1000)
def _means_secret(key: str) -> bool:
    """Whether a text under this key (`password`) is a secret, whatever it looks like."""
    return redact(f"{key}='abcdef'") != f"{key}='abcdef'"
