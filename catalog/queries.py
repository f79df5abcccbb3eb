"""Reads of the catalog: what pages, REST and commands ask, with the number of SQL queries each costs."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal, NamedTuple

from django.db.models import Count, Exists, OuterRef, Prefetch, Q, QuerySet, Subquery, Value
from django.db.models.functions import Coalesce

from catalog.bulk import among
from catalog.links import link
from catalog.models import Column, HistoryEntry, Origin, Owner, Ownership, Pipeline, Run, Source, Table, Tag
from catalog.undo import mark_undoable

Noun = Literal["pipeline", "table"]
MOST_HELD = 100  # pipelines, or tables, of one owner in one answer


@dataclass(frozen=True)
class Owners:
    """Who answers for a pipeline or table; `inherited_from` names the builders whose owners a table falls back to.

    `owner_slugs_of` and `owner_names_of` put slugs or names in place of owners, and names in place of builders.
    """

    business: tuple[Any, ...] = ()
    technical: tuple[Any, ...] = ()
    inherited_from: tuple[Any, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.business or self.technical)


class OwnerName(NamedTuple):
    """An owner as far as a list shows one."""

    name: str
    slug: str
    status: str

    def get_absolute_url(self) -> str:
        return link("owner-detail", self.slug)


@dataclass(frozen=True)
class Disagreement:
    """A fact where a person and the last ingest differ; the person's word is in force."""

    field: str
    stated: Any
    ingested: Any


@dataclass(frozen=True)
class Counts:
    """How much the catalog holds; retired things are not counted."""

    pipelines: int
    tables: int
    columns: int
    owners: int
    sources: int


@dataclass(frozen=True)
class Lacking:
    """How many pipelines in use have nobody on record in a role."""

    pipelines: int
    business: int
    technical: int


@dataclass(frozen=True)
class Held:
    """A pipeline or table that an owner answers for, and in which roles."""

    thing: Any
    roles: tuple[str, ...]


def with_owners(things: QuerySet) -> QuerySet:
    """Pipelines or tables with their ownerships prefetched: two more queries for the whole list."""
    return things.prefetch_related(Prefetch("ownerships", queryset=_by_owner(Ownership.objects)))


def owners_of(thing: Pipeline | Table) -> Owners:
    """Owners as stated on the thing itself: where a person named any for a role, those, else what an ingest read.

    Costs one query, none when `with_owners` prefetched them.
    """
    is_prefetched = "ownerships" in getattr(thing, "_prefetched_objects_cache", ())
    ownerships = list(thing.ownerships.all() if is_prefetched else _by_owner(thing.ownerships))
    return Owners(*(_owners_in_role(ownerships, role) for role in Ownership.Role))


def owners_with_fallback(table: Table, builders: Iterable[Pipeline]) -> Owners:
    """A table's owners, role by role its own or else those of the pipelines that build it."""
    return with_inherited(owners_of(table), {builder: owners_of(builder) for builder in builders})


def with_inherited(own: Owners, theirs: Mapping[Any, Owners]) -> Owners:
    """Owners of a table's own, and, for a role it lacks, those of the builders that are the keys of `theirs`."""
    business = own.business or _merged(owners.business for owners in theirs.values())
    technical = own.technical or _merged(owners.technical for owners in theirs.values())
    passes_on = [
        builder
        for builder, owners in theirs.items()
        if (owners.business and not own.business) or (owners.technical and not own.technical)
    ]
    return Owners(business, technical, tuple(passes_on))


def owner_slugs_of(noun: Noun, ids: Collection[int]) -> dict[int, Owners]:
    """What `owners_of` says of each thing, with slugs in place of owners. One query, and no model objects, on which a
    list would spend most of its time."""
    return _owners_of_each(noun, ids, ("slug",), lambda slug: slug)


def owner_names_of(noun: Noun, ids: Collection[int]) -> dict[int, Owners]:
    """The same with an `OwnerName` in place of each owner, for lists that people read. One query."""
    return _owners_of_each(noun, ids, OwnerName._fields, OwnerName)


def tag_names_of(noun: Noun, ids: Collection[int]) -> dict[int, list[str]]:
    """The tags of each thing by name, sorted. One query."""
    through = {"pipeline": Pipeline.tags.through, "table": Table.tags.through}[noun]
    names: dict[int, list[str]] = {key: [] for key in ids}
    pairs = through._default_manager.filter(**{f"{noun}__in": among(ids)}).values_list(f"{noun}_id", "tag__name")
    for key, name in pairs.order_by("tag__name"):
        names[key].append(name)
    return names


def ownerships_in_force(noun: str, **wanted: Any) -> QuerySet[Ownership]:
    """Ownerships that count, of pipelines or of tables (`noun`): ingested ones only where no person stated any."""
    stated = Ownership.objects.filter(origin=Origin.PERSON, role=OuterRef("role"), **{noun: OuterRef(noun)})
    of_noun = Ownership.objects.filter(**{f"{noun}__isnull": False}, **wanted)
    return of_noun.filter(Q(origin=Origin.PERSON) | ~Exists(stated))


def disagreements(thing: Any) -> list[Disagreement]:
    """Facts a person stated that the last ingest read otherwise; of a model object or a row of its values."""
    facts = thing if isinstance(thing, dict) else vars(thing)
    ingested = facts["ingested"]
    return [
        Disagreement(field, facts[field], ingested[field])
        for field in facts["stated_fields"]
        if field in ingested and field in facts and ingested[field] != facts[field]
    ]


def history_of(thing: Any, limit: int = 50) -> list[HistoryEntry]:
    """The newest changes by people to one thing, each with `can_be_undone`."""
    return mark_undoable(list(HistoryEntry.objects.filter(noun=thing._meta.model_name, object_id=thing.pk)[:limit]))


def find_table(source: str, name: str) -> Table:
    """The table of that source slug and dotted name, or Table.DoesNotExist."""
    return Table.objects.select_related("source").get(source__slug=source, name=name)


def sources_with_counts() -> QuerySet[Source]:
    """Sources with `table_count`, counted by sub-query so that no join multiplies."""
    return Source.objects.annotate(table_count=_count_by("source", Table.objects))


def owners_with_counts() -> QuerySet[Owner]:
    """Owners with `pipeline_count` and `table_count`: what they answer for in either role, each thing once."""
    return Owner.objects.annotate(pipeline_count=_held_count("pipeline"), table_count=_held_count("table"))


def tags_with_counts() -> QuerySet[Tag]:
    """Tags with `pipeline_count` and `table_count`."""
    return Tag.objects.annotate(
        pipeline_count=_count_by("tag", Pipeline.tags.through.objects),
        table_count=_count_by("tag", Table.tags.through.objects),
    )


def table_kinds_of(source: Source) -> list[tuple[str, int]]:
    """The kinds of a source's tables with their number, most frequent first. One query."""
    counts = source.tables.order_by().values_list("kind").annotate(n=Count("pk")).order_by("-n", "kind")
    return [(kind, number) for kind, number in counts]


def held_by(owner: Owner, noun: Noun) -> list[Held]:
    """What an owner answers for, by name, at most MOST_HELD. Two queries."""
    roles: dict[Any, list[str]] = {}
    for role in Ownership.Role.values:
        along = "table__source" if noun == "table" else "pipeline"
        held = ownerships_in_force(noun, role=role, owner=owner).select_related(along).order_by(f"{noun}__name", "pk")
        for ownership in held[:MOST_HELD]:
            roles.setdefault(getattr(ownership, noun), []).append(role)
    by_name = sorted(roles.items(), key=lambda item: (item[0].name, item[0].pk))
    return [Held(thing, tuple(its_roles)) for thing, its_roles in by_name[:MOST_HELD]]


def catalog_counts() -> Counts:
    """How many things are not retired. One query."""
    nouns = {
        "pipelines": Pipeline.objects.exclude(status=Pipeline.Status.RETIRED),
        "tables": Table.objects.exclude(status=Table.Status.RETIRED),
        "columns": Column.objects.all(),
        "owners": Owner.objects.filter(status=Owner.Status.ACTIVE),
        "sources": Source.objects.all(),
    }
    counts = [
        things.order_by().values(noun=Value(noun)).annotate(n=Count("pk")).values_list("noun", "n")
        for noun, things in nouns.items()
    ]
    found = dict(counts[0].union(*counts[1:], all=True))
    return Counts(**{noun: found.get(noun, 0) for noun in nouns})


def pipelines_that_failed() -> QuerySet[Pipeline]:
    """Those in service whose latest run failed."""
    latest = Run.objects.filter(pipeline=OuterRef("pk")).order_by("-started_at", "-id").values("state")[:1]
    in_service = Pipeline.objects.exclude(status__in=[Pipeline.Status.RETIRED, Pipeline.Status.PAUSED])
    return in_service.annotate(latest_state=Subquery(latest)).filter(latest_state=Run.State.FAILED)


def lacking_owners() -> Lacking:
    """Pipelines in use that lack a business or a technical owner. One query."""
    in_use = Pipeline.objects.exclude(status=Pipeline.Status.RETIRED)
    lacks = {
        role: Count("pk", filter=~Exists(Ownership.objects.filter(pipeline=OuterRef("pk"), role=role)))
        for role in Ownership.Role.values
    }
    return Lacking(**in_use.order_by().aggregate(pipelines=Count("pk"), **lacks))


def left_owners_with_things() -> QuerySet[Owner]:
    """Owners who have left and still answer for something, with the counts of `owners_with_counts`."""
    left = Owner.objects.filter(status=Owner.Status.LEFT).filter(Exists(Ownership.objects.filter(owner=OuterRef("pk"))))
    return owners_with_counts().filter(pk__in=left.values("pk"))


@cache  # to put it together costs more than to ask it of a page of owners
def _held_count(noun: str) -> Coalesce:
    stated = Ownership.objects.filter(
        origin=Origin.PERSON, role=OuterRef("role"), **{f"{noun}__isnull": False, noun: OuterRef(noun)}
    )
    held = Ownership.objects.filter(owner=OuterRef("pk"), **{f"{noun}__isnull": False})
    in_force = held.filter(Q(origin=Origin.PERSON) | ~Exists(stated))
    counts = in_force.order_by().values("owner").annotate(n=Count(noun, distinct=True)).values("n")
    return Coalesce(Subquery(counts), 0)


def _count_by(link: str, rows: QuerySet) -> Coalesce:
    counts = rows.filter(**{link: OuterRef("pk")}).order_by().values(link).annotate(n=Count("pk")).values("n")
    return Coalesce(Subquery(counts), 0)


def _by_owner(ownerships: Any) -> QuerySet[Ownership]:
    return ownerships.select_related("owner").order_by("owner__name", "owner_id")


class _OwnerFact(NamedTuple):
    """An ownership as far as it decides who the owners are."""

    role: str
    origin: str
    owner: Any


def _owners_of_each(
    noun: Noun, ids: Collection[int], fields: Sequence[str], make: Callable[..., Any]
) -> dict[int, Owners]:
    """Owners of each thing, in the order of these fields of theirs, of which `make` makes one."""
    along = [f"owner__{field}" for field in fields]
    rows = Ownership.objects.filter(**{f"{noun}__in": among(ids)}).order_by(*along)
    facts: dict[int, list[_OwnerFact]] = defaultdict(list)
    for key, role, origin, *owner in rows.values_list(f"{noun}_id", "role", "origin", *along):
        facts[key].append(_OwnerFact(role, origin, make(*owner)))
    owned = {key: Owners(*(_owners_in_role(group, role) for role in Ownership.Role)) for key, group in facts.items()}
    return dict.fromkeys(ids, Owners()) | owned


def _owners_in_role(ownerships: Iterable[Ownership | _OwnerFact], role: str) -> tuple[Any, ...]:
    of_role = [ownership for ownership in ownerships if ownership.role == role]
    stated = [ownership for ownership in of_role if ownership.origin == Origin.PERSON]
    return tuple(ownership.owner for ownership in stated or of_role)


def _merged(groups: Iterable[tuple[Any, ...]]) -> tuple[Any, ...]:
    return tuple(dict.fromkeys(owner for group in groups for owner in group))
