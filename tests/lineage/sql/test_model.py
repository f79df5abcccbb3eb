"""The shape of `to_dict()` is a contract: storage, pages and the API read these keys."""

import json

from lineage.sql import ColumnEdge, OutputColumns, OutputPractices, PracticeReason, Practices, Problem, Statement
from lineage.sql.model import Analysis


def make_analysis() -> Analysis:
    judged = OutputPractices("append", False, True, None)
    return Analysis(
        rendered="insert into u select c from t",
        inputs=("t",),
        outputs=("u",),
        columns={"u": OutputColumns(False, (("c", "INT"), ("d", None)))},
        column_edges=(ColumnEdge(("t", "c"), ("u", "c"), "IDENTITY", "only_candidate", 0),),
        statements=(Statement("INSERT", ("t",), ("u",), 0, 29),),
        problems=(Problem("unresolved_star", "warning", "…", 0, 1),),
        practices=Practices(judged, {"u": judged}, (PracticeReason("idempotent", "…", 0, 1),)),
    )


def test_to_dict_has_exactly_the_contract_keys() -> None:
    assert make_analysis().to_dict() == {
        "version": 1,
        "rendered": "insert into u select c from t",
        "inputs": ["t"],
        "outputs": ["u"],
        "columns": {"u": {"complete": False, "columns": [["c", "INT"], ["d", None]]}},
        "column_edges": [
            {
                "source": ["t", "c"],
                "target": ["u", "c"],
                "kind": "IDENTITY",
                "basis": "only_candidate",
                "statement": 0,
                "path": None,
            }
        ],
        "statements": [{"kind": "INSERT", "inputs": ["t"], "outputs": ["u"], "start": 0, "end": 29}],
        "problems": [{"code": "unresolved_star", "severity": "warning", "message": "…", "statement": 0, "line": 1}],
        "practices": {
            "load_strategy": "append",
            "idempotent": False,
            "atomic": True,
            "backfill_safe": None,
            "by_output": {"u": {"load_strategy": "append", "idempotent": False, "atomic": True, "backfill_safe": None}},
            "reasons": [{"practice": "idempotent", "message": "…", "statement": 0, "line": 1}],
        },
    }


def test_to_dict_survives_json() -> None:
    plain = make_analysis().to_dict()
    assert json.loads(json.dumps(plain)) == plain
