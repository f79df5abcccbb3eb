"""Search over everything in the catalog: the database finds up to 500 candidates, one ranker here orders them.

The same question has the same answer on SQLite (FTS5) and PostgreSQL (tsvector, pg_trgm): both look up the words of
`catalog.search_index`, and what is asked of them is written once, in `_stages`. Where a word stands in more than 500
documents, those are candidates that bear it in their name, and of these the ones that were indexed first.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Any, NamedTuple

from django.db import connection
from django.db.models import Q
from django.db.models.functions import Substr

from catalog.models import SearchDocument, SearchVariant
from catalog.search_index import address_of, facet_word
from catalog.words import folded, is_one_off, places_of, spelled, variants, words_of, words_of_name

CANDIDATES = 500
PLENTY = 250  # with so many that bear the words, nobody is asked where, outside of names, words only begin so
ENOUGH = 10  # with so many that have the words, nobody is asked what merely looks like them
MOST_WORDS = 8
LONGEST_QUERY = 200
FACETS = ("kind", "source", "owner", "tag", "tier", "status", "has_problems")
_GONE = {"retired", "left"}
_ORDER_OF_KINDS = {kind: place for place, kind in enumerate(("table", "pipeline", "column"))}
_SNIPPET = 160
_COLUMNS_OF_A_TABLE = 3
_MOST_MEANT = 5  # words that a misspelt one may mean
_LONGEST_BEGINNING = 9  # marks of a word whose beginnings the databases hold as words of their own
_SHORT = 3  # marks of a beginning that very many names may share
_FIRST = 5000  # documents in which PostgreSQL looks for such a one before it asks the index
_HEAD = 1000  # characters of a document's words, in which those of its name stand


@dataclass(frozen=True)
class Marked:
    """A text, and where the words asked for stand in it."""

    text: str
    places: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True)
class Hit:
    """One thing found. A column's `name` is its own, `slug` the source and `table` the name of its table."""

    kind: str
    object_id: int
    name: str
    slug: str
    facets: Mapping[str, Sequence[str]]
    table: str = ""
    use: int = 0
    fresh_on: date | None = None
    places: tuple[tuple[int, int], ...] = ()
    snippet: Marked | None = None

    def get_absolute_url(self) -> str:
        """The page of it; of a column the place on its table's."""
        if self.kind == "column":
            return f"{address_of('table', self.table, self.slug, self.object_id)}?columns=all#column-{self.name}"
        return address_of(self.kind, self.name, self.slug, self.object_id)


@dataclass(frozen=True)
class Results:
    """What was found: `total` hits, of which `hits` is a part; `capped` if there may be more than were looked at.

    `read_as` says of a word that nothing has which words were taken instead.
    """

    q: str
    hits: Sequence[Hit] = ()
    total: int = 0
    capped: bool = False
    facets: Mapping[str, Sequence[tuple[str, int]]] = field(default_factory=dict)
    read_as: Mapping[str, Sequence[str]] = field(default_factory=dict)


def search(q: str, facets: Mapping[str, Collection[str]] | None = None, *, limit: int = 20, offset: int = 0) -> Results:
    """What has all words of `q`, each whole or begun, and of every facet given one of its values; best first.

    At most a dozen queries. Whoever calls this has asked the policy for the right to view.
    """
    q = q.replace("\0", "").strip()[:LONGEST_QUERY]
    wanted = {name: set(values) for name, values in (facets or {}).items() if values}
    words = words_of(q)[:MOST_WORDS]
    if not (words or wanted):
        return Results(q)
    meant = [[word] for word in words]
    called = (folded(q),)
    found, is_part = _candidates(called, meant, wanted)
    read_as: dict[str, list[str]] = {}
    if not found and words:
        read_as = _corrected(words)
        meant = [read_as.get(word, [word]) for word in words]
        called = tuple(called[0].replace(word, each) for word, likely in read_as.items() for each in likely)
        found, is_part = _candidates(called, meant, wanted) if read_as else ([], False)
    ranked = sorted((hit for document in found for hit in _hits(document, called, meant, wanted)), key=_rank)
    hits = [judged.hit for judged in ranked]
    return Results(
        q,
        _with_snippets(hits[offset : offset + limit], meant),
        len(hits),
        is_part,
        _counted(hits),
        read_as,
    )


_Token = tuple[str, bool]  # a word of the index, and whether its beginning is enough
_Question = list[list[_Token]]  # all of: one of


class _Document(NamedTuple):
    """What the ranker must know of a candidate."""

    kind: str
    object_id: int
    name: str
    slug: str
    key: str
    last_part: str
    columns: str
    facets: dict[str, list[str]]
    use: int
    fresh_on: date | None
    head: str


class _Judged(NamedTuple):
    """A hit, and how well its name fits: 0 is best."""

    hit: Hit
    fit: int


def _candidates(
    called: tuple[str, ...], meant: list[list[str]], wanted: Mapping[str, Collection[str]]
) -> tuple[list[_Document], bool]:
    """What to rank, and whether there may be more.

    Beginnings of words in texts are those that take longest, and rank last: with plenty in hand they are not asked for,
    but where a facet is, which may leave little of what is in hand.
    """
    ids: dict[int, None] = dict.fromkeys(_called(called) if meant else ())
    *narrow, widest = _stages(meant, wanted)
    for question in narrow:
        if len(ids) < CANDIDATES:
            ids.update(dict.fromkeys(_having(question)))
    is_plenty = len(ids) >= (CANDIDATES if wanted else PLENTY)
    if not is_plenty and (ids or not _lacks_a_word(widest)):
        ids.update(dict.fromkeys(_having(widest)))
    if len(ids) < ENOUGH and len(called) == 1 and len(called[0]) >= 3:
        ids.update(dict.fromkeys(_containing(called[0])))
    found = _read(list(ids)[:CANDIDATES], wanted)
    return found, is_plenty or len(found) >= CANDIDATES


def _called(names: Collection[str]) -> Iterable[int]:
    """Documents of just that name, or last part of a name, the most used first: never to be missed. Two queries."""
    for called in (Q(key__in=names), Q(last_part__in=names)):
        yield from SearchDocument.objects.filter(called).order_by("-use").values_list("pk", flat=True)[:50]


def _stages(meant: list[list[str]], wanted: Mapping[str, Collection[str]]) -> Iterable[_Question]:
    """Questions from the narrowest to the widest: words of the name, begun words of it, then words anywhere."""
    facets = [[(facet_word(*value), False) for value in _as_indexed(name, values)] for name, values in wanted.items()]
    if not meant:
        yield facets
        return
    for places in ("n", "nt"):
        for begun in (False, True):
            yield [
                [(f"{place}{word}", begun and len(word) > 1) for word in words for place in places] for words in meant
            ] + facets


def _as_indexed(facet: str, values: Iterable[str]) -> list[tuple[str, str]]:
    """Columns have no documents of their own, they are found in their table's."""
    return [(facet, "table" if facet == "kind" and value == "column" else value) for value in sorted(values)]


def _lacks_a_word(question: _Question) -> bool:
    """Whether some word of several stands nowhere: asked before all of them together, for which PostgreSQL reads the
    documents of every one, as of the second in `cutsomer_o`."""
    return len(question) > 1 and not all(any(_having([[token]], 1) for token in one_of) for one_of in question)


def _having(question: _Question, limit: int = CANDIDATES) -> list[int]:
    """Documents with the words."""
    if connection.vendor == "postgresql" and (beginning := _lone_short_beginning(question)):
        found = _among_first(beginning, limit)
        if len(found) == limit:
            return found
    if connection.vendor == "sqlite":
        sql = "SELECT rowid FROM catalog_search_words WHERE catalog_search_words MATCH %s LIMIT %s"
        one, all_of, spelt = " OR ", " AND ", _for_sqlite
    else:
        sql = (
            "SELECT id FROM catalog_searchdocument "
            "WHERE array_to_tsvector(catalog_search_tokens(words)) @@ %s::tsquery LIMIT %s"
        )
        one, all_of, spelt = " | ", " & ", _for_postgresql
    asked = all_of.join(f"({one.join(spelt(*token) for token in alternatives)})" for alternatives in question)
    with connection.cursor() as cursor:
        cursor.execute(sql, [asked, limit])
        return [pk for (pk,) in cursor.fetchall()]


def _lone_short_beginning(question: _Question) -> str:
    """The one token of a question for a short beginning of names' words; else nothing."""
    tokens = [token for one_of in question for token in one_of]
    word, begun = tokens[0]
    return word if len(tokens) == 1 and begun and word[0] == "n" and len(word) <= _SHORT + 1 else ""


def _among_first(beginning: str, limit: int) -> list[int]:
    """Of the documents indexed first, those with a word that begins so: what a third of all names have is found there
    in a moment, where the index would put together all documents that have it."""
    sql = (
        "SELECT id FROM (SELECT id, words FROM catalog_searchdocument ORDER BY id LIMIT %s) AS first "
        "WHERE strpos(' ' || words, %s) > 0 LIMIT %s"
    )
    with connection.cursor() as cursor:
        cursor.execute(sql, [_FIRST, f" {beginning}", limit])
        return [pk for (pk,) in cursor.fetchall()]


def _for_sqlite(word: str, begun: bool) -> str:
    return f'"{word}" *' if begun else f'"{word}"'


def _for_postgresql(word: str, begun: bool) -> str:
    """A short beginning of a name's word is a token of its own, with a capital: for `:*` the database puts together the
    documents of all words that begin so, of which a million tables have tens of thousands."""
    if begun and word[0] == "n" and len(word) <= _LONGEST_BEGINNING:
        return f"'N{word[1:]}'"
    return f"'{word}':*" if begun else f"'{word}'"


def _containing(q: str) -> list[int]:
    """Documents whose name has `q` in it somewhere, through the trigrams of names."""
    pattern = "%" + q.replace("\\", "\\\\").replace("%", r"\%").replace("_", r"\_") + "%"
    sql = "SELECT id FROM catalog_searchdocument WHERE key LIKE %s ESCAPE '\\' LIMIT %s"
    if connection.vendor == "sqlite":  # which looks trigrams up for a LIKE without ESCAPE only
        pattern = f"*{''.join(f'[{mark}]' if mark in '*?[' else mark for mark in q)}*"
        sql = "SELECT rowid FROM catalog_search_names WHERE key GLOB %s LIMIT %s"
    with connection.cursor() as cursor:
        cursor.execute(sql, [pattern, CANDIDATES])
        return [pk for (pk,) in cursor.fetchall()]


def _corrected(words: Iterable[str]) -> dict[str, list[str]]:
    """Words of names that each misspelt word may mean. Two queries."""
    doubtful = list(spelled(words))
    known = set(SearchVariant.objects.filter(variant__in=doubtful, word__in=doubtful).values_list("word", flat=True))
    found: dict[str, list[str]] = {}
    for word in doubtful:
        if word not in known:
            close = SearchVariant.objects.filter(variant__in=variants(word)).values_list("word", flat=True)
            likely = [each for each in close if is_one_off(word, each)] or list(close)
            if likely:
                found[word] = sorted(set(likely))[:_MOST_MEANT]
    return found


def _read(ids: Sequence[int], wanted: Mapping[str, Collection[str]]) -> list[_Document]:
    fields = _Document._fields[:-1]
    rows = SearchDocument.objects.filter(pk__in=ids).order_by().annotate(head=Substr("words", 1, _HEAD))
    found = (_Document(*row) for row in rows.values_list(*fields, "head"))
    return [document for document in found if _fits(document.kind, document.facets, wanted)]


def _fits(kind: str, facets: Mapping[str, Collection[str]], wanted: Mapping[str, Collection[str]]) -> bool:
    return all(
        (kind in values or kind == "table" and "column" in values)
        if name == "kind"
        else not values.isdisjoint(facets.get(name, ()))
        for name, values in wanted.items()
    )


def _hits(
    document: _Document, called: tuple[str, ...], meant: list[list[str]], wanted: Mapping[str, Collection[str]]
) -> list[_Judged]:
    """The document itself, or instead those of its columns that alone have all the words; beside it, namesakes."""
    fit = _fit(document, called, meant)
    columns = _column_hits(document, called, meant) if document.columns and meant else []
    document_hit = Hit(
        document.kind,
        document.object_id,
        document.name,
        document.slug,
        document.facets,
        use=document.use,
        fresh_on=document.fresh_on,
    )
    kinds = wanted.get("kind")
    if kinds:
        return [judged for judged in (_Judged(document_hit, fit), *columns) if judged.hit.kind in kinds]
    if fit < _PARTLY:
        columns = [column for column in columns if column.fit == 1]
    return columns if columns and fit >= _PARTLY else [_Judged(document_hit, fit), *columns]


_PARTLY, _ELSEWHERE = 5, 6


def _fit(document: _Document, called: tuple[str, ...], meant: list[list[str]]) -> int:
    """How well a name fits: 0 is just that name, 6 a name that has none of the words."""
    if not meant or document.key in called:
        return 0
    if document.last_part in called:
        return 1
    if document.key.startswith(called) or document.last_part.startswith(called):
        return 2
    in_name = {word[1:] for word in document.head.split() if word[0] == "n"}
    fit = _words_fit(meant, in_name)
    return min(fit, _PARTLY) if called[0] in document.key else fit


def _words_fit(meant: list[list[str]], words: Collection[str]) -> int:
    if all(any(word in words for word in alternatives) for alternatives in meant):
        return 3
    begun = [any(each.startswith(word) for word in alternatives for each in words) for alternatives in meant]
    return 4 if all(begun) else _PARTLY if any(begun) else _ELSEWHERE


def _has_all(text: str, meant: list[list[str]]) -> bool:
    return all(any(word in text for word in alternatives) for alternatives in meant)


def _column_hits(document: _Document, called: tuple[str, ...], meant: list[list[str]]) -> list[_Judged]:
    """The columns whose own names have all the words, the best first."""
    plain_columns = folded(document.columns)
    if not _has_all(plain_columns, meant):
        return []
    found = []
    for name, plain in zip(document.columns.split("\n"), plain_columns.split("\n"), strict=True):
        if _has_all(plain, meant):
            fit = 1 if plain in called else _words_fit(meant, words_of_name(name))
            if fit < _PARTLY:
                found.append((fit, len(name), name))
    pk, of_table = document.object_id, {"table": document.name, "use": document.use, "fresh_on": document.fresh_on}
    return [
        _Judged(Hit("column", pk, name, document.slug, document.facets, **of_table), fit)
        for fit, _, name in sorted(found)[:_COLUMNS_OF_A_TABLE]
    ]


def _rank(judged: _Judged) -> tuple[Any, ...]:
    """Names first; then what is there before what is gone, things before columns, the used (by powers of two), the
    fresh (by weeks), the short."""
    hit, fit = judged
    gone = not _GONE.isdisjoint(hit.facets.get("status", ()))
    fresh = hit.fresh_on.toordinal() // 7 if hit.fresh_on else 0
    place = _ORDER_OF_KINDS.get(hit.kind, len(_ORDER_OF_KINDS))
    is_part = hit.kind == "column"
    return fit, gone, is_part, -hit.use.bit_length(), -fresh, len(hit.name), place, hit.name, hit.table, hit.slug


def _counted(hits: Iterable[Hit]) -> dict[str, list[tuple[str, int]]]:
    counts: dict[str, Counter[str]] = {facet: Counter() for facet in FACETS}
    for hit in hits:
        counts["kind"][hit.kind] += 1
        for facet, values in hit.facets.items():
            counts[facet].update(values)
    return {
        facet: sorted(count.items(), key=lambda item: (-item[1], item[0])) for facet, count in counts.items() if count
    }


def _with_snippets(hits: Sequence[Hit], meant: list[list[str]]) -> list[Hit]:
    """Hits with their words marked, and the passage that has those which the name lacks. One query."""
    words = [word for alternatives in meant for word in alternatives]
    ids = [hit.object_id for hit in hits]
    texts = {
        (kind, pk): (description, columns, text)
        for kind, pk, description, columns, text in SearchDocument.objects.filter(
            kind__in={hit.kind for hit in hits}, object_id__in=ids
        ).values_list("kind", "object_id", "description", "columns", "text")
    }
    return [
        replace(
            hit,
            places=tuple(places_of(words, hit.name)),
            snippet=_snippet(hit, meant, *texts.get((hit.kind, hit.object_id), ("", "", ""))),
        )
        for hit in hits
    ]


def _snippet(hit: Hit, meant: list[list[str]], description: str, columns: str, text: str) -> Marked | None:
    in_name = words_of_name(hit.name)
    lacking = [
        word
        for words in meant
        for word in words
        if not any(each.startswith(alternative) for alternative in words for each in in_name)
    ]
    if lacking:
        for passage in (description, columns.replace("\n", ", "), text):
            if places := places_of(lacking, passage):
                return _cut(passage, places, lacking)
    plain = " ".join(description.split())
    return Marked(plain[:_SNIPPET] + ("…" if len(plain) > _SNIPPET else "")) if plain else None


def _cut(passage: str, places: Sequence[tuple[int, int]], words: Collection[str]) -> Marked:
    """The part of a passage around its first match, on one line."""
    start = max(0, places[0][0] - _SNIPPET // 3)
    if start:
        start = passage.find(" ", start, places[0][0]) + 1 or start
    end = start + _SNIPPET
    text = " ".join(passage[start:end].split())
    text = ("…" if start else "") + text + ("…" if end < len(passage) else "")
    return Marked(text, tuple(places_of(words, text)))
