"""Templates become plain SQL without anything being run."""

import pytest

from lineage.sql.render import render


def rendered(text: str, **relations: str) -> str:
    result = render(text, relations)
    assert result.error is None, result.error
    return " ".join(result.sql.split())


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("SELECT 1", "SELECT 1"),
        ("FROM {{ ref('orders') }}", "FROM shop.orders"),
        ("FROM {{ ref('core', 'orders') }}", "FROM shop.orders"),
        ("FROM {{ ref('unknown') }}", "FROM unknown"),
        ("FROM {{ source('raw', 'x') }}", "FROM raw.x"),
        ("d = '{{ ds }}' AND e = '{{ prev_ds }}'", "d = '2024-01-01' AND e = '2023-12-31'"),
        ("t_{{ ds_nodash }}", "t_20240101"),
        ("'{{ macros.ds_add(ds, 5) }}'", "'2024-01-06'"),
        ("'{{ execution_date.strftime('%Y') }}'", "'2024'"),
        ("{{ var('n', 3) }} {{ env_var('HOME') }}", "3 unknown_template_HOME"),
        ("{% if is_incremental() %}a{% else %}b{% endif %}", "a"),
        ("{% if is_init() %}a{% else %}b{% endif %}", "b"),
        ("{% for c in ['x', 'y'] %}{{ c }}{{ ', ' if not loop.last }}{% endfor %}", "x, y"),
        ("{{ dbt_utils.star(from=ref('orders')) }}", "unknown_template_dbt_utils_star"),
        ("{{ a.b['c'] + 1 }}", "unknown_template_a_b_c"),
        ("{{ x | no_such_filter }}", "unknown_template_x"),
        ("{% snapshot s %}SELECT 1{% endsnapshot %}", "SELECT 1"),
        ("{% call statement('s') %}SELECT 1{% endcall %}", "SELECT 1"),
        ("{% macro m(c) %}({{ c }} / 100){% endmacro %}{{ m('price') }}", "(price / 100)"),
    ],
)
def test_renders(text: str, expected: str) -> None:
    assert rendered(text, orders="shop.orders") == expected


def test_config_is_kept() -> None:
    result = render("{{ config(materialized='incremental', unique_key='id') }}SELECT 1", {})
    assert (result.config, result.sql) == ({"materialized": "incremental", "unique_key": "id"}, "SELECT 1")


def test_unknown_names_are_told() -> None:
    assert render("SELECT {{ cols }} FROM {{ params.table }}", {}).unknown == ["cols", "params_table"]


@pytest.mark.parametrize(
    "text",
    [
        "{% if x %}",
        "{{ 1 / 0 }}",
        "{% for a in range(999999999) %}x{% endfor %}",
        "{% for a in range(99) %}{% for b in range(99) %}{% for c in range(99) %}x{% endfor %}{% endfor %}{% endfor %}",
        "{{ 'a' * 999999999 }}",
        "{{ ''.__class__.__mro__[1].__subclasses__() }}{{ undefined_thing.x() / 0 + 1 // 0 }}{{ 1 % 0 }}",
        "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
        "{{ f(a=1, a=2) }}",
    ],
)
def test_what_cannot_be_rendered_is_an_error_and_keeps_its_lines(text: str) -> None:
    result = render(f"SELECT 1\n{text}\nFROM t", {})
    assert result.error
    assert result.sql.startswith("SELECT 1\n")
    assert result.sql.endswith("\nFROM t")


def test_no_template_leaves_its_sandbox() -> None:
    result = render("{{ ''.__class__.__mro__ }} {{ cycler.__init__.__globals__ }}", {})
    assert "object" not in result.sql
    assert "import" not in result.sql
