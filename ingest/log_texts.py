"""The texts of a log and what they do: each different query is parsed once, and its reading remembered for ever.

Only the fingerprint of a text is stored, which has no literals; the text itself is parsed and forgotten.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice

from audits.usage import services
from audits.usage.models import QueryFingerprint
from ingest.fingerprints import LONGEST_TEXT, fingerprint, lexis
from ingest.log_entries import Sample
from ingest.log_formats import LogFormat, Refs
from ingest.logged_query import Reading, read_queries
from ingest.spread import workers_for
from ingest.workers import Died, Workers
from lineage.sql import ENGINE_VERSION

_AT_ONCE = 5_000
_FEW = 150  # texts that are parsed here, because starting worker processes takes longer
_A_JOB = 25
_SECONDS_A_JOB = 120.0
_IN_A_QUERY = 500


@dataclass(frozen=True)
class Text:
    """What the entries with the keys `k` and `r` do, and the digest of their fingerprint."""

    k: int
    r: int
    digest: str
    reading: Reading


class Texts:
    """Readings of the texts of one log."""

    def __init__(self, form: LogFormat, dialect: str, workers: int) -> None:
        self._form = form
        self._dialect = dialect
        self._workers = workers
        self._foreseen: dict[str, Reading] = {}  # by digest of the fingerprint

    def foresee(self, queries: list[str]) -> None:
        """Read queries that are likely to be asked for, by half of the workers, since DuckDB is at work meanwhile."""
        prints = {query: fingerprint(lexis(self._dialect), query) for query in queries}
        texts = {hashlib.sha256(text.encode()).hexdigest(): (text, query) for query, text in prints.items()}
        known = self._remembered(texts)
        new = {digest: text for digest, text in texts.items() if digest not in known}
        self._foreseen = known | self._read_new(new, (self._workers + 1) // 2)

    def read(self, samples: Iterator[Sample]) -> Iterator[Text]:
        """What each sample does, some thousands at a time so that few texts are held at once."""
        while batch := list(islice(samples, _AT_ONCE)):
            yield from self._read_batch(batch)

    def _read_batch(self, batch: list[Sample]) -> Iterator[Text]:
        spoken = lexis(self._dialect)
        prints = [fingerprint(spoken, sample.query) if sample.query else "" for sample in batch]
        digests = [hashlib.sha256(text.encode()).hexdigest() if text else "" for text in prints]
        readings = self._foreseen | self._remembered(set(digests) - self._foreseen.keys())
        new = {
            digest: (text, sample.query)
            for digest, text, sample in zip(digests, prints, batch, strict=True)
            if digest and digest not in readings
        }
        readings |= self._read_new(new, self._workers)
        for sample, digest in zip(batch, digests, strict=True):
            yield Text(sample.k, sample.r, digest, self._with_refs(sample, readings.get(digest, Reading())))

    def _remembered(self, digests: Iterable[str]) -> dict[str, Reading]:
        wanted = sorted(set(digests) - {""})
        known: dict[str, Reading] = {}
        mine = QueryFingerprint.objects.filter(dialect=self._dialect, engine_version=ENGINE_VERSION)
        for start in range(0, len(wanted), _IN_A_QUERY):
            rows = mine.filter(digest__in=wanted[start : start + _IN_A_QUERY]).values_list(
                "digest", "reading", "problem"
            )
            known |= {digest: Reading.from_json(reading, problem) for digest, reading, problem in rows}
        return known

    def _read_new(self, new: dict[str, tuple[str, str]], workers: int) -> dict[str, Reading]:
        """Parse one text of each new fingerprint, and remember what was read: digest -> (fingerprint, text)."""
        found = dict(zip(new, self._parse([query for _, query in new.values()], workers), strict=True))
        services.remember_fingerprints(
            QueryFingerprint(
                digest=digest,
                dialect=self._dialect,
                engine_version=ENGINE_VERSION,
                text=new[digest][0][:LONGEST_TEXT],
                reading=reading.to_json(),
                problem=reading.problem,
            )
            for digest, reading in found.items()
        )
        return found

    def _parse(self, queries: list[str], most: int) -> list[Reading]:
        jobs = {n: queries[start : start + _A_JOB] for n, start in enumerate(range(0, len(queries), _A_JOB))}
        found: dict[int, list[Reading]] = {}
        with workers_for(most if len(queries) > _FEW else 0) as workers:
            for job, answer in workers.run(
                read_queries, {job: set() for job in jobs}, lambda job: (self._dialect, jobs[job]), _SECONDS_A_JOB
            ):
                found[job] = self._one_by_one(jobs[job], answer) if isinstance(answer, Died) else answer
        return [reading for job in jobs for reading in found[job]]

    def _one_by_one(self, queries: list[str], died: Died) -> list[Reading]:
        """Read the texts of a job that ended its worker again, each alone, so that only the one at fault is lost."""
        with Workers(1) as workers:
            answers = dict(
                workers.run(
                    read_queries,
                    {n: set() for n in range(len(queries))},
                    lambda n: (self._dialect, [queries[n]]),
                    _SECONDS_A_JOB / _A_JOB,
                )
            )
        lost = [Reading(problem=f"The query {died.how}.")]
        return [(lost if isinstance(answers[n], Died) else answers[n])[0] for n in range(len(queries))]

    def _with_refs(self, sample: Sample, reading: Reading) -> Reading:
        """What the log itself says was read and written goes before what its SQL says, which only adds columns."""
        refs = self._form.read_refs(sample.refs) if sample.refs else Refs()
        if refs.reads or refs.writes:
            return logged_reading(refs, reading)
        if sample.cut and not reading.problem:
            return Reading(reading.reads, reading.edges, "The log cut the text.")
        return reading


def logged_reading(refs: Refs, read: Reading) -> Reading:
    """Tables as the log names them, and what only the SQL names, if it is a table: views, which some logs see through.

    Columns are those of the log, or else of the SQL.
    """
    sources = read.reads if not refs.writes else {source: [] for source, _ in read.edges if source}
    named = {name: columns for name, columns in sources.items() if not _is_among(name, [*refs.reads, *refs.writes])}
    maybe = frozenset(named)
    if refs.writes:
        ends = [name for name in (*refs.reads, *named) if name not in refs.writes] or [""]
        return Reading(edges=[(source, target) for target in refs.writes for source in ends], maybe=maybe)
    reads = {name: columns or _columns_of(name, read) for name, columns in refs.reads.items()}
    return Reading(reads | named, behind=refs.behind, maybe=maybe)


def _is_among(name: str, names: list[str]) -> bool:
    """Whether `name`, perhaps without its first parts, is one of `names`."""
    return any(f".{each}".endswith(f".{name}") for each in names)


def _columns_of(name: str, read: Reading) -> list[str]:
    return next((columns for written, columns in read.reads.items() if f".{name}".endswith(f".{written}")), [])
