"""Old events are dropped; what they said stays, also when they come again."""

from __future__ import annotations

import datetime as dt
import json

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from audits.checks.models import CheckResult
from ingest.models import LineageEvent
from ingest.openlineage import prune
from ingest.openlineage.store import take_all
from tests.openlineage.events import dataset, event
from tests.openlineage.test_order import TRICKY, state

pytestmark = pytest.mark.django_db

ASSERTED = {"assertions": [{"assertion": "unique", "column": "id", "success": True}]}
EVENTS = [*TRICKY, event("09:00:00", inputs=[dataset("shop.raw.orders", dataQualityAssertions=ASSERTED)])]


def make_old(days: int) -> None:
    LineageEvent.objects.update(received_at=timezone.now() - dt.timedelta(days=days))


def pruned(*arguments: str, capsys) -> int:
    call_command("prune_events", "--json", *arguments)
    return json.loads(capsys.readouterr().out)["events"]


def test_what_was_derived_stays_also_when_a_dropped_event_comes_again(capsys, monkeypatch) -> None:
    monkeypatch.setattr(prune, "_AT_ONCE", 5)
    take_all(EVENTS)
    before, results = state(), CheckResult.objects.count()
    make_old(91)
    assert pruned(capsys=capsys) == len(EVENTS)
    assert not LineageEvent.objects.exists()
    assert state() | {"events": before["events"]} == before
    assert take_all(EVENTS[::-1]) == [True] * len(EVENTS)
    assert (state(), CheckResult.objects.count()) == (before, results)


def test_only_old_ones_are_dropped_and_none_where_all_are_to_be_kept(capsys, settings) -> None:
    take_all(TRICKY[:3])
    make_old(20)
    take_all(TRICKY[3:5])
    assert pruned(capsys=capsys) == 0
    assert pruned("--days", "0", capsys=capsys) == 0
    settings.LINEAGE_EVENTS_DAYS = 10
    assert pruned(capsys=capsys) == 3
    assert LineageEvent.objects.count() == 2
    with pytest.raises(CommandError, match="between 0, which keeps all"):
        call_command("prune_events", "--days", "-1")
