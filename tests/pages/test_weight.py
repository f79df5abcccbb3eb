"""What a first visit loads of our own: little, and from here alone."""

from __future__ import annotations

import gzip
import re
from pathlib import Path

import pytest
from django.contrib.staticfiles import finders

from tests.factories import make_edge, make_pipeline, make_table

MOST = 100_000  # bytes of CSS and JavaScript together, gzipped
_LOADED = re.compile(r'<(?:link rel="stylesheet" href|script src)="([^"]+)"')


@pytest.mark.parametrize("page", ["", "lineage/", "checks/", "use/", "verdict/", "incidents/", "upstream-changes/"])
def test_a_page_loads_little_css_and_javascript_and_all_from_here(viewer, signed_in, page) -> None:
    table = make_table("shop.orders")
    make_edge(make_pipeline("build"), None, table)
    shown = signed_in(viewer).get(f"{table.get_absolute_url()}{page}").content.decode()
    loaded = [address.partition("static/")[2] for address in _LOADED.findall(shown)]
    assert "css/base.css" in loaded and "js/site.js" in loaded
    assert "http" not in " ".join(_LOADED.findall(shown))
    sizes = {name: len(gzip.compress(Path(finders.find(name)).read_bytes())) for name in loaded}
    assert sum(sizes.values()) < MOST, sizes


def test_all_of_ours_together_stays_below_the_bound_too() -> None:
    ours = [path for kind in ("css", "js") for path in Path(finders.find("css/base.css")).parents[1].glob(f"{kind}/*")]
    assert len(ours) > 10
    assert sum(len(gzip.compress(path.read_bytes())) for path in ours) < MOST
