"""SQL text in, lineage out: tables, columns with the kind of each edge, problems and load practices.

Read the modules in the order data flows: render, tokens, script, statements, query, columns, practices.
Imports no Django and nothing of the product outside this folder.
"""

from .engine import ENGINE_VERSION, analyze
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
    "analyze",
]
