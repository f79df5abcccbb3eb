"""Has this happened before? Earlier incidents by the tables they have in common, by their causes, and by the words of
their reports, with whether what was decided then was done."""

from __future__ import annotations

import datetime as dt
import re
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from django.db import connection
from django.db.models import Count, Prefetch, QuerySet
from django.utils import timezone

from audits.postmortems.models import ActionItem, Cause, Hit, Incident, Section

SHOWN = 8
_CANDIDATES = 60  # by tables, and as many by words
_SECTIONS = 200  # that the database's full text may answer with
_WORDS = 24  # of the incident that are looked for
_WEIGHTS = {"tables": 0.45, "causes": 0.2, "words": 0.35}
_COMMON = """
about above after again against because been before being between both cannot could data date days does doing down
during each found from further have having here hour hours incident into itself just know minute minutes more most
morning only other ours over report same should since some such table tables than that their theirs them then there
these they this those through time today under until used using very wanted were what when where which while whom
with would yesterday
"""
_NOT_TELLING = frozenset(_COMMON.split())


@dataclass(frozen=True)
class Similar:
    """An earlier incident and what makes it alike. `is_recurrence` says that this one is its root cause come back: the
    same code, where either began."""

    incident: Incident
    score: float
    tables: tuple[str, ...]
    causes: tuple[str, ...]
    words: float
    is_recurrence: bool
    items: tuple[ActionItem, ...]

    @property
    def done(self) -> int:
        """How many of its action items were done."""
        return sum(item.status == ActionItem.Status.DONE for item in self.items)

    @property
    def overdue(self) -> int:
        return sum(item.is_overdue for item in self.items)


@dataclass(frozen=True)
class _Facts:
    """What is compared: tables that were hit, those where it began, causes by code, the root cause first."""

    tables: frozenset[str]
    origins: frozenset[str]
    causes: tuple[str, ...]
    root: str


def similar_to(incident: Incident, limit: int = SHOWN) -> list[Similar]:
    """The earlier incidents most like this one, the most alike first. Ten queries, whatever their number."""
    own = _facts_of([incident]).get(incident.pk, _Facts(frozenset(), frozenset(), (), ""))
    by_words = _by_words(_words_of(incident, own), incident)
    keys = {*by_words, *_by_tables(incident)}
    earlier = _with_reports(Incident.objects.filter(pk__in=keys, started_at__lte=incident.started_at))
    facts = _facts_of(earlier)
    found = [_compared(own, facts[other.pk], other, by_words.get(other.pk, 0)) for other in earlier]
    best = sorted(found, key=lambda each: (-each.score, -each.incident.started_at.timestamp(), each.incident.pk))
    return [each for each in best if each.score > 0][:limit]


def _compared(own: _Facts, other: _Facts, incident: Incident, words: float) -> Similar:
    shared = own.tables & other.tables
    causes = [code for code in other.causes if code in own.causes]
    is_recurrence = bool(own.root) and own.root == other.root and _began_alike(own, other)
    alike = {
        "tables": len(shared)
        / max(1, min(len(own.tables), len(other.tables)))
        * (1 if _began_alike(own, other) else 0.6),
        "causes": (1 if own.root and own.root == other.root else 0.5) if causes else 0,
        "words": words,
    }
    return Similar(
        incident=incident,
        score=round(sum(_WEIGHTS[name] * value for name, value in alike.items()) + is_recurrence, 4),
        tables=tuple(sorted(shared)),
        causes=tuple(str(Cause.Code(code).label) for code in causes),
        words=words,
        is_recurrence=is_recurrence,
        items=tuple(incident.action_items.all()),
    )


def _began_alike(one: _Facts, other: _Facts) -> bool:
    """Whether either began where the other did, or on its path: an origin of one was hit by the other."""
    return bool(one.origins & other.tables or other.origins & one.tables)


def _with_reports(incidents: QuerySet[Incident]) -> list[Incident]:
    items = ActionItem.objects.select_related("owner")
    return list(incidents.select_related("post_mortem").prefetch_related(Prefetch("action_items", queryset=items)))


def _facts_of(incidents: Collection[Incident]) -> dict[int, _Facts]:
    """What is known of incidents. Two queries."""
    keys = [incident.pk for incident in incidents]
    tables: dict[int, set[str]] = defaultdict(set)
    origins: dict[int, set[str]] = defaultdict(set)
    hits = Hit.objects.filter(incident__in=keys, kind__in=_DATA, is_out=False).order_by()
    for key, kind, source, name, distance in hits.values_list("incident", "kind", "source", "name", "distance"):
        table = f"{source}:{name}" if kind != Hit.Kind.PIPELINE else f"pipeline {name}"
        tables[key].add(table)
        if distance == 0:
            origins[key].add(table)
    causes: dict[int, list[tuple[str, bool]]] = defaultdict(list)
    stated = Cause.objects.filter(post_mortem__incident__in=keys)
    for key, code, is_root in stated.values_list("post_mortem__incident", "code", "is_root"):
        causes[key].append((code, is_root))
    return {
        key: _Facts(
            frozenset(tables[key]),
            frozenset(origins[key]),
            tuple(code for code, _ in causes[key]),
            next((code for code, is_root in causes[key] if is_root), ""),
        )
        for key in keys
    }


_DATA = (Hit.Kind.TABLE, Hit.Kind.DASHBOARD, Hit.Kind.PIPELINE)


def _by_tables(incident: Incident) -> list[int]:
    """The incidents that hit most of the same tables and pipelines. Two queries."""
    own = Hit.objects.filter(incident=incident, is_out=False)
    found: Counter[int] = Counter()
    for noun in ("table", "pipeline"):
        same = Hit.objects.filter(
            is_out=False, **{f"{noun}__in": own.filter(**{f"{noun}__isnull": False}).values(noun)}
        )
        counts = same.exclude(incident=incident).order_by().values("incident").annotate(n=Count("pk"))
        for row in counts.order_by("-n", "-incident")[:_CANDIDATES]:
            found[row["incident"]] += row["n"]
    return [key for key, _ in sorted(found.items(), key=lambda item: (-item[1], -item[0]))[:_CANDIDATES]]


# --- words


def _words_of(incident: Incident, own: _Facts) -> list[str]:
    """The words by which to find reports like this one: those of its own, its title, its tables. One query."""
    texts = Section.objects.filter(post_mortem__incident=incident).values_list("text", flat=True)
    names = " ".join(re.split(r"[:.\s]", table)[-1] for table in own.origins)
    counts = Counter(_telling(" ".join(text[:20_000] for text in texts)))
    for word in _telling(f"{incident.title} {names}"):
        counts[word] += 3
    return [word for word, _ in sorted(counts.items(), key=lambda item: (-item[1], -len(item[0]), item[0]))[:_WORDS]]


def _telling(text: str) -> Iterable[str]:
    return (word for word in re.findall(r"[a-z0-9]{4,30}", text.lower()) if word not in _NOT_TELLING)


def _by_words(words: Sequence[str], incident: Incident) -> dict[int, float]:
    """By incident, how well its report answers to the words: 1 for the best, less for the others. One query."""
    if not words:
        return {}
    with connection.cursor() as cursor:
        cursor.execute(*_full_text(words))
        rows = cursor.fetchall()
    scores: dict[int, float] = defaultdict(float)
    for key, score in rows:
        if key != incident.pk:
            scores[key] += score
    best = max(scores.values(), default=1)
    nearest = sorted(scores.items(), key=lambda item: (-item[1], item[0]))[:_CANDIDATES]
    return {key: round(score / best, 4) for key, score in nearest}


def _full_text(words: Sequence[str]) -> tuple[str, list[object]]:
    """The best sections for any of the words, with their incidents and scores, in the database's own full text."""
    if connection.vendor == "postgresql":
        return _POSTGRESQL, [" | ".join(words), _SECTIONS]
    return _SQLITE, [" OR ".join(f'"{word}"' for word in words), _SECTIONS]


_JOIN = """JOIN postmortems_section s ON s.id = f.id JOIN postmortems_postmortem p ON p.id = s.post_mortem_id"""
_SQLITE = f"""SELECT p.incident_id, -f.rank FROM (
    SELECT rowid AS id, rank FROM postmortems_section_words WHERE postmortems_section_words MATCH %s
    ORDER BY rank LIMIT %s) f {_JOIN}"""  # noqa: S608 no value of anybody's in it
_POSTGRESQL = f"""SELECT p.incident_id, f.rank FROM (
    SELECT id, ts_rank(words, query) AS rank FROM postmortems_section, to_tsquery('english', %s) query
    WHERE words @@ query ORDER BY rank DESC, id LIMIT %s) f {_JOIN}"""  # noqa: S608 nor here


# --- recurrences


def recurrences(since: dt.datetime | None = None) -> dict[int, int]:
    """Incidents whose root cause came back: by id, the latest earlier one with the same code that began where it did or
    on its path. `since` bounds the later one. Two queries."""
    roots = Cause.objects.filter(is_root=True, post_mortem__incident__started_at__lte=timezone.now()).order_by()
    rows = list(roots.values_list("post_mortem__incident", "code", "post_mortem__incident__started_at"))
    return _pairs(rows, since)


def _pairs(rows: Sequence[tuple[int, str, dt.datetime]], since: dt.datetime | None) -> dict[int, int]:
    hits = Hit.objects.filter(incident__in=[key for key, _, _ in rows], kind__in=_DATA, is_out=False).order_by()
    tables: dict[int, set[str]] = defaultdict(set)
    origins: dict[int, set[str]] = defaultdict(set)
    for key, node, distance in hits.values_list("incident", "node", "distance"):
        tables[key].add(node)
        if distance == 0:
            origins[key].add(node)
    seen: dict[tuple[str, str], int] = {}  # (code, node) -> the latest incident that hit it
    began: dict[tuple[str, str], int] = {}  # the same, where one began
    found: dict[int, int] = {}
    for key, code, at in sorted(rows, key=lambda row: (row[2], row[0])):
        earlier = [seen[code, node] for node in origins[key] if (code, node) in seen]
        earlier += [began[code, node] for node in tables[key] if (code, node) in began]
        if earlier and (since is None or at >= since):
            found[key] = max(earlier)
        seen |= {(code, node): key for node in tables[key]}
        began |= {(code, node): key for node in origins[key]}
    return found
