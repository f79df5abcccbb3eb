"""Events that come at the same time are stored at once, and each is answered by itself."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connection

from catalog.models import Pipeline, Run, Table
from ingest.models import LineageEvent
from ingest.openlineage.reading import BadEvent
from ingest.openlineage.store import take, take_all
from ingest.openlineage.together import Together
from tests.openlineage.events import dataset, event, schema


def test_calls_that_come_meanwhile_are_done_at_once_and_each_gets_its_own_answers() -> None:
    done: list[int] = []
    begun = threading.Event()

    def squares(items: list[int]) -> list[int]:
        done.append(len(items))
        begun.set()
        time.sleep(0.3)
        return [item * item for item in items]

    together = Together(squares, most=6)
    with ThreadPoolExecutor(8) as threads:
        first = threads.submit(together, [1])
        begun.wait()
        others = [threads.submit(together, [number, -number]) for number in range(2, 9)]
        assert first.result() == [1]
        assert [other.result() for other in others] == [[number**2] * 2 for number in range(2, 9)]
    assert done == [1, 6, 6, 2]
    assert together([]) == []


def test_what_stops_the_work_is_the_answer_to_all_who_wait_for_it_and_to_nobody_after_them() -> None:
    begun = threading.Event()

    def work(items: list[int]) -> list[int]:
        begun.set()
        time.sleep(0.3)
        if 2 in items:
            raise KeyError("two")
        return items

    together = Together(work, most=10)
    with ThreadPoolExecutor(4) as threads:
        first = threads.submit(together, [1])
        begun.wait()
        failed = [threads.submit(together, [number]) for number in (2, 3)]
        assert first.result() == [1]
        assert [[type(answer) for answer in each.result()] for each in failed] == [[KeyError], [KeyError]]
    assert together([4]) == [4]


@pytest.mark.django_db
def test_a_bad_event_among_others_is_refused_alone() -> None:
    bad = dataset("shop.mart.orders", schema={"fields": [{"type": "int"}]})
    events = [event(run=number, job=f"job_{number}", outputs=[dataset("shop.mart.orders")]) for number in range(9)]
    events[4] = event(run=4, job="job_4", outputs=[bad])
    events[6] = {"eventTime": "soon"}
    answers = take_all([*events, events[0]])
    assert [answer for answer in answers if isinstance(answer, bool)] == [*[True] * 7, False]
    assert [str(answer) for answer in answers if isinstance(answer, BadEvent)] == [
        "outputs[0].facets.schema.fields[0].name: A column needs its name.",
        'eventTime: "soon" is no date and time. Write it like 2026-03-02T03:00:00.000Z.',
    ]
    assert LineageEvent.objects.count() == Run.objects.count() == Pipeline.objects.count() == 7


@pytest.mark.django_db(transaction=True)
def test_threads_that_send_at_the_same_time_lose_nothing() -> None:
    flow = {"inputs": [dataset("shop.raw.orders", schema=schema(id="int"))], "outputs": [dataset("shop.mart.orders")]}
    events = [event(f"0{number % 10}:00:00", type_, run=number, job=f"job_{number % 7}", **flow)
              for number in range(40) for type_ in ("START", "COMPLETE")]  # fmt: skip

    def send(one: dict) -> bool:
        try:
            return take(one)
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as threads:
        assert all(threads.map(send, events))
    assert LineageEvent.objects.count() == 80
    assert Run.objects.filter(state="succeeded").count() == 40
    assert (Pipeline.objects.count(), Table.objects.count()) == (7, 2)
