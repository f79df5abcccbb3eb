"""Small words for templates: icons, names that can wrap, figures, times."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterable, Sequence
from functools import cache
from html import escape
from typing import Any
from urllib.parse import quote

from django import template
from django.contrib.humanize.templatetags.humanize import naturaltime
from django.templatetags.static import static
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.html import conditional_escape, format_html
from django.utils.safestring import SafeString, mark_safe
from django.utils.timesince import timesince

from audits.checks.judge import written
from audits.postmortems.markdown import to_html
from catalog import moments
from catalog.links import link
from catalog.models import Owner
from catalog.runs import SLOW
from catalog.search import Hit, Marked
from lineage.breaks import Level
from lineage.nodes import NodeId
from lineage.standing import Badge, Standing
from pages.badges import badge, outcome_badge, severity_badge
from pages.undo import OFFERED

register = template.Library()
register.simple_tag(link)
for _filter in (badge, outcome_badge, severity_badge):
    register.filter(_filter)

LONG = 400  # characters of a description that stand above everything else

_BREAK = re.compile(r"(?<=[._/\-:])(?![._/\-:])")


@register.simple_tag
@cache
def icon(name: str, size: int = 16) -> SafeString:
    """A decorative icon from the sprite."""
    return format_html(
        '<svg class="icon" width="{0}" height="{0}" aria-hidden="true"><use href="{1}#{2}"></use></svg>',
        size,
        static("img/icons.svg"),
        name,
    )


@register.simple_tag(takes_context=True)
def undo_offer(context: dict[str, Any]) -> dict[str, str] | None:
    """What was just done and can be taken back; offered on one page."""
    return context["request"].session.pop(OFFERED, None) if "request" in context else None


@register.filter
def badge_of(standing: Standing, thing: Any) -> Badge | None:
    """That a table or pipeline is stale or wrong now."""
    return standing.of(thing)


@register.filter
def standing_badge(thing: Any, standing: Standing) -> SafeString | str:
    """That a table or pipeline is stale or wrong now, leading to why; nothing where it is right."""
    badge = standing.of(thing)
    if badge is None:
        return ""
    return format_html(
        ' <a class="badge {}" href="{}?change={}" title="{}, for {}" aria-label="{}: {}">{}</a>',
        "bad" if badge.level == Level.WRONG else "warn",
        link("impact"),
        quote(badge.change, safe=":"),
        badge.words,
        timesince(badge.since),
        badge.word,
        badge.words,
        badge.word,
    )


@register.filter
def owner_links(owners: Sequence[Any]) -> SafeString:
    """The first two owners of a row, marked where they have left, and how many more there are."""
    if not owners:
        return mark_safe('<span class="lack">none</span>')
    more = format_html(' <span class="muted small">and {} more</span>', len(owners) - 2) if len(owners) > 2 else ""
    return mark_safe(", ".join(map(_owner_link, owners[:2])) + more)  # noqa: S308 every piece is escaped


def _owner_link(owner: Any) -> str:
    url, name = escape(owner.get_absolute_url()), escape(owner.name)
    if owner.status == Owner.Status.LEFT:
        return f'<a class="left-owner" href="{url}">{name}</a> <span class="badge warn">left</span>'
    return f'<a href="{url}">{name}</a>'


@register.filter
def breakable(name: Any) -> SafeString:
    """A dotted or snake_case name that may wrap after its separators, and nowhere else."""
    return mark_safe(_BREAK.sub("<wbr>", escape(str(name))))  # noqa: S308 escaped above


@register.filter
def marked(text: Any, query: str) -> SafeString:
    """`text`, breakable, with every match of `query` marked, whatever its case."""
    if not query:
        return breakable(text)
    pieces = re.split(f"({re.escape(query)})", str(text), flags=re.IGNORECASE)
    return mark_safe(  # noqa: S308 every piece is escaped by `breakable`
        "".join(f"<mark>{breakable(piece)}</mark>" if odd % 2 else breakable(piece) for odd, piece in enumerate(pieces))
    )


@register.filter
def named(name: str, query: str = "") -> SafeString:
    """A dotted name with its last part standing out, since the first parts are alike; matches of `query` marked."""
    place, dot, last = name.rpartition(".")
    if not dot or "/" in name:
        return marked(name, query)
    prefix, last = marked(place + dot, query), marked(last, query)
    return mark_safe(f'<span class="prefix">{prefix}</span>{last}')  # noqa: S308 both are escaped by `marked`


@register.filter
def lit(text: Marked) -> SafeString:
    """A text with the words that were looked for marked."""
    return mark_safe(_lit(text.text, text.places))  # noqa: S308 every piece is escaped


@register.filter
def lit_name(hit: Hit) -> SafeString:
    """The name of something found, its last part standing out, with the words that were looked for marked."""
    cut = hit.name.rfind(".") + 1 if hit.kind == "table" and "/" not in hit.name else 0
    place = _lit(hit.name[:cut], [(start, min(end, cut)) for start, end in hit.places if start < cut])
    last = _lit(hit.name[cut:], [(max(start - cut, 0), end - cut) for start, end in hit.places if end > cut])
    return mark_safe(f'<span class="prefix">{place}</span>{last}' if cut else last)  # noqa: S308 escaped likewise


def _lit(text: str, places: Iterable[tuple[int, int]]) -> str:
    pieces, done = [], 0
    for start, end in places:
        pieces += [breakable(text[done:start]), f"<mark>{breakable(text[start:end])}</mark>"]
        done = end
    return "".join([*pieces, breakable(text[done:])])


@register.filter
def icon_of(kind: str) -> str:
    """The icon of a kind of thing."""
    return {"column": "table"}.get(kind, kind)


@register.filter
def initials(name: str) -> str:
    """Two letters for an avatar: "Ada Lovelace" -> "AL", "finance-team" -> "FT"; of an e-mail address its name."""
    words = re.findall(r"\w+", name.partition("@")[0].replace("_", " "))
    return "".join(word[0] for word in words[:2]).upper() or "?"


@register.filter
def percent(share: float | None) -> str:
    """0.9876 -> "98.7 %"; never rounded up to 100."""
    if share is None:
        return "–"
    return "100 %" if share >= 1 else f"{int(share * 1000) / 10:.1f} %"


@register.filter
def moment(at: dt.datetime | None, form: str = "Y-m-d H:i") -> SafeString | str:
    """A moment in the reader's zone, in UTC on hover."""
    return "–" if at is None else _time(at, _local(at, form))


@register.filter
def day_and_time(at: dt.datetime) -> SafeString:
    """A moment as day and time, each apart for a narrow column."""
    return _time(at, format_html("<span>{}</span> <span>{}</span>", _local(at, "Y-m-d"), _local(at, "H:i")))


@register.filter
def ago(at: dt.datetime | None) -> SafeString | str:
    """A moment as "3 hours ago", the exact time on hover."""
    return "–" if at is None else _time(at, naturaltime(at))


@register.filter
def nominal(at: dt.datetime) -> SafeString:
    """What part of the data a run is for, as its scheduler names it: in UTC for every reader."""
    return _time(at, _in_utc(at))


@register.filter
def picked(at: dt.datetime) -> str:
    """A moment as a field for dates and times holds it, in the reader's zone."""
    return _local(at, r"Y-m-d\TH:i:s")


def _time(at: dt.datetime, words: str) -> SafeString:
    exact = at.astimezone(dt.UTC).isoformat()
    return mark_safe(f'<time datetime="{exact}" title="{_in_utc(at)}">{conditional_escape(words)}</time>')  # noqa: S308 escaped


def _local(at: dt.datetime, form: str) -> str:
    return date_format(timezone.localtime(at), form)


def _in_utc(at: dt.datetime) -> str:
    return f"{at.astimezone(dt.UTC):%Y-%m-%d %H:%M} UTC"


@register.filter
def lasting(span: dt.timedelta | None) -> str:
    """A span of time in words; a dash for none."""
    return "–" if span is None else moments.lasting(span)


@register.filter
def markdown(text: str) -> SafeString:
    """Markdown as people write it, as harmless HTML."""
    return mark_safe(to_html(text))  # noqa: S308 nothing but a short list of tags comes out of it


@register.filter
def description(text: str) -> SafeString:
    """What a thing is; of a long text the first paragraph, and the rest at a click."""
    first, _, rest = text.strip().partition("\n\n")
    if not rest or len(text) <= LONG:
        return markdown(text)
    return format_html("{}<details><summary>More</summary>{}</details>", markdown(first), markdown(rest))


@register.filter
def spoken(name: str) -> str:
    """A field's or code's name in words: "parse_error" -> "parse error"."""
    return str(name).replace("_", " ")


@register.filter
def node_words(node: str) -> str:
    """A node id as a person reads it: "column:warehouse:shop.orders:id" -> "column id of shop.orders"."""
    found = NodeId.parse(node)
    return f"column {found.column} of {found.name}" if found.column else f"{found.kind} {found.name}"


@register.filter
def at(mapping: dict[str, Any], key: str) -> Any:
    """`mapping[key]`, or nothing."""
    return mapping.get(key)


@register.filter
def shown(value: Any) -> str:
    """A fact as a person reads it: nothing as a dash, yes and no in words, lists with commas."""
    if value is None or value == "" or value == []:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


@register.filter
def figure(value: float | None) -> str:
    """A measured figure: 10120.0 as 10,120; none as a dash."""
    return written(value)


@register.filter
def is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


@register.filter
def took(run: Any) -> dt.timedelta | None:
    """How long a run or ingest run lasted, None while it runs."""
    return run.ended_at - run.started_at if run.ended_at else None


@register.filter
def times_usual(run: Any, usual: dt.timedelta | None) -> str:
    """How many times as long as usual a run took, or takes by now: "3.2 ×"; empty where that is nothing to speak of."""
    spent = (run.ended_at or timezone.now()) - run.started_at
    if not usual or spent < max(usual * SLOW, usual + dt.timedelta(seconds=10)):
        return ""
    return f"{spent / usual:.1f} ×"
