"""Files of events: each line by itself, packed or not, twice, cut off, and lines that are none."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from catalog.models import Pipeline, Run
from ingest.models import IngestRun
from ingest.openlineage.lines import take_file
from tests.openlineage.events import event, job_event

pytestmark = pytest.mark.django_db

EVENTS = [event(), job_event(job="orders.hourly")]
LINES = "".join(json.dumps(one) + "\n" for one in EVENTS)


@pytest.fixture(autouse=True)
def _own_var(settings, tmp_path: Path) -> None:
    settings.VAR_DIR = tmp_path


@pytest.mark.parametrize("pack", [str.encode, lambda text: gzip.compress(text.encode())])
def test_every_event_of_a_file_is_stored_once(tmp_path: Path, pack) -> None:
    file = tmp_path / "events.jsonl"
    file.write_bytes(pack(LINES + "\n\n"))
    taken = take_file(file)
    assert (taken.events, taken.new, taken.refused) == (2, 2, 0)
    assert (Pipeline.objects.filter(name__startswith="orders").count(), Run.objects.count()) == (2, 1)
    again = take_file(file)
    assert (again.events, again.new) == (2, 0)


def test_lines_that_are_no_events_are_named_and_passed_over(tmp_path: Path, settings) -> None:
    settings.LINEAGE_MAX_BYTES = 5_000
    file = tmp_path / "events.jsonl"
    file.write_text(f'{{"a": 1}}\nhello\n"{"x" * 20_000}"\n{LINES}')
    taken = take_file(file)
    assert (taken.events, taken.refused) == (2, 3)
    assert taken.notes[0].startswith("Line 1: eventTime")
    assert taken.notes[1].startswith("Line 2: body, line 1, column 1: This is no JSON")
    assert taken.notes[2] == "Line 3: This has more than 5,000 bytes."


def test_a_gzip_that_is_cut_off_keeps_what_stood_before(tmp_path: Path) -> None:
    file = tmp_path / "events.jsonl.gz"
    file.write_bytes(gzip.compress(LINES.encode())[:-10])
    taken = take_file(file)
    assert (taken.events, taken.refused) == (1, 1)
    assert "ends in the middle" in taken.notes[0]


def test_the_command_prints_what_it_took_and_records_it(tmp_path: Path, capsys) -> None:
    file = tmp_path / "events.jsonl"
    file.write_text(LINES)
    call_command("ingest_openlineage", str(file), "--json")
    assert json.loads(capsys.readouterr().out) == {"events": 2, "new": 2, "refused": 0, "notes": []}
    run = IngestRun.objects.get()
    assert (run.kind, run.scope, run.state, run.summary["events"]) == ("openlineage", "events.jsonl", "done", 2)
    file.write_text("hello\n")
    with pytest.raises(SystemExit) as ended:
        call_command("ingest_openlineage", str(file))
    assert ended.value.code == 3
    with pytest.raises(CommandError, match="cannot be read: No such file"):
        call_command("ingest_openlineage", str(tmp_path / "nowhere"))
