"""dbt's cross-database macros and those of dbt_utils, as SQL of the same lineage in every dialect.

{{ dbt.datediff('created_at', 'closed_at', 'day') }}   dbt_datediff(created_at, closed_at)
{{ dbt.type_string() }}                                varchar
{{ dbt_utils.group_by(2) }}                            group by 1, 2

https://docs.getdbt.com/reference/dbt-jinja-functions/cross-database-macros, https://github.com/dbt-labs/dbt-utils
A macro that is not here stays an unknown name, as all macros of other packages do.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any

TYPES = {
    "type_string": "varchar",
    "type_timestamp": "timestamp",
    "type_int": "int",
    "type_bigint": "bigint",
    "type_float": "float",
    "type_numeric": "numeric",
    "type_boolean": "boolean",
}
# What each takes: the arguments that hold SQL, by place and name; the others are words such as 'day'.
CALLS: dict[str, tuple[str, ...]] = {
    "dateadd": ("-datepart", "interval", "from_date_or_timestamp"),
    "datediff": ("first_date", "second_date", "-datepart"),
    "date_trunc": ("-datepart", "date"),
    "last_day": ("date", "-datepart"),
    "date": ("year", "month", "day"),
    "split_part": ("string_text", "delimiter_text", "part_number"),
    "position": ("substring_text", "string_text"),
    "replace": ("field", "old_chars", "new_chars"),
    "right": ("string_text", "length_expression"),
    "length": ("expression",),
    "hash": ("field",),
    "concat": ("fields",),
    "cast_bool_to_text": ("expression",),
    "array_construct": ("inputs", "-data_type"),
    "array_append": ("array", "new_element"),
    "array_concat": ("array_1", "array_2"),
    "generate_surrogate_key": ("field_list",),
    "surrogate_key": ("field_list",),
    "safe_divide": ("numerator", "denominator"),
    "safe_add": ("field_list",),
    "safe_subtract": ("field_list",),
    "get_url_host": ("field",),
    "get_url_path": ("field",),
    "get_url_parameter": ("field", "-url_parameter"),
}
AGGREGATES = {"any_value": "any_value", "bool_or": "max", "listagg": "array_agg"}  # of their first argument
MAX_COLUMNS = 1_000  # of group_by and pivot
NOW = ("current_timestamp", "current_timestamp_backcompat", "current_timestamp_in_utc_backcompat")

Columns = Callable[[str], Iterable[str] | None]  # of a relation, in their order; None where nobody knows them
Quote = Callable[[str], str]


def calls() -> dict[str, Callable[..., str]]:
    """Each macro by its name."""
    return (
        {name: partial(str, kind) for name, kind in TYPES.items()}
        | {name: call(name, parameters) for name, parameters in CALLS.items()}
        | {name: aggregate(function) for name, function in AGGREGATES.items()}
        | {"cast": cast, "safe_cast": cast, "string_literal": literal, "group_by": group_by, "deduplicate": deduplicate}
        | dict.fromkeys(NOW, lambda: "current_timestamp")
        | {"date_spine": date_spine, "generate_series": generate_series, "pivot": pivot, "slugify": slugify}
    )


def call(name: str, parameters: tuple[str, ...]) -> Callable[..., str]:
    """A function of the macro's own name over the SQL it is given: a value made of all of them."""

    def written(*places: Any, **named: Any) -> str:
        given = dict(zip((parameter.strip("-") for parameter in parameters), places, strict=False)) | named
        held = [given[parameter] for parameter in parameters if given.get(parameter) is not None]
        return f"dbt_{name}({', '.join(text for value in held for text in texts(value))})"

    return written


def texts(value: Any) -> Iterable[str]:
    return [str(part) for part in value] if isinstance(value, list | tuple) else [str(value)]


def aggregate(function: str) -> Callable[..., str]:
    def written(expression: Any = "null", *_others: Any, measure: Any = None, **_named: Any) -> str:
        return f"{function}({measure or expression})"

    return written


def cast(field: Any, type: Any = "varchar") -> str:
    return f"cast({field} as {type})"


def literal(value: Any) -> str:
    return "'" + str(value).replace("'", "''") + "'"


def group_by(n: Any) -> str:
    """https://github.com/dbt-labs/dbt-utils#group_by: by the first n columns."""
    places = range(1, min(int(n), MAX_COLUMNS) + 1)
    return f"group by {', '.join(map(str, places))}"


def deduplicate(relation: Any, partition_by: Any = "null", order_by: Any = "null") -> str:
    """https://github.com/dbt-labs/dbt-utils#deduplicate: of each group the first row."""
    window = f"row_number() over (partition by {partition_by} order by {order_by})"
    return f"select * from {relation} where {window} = 1"


def date_spine(datepart: Any, start_date: Any, end_date: Any) -> str:
    """https://github.com/dbt-labs/dbt-utils#date_spine: a row for each day, say, from one date to another."""
    return f"select dbt_date_spine({start_date}, {end_date}) as date_{datepart}"


def generate_series(upper_bound: Any) -> str:
    """https://github.com/dbt-labs/dbt-utils#generate_series"""
    return f"select dbt_generate_series({upper_bound}) as generated_number"


def slugify(string: Any) -> str:
    """https://github.com/dbt-labs/dbt-utils#slugify: a text as the name of a column."""
    name = re.sub(r"[^a-z0-9_]+", "", re.sub(r"[ -]+", "_", str(string).lower()))
    return f"_{name}" if name[:1].isdigit() else name


def pivot(
    column: Any,
    values: Any = (),
    alias: Any = True,
    agg: Any = "sum",
    cmp: Any = "=",
    prefix: Any = "",
    suffix: Any = "",
    then_value: Any = 1,
    else_value: Any = 0,
    quote_identifiers: Any = True,
    **_named: Any,
) -> str:
    """https://github.com/dbt-labs/dbt-utils#pivot: an aggregate for each of the values."""
    terms = []
    for value in list(values)[:MAX_COLUMNS]:
        name = f"{prefix}{value}{suffix}"
        written = f' as "{name}"' if quote_identifiers else f" as {slugify(name)}"
        case = f"case when {column} {cmp} {literal(value)} then {then_value} else {else_value} end"
        terms.append(f"{agg}({case}){written if alias else ''}")
    return ", ".join(terms)


def calls_by_columns(columns: Columns, quote: Quote) -> dict[str, Callable[..., Any]]:
    """Macros that ask the database which columns a relation has; each answers None where that is not known."""
    return {
        "star": partial(star, columns, quote),
        "get_filtered_columns_in_relation": partial(filtered, columns),
        "union_relations": partial(union_relations, columns, quote),
    }


def filtered(columns: Columns, *places: Any, **named: Any) -> list[str] | None:
    """https://github.com/dbt-labs/dbt-utils#get_filtered_columns_in_relation: all columns but some."""
    given = dict(zip(("from", "except"), places, strict=False)) | named
    found = columns(str(given.get("from", "")))
    left_out = {str(name).lower() for name in given.get("except") or ()}
    return None if found is None else [name for name in found if name.lower() not in left_out]


def star(columns: Columns, quote: Quote, *places: Any, **named: Any) -> str | None:
    """https://github.com/dbt-labs/dbt-utils#star: the columns of a relation, listed."""
    given = dict(zip(("from", "relation_alias", "except", "prefix", "suffix"), places, strict=False)) | named
    found = filtered(columns, given.get("from", ""), given.get("except"))
    if found is None:
        return None
    alias, prefix, suffix = (given.get(key) or "" for key in ("relation_alias", "prefix", "suffix"))
    before = f"{alias}." if alias else ""
    return ", ".join(f"{before}{quote(name)} as {quote(f'{prefix}{name}{suffix}')}" for name in found)


def union_relations(
    columns: Columns,
    quote: Quote,
    relations: Iterable[Any] = (),
    *_others: Any,
    source_column_name: Any = "_dbt_source_relation",
    where: Any = None,
    **named: Any,
) -> str:
    """https://github.com/dbt-labs/dbt-utils#union_relations: rows of all, columns by name; by place where not known."""
    found = {str(relation): columns(str(relation)) for relation in relations}
    wanted = chosen(found, named.get("include"), named.get("exclude"))
    condition = f" where {where}" if where else ""
    selects = []
    for relation, names in found.items():
        own = set(names or ())
        held = [quote(name) if name in own else f"null as {quote(name)}" for name in wanted or ()] or ["*"]
        source = [f"{literal(relation)} as {source_column_name}"] if source_column_name else []
        selects.append(f"(select {', '.join(source + held)} from {relation}{condition})")
    return " union all ".join(selects)


def chosen(found: Mapping[str, Iterable[str] | None], include: Any, exclude: Any) -> list[str] | None:
    """The columns of a union, each once; None where a relation's are not known."""
    if None in found.values():
        return None
    included, excluded = ({str(name).lower() for name in names or ()} for names in (include, exclude))
    names = dict.fromkeys(name for columns in found.values() for name in columns or ())
    return [name for name in names if name.lower() not in excluded and (not included or name.lower() in included)]
