"""The barometer of technical debt: plots by month, each point a link to the list that it counts."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.utils.http import urlencode
from django.views.decorators.http import require_GET

from audits.postmortems.barometer import MONTHS, SPANS, Month, Scope, barometer
from audits.postmortems.models import Cause, Incident
from catalog.models import Owner, Source
from pages.charts import HEIGHT, WIDTH, Chart, Series, Value, bars, lines
from pages.find import owner_or_404, pipeline_or_404, source_or_404

_TONES = ("one", "two", "three", "four", "five")
_MOST_CAUSES = 5
_FIND = {"team": owner_or_404, "source": source_or_404, "pipeline": pipeline_or_404}


@require_GET
def page(request: HttpRequest) -> HttpResponse:
    """Of everything, or of the team, source or pipeline in the address."""
    scope = Scope(**{name: request.GET.get(name, "").strip() for name in _FIND})
    for name, value in scope.asked.items():
        _FIND[name](value)
    months = barometer(scope, timezone.now(), MONTHS)
    plots = _Plots(scope, months)
    context = {
        "title": "Barometer",
        "scope": scope,
        "teams": Owner.objects.filter(kind=Owner.Kind.TEAM),
        "sources": Source.objects.all(),
        "now": months[-1],
        "before": months[-2],
        "year": {name: sum(getattr(month, name) for month in months) for name in ("incidents", "recurrences")},
        "groups": [
            ("What went wrong", [plots.severity(), plots.causes(), plots.recurrences()]),
            ("How long it took", list(plots.times())),
            ("What was decided and is not done", [plots.items(), plots.age(), plots.debt()]),
            ("What there is to keep", [plots.things(), plots.dependencies()]),
        ],
        "months": months,
        "spans": SPANS,
        "width": WIDTH,
        "height": HEIGHT,
        "rest": f"{reverse('api:barometer')}?{urlencode(scope.asked)}",
    }
    return render(request, "barometer/barometer.html", context)


class _Plots:
    """The plots of one barometer."""

    def __init__(self, scope: Scope, months: Sequence[Month]) -> None:
        self.scope = scope
        self.months = months
        self.names = [f"{month.start:%b}" for month in months]

    def severity(self) -> Chart:
        levels = [(int(value), str(label)) for value, label in Incident.Severity.choices]
        series = [
            self._series(
                label,
                f"severity-{level}",
                lambda month, level=level: month.by_severity.get(level, 0),
                lambda month, level=level: self._incidents(month, severity=level),
                f"{label.lower()} incidents",
            )
            for level, label in levels
        ]
        return bars("Incidents by severity", self.names, series)

    def causes(self) -> Chart:
        totals = {code: sum(month.by_cause.get(code, 0) for month in self.months) for code in Cause.Code.values}
        most = sorted((code for code in totals if totals[code]), key=lambda code: (-totals[code], code))[:_MOST_CAUSES]
        series = [
            self._series(
                str(Cause.Code(code).label),
                tone,
                lambda month, code=code: month.by_cause.get(code, 0),
                lambda month, code=code: self._incidents(month, root_cause=code),
                f"with the root cause {Cause.Code(code).label.lower()}",
            )
            for code, tone in zip(most, _TONES, strict=False)
        ]
        return bars("Root causes", self.names, series)

    def recurrences(self) -> Chart:
        came_back = self._series(
            "Came back",
            "severity-1",
            lambda month: month.recurrences,
            lambda month: self._incidents(month, is_recurrence="true"),
            "recurrences",
        )
        return bars("Recurrences of a root cause", self.names, [came_back])

    def times(self) -> Iterator[Chart]:
        for name in SPANS:
            series = [
                self._series(
                    label,
                    "one" if part == "median" else "two",
                    lambda month, name=name, part=part: getattr(month.took.get(name), part, None),
                    lambda month: self._incidents(month),
                    f"hours to {name} ({label.lower()})",
                    is_dashed=part == "p90",
                )
                for part, label in (("p90", "90th percentile"), ("median", "Median"))
            ]
            yield lines(f"Hours to {name}", self.names, series)

    def items(self) -> Chart:
        return lines(
            "Action items open at the end of the month",
            self.names,
            [
                self._series("Open", "one", lambda month: month.open_items, self._items("open_at"), "open"),
                self._series(
                    "Overdue", "severity-1", lambda month: month.overdue_items, self._items("overdue_at"), "overdue"
                ),
            ],
        )

    def age(self) -> Chart:
        age = self._series(
            "Median", "one", lambda month: month.item_age, self._items("open_at"), "days, the median age"
        )
        return lines("Age of open action items in days", self.names, [age])

    def debt(self) -> Chart:
        share = self._series(
            "Share",
            "one",
            lambda month: None if month.debt_share is None else round(month.debt_share * 100, 1),
            self._items("open_at"),
            "percent of pipelines have open action items",
        )
        return lines("Pipelines with open debt, percent", self.names, [share])

    def things(self) -> Chart:
        return lines(
            "Pipelines and tables",
            self.names,
            [
                self._series(
                    "Pipelines", "one", lambda month: month.pipelines, self._things("pipeline-list"), "pipelines"
                ),
                self._series("Tables", "two", lambda month: month.tables, self._things("table-list"), "tables"),
            ],
        )

    def dependencies(self) -> Chart:
        what = "edges between tables of different sources"
        edges = self._series("Edges", "one", lambda month: month.dependencies, self._things("source-list"), what)
        return lines("Dependencies between sources", self.names, [edges])

    def _series(
        self,
        label: str,
        tone: str,
        number: Callable[[Month], float | None],
        url: Callable[[Month], str],
        what: str,
        is_dashed: bool = False,
    ) -> Series:
        values = [
            Value(found, url(month), f"{month.start:%B %Y}: {_written(found)} {what}")
            for month in self.months
            for found in [number(month)]
        ]
        return Series(label, tone, values, is_dashed)

    def _incidents(self, month: Month, **narrowed: object) -> str:
        asked = {**self.scope.asked, **narrowed, "since": month.start.isoformat(), "until": month.end.isoformat()}
        return f"{reverse('incident-list')}?{urlencode(asked)}"

    def _items(self, moment: str) -> Callable[[Month], str]:
        def url(month: Month) -> str:
            asked = {**self.scope.asked, moment: month.end.isoformat()}
            return f"{reverse('action-item-list')}?{urlencode(asked)}"

        return url

    def _things(self, route: str) -> Callable[[Month], str]:
        narrowed = {"source": self.scope.source} if self.scope.source and route == "table-list" else {}
        if self.scope.team and route != "source-list":
            narrowed["owner"] = self.scope.team
        return lambda _: f"{reverse(route)}?{urlencode(narrowed)}" if narrowed else reverse(route)


def _written(number: float | None) -> str:
    return "–" if number is None else f"{number:,g}"
