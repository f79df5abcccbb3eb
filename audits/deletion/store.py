"""Verdicts into rows: only what changed since the last run is written."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from itertools import chain

import numpy as np
from django.db import connection, transaction
from django.utils import timezone

from audits.deletion.facts import Ints, table_weights
from audits.deletion.models import Verdict, VerdictRun
from audits.deletion.savings import totals
from audits.deletion.verdicts import WORDS, Judged, digests_and_evidence, going_pipelines
from catalog.bulk import as_stored, chunks, insert_rows

_FIELDS = ("table", "verdict", "because", "is_proposed", "weight", "evidence", "digest", "since", "changed_at")
_RUNS_KEPT = 400  # a year of nights: enough to see how the counts moved


@transaction.atomic
def store_verdicts(judged: Judged, started_at: dt.datetime) -> VerdictRun:
    """Bring the stored verdicts up to date and record the run. Verdicts of tables that are gone are taken away."""
    now = timezone.now()
    weight = _weight(judged)
    digests, texts = digests_and_evidence(judged, weight)
    ids = judged.facts.ids[judged.places]
    stored_ids, stored = _stored()
    gone = np.setdiff1d(stored_ids, ids, assume_unique=True)
    at = np.searchsorted(stored_ids, ids)
    known = np.zeros(len(ids), dtype=bool)
    known[at < len(stored_ids)] = stored_ids[at[at < len(stored_ids)]] == ids[at < len(stored_ids)]
    same = np.zeros(len(ids), dtype=bool)
    same[known] = stored[at[known]] == digests[known]
    since = _since(ids[known & ~same], judged, now)
    for part in chunks(np.concatenate([gone, ids[known & ~same]]).tolist()):
        Verdict.objects.filter(table__in=part)._raw_delete(Verdict.objects.db)
    changed = np.flatnonzero(~same)
    insert_rows(Verdict, _FIELDS, list(_as_rows(judged, weight, changed, digests, texts, since, now)))
    return _record(judged, len(changed) + len(gone), started_at)


def _weight(judged: Judged) -> Ints:
    """Of every table (by place) that is proposed its bytes, to put large ones first; 0 of the others."""
    weight = np.zeros(len(judged.facts.ids), dtype=np.int64)
    known, weights = table_weights()
    here = np.isin(known, judged.facts.ids)  # not those made since the facts were read
    weight[np.searchsorted(judged.facts.ids, known[here])] = weights[here]
    return np.where(judged.is_proposed, weight, 0)


def _stored() -> tuple[Ints, Ints]:
    """Table ids, in order, and digests of the verdicts as stored."""
    rows = Verdict.objects.order_by("table_id").values_list("table_id", "digest").iterator(chunk_size=20_000)
    flat = np.fromiter(chain.from_iterable(rows), dtype=np.int64).reshape(-1, 2)
    return flat[:, 0], flat[:, 1]


def _since(ids: Ints, judged: Judged, now: dt.datetime) -> dict[int, dt.datetime]:
    """Of tables whose evidence changed, since when the verdict's word holds, where the word stayed."""
    words = {int(table): WORDS[judged.verdict[place]] for place, table in _placed(judged, ids)}
    since: dict[int, dt.datetime] = {}
    for part in chunks(ids.tolist()):
        for table, word, at in Verdict.objects.filter(table__in=part).values_list("table_id", "verdict", "since"):
            since[table] = at if word == words[table] else now
    return since


def _placed(judged: Judged, ids: Ints) -> Iterable[tuple[int, int]]:
    return zip(np.searchsorted(judged.facts.ids, ids).tolist(), ids.tolist(), strict=True)


def _as_rows(
    judged: Judged,
    weight: Ints,
    changed: Ints,
    digests: Ints,
    texts: list[str],
    since: dict[int, dt.datetime],
    now: dt.datetime,
) -> Iterable[tuple[object, ...]]:
    places = judged.places[changed]
    because = np.where(judged.because >= 0, judged.facts.ids[judged.because], 0)
    columns = (judged.facts.ids, judged.verdict, because, judged.is_proposed, weight)
    yes, no = (True, False) if connection.vendor == "postgresql" else (1, 0)
    moment = as_stored(now)
    for at, digest, table, verdict, came_from, proposed, bytes_ in zip(
        changed.tolist(), digests[changed].tolist(), *(column[places].tolist() for column in columns), strict=True
    ):
        begun = as_stored(since[table]) if table in since else moment
        word = WORDS[verdict]
        yield table, word, came_from or None, yes if proposed else no, bytes_, texts[at], digest, begun, moment


def _record(judged: Judged, written: int, started_at: dt.datetime) -> VerdictRun:
    run = VerdictRun.objects.create(
        as_of=judged.facts.as_of,
        window_days=judged.facts.default_window,
        started_at=started_at,
        ended_at=timezone.now(),
        tables=len(judged.places),
        written=written,
        counts=judged.counts(),
        totals=totals(going_pipelines(judged).tolist()),
        logs={log.slug: log.to_dict() for log in judged.facts.logs.values()},
    )
    for oldest in VerdictRun.objects.order_by("-id").values_list("id", flat=True)[_RUNS_KEPT : _RUNS_KEPT + 1]:
        VerdictRun.objects.filter(id__lte=oldest).delete()
    return run
