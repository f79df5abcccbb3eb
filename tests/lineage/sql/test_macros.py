"""Macros are found in files that hold nothing else, and chosen by what calls them."""

import pytest

from lineage.sql.macros import Macros, calls_of, macros_of

CENTS = "{% macro cents(c) %}{{ c }} / 100{% endmacro %}"


@pytest.mark.parametrize(
    ("text", "names"),
    [
        (CENTS, ["cents"]),
        (
            f"-- money\n/* in cents */ {{# and more #}}\n{CENTS}\n{CENTS.replace('cents', 'pence')}\n",
            ["cents", "pence"],
        ),
        ("{%- macro a() -%}{% macro b() %}x{%- endmacro -%}", ["a"]),
        ("{% test positive(model) %}select * from {{ model }} where n < 0{% endtest %}", []),
        (f"{{# {CENTS} #}}{CENTS.replace('cents', 'pence')}", ["pence"]),
        (f"{CENTS} select {{{{ cents('p') }}}} from t", None),
        ("select 1", None),
        ("", None),
    ],
)
def test_a_file_of_definitions(text: str, names: list[str] | None) -> None:
    found = macros_of(text)
    assert (None if found is None else list(found)) == names


def test_what_a_template_calls() -> None:
    text = "select {{ cents('p') }}, max(q) {% if shop.is_big(1) %} {{ adapter.dispatch('whole')('p') }} {% endif %}"
    assert calls_of(text) == {"cents", "is_big", "whole"}


def test_only_what_is_needed_goes_along() -> None:
    macros = Macros(
        {
            "whole": "{% macro whole(c) %}{{ adapter.dispatch('whole')(c) }}{% endmacro %}",
            "default__whole": "{% macro default__whole(c) %}{{ cents(c) }}{% endmacro %}",
            "cents": CENTS,
            "loop": "{% macro loop() %}{{ loop() }}{% endmacro %}",
        }
    )
    assert macros_of(macros.needed_by(["whole"])).keys() == {"whole", "default__whole", "cents"}
    assert macros_of(macros.needed_by(["loop", "max"])).keys() == {"loop"}
    assert macros.needed_by(["max"]) == ""
