"""Reads of the catalog: what pages, REST and commands ask, with the number of SQL queries each costs."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from django.db.models import Count, Exists, OuterRef, Prefetch, Q, QuerySet, Subquery
from django.db.models.functions import Coalesce

from catalog.models import HistoryEntry, Origin, Owner, Ownership, Pipeline, Source, Table


@dataclass(frozen=True)
class Owners:
    """Who answers for a pipeline or table; `inherited_from` names the builders a table's owners fall back to."""

    business: tuple[Owner, ...] = ()
    technical: tuple[Owner, ...] = ()
    inherited_from: tuple[Pipeline, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.business or self.technical)


@dataclass(frozen=True)
class Disagreement:
    """A fact where a person and the last ingest differ; the person's word is in force."""

    field: str
    stated: Any
    ingested: Any


def with_owners(things: QuerySet) -> QuerySet:
    """Pipelines or tables with their ownerships prefetched: two more queries for the whole list."""
    ownerships = Ownership.objects.select_related("owner").order_by("owner__name", "owner_id")
    return things.prefetch_related(Prefetch("ownerships", queryset=ownerships))


def owners_of(thing: Pipeline | Table) -> Owners:
    """Owners as stated on the thing itself: where a person named any for a role, those, else what an ingest read.

    Costs one query, none when `with_owners` prefetched them.
    """
    return Owners(*(_owners_in_role(thing.ownerships.all(), role) for role in Ownership.Role))


def owners_with_fallback(table: Table, builders: Iterable[Pipeline]) -> Owners:
    """A table's owners, role by role its own or else those of the pipelines that build it."""
    own = owners_of(table)
    if own.business and own.technical:
        return own
    builders = tuple(builders)
    theirs = [owners_of(builder) for builder in builders]
    business = own.business or _merged(owners.business for owners in theirs)
    technical = own.technical or _merged(owners.technical for owners in theirs)
    inherits = (not own.business and business) or (not own.technical and technical)
    return Owners(business, technical, builders if inherits else ())


def ownerships_in_force(noun: str, role: str, **owner: Any) -> QuerySet[Ownership]:
    """Ownerships that count, of pipelines or of tables (`noun`): ingested ones only where no person stated any."""
    stated = Ownership.objects.filter(origin=Origin.PERSON, role=role, **{noun: OuterRef(noun)})
    of_noun = Ownership.objects.filter(role=role, **{f"{noun}__isnull": False}, **owner)
    return of_noun.filter(Q(origin=Origin.PERSON) | ~Exists(stated))


def disagreements(thing: Any) -> list[Disagreement]:
    """Facts a person stated that the last ingest read otherwise."""
    return [
        Disagreement(field, getattr(thing, field), thing.ingested[field])
        for field in thing.stated_fields
        if field in thing.ingested and thing.ingested[field] != getattr(thing, field)
    ]


def history_of(thing: Any, limit: int = 50) -> list[HistoryEntry]:
    """The newest changes by people to one thing."""
    return list(HistoryEntry.objects.filter(noun=thing._meta.model_name, object_id=thing.pk)[:limit])


def find_table(source: str, name: str) -> Table:
    """The table of that source slug and dotted name, or Table.DoesNotExist."""
    return Table.objects.select_related("source").get(source__slug=source, name=name)


def table_by_dotted_name(name: str) -> list[Table]:
    """Every table called so, whatever its source."""
    return list(Table.objects.select_related("source").filter(name=name))


def sources_with_counts() -> QuerySet[Source]:
    """Sources with `table_count`, counted by sub-query so that no join multiplies."""

    counts = Table.objects.filter(source=OuterRef("pk")).order_by().values("source").annotate(n=Count("pk")).values("n")
    return Source.objects.annotate(table_count=Coalesce(Subquery(counts), 0))


def _owners_in_role(ownerships: Iterable[Ownership], role: str) -> tuple[Owner, ...]:
    of_role = [ownership for ownership in ownerships if ownership.role == role]
    stated = [ownership for ownership in of_role if ownership.origin == Origin.PERSON]
    return tuple(ownership.owner for ownership in stated or of_role)


def _merged(groups: Iterable[tuple[Owner, ...]]) -> tuple[Owner, ...]:
    return tuple({owner.pk: owner for group in groups for owner in group}.values())
