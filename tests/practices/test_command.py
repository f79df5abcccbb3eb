"""`score`: what it prints, and when it says no."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from audits.practices.models import Finding
from catalog.models import Table

pytestmark = pytest.mark.django_db


def score(*options: str) -> str:
    out = io.StringIO()
    call_command("score", *options, stdout=out)
    return out.getvalue()


def exit_of(*options: str) -> int:
    with pytest.raises(CommandError) as error:
        score(*options)
    return error.value.returncode


def test_it_judges_and_prints(appending) -> None:
    printed = score()
    assert "Whole company: 20.0 %, 71.4 % of the findings known" in printed
    assert "1 pipelines judged, 7 findings written." in printed
    assert "0 findings written" in score()


def test_json_is_the_card_of_rest(appending, viewer, with_token) -> None:
    card = json.loads(score("--team", "finance", "--json"))
    assert card == with_token(viewer).get("/api/v1/scorecards/teams/finance/").json()


def test_one_pipeline_alone(appending) -> None:
    assert "shop.daily: 20.0 %" in score("--pipeline", "shop.daily")
    assert "Warehouse: 20.0 %" in score("--source", "warehouse")


def test_under_the_threshold_it_says_no(appending) -> None:
    score("--threshold", "20")
    assert exit_of("--threshold", "20.1") == 1


def test_after_a_drop_it_says_no(appending, tmp_path: Path) -> None:
    before = tmp_path / "before.json"
    before.write_text(score("--json"))
    score("--baseline", str(before))
    Table.objects.update(description="")
    assert exit_of("--baseline", str(before)) == 1
    score("--baseline", str(before), "--drop", "20")


def test_what_has_no_score_passes_no_gate(db) -> None:
    assert exit_of("--threshold", "0") == 1


def test_a_wrong_option_is_told(appending, tmp_path: Path) -> None:
    empty = tmp_path / "empty.json"
    empty.write_text("{}")
    assert exit_of("--pipeline", "shop.nowhere") == 2
    other = tmp_path / "other.json"
    other.write_text(score("--team", "finance", "--json"))
    assert exit_of("--baseline", str(other)) == 2
    for wrong in (["--threshold", "101"], ["--threshold", "nan"], ["--baseline", str(empty)], ["--baseline", "/none"]):
        with pytest.raises(CommandError):
            score(*wrong)
    assert Finding.objects.count() == 7
