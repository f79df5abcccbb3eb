"""YAML in metadata: what PyYAML reads, but for tags and dates, and errors with their line."""

from __future__ import annotations

import pytest
import yaml

from ingest.yaml_files import YamlError, load_yaml

PLAIN = """
a: 1
b: [x, 1.5, yes, null, ~, "1", 0x1F, -3]
c: {d: "text with & and <", e: 'q'}
f: |
  lines
  of text
g: >-
  folded
  text
h: [[], {}, ""]
1: number
"""


@pytest.mark.parametrize(
    "text",
    [PLAIN.replace("&", "and"), PLAIN, "", "# nothing", "plain", "- a\n- b", "a: &x {b: 1}\nc: *x\nd: {<<: *x, e: 2}"],
)
def test_it_reads_what_pyyaml_reads(text: str) -> None:
    assert load_yaml(text) == yaml.safe_load(text)


def test_unknown_tags_are_nothing_and_dates_are_text() -> None:
    text = "a: !include {file: x}\nb: !x [1]\nc: 2024-02-30\nd: [!y z, 1]"
    assert load_yaml(text) == {"a": None, "b": None, "c": "2024-02-30", "d": [None, 1]}


@pytest.mark.parametrize(
    ("text", "line"), [("a: [\n", 2), ("a: b: c", 1), ("a: 1\n\tb: 2", 2), ("a: 1\n---\nb: 2", 2), ("? [a]\n: b", None)]
)
def test_errors_have_their_line(text: str, line: int | None) -> None:
    with pytest.raises(YamlError, match="is not valid YAML") as error:
        load_yaml(text)
    assert error.value.line == line


def test_a_value_that_holds_itself_is_no_endless_loop() -> None:
    found = load_yaml("&a [*a]")
    assert found[0] is found
