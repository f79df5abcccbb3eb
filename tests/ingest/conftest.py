"""Each test has a place of its own for locks: in-memory databases of test processes all have one name."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def _own_var(settings, tmp_path_factory: pytest.TempPathFactory) -> None:
    settings.VAR_DIR = tmp_path_factory.mktemp("var")
