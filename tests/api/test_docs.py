"""The guide promises what there is: every address, parameter and error code of the API stands in it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from drf_spectacular.generators import SchemaGenerator

from catalog import rest

GUIDE = (Path(__file__).parents[2] / "docs" / "guides" / "rest-api.md").read_text()


def lists() -> dict[str, list[dict[str, Any]]]:
    """The parameters of every list by noun; addresses without a slash are those of other tools' clients."""
    paths = SchemaGenerator().get_schema(request=None, public=True)["paths"]
    found = {
        path.split("/")[3]: paths[path]
        for path in paths
        if path.count("/") == 4 and path[-1] == "/" and "get" in paths[path]
    }
    return {noun: found[noun]["get"].get("parameters", []) for noun in found}


@pytest.mark.parametrize("noun", sorted(lists()))
def test_every_noun_and_its_parameters_are_in_the_guide(noun: str) -> None:
    assert f"`{noun}/`" in GUIDE
    rows = [line for line in GUIDE.splitlines() if line.startswith((f"| {noun} |", f"| `{noun}/` |"))]
    for parameter in lists()[noun]:
        name = parameter["name"]
        assert name in ("cursor", "limit") or any(f"`{name}`" in row or f"{name}=" in row for row in rows), name


def test_every_error_code_is_in_the_guide() -> None:
    codes = ["invalid", "parse_error", "unauthenticated", "forbidden", "not_found", "method_not_allowed"]
    codes += [rest.Conflict.default_code, rest.TooLarge.default_code, "unsupported_media_type"]
    assert [code for code in codes if f"`{code}`" not in GUIDE] == []
