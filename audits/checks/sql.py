"""The SQL that measures: written as sqlglot's expressions, in the dialect of the source. Nothing is run here.

All checks of a table with the same `where` share one scan, as far as an aggregate can measure them:

    SELECT COUNT(*) AS row_count, COUNT(*) - COUNT("email") AS figure_1, MAX("at") AS figure_2 FROM "shop"."orders"
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from sqlglot import exp

from audits.checks import kinds
from audits.checks.distinct import repetitions
from audits.checks.guard import checked_condition
from audits.checks.kinds import Parameters
from audits.checks.place import Place, counted
from catalog.table_names import identifier


def shares_a_scan(parameters: Parameters) -> bool:
    """Whether an aggregate measures it, so that others of the table can be measured by the same statement."""
    return isinstance(
        parameters, (*kinds.COUNTS_ROWS, kinds.UniqueKey, kinds.NotNull, kinds.AcceptedValues, kinds.Freshness)
    )


def scan(place: Place, asked: Sequence[Parameters]) -> str:
    """One statement and one row: the number of rows, then a figure for each of `asked`, which share their `where`."""
    figures = [exp.alias_(_figure(place, each), f"figure_{number}") for number, each in enumerate(asked, 1)]
    where = getattr(asked[0], "where", "") if asked else ""
    return place.written(place.narrowed(exp.select(exp.alias_(counted(), "row_count"), *figures), where))


def row_count(place: Place) -> str:
    """How many rows a table has."""
    return scan(place, [])


def probe(place: Place) -> str:
    """No rows, but the columns that the table has now."""
    return place.written(exp.select("*").from_(identifier(place.dialect, place.name)).limit(0))


def apart(place: Place, parameters: Parameters) -> str:
    """The statement of a check that cannot share a scan: one row with one figure."""
    match parameters:
        case kinds.DuplicateRows():
            once = place.narrowed(exp.select("*").distinct(), parameters.where).subquery("once")
            distinct = exp.select(counted()).from_(once).subquery()
            figure = exp.Sub(this=counted(), expression=distinct)
            return place.written(place.narrowed(exp.select(exp.alias_(figure, "figure_1")), parameters.where))
        case kinds.Referential():
            lost = _lost(place, exp.select(exp.alias_(counted(), "figure_1")), parameters)
            return place.written(lost)
        case kinds.CustomSql():
            return parameters.sql
    raise TypeError(f"{parameters.kind} is measured by a scan.")


def sample(place: Place, parameters: Parameters, keys: Sequence[str], most: int) -> str | None:
    """Some keys that offend, the most frequent first; `keys` name rows. None where nothing can be shown."""
    match parameters:
        case kinds.UniqueKey():
            return place.written(_repeated(place, parameters.columns, parameters.where, most))
        case kinds.DuplicateRows() if place.columns:
            return place.written(_repeated(place, place.columns, parameters.where, most))
        case kinds.NotNull() if keys:
            query = exp.select(*(place.column(name) for name in keys))
            return place.written(
                place.narrowed(query, parameters.where)
                .where(exp.Is(this=place.column(parameters.column), expression=exp.Null()))
                .limit(most)
            )
        case kinds.AcceptedValues():
            query = place.narrowed(exp.select(place.column(parameters.column), _times()), parameters.where)
            return place.written(_grouped(place, query.where(_another(place, parameters)), [parameters.column], most))
        case kinds.Referential():
            columns = [_of("checked", place.column(name)) for name in parameters.columns]
            query = _lost(place, exp.select(*columns, _times()), parameters)
            return place.written(query.group_by(*columns).order_by(_most_first()).limit(most))
    return None


# The pieces


def _times() -> exp.Expression:
    return exp.alias_(counted(), "times")


def _most_first() -> exp.Expression:
    return exp.Ordered(this=exp.column("times"), desc=True, nulls_first=False)


def _figure(place: Place, parameters: Parameters) -> exp.Expression:
    match parameters:
        case kinds.UniqueKey():
            return repetitions(place, parameters)
        case kinds.NotNull():
            return exp.Sub(this=counted(), expression=exp.Count(this=place.column(parameters.column), big_int=True))
        case kinds.AcceptedValues():
            is_another = exp.Case().when(_another(place, parameters), exp.Literal.number(1))
            return exp.Count(this=is_another, big_int=True)
        case kinds.Freshness():
            return exp.Max(this=place.column(parameters.column))
    return counted()


def _another(place: Place, parameters: kinds.AcceptedValues) -> exp.Expression:
    """The column holds another value than those accepted; of NULL this is not true."""
    accepted = exp.In(
        this=place.column(parameters.column), expressions=[exp.convert(value) for value in parameters.values]
    )
    return exp.Not(this=accepted)


def _repeated(place: Place, columns: Iterable[str], where: str, most: int) -> exp.Select:
    columns = list(columns)
    query = place.narrowed(exp.select(*(place.column(name) for name in columns), _times()), where)
    more_than_once = exp.GT(this=counted(), expression=exp.Literal.number(1))
    return _grouped(place, query.having(more_than_once), columns, most)


def _grouped(place: Place, query: exp.Select, columns: Iterable[str], most: int) -> exp.Select:
    return query.group_by(*(place.column(name) for name in columns)).order_by(_most_first()).limit(most)


def _of(alias: str, column: exp.Column) -> exp.Column:
    return exp.column(column.this.copy(), table=alias)


def _lost(place: Place, query: exp.Select, parameters: kinds.Referential) -> exp.Select:
    """Rows whose columns hold values that the other table has not."""
    here = [_of("checked", place.column(name)) for name in parameters.columns]
    there = [_of("known", exp.column(exp.to_identifier(name, quoted=True))) for name in parameters.to_columns]
    known = exp.select(exp.Literal.number(1)).from_(
        exp.alias_(identifier(place.dialect, parameters.to_table.partition(":")[2]), "known", table=True)
    )
    for mine, theirs in zip(here, there, strict=True):
        known = known.where(exp.EQ(this=theirs, expression=mine.copy()))
    query = query.from_(exp.alias_(identifier(place.dialect, place.name), "checked", table=True))
    if parameters.where:
        query = query.where(checked_condition(parameters.where, place.dialect))
    for mine in here:
        query = query.where(exp.Not(this=exp.Is(this=mine.copy(), expression=exp.Null())))
    return query.where(exp.Not(this=exp.Exists(this=known)))
