"""The cheap guess at the names in a text: enough to look up schemas and to order files, never an edge by itself."""

from __future__ import annotations

import pytest

from ingest.layout import read_layout
from ingest.read_files import mentioned_names, read_file


@pytest.mark.parametrize(
    ("sql", "names"),
    [
        ("select a from x as y, b.c z where q = 1", {"x", "b.c"}),
        ("select * from `p.d.t` t join (select 1) using (a) left join p.d . u on a = b", {"p.d.t", "p.d.u"}),
        ("insert into table a.b select x, y from c, d", {"a.b", "c", "d"}),
        ("merge into t using s on 1 = 1", {"t", "s"}),
        ("merge t using s on 1 = 1", {"t", "s"}),
        ('delete from "a"."b" where x in (select y from [c].[d])', {"a.b", "c.d"}),
        ("select * from a join b using (x) cross join c", {"a", "b", "c"}),
        ("update t set a = 1 from only u", {"t", "u"}),
        ("select 1", set()),
    ],
)
def test_names_that_stand_where_a_table_may(sql: str, names: set[str]) -> None:
    assert mentioned_names(sql) == names


@pytest.mark.parametrize(
    ("sql", "names"),
    [
        ("CREATE OR REPLACE TEMP TABLE IF NOT EXISTS A.b AS SELECT 1", {"a.b"}),
        ("create materialized view `p.d.v` as select 1", {"p.d.v"}),
        ("INSERT OVERWRITE TABLE x SELECT 1; MERGE INTO y USING z ON 1=1", {"x", "y"}),
        ("SELECT 1 FROM t", set()),
    ],
)
def test_names_that_a_text_makes(sql: str, names: set[str]) -> None:
    assert read_file("x.sql", sql.encode(), read_layout("plain")).makes == names


def test_refs_are_names_as_they_are_written() -> None:
    sql = "SELECT * FROM {{ ref('Orders') }} JOIN {{ ref('pkg', 'stg_b') }} USING (id)"
    assert read_file("x.sql", sql.encode(), read_layout("plain")).quoted >= {"Orders", "stg_b"}
