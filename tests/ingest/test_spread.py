"""Chunks of work on their way between processes: signed, done by whoever is there, given up after some attempts."""

from __future__ import annotations

import math

import pytest

from ingest import spread
from ingest.models import IngestChunk
from ingest.workers import Died, Workers


def chunk(*payloads: float, **facts) -> IngestChunk:
    """A chunk that asks for square roots: its work must be importable where it is done."""
    return IngestChunk.objects.create(payload=spread.packed(spread.Chunk(math.sqrt, list(payloads), 5.0)), **facts)


@pytest.mark.django_db
def test_a_chunk_is_answered_in_the_order_of_its_payloads() -> None:
    row = chunk(1, 4, 9)
    assert spread.claim(row.pk)
    spread.answer(row.pk, Workers(0))
    row.refresh_from_db()
    assert spread.unpacked(row.answer) == [1, 2, 3]
    assert not spread.claim(row.pk)  # it is done
    assert not spread.claim(row.pk + 1)  # nobody waits for it


@pytest.mark.django_db
def test_a_chunk_that_ends_its_workers_is_given_up() -> None:
    row = chunk(1, 4, attempts=spread.MOST_ATTEMPTS + 1)
    spread.answer(row.pk, Workers(0))
    row.refresh_from_db()
    assert all(isinstance(answer, Died) for answer in spread.unpacked(row.answer))


@pytest.mark.django_db
def test_an_error_in_the_work_reaches_who_waits() -> None:
    row = chunk(4, -1)
    with Workers(1) as workers:
        spread.answer(row.pk, workers)
    row.refresh_from_db()
    answer = spread.unpacked(row.answer)
    assert isinstance(answer, spread.Failed)
    assert "math domain error" in answer.trace


def test_what_was_not_made_under_our_key_is_not_read(settings) -> None:
    data = spread.packed({"a": 1})
    assert spread.unpacked(memoryview(data)) == {"a": 1}
    with pytest.raises(ValueError, match="another SECRET_KEY"):
        spread.unpacked(data[:-1] + b"x")
    settings.SECRET_KEY = "another"
    with pytest.raises(ValueError, match="another SECRET_KEY"):
        spread.unpacked(data)


@pytest.mark.django_db
def test_a_chunk_of_another_key_is_left_to_who_has_the_right_one(settings) -> None:
    row = chunk(4)
    settings.SECRET_KEY = "another"
    assert spread.claim(row.pk)
    with pytest.raises(ValueError, match="another SECRET_KEY"):
        spread.answer(row.pk, Workers(0))
    row.refresh_from_db()
    assert (row.answer, row.taken_at) == (None, None)


def test_without_a_broker_the_work_stays_here(settings) -> None:
    settings.CELERY_BROKER_URL = ""
    assert type(spread.workers_for(2)) is Workers
    settings.CELERY_BROKER_URL = "redis://127.0.0.1:6379/13"
    assert type(spread.workers_for(2)) is spread.SpreadWorkers
    assert type(spread.workers_for(0)) is Workers
