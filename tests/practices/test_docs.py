"""The guide promises what there is: every practice has its paragraph."""

from __future__ import annotations

from pathlib import Path

import pytest

from audits.practices.rules import RULES

GUIDE = (Path(__file__).parents[2] / "docs" / "guides" / "scorecards.md").read_text()


@pytest.mark.parametrize("rule", RULES.values(), ids=list(RULES))
def test_every_practice_is_in_the_guide(rule) -> None:
    assert f"**{rule.name}** (`{rule.code}`)" in GUIDE
