"""Templates to plain SQL: dbt, Airflow and plain Jinja, rendered in Jinja's sandbox without running anything.

select {{ cols }} from {{ ref('orders') }} where day = '{{ ds }}'
select unknown_template_cols from orders where day = '2024-01-01'
"""

import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import lru_cache, partial
from types import CodeType
from typing import Any

from jinja2 import FunctionLoader, Template, TemplateError, Undefined, nodes
from jinja2.runtime import Macro
from jinja2.sandbox import SandboxedEnvironment, SecurityError
from sqlglot import exp

from . import dbt_macros

PLACEHOLDER = "unknown_template_"  # begins each name that stands for an unknown one
MAX_RENDERED = 8_000_000  # characters
MAX_STEPS = 20_000  # calls and turns of range() together
MAX_LOOP_DEPTH = 3
MAX_OPERAND = 10_000  # size of a number or text that may be multiplied or formatted

ADAPTERS = {"tsql": "sqlserver"}  # dbt's names of the dialects that have another there
_NONE_GIVEN: Any = object()

_MARK = re.compile(r"\{\{|\{%|\{#")
_SNAPSHOT = re.compile(r"\{%(-?)\s*snapshot\b.*?%\}", re.DOTALL)
_END_SNAPSHOT = re.compile(r"\{%-?\s*endsnapshot\s*-?%\}")
_TAGS = re.compile(r"\{%.*?%\}|\{#.*?#\}", re.DOTALL)
_EXPRESSION = re.compile(r"\{\{(.*?)\}\}", re.DOTALL)
_LOOP = re.compile(r"\{%[-+]?\s*(for|endfor)\b")
_PARTS = re.compile(r'"[^"]*"|[^.]+')
_PLAIN = re.compile(r'"[^"]*"|\w+')
_DAY = datetime(2024, 1, 1, tzinfo=UTC)  # any day will do: a table name that ends in it is a date shard
_UNREADABLE = (TemplateError, ArithmeticError, LookupError, TypeError, ValueError, AttributeError)
_UNREADABLE += (RecursionError, SyntaxError)


@dataclass(slots=True)
class Rendered:
    """Plain SQL, the dbt config that the template states, and what could not be rendered exactly."""

    sql: str
    config: dict[str, Any] = field(default_factory=dict)
    unknown: list[str] = field(default_factory=list)
    error: str | None = None


@dataclass(frozen=True, slots=True)
class World:
    """What a template may refer to: tables by ref() and source(), macros besides dbt's own, var(), the dialect.

    `columns` gives those of a table, where they are known.
    """

    relations: Mapping[str, str] = field(default_factory=dict)
    macros: str = ""
    variables: Mapping[str, Any] = field(default_factory=dict)
    dialect: str = ""
    columns: Callable[[str], Iterable[str] | None] = lambda table: None


def render(sql: str, world: World) -> Rendered:
    """Render `sql` when it holds template marks; never raises: an unreadable template is stripped of its marks."""
    if "{" not in sql or not _MARK.search(sql):
        return Rendered(sql)
    result = Rendered(sql)
    text = _END_SNAPSHOT.sub("", _SNAPSHOT.sub(r"{%\1 do config(materialized='snapshot') %}", sql))
    try:
        check_loops(text)
        check_loops(world.macros)
        environment = _Sandbox(result)
        names = known_names(environment, result, world)
        if world.macros:
            environment.define(world.macros, names)
        template = environment.from_string(text, globals=names | environment.macros)
        result.sql = join_bounded(template.generate())
    except _UNREADABLE as error:
        result.error = f"{type(error).__name__}: {error}"
        result.sql = strip_marks(text)
    return result


def check_loops(text: str) -> None:
    """Refuse loops nested deeper than any model needs: their product could run for hours."""
    depth = 0
    for tag in _LOOP.findall(text):
        depth += 1 if tag == "for" else -1
        if depth > MAX_LOOP_DEPTH:
            raise SecurityError(f"loops nested deeper than {MAX_LOOP_DEPTH}")


def join_bounded(chunks: Iterable[str]) -> str:
    parts, size = [], 0
    for chunk in chunks:
        parts.append(chunk)
        size += len(chunk)
        if size > MAX_RENDERED:
            raise SecurityError(f"the template renders to more than {MAX_RENDERED} characters")
    return "".join(parts)


def strip_marks(text: str) -> str:
    """The text with tags removed and each expression replaced by a name, lines kept."""
    text = _TAGS.sub(lambda found: "\n" * found[0].count("\n"), text)
    return _EXPRESSION.sub(lambda found: placeholder(found[1]) + "\n" * found[0].count("\n"), text)


def is_placeholder(name: str) -> bool:
    return name[: len(PLACEHOLDER)].lower() == PLACEHOLDER


def placeholder(text: str) -> str:
    """'params.day' -> 'unknown_template_params_day': parses as an identifier, and is known to stand for an unknown."""
    return PLACEHOLDER + (re.sub(r"\W+", "_", text).strip("_")[:60] or "value")


class _Unknown(Undefined):
    """A name of the template's world that we lack: it answers every use and prints as a placeholder."""

    def _deeper(self, suffix: object = None) -> Any:
        name = self._undefined_name or "value"
        return type(self)(name=f"{name}_{suffix}" if isinstance(suffix, str | int) else name)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return self._deeper(name)

    def __getitem__(self, key: object) -> Any:
        return self._deeper(key)

    def __call__(self, *_args: Any, **_named: Any) -> Any:
        return self._deeper()

    def _itself(self, *_args: Any) -> Any:
        return self

    def _false(self, _other: object) -> bool:
        return False

    __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = __div__ = __rdiv__ = _itself
    __truediv__ = __rtruediv__ = __floordiv__ = __rfloordiv__ = __mod__ = __rmod__ = _itself
    __pos__ = __neg__ = __pow__ = __rpow__ = _itself
    __lt__ = __le__ = __gt__ = __ge__ = _false

    def __int__(self) -> int:
        return 0

    def __str__(self) -> str:
        return placeholder(self._undefined_name or "value")


class _Returned(Exception):
    """Ends a macro with a value that need not be text."""

    def __init__(self, value: Any) -> None:
        self.value = value


class _Fallback(dict[str, Any]):
    """Filters and tests by name; one that we lack passes its value through."""

    def __missing__(self, name: str) -> Any:
        return lambda value=None, *_args, **_named: value

    def get(self, name: str, default: Any = None) -> Any:
        return self[name]


class _Sandbox(SandboxedEnvironment):
    """Jinja's sandbox with a bound on work; unknown names print as placeholders and are noted."""

    intercepted_binops = frozenset({"*", "**", "%"})

    def __init__(self, result: Rendered) -> None:
        class Noted(_Unknown):
            def __getattr__(unknown, name: str) -> Any:  # the package that a macro is in may go by any name
                return self.macros.get(name) or super().__getattr__(name)

            def __str__(self) -> str:
                result.unknown.append(str(self._undefined_name or "value"))
                return super().__str__()

        def load(name: str) -> str:
            result.unknown.append(name)
            return ""

        super().__init__(
            undefined=Noted,
            extensions=["jinja2.ext.do", "jinja2.ext.loopcontrols"],
            keep_trailing_newline=True,
            cache_size=0,
            loader=FunctionLoader(load),
        )
        self.steps = 0
        self.depth = 0  # of macros that call each other
        self.macros: dict[str, Macro] = {}
        self.filters = _Fallback({**self.filters, **airflow_filters(), "spread": spread})
        self.tests = _Fallback(self.tests)

    def _parse(self, source: str, name: str | None, filename: str | None) -> nodes.Template:
        """{% set a, b = x %}: an unknown x gives as many unknown values as are asked for."""
        tree = super()._parse(source, name, filename)
        for one in tree.find_all(nodes.Assign):
            if isinstance(one.target, nodes.Tuple) and not isinstance(one.node, nodes.Tuple):
                count = nodes.Const(len(one.target.items))
                one.node = nodes.Filter(one.node, "spread", [count], [], None, None, lineno=one.lineno)
                one.node.set_environment(self)
                count.set_environment(self)
        return tree

    def spend(self, steps: int) -> None:
        self.steps += steps
        if self.steps > MAX_STEPS:
            raise SecurityError("the template asks for too much work")

    def range(self, *bounds: int) -> range:
        turns = range(*bounds)
        self.spend(len(turns))
        return turns

    def call(__self, __context: Any, __obj: Any, *args: Any, **kwargs: Any) -> Any:  # noqa: N805 (Jinja's own signature)
        __self.spend(1)
        if getattr(__obj, "__name__", "") == "extend" and max(map(_size, args), default=0) > MAX_OPERAND:
            raise SecurityError("a list grows that long")  # by itself, say, again and again
        if not isinstance(__obj, Macro):
            return super().call(__context, __obj, *args, **kwargs)
        __self.depth += 1
        try:
            return super().call(__context, __obj, *args, **kwargs)
        except _Returned as returned:
            return returned.value
        finally:
            __self.depth -= 1

    def give_back(self, value: Any = None) -> Any:
        """dbt's `return`."""
        if self.depth:
            raise _Returned(value)
        return value

    def define(self, macros: str, names: Mapping[str, Any]) -> None:
        """Make the macros of that text callable. They find each other, and `names`."""
        template = Template.from_code(self, compiled(macros), dict(names))
        context = template.new_context()
        for _ in template.root_render_func(context):
            pass
        self.macros = {name: value for name, value in context.vars.items() if isinstance(value, Macro)}

    def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
        if max(_size(left), _size(right)) > MAX_OPERAND:
            raise SecurityError(f"operator {operator} on a value that large")
        return super().call_binop(context, operator, left, right)


@lru_cache(100)  # many templates of a folder call the same ones
def compiled(macros: str) -> CodeType:
    """Macros as Jinja has them run: the same code for every sandbox."""
    return _Sandbox(Rendered("")).compile(macros)


def _size(value: Any) -> float:
    return abs(value) if isinstance(value, int | float) else len(value) if hasattr(value, "__len__") else 0


def written(name: str, dialect: str) -> str:
    """A table's name as SQL: parts that are no plain words are quoted as the dialect does."""
    return ".".join(part if _PLAIN.fullmatch(part) else quoted(part, dialect) for part in _PARTS.findall(name))


def quoted(name: str, dialect: str) -> str:
    return str(exp.to_identifier(name, quoted=True).sql(dialect=dialect))


def plain(relation: str) -> str:
    """The name of a table that `written` wrote."""
    return ".".join(bare_parts(relation))


def bare_parts(relation: str) -> list[str]:
    """The parts of such a name, without their quotes."""
    return [part.strip('`"[]') for part in _PARTS.findall(relation)]


class _Relation(str):
    """A table's name in a template, with dbt's attributes."""

    __slots__ = ()

    def _part(self, place: int) -> str:
        parts = bare_parts(self)
        return parts[place] if len(parts) >= -place else ""

    identifier = name = table = property(lambda self: self._part(-1))
    schema = property(lambda self: self._part(-2))
    database = property(lambda self: self._part(-3))


def known_names(environment: _Sandbox, result: Rendered, world: World) -> dict[str, Any]:
    """What a template may call: dbt's functions, Airflow's macros."""
    known = dbt_macros.calls() | known_by_columns(environment, world)
    packages = {name: _Package(environment, name, known) for name in ("dbt", "dbt_utils")}
    return (
        known
        | packages
        | dbt_names(environment, result, world)
        | airflow_names(environment)
        | adapter_names(environment, world, known)
        | {"range": environment.range}
    )


def known_by_columns(environment: _Sandbox, world: World) -> dict[str, Callable[..., Any]]:
    """dbt's macros that ask which columns a relation has; where nobody knows, what they would write is unknown."""

    def or_unknown(name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def answer(*places: Any, **named: Any) -> Any:
            answered = call(*places, **named)
            return environment.undefined(name=f"dbt_utils_{name}") if answered is None else answered

        return answer

    def columns(relation: str) -> Iterable[str] | None:
        return world.columns(plain(relation))

    calls = dbt_macros.calls_by_columns(columns, partial(quoted, dialect=world.dialect))
    return {name: or_unknown(name, call) for name, call in calls.items()}


class _Package:
    """Names behind a dot, as a package of macros has them; what we lack is an unknown name like any other."""

    def __init__(self, environment: _Sandbox, name: str, known: Mapping[str, Any]) -> None:
        self._environment, self._name, self._known = environment, name, known

    def __getattr__(self, name: str) -> Any:
        return self._known[name] if name in self._known else self._environment.undefined(name=f"{self._name}_{name}")


def adapter_names(environment: _Sandbox, world: World, known: Mapping[str, Any]) -> dict[str, Any]:
    """https://docs.getdbt.com/reference/dbt-jinja-functions/adapter, what needs no database of it; and `target`."""
    kind = ADAPTERS.get(world.dialect, world.dialect)

    def dispatch(macro_name: str, *_args: Any, **_named: Any) -> Any:
        found = (environment.macros.get(f"{prefix}__{macro_name}") for prefix in (kind, "default"))
        return next(filter(None, found), known.get(macro_name)) or environment.undefined(name=macro_name)

    def quote(identifier: Any) -> str:
        return quoted(str(identifier), world.dialect)

    return {
        "adapter": _Package(environment, "adapter", {"dispatch": dispatch, "quote": quote}),
        "target": _Package(environment, "target", {"type": kind}),
    }


def dbt_names(environment: _Sandbox, result: Rendered, world: World) -> dict[str, Any]:
    """https://docs.getdbt.com/reference/dbt-jinja-functions, as far as lineage depends on it."""

    def relation(name: str) -> str:
        return _Relation(written(world.relations.get(name) or name, world.dialect))

    def ref(*names: Any, **_named: Any) -> str:
        return relation(str(names[-1]))

    def source(name: Any, table: Any) -> str:
        return relation(f"{name}.{table}")

    def config(*_args: Any, **settings: Any) -> str:
        result.config.update(settings)
        return ""

    def env_var(name: str, default: Any = _NONE_GIVEN) -> Any:
        return environment.undefined(name=name) if default is _NONE_GIVEN else default

    def var(name: str, default: Any = _NONE_GIVEN) -> Any:
        value = world.variables.get(name)
        if isinstance(value, str) and _MARK.search(value):
            return strip_marks(value)  # a template of its own
        return env_var(name, default) if value is None else value

    return {
        "ref": ref,
        "source": source,
        "config": config,
        "var": var,
        "env_var": env_var,
        "this": relation("this") if world.relations.get("this") else _Relation(placeholder("this")),
        # The incremental branch reads all that the full one reads, and the model itself.
        "is_incremental": lambda: True,
        "statement": lambda *_args, **_named: "",  # run on its own, before the model
        "execute": False,
        "log": lambda *_args, **_named: "",
        "return": environment.give_back,
        "fromjson": json.loads,
        "tojson": json.dumps,
        "set": set,
        "zip": zip,
        "run_started_at": _DAY,
    }


def airflow_names(environment: _Sandbox) -> dict[str, Any]:
    """https://airflow.apache.org/docs/apache-airflow/stable/templates-ref.html, as of one day's run."""
    before, after = _DAY - timedelta(days=1), _DAY + timedelta(days=1)
    days = {"ds": _DAY, "prev_ds": before, "yesterday_ds": before, "next_ds": after, "tomorrow_ds": after}
    return (
        dict.fromkeys(("execution_date", "logical_date", "data_interval_start"), _DAY)
        | {"data_interval_end": after, "next_execution_date": after, "prev_execution_date": before}
        | {name: f"{day:%Y-%m-%d}" for name, day in days.items()}
        | {f"{name}_nodash": f"{day:%Y%m%d}" for name, day in days.items()}
        | {"ts": _DAY.isoformat(), "ts_nodash": f"{_DAY:%Y%m%dT%H%M%S}"}
        | {"macros": _Macros(environment), "run_id": "manual__2024-01-01"}
    )


class _Macros:
    """Airflow's `macros`; what we lack is an unknown name like any other."""

    timedelta = timedelta

    def __init__(self, environment: _Sandbox) -> None:
        self._environment = environment

    def __getattr__(self, name: str) -> Any:
        return self._environment.undefined(name=name)

    @staticmethod
    def ds_add(day: str, days: int) -> str:
        return f"{datetime.fromisoformat(day) + timedelta(days=days):%Y-%m-%d}"

    @staticmethod
    def ds_format(day: str, given: str, wanted: str) -> str:
        return datetime.strptime(day, given).replace(tzinfo=UTC).strftime(wanted)


def spread(value: Any, count: int) -> Any:
    """The parts of an unknown value that is taken apart; a known one has its own."""
    return [value[place] for place in range(count)] if isinstance(value, Undefined) else value


def _formatted(value: Any, form: str) -> Any:
    return value.strftime(form) if isinstance(value, datetime) else value


def airflow_filters() -> dict[str, Any]:
    return {
        "ds": lambda value: _formatted(value, "%Y-%m-%d"),
        "ds_nodash": lambda value: _formatted(value, "%Y%m%d"),
        "ts": lambda value: _formatted(value, "%Y-%m-%dT%H:%M:%S+00:00"),
        "ts_nodash": lambda value: _formatted(value, "%Y%m%dT%H%M%S"),
    }
