"""The version of the graph, and the whole graph in memory for questions that no neighbourhood answers."""

from __future__ import annotations

from django.db import transaction
from django.db.models import F

from lineage.models import GraphVersion


@transaction.atomic
def bump_graph_version() -> None:
    """Raise the version of the graph by one.

    Whoever writes edges calls this once, inside the same transaction, so that no reader takes a snapshot or a cached
    picture for the new state. Two queries.
    """
    GraphVersion.objects.update_or_create(pk=1, defaults={"number": F("number") + 1}, create_defaults={"number": 1})


def graph_version() -> int:
    """The version of the graph now; 0 where no edge was ever written. One query."""
    return GraphVersion.objects.filter(pk=1).values_list("number", flat=True).first() or 0
