"""Writes of the search index: one document per thing, made anew from the catalog whenever the thing changed.

`index(kind, ids)` is all that a service calls. What a layer above knows of a thing it adds through `adds_to`; a noun
of its own it brings through `indexes`. Words are marked by their place, so that one index answers all questions:
`n…` stands in the name, `t…` anywhere else, `f…` is a facet's value.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import chain, filterfalse
from typing import Any

from django.db import transaction
from django.db.models import Max

from catalog.bulk import among, chunks, merge_rows
from catalog.links import link
from catalog.models import Column, Owner, Pipeline, Run, SearchDocument, SearchVariant, Source, Table, Tag
from catalog.queries import owner_slugs_of, tag_names_of
from catalog.words import folded, spelled, variants, words_of, words_of_name

LONGEST_TEXT = 20_000  # characters of SQL that are searched
MOST_COLUMNS = 500  # of a table
_CHUNK = 2_000
_VERSION = 1  # raised whenever the same facts make another document, so that all are written anew


@dataclass
class Draft:
    """What a document will say; `adds_to` lets layers above fill it in."""

    name: str
    slug: str = ""
    description: str = ""
    columns: list[str] = field(default_factory=list)
    text: str = ""
    facets: dict[str, list[str]] = field(default_factory=dict)
    use: int = 0
    fresh_on: dt.date | None = None

    def digest(self) -> str:
        """Changes whenever the document that is made of it does."""
        facts = _VERSION, self.name, self.slug, self.description, self.columns[:MOST_COLUMNS], self.text[:LONGEST_TEXT]
        said = repr((*facts, self.facets, self.use, self.fresh_on))
        return hashlib.blake2s(said.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


Drafts = dict[int, Draft]
Describe = Callable[[Collection[int]], Drafts]
Address = Callable[[str, str, int], str]  # of a document's name, slug and object id


@dataclass(frozen=True)
class _Kind:
    """How documents of a kind are made."""

    describe: Describe
    ids: Callable[[], Iterable[int]]
    address: Address


_kinds: dict[str, _Kind] = {}
_add: dict[str, list[Callable[[Drafts], None]]] = defaultdict(list)
_follow: dict[str, list[tuple[str, Callable[[Collection[int]], Iterable[int]]]]] = defaultdict(list)


def indexes(kind: str, ids: Callable[[], Iterable[int]], address: Address) -> Callable[[Describe], Describe]:
    """Mark the function that drafts documents of `kind`; `ids` gives all there are, `address` the page of one."""

    def register(describe: Describe) -> Describe:
        _kinds[kind] = _Kind(describe, ids, address)
        return describe

    return register


def adds_to(kind: str) -> Callable[[Callable[[Drafts], None]], Callable[[Drafts], None]]:
    """Mark a function that adds what its layer knows to drafts of `kind`."""

    def register(add: Callable[[Drafts], None]) -> Callable[[Drafts], None]:
        _add[kind].append(add)
        return add

    return register


def follows(kind: str, leader: str) -> Callable[..., Callable[[Collection[int]], Iterable[int]]]:
    """Mark a function that says which things of `kind` change along with things of `leader`."""

    def register(following: Callable[[Collection[int]], Iterable[int]]) -> Callable[[Collection[int]], Iterable[int]]:
        _follow[leader].append((kind, following))
        return following

    return register


def index(kind: str, ids: Iterable[int], *, alone: bool = False) -> int:
    """Bring the documents of these things, and unless `alone` of what follows them, up to date; how many changed.

    What is the same is not written, what is gone is taken out. A handful of queries for each 2,000 things.
    """
    changed = 0
    for part in chunks(dict.fromkeys(ids), _CHUNK):
        changed += _index_part(kind, part)
        for other, following in () if alone else _follow[kind]:
            for followers in chunks(following(part), _CHUNK):
                changed += _index_part(other, followers)
    return changed


def rebuild(*, afresh: bool = False, progress: Callable[[str, int, int], None] = lambda kind, done, of: None) -> int:
    """Bring every document up to date; how many changed.

    `afresh` forgets them first and writes the most used first: of a word that more documents have than are looked at,
    those are found that were written first.
    """
    changed = 0
    if afresh:
        SearchVariant.objects.all().delete()
    for kind, made in _kinds.items():
        stored = SearchDocument.objects.filter(kind=kind).order_by("-use").values_list("object_id", flat=True)
        ids = list(dict.fromkeys([*stored, *made.ids()]))
        if afresh:
            SearchDocument.objects.filter(kind=kind).delete()
        for done in range(0, len(ids), _CHUNK):
            changed += _index_part(kind, ids[done : done + _CHUNK])
            progress(kind, min(done + _CHUNK, len(ids)), len(ids))
    return changed


def address_of(kind: str, name: str, slug: str, object_id: int) -> str:
    """The page of what a document is of."""
    return _kinds[kind].address(name, slug, object_id)


@lru_cache(50_000)
def facet_word(facet: str, value: str) -> str:
    """The word under which a facet's value is indexed."""
    return "f" + hashlib.blake2s(f"{facet}:{value}".encode(), digest_size=8).hexdigest()


@transaction.atomic
def _index_part(kind: str, ids: Collection[int]) -> int:
    drafts = _kinds[kind].describe(ids)
    for add in _add[kind]:
        add(drafts)
    documents = SearchDocument.objects.filter(kind=kind)
    gone = set(ids) - drafts.keys()
    deleted, _ = documents.filter(object_id__in=among(gone)).delete() if gone else (0, {})
    return deleted + write_documents(kind, drafts)


def write_documents(kind: str, drafts: Drafts) -> int:
    """Write the documents of these drafts, except those that say the same already; how many were written."""
    stored = SearchDocument.objects.filter(kind=kind, object_id__in=among(drafts)).order_by()
    known = dict(stored.values_list("object_id", "digest"))
    digests = {pk: draft.digest() for pk, draft in drafts.items()}
    new = {pk: drafts[pk] for pk, digest in digests.items() if known.get(pk) != digest}
    merge_rows(SearchDocument, _KEY, (_row(kind, pk, draft, digests[pk]) for pk, draft in new.items()), _WRITTEN)
    _learn_words(new.values())
    return len(new)


_KEY = ("kind", "object_id")
_WRITTEN = dict.fromkeys(
    ("digest", "name", "slug", "key", "last_part", "description", "columns", "text", "words", "facets")
    + ("use", "fresh_on"),
    "set",
)


def _row(kind: str, pk: int, draft: Draft, digest: str) -> tuple[Any, ...]:
    """A document, in the order of `_KEY` and `_WRITTEN`."""
    key, text = folded(draft.name)[:500], draft.text[:LONGEST_TEXT]
    facets = {name: values for name, values in draft.facets.items() if values}
    words = _marked(kind, draft, facets, text)
    named = draft.name, draft.slug, key, key.rpartition(".")[2], draft.description
    shown = "\n".join(draft.columns[:MOST_COLUMNS]), text, words, json.dumps(facets)
    return (kind, pk, digest, *named, *shown, draft.use, draft.fresh_on and draft.fresh_on.isoformat())


def _marked(kind: str, draft: Draft, facets: Mapping[str, Collection[str]], text: str) -> str:
    """The words of a document, marked by their place; those of the name first."""
    in_name = dict.fromkeys(words_of_name(draft.name))
    in_columns = chain.from_iterable(map(words_of_name, draft.columns[:MOST_COLUMNS]))
    elsewhere = dict.fromkeys([*words_of(f"{draft.slug} {draft.description} {text}"), *in_columns])
    marked = [*map("n".__add__, in_name), *map("t".__add__, filterfalse(in_name.__contains__, elsewhere))]
    marked.append(facet_word("kind", kind))
    marked += [facet_word(facet, value) for facet, values in facets.items() for value in values]
    return " ".join(marked)


def _learn_words(drafts: Iterable[Draft]) -> None:
    """Make the words of names findable when misspelt."""
    names = {name for draft in drafts for name in (draft.name, *draft.columns[:MOST_COLUMNS])}
    words = set(spelled(words_of(" ".join(names))))
    for part in chunks(frozenset(words)):
        words -= set(SearchVariant.objects.filter(variant__in=part, word__in=part).values_list("word", flat=True))
    rows = ((variant, word) for word in sorted(words) for variant in sorted(variants(word)))
    merge_rows(SearchVariant, ("variant", "word"), rows, {})


@indexes(
    "table",
    lambda: Table.objects.order_by().values_list("pk", flat=True),
    lambda name, slug, _: link("table-detail", slug, name),
)
def _tables(ids: Collection[int]) -> Drafts:
    """Four queries."""
    columns: dict[int, list[str]] = defaultdict(list)
    listed = Column.objects.filter(table__in=among(ids)).order_by("table_id", "position", "name")
    for table, name in listed.values_list("table_id", "name"):
        columns[table].append(name)
    owners, tags = owner_slugs_of("table", ids), tag_names_of("table", ids)
    rows = (
        Table.objects.filter(pk__in=among(ids)).order_by().values("pk", "name", "source__slug", "description", "status")
    )
    return {
        row["pk"]: Draft(
            name=row["name"],
            slug=row["source__slug"],
            description=row["description"],
            columns=columns[row["pk"]],
            facets={
                "source": [row["source__slug"]],
                "status": [row["status"]],
                "owner": sorted({*owners[row["pk"]].business, *owners[row["pk"]].technical}),
                "tag": tags[row["pk"]],
            },
        )
        for row in rows
    }


@indexes(
    "pipeline",
    lambda: Pipeline.objects.order_by().values_list("pk", flat=True),
    lambda name, slug, _: link("pipeline-detail", name),
)
def _pipelines(ids: Collection[int]) -> Drafts:
    """Four queries."""
    owners, tags = owner_slugs_of("pipeline", ids), tag_names_of("pipeline", ids)
    runs = (
        Run.objects.filter(pipeline__in=among(ids)).order_by().values_list("pipeline").annotate(last=Max("started_at"))
    )
    last = {pipeline: started_at.date() for pipeline, started_at in runs}
    rows = (
        Pipeline.objects.filter(pk__in=among(ids))
        .order_by()
        .values("pk", "name", "dag", "description", "status", "tier")
    )
    return {
        row["pk"]: Draft(
            name=row["name"],
            description=row["description"],
            text=row["dag"],
            facets={
                "status": [row["status"]],
                "tier": [str(row["tier"])] if row["tier"] else [],
                "owner": sorted({*owners[row["pk"]].business, *owners[row["pk"]].technical}),
                "tag": tags[row["pk"]],
            },
            fresh_on=last.get(row["pk"]),
        )
        for row in rows
    }


@indexes(
    "owner",
    lambda: Owner.objects.order_by().values_list("pk", flat=True),
    lambda name, slug, _: link("owner-detail", slug),
)
def _owners(ids: Collection[int]) -> Drafts:
    """One query."""
    rows = Owner.objects.filter(pk__in=among(ids)).order_by().values_list("pk", "slug", "name", "email", "status")
    return {
        pk: Draft(name=name, slug=slug, description=email, facets={"status": [status]})
        for pk, slug, name, email, status in rows
    }


@indexes(
    "source",
    lambda: Source.objects.order_by().values_list("pk", flat=True),
    lambda name, slug, _: link("source-detail", slug),
)
def _sources(ids: Collection[int]) -> Drafts:
    """One query."""
    rows = (
        Source.objects.filter(pk__in=among(ids)).order_by().values_list("pk", "slug", "name", "platform", "description")
    )
    return {
        pk: Draft(name=name, slug=slug, description=description, text=platform, facets={"source": [slug]})
        for pk, slug, name, platform, description in rows
    }


@indexes(
    "tag",
    lambda: Tag.objects.order_by().values_list("pk", flat=True),
    lambda name, slug, _: link("tag-detail", name),
)
def _tags(ids: Collection[int]) -> Drafts:
    """One query."""
    rows = Tag.objects.filter(pk__in=among(ids)).order_by().values_list("pk", "name", "description")
    return {pk: Draft(name=name, description=description, facets={"tag": [name]}) for pk, name, description in rows}


@follows("table", "tag")
def _tagged_tables(ids: Collection[int]) -> Iterable[int]:
    return Table.tags.through._default_manager.filter(tag__in=among(ids)).values_list("table", flat=True)


@follows("pipeline", "tag")
def _tagged_pipelines(ids: Collection[int]) -> Iterable[int]:
    return Pipeline.tags.through._default_manager.filter(tag__in=among(ids)).values_list("pipeline", flat=True)
