"""SQL text in, lineage out: tables, columns with the kind of each edge, problems and load practices.

Read the modules in the order data flows: render (templates, with dbt_macros and macros of the folder), clients (whose
commands are no SQL), tokens (split and bound), parse (with rewrites), script (what statements leave to each other),
statements and dml, query with sources, selection and expressions over relations, practices over loads (with own_rows,
slices and keys), and engine, which runs them all. dialects holds what differs between dialects.
Imports no Django and nothing of the product outside this folder.
"""

from .engine import ENGINE_VERSION, analyze
from .explain import Step, explain
from .model import (
    Analysis,
    ColumnEdge,
    OutputColumns,
    OutputPractices,
    PracticeReason,
    Practices,
    Problem,
    Statement,
)

__all__ = [
    "ENGINE_VERSION",
    "Analysis",
    "ColumnEdge",
    "OutputColumns",
    "OutputPractices",
    "PracticeReason",
    "Practices",
    "Problem",
    "Statement",
    "Step",
    "analyze",
    "explain",
]
