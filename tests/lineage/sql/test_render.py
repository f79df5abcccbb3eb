"""Templates become plain SQL without anything being run."""

import pytest

from lineage.sql.render import World, render


def rendered(text: str, **relations: str) -> str:
    result = render(text, World(relations))
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
        ("{% call statement('s') %}SELECT 1{% endcall %}", ""),
        ("{% set a, b = unknown() %}{{ a }} {{ b }}", "unknown_template_unknown_0 unknown_template_unknown_1"),
        ("{% set a, b = ('x', 'y') %}{{ a }}", "x"),
        ("{% set a, b = pair %}{{ b }}", "unknown_template_pair_1"),
        ("{% macro m(c) %}({{ c }} / 100){% endmacro %}{{ m('price') }}", "(price / 100)"),
    ],
)
def test_renders(text: str, expected: str) -> None:
    assert rendered(text, orders="shop.orders") == expected


def test_config_is_kept() -> None:
    result = render("{{ config(materialized='incremental', unique_key='id') }}SELECT 1", World())
    assert (result.config, result.sql) == ({"materialized": "incremental", "unique_key": "id"}, "SELECT 1")


def test_unknown_names_are_told() -> None:
    assert render("SELECT {{ cols }} FROM {{ params.table }}", World()).unknown == ["cols", "params_table"]


@pytest.mark.parametrize(
    "text",
    [
        "{% if x %}",
        "{{ 1 / 0 }}",
        "{% for a in range(999999999) %}x{% endfor %}",
        "{% for a in range(99) %}{% for b in range(99) %}{% for c in range(99) %}x{% endfor %}{% endfor %}{% endfor %}",
        "{{ 'a' * 999999999 }}",
        "{% set a = [1] %}{% for i in range(99) %}{% do a.extend(a) %}{% endfor %}{{ a }}",
        "{{ ''.__class__.__mro__[1].__subclasses__() }}{{ undefined_thing.x() / 0 + 1 // 0 }}{{ 1 % 0 }}",
        "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
        "{{ f(a=1, a=2) }}",
    ],
)
def test_what_cannot_be_rendered_is_an_error_and_keeps_its_lines(text: str) -> None:
    result = render(f"SELECT 1\n{text}\nFROM t", World())
    assert result.error
    assert result.sql.startswith("SELECT 1\n")
    assert result.sql.endswith("\nFROM t")


def test_no_template_leaves_its_sandbox() -> None:
    result = render("{{ ''.__class__.__mro__ }} {{ cycler.__init__.__globals__ }}", World())
    assert "object" not in result.sql
    assert "import" not in result.sql


MACROS = (
    "{% macro cents(c) %}({{ c }} / 100){% endmacro %}"
    "{% macro default__whole(c) %}{{ cents(c) }}::int{% endmacro %}"
    "{% macro postgres__whole(c) %}floor({{ cents(c) }}){% endmacro %}"
    "{% macro whole(c) %}{{ return(adapter.dispatch('whole', 'shop')(c)) }}{% endmacro %}"
    "{% macro parts() %}{% do return(['a', 'b']) %}never{% endmacro %}"
    "{% macro latest(model) %}(select max(at) from {{ ref(model) }}){% endmacro %}"
)


@pytest.mark.parametrize(
    ("text", "dialect", "expected"),
    [
        ("{{ cents('p') }}", "", "(p / 100)"),
        ("{{ whole('p') }}", "postgres", "floor((p / 100))"),
        ("{{ whole('p') }}", "duckdb", "(p / 100)::int"),
        ("{{ shop.cents('p') }}", "", "(p / 100)"),
        ("{{ shop.lost('p') }}", "", "unknown_template_shop_lost"),
        ("{% for part in parts() %}{{ part }} {% endfor %}", "", "a b"),
        ("{{ latest('orders') }}", "", "(select max(at) from shop.orders)"),
        ("{% if target.type == 'sqlserver' %}a{% else %}b{% endif %}", "tsql", "a"),
        ("{{ target.schema }}", "", "unknown_template_target_schema"),
        ("{{ adapter.get_relation(this) }}", "", "unknown_template_adapter_get_relation"),
        ("{{ adapter.dispatch('dateadd')('day', 1, 'at') }}", "", "dbt_dateadd(1, at)"),
        ("{{ adapter.quote('p') }}", "bigquery", "`p`"),
        ("{{ var('fiscal', 1) }} {{ var('other', 1) }} {{ env_var('fiscal', 2) }}", "", "4 1 2"),
        ("'{{ var('at') }}'{% if var('x', none) is none %} none{% endif %}", "", "'unknown_template_now' none"),
        ("{{ fromjson('[{\"a\": 1}]')[0]['a'] }}", "", "1"),
        ("from {{ ref('web-site.hits') }}", "snowflake", 'from "web-site".hits'),
        ("from {{ source('web-site', 'hits').schema }}", "bigquery", "from web-site"),
    ],
)
def test_macros_of_the_folder_are_called(text: str, dialect: str, expected: str) -> None:
    variables = {"fiscal": 4, "at": "{{ now() }}"}
    result = render(text, World({"orders": "shop.orders"}, MACROS, variables, dialect))
    assert (result.error, " ".join(result.sql.split())) == (None, expected)


COLUMNS = {"raw.a": ["id", "x"], "raw.b": ["id", "y"]}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{{ dbt_utils.star(ref('a')) }}", '"id" as "id", "x" as "x"'),
        ("{{ dbt_utils.star(from=ref('a'), relation_alias='t', except=['ID'], prefix='a_') }}", 't."x" as "a_x"'),
        ("{{ dbt_utils.star(ref('c')) }}", "unknown_template_dbt_utils_star"),
        ("{{ dbt_utils.get_filtered_columns_in_relation(ref('a'), ['x']) | join }}", "id"),
        (
            "{{ dbt_utils.union_relations([ref('a'), ref('b')], exclude=['id'], source_column_name=none) }}",
            '(select "x", null as "y" from raw.a) union all (select null as "x", "y" from raw.b)',
        ),
        (
            "{{ dbt_utils.union_relations([ref('a'), ref('c')], where='1 = 1') }}",
            "(select 'raw.a' as _dbt_source_relation, * from raw.a where 1 = 1) union all "
            "(select 'c' as _dbt_source_relation, * from c where 1 = 1)",
        ),
    ],
)
def test_macros_that_ask_for_columns(text: str, expected: str) -> None:
    world = World({"a": "raw.a", "b": "raw.b"}, dialect="duckdb", columns=COLUMNS.get)
    result = render(text, world)
    assert (result.error, result.sql) == (None, expected)


def test_lists_grow_in_a_template() -> None:
    text = "{% set a = [] %}{% do a.append('x') %}{% do a.extend(['y']) %}{{ a | join(', ') }}"
    assert render(text, World()).sql == "x, y"


def test_macros_keep_the_lines_of_the_template() -> None:
    assert render("select\n{{ cents('p') }}\nfrom t", World(macros=MACROS)).sql == "select\n(p / 100)\nfrom t"
