"""Tables and their columns: list, page, and the forms that register and change them."""

from __future__ import annotations

from copy import copy
from functools import partial

from django.contrib import messages
from django.db import transaction
from django.db.models import OuterRef
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse

from audits.checks.queries import alarms_of, worst_state
from audits.postmortems.queries import incidents_annotated
from audits.usage.queries import with_use
from catalog import policy, queries, services
from catalog.filters import SchemaChangeFilter
from catalog.models import Column, Ownership, Source, Table, User
from catalog.policy import Action
from lineage import queries as lineage_queries
from lineage.filters import TableFilter
from pages.columns import column_or_404
from pages.csv_lists import TABLE_HEAD, csv_of, table_rows
from pages.find import table_or_404
from pages.forms import ColumnForm, TableForm, form_page, saved
from pages.lists import list_page, listing, options_of
from pages.runs import behind, last_good

_LISTED = ("name", "kind", "status", "description", "row_count", "source__slug", "source__name")  # fields of a row
COLUMNS_SHOWN = 200  # at first; each row costs a quarter of a millisecond


def table_list(request: HttpRequest) -> HttpResponse:
    """Every table, narrowed by the filters in the address; owners fall back to the builders'."""
    found = listing(
        request,
        TableFilter,
        Table.objects.select_related("source").only(*_LISTED),
        order=("name", "id"),
        controls={"q": "Name", "source": "Source", "kind": "Kind", "status": "Status"},
        options={"source": options_of(Source.objects.values_list("slug", "name"))},
    )
    if request.GET.get("as") == "csv":
        return csv_of(found, "tables", TABLE_HEAD, table_rows)
    tables = found.page.items
    ids = [table.pk for table in tables]
    owners, alarms = lineage_queries.owner_names_of_tables(ids), alarms_of(ids)
    more = {
        "csv": True,
        "bulk_url": reverse("table-many"),
        "rows": [(table, owners[table.pk], alarms.get(table.pk)) for table in tables],
    }
    return list_page(request, "tables/list.html", "Tables", found, **more)


def detail(request: HttpRequest, source: str, name: str) -> HttpResponse:
    """One table: what it is, who answers for it, what builds it, its columns, what is up- and downstream."""
    table = table_or_404(source, name)
    around = lineage_queries.around(table)
    columns = list(table.columns.all())
    context = {
        "title": table.name,
        "table": table,
        "tags": table.tags.all(),
        "around": around,
        "owners": queries.owners_with_fallback(table, around.builders.items),
        "columns": columns,
        "shown_columns": columns if request.GET.get("columns") == "all" else columns[:COLUMNS_SHOWN],
        "history": queries.history_of(table),
        "disagreements": queries.disagreements(table),
        "may_edit": policy.may(request.user, Action.EDIT, table),
        "audited": audited(table),
        "written_by": last_good(around.builders.items),
        "behind": behind(around.builders.items),
    }
    return render(request, "tables/detail.html", context)


def audited(table: Table) -> Table:
    """What audits say of a table, by one query: its `verdict`, `worst_check` (the state of its worst check), the
    annotations of `with_use`, and `open_incidents`, `last_incident` and `last_incident_at`."""
    tables = Table.objects.select_related("verdict").annotate(worst_check=worst_state(OuterRef("pk")))
    return with_use(tables).annotate(**incidents_annotated("table")).get(pk=table.pk)


def schema_changes(request: HttpRequest, source: str, name: str) -> HttpResponse:
    """What ingests and crawls found changed in a table's columns, the newest first."""
    table = table_or_404(source, name)
    found = listing(
        request,
        SchemaChangeFilter,
        table.schema_changes.all(),
        order=("-at", "-id"),
        controls={"q": "Column", "change": "Change"},
    )
    more = {"table": table, "tags": table.tags.all(), "may_edit": policy.may(request.user, Action.EDIT, table)}
    return list_page(request, "tables/schema_changes.html", f"Schema of {table.name}", found, **more)


def create(request: HttpRequest) -> HttpResponse:
    """Register a table by form."""
    policy.require(request.user, Action.EDIT)
    form = TableForm(request.POST or None, instance=Table(), initial={"source": _source_asked_for(request)})
    if request.method == "POST" and (table := saved(form, lambda: _save(form, request.user))):
        messages.success(request, f"{table.name} is registered.")
        return redirect(table)
    return _form_page(request, form, "Register a table", "Register", reverse("table-list"))


def edit(request: HttpRequest, source: str, name: str) -> HttpResponse:
    """Change a table by form."""
    table = table_or_404(source, name)
    policy.require(request.user, Action.EDIT, table)
    form = TableForm(request.POST or None, instance=copy(table), initial=_initial(table))
    if request.method == "POST" and saved(form, lambda: _save(form, request.user, table)):
        messages.success(request, "The changes are saved.")
        return redirect(table)
    return _form_page(request, form, f"Edit {table.name}", "Save", table.get_absolute_url())


def create_column(request: HttpRequest, source: str, name: str) -> HttpResponse:
    """Register a column of a table by form."""
    table = table_or_404(source, name)
    policy.require(request.user, Action.EDIT, table)
    form = ColumnForm(request.POST or None, instance=Column(table=table))
    register = services.register_column
    if request.method == "POST" and saved(form, lambda: register(actor=request.user, table=table, **form.facts)):
        messages.success(request, "The column is registered.")
        return redirect(table)
    return _form_page(request, form, f"Register a column of {table.name}", "Register", table.get_absolute_url())


def edit_column(request: HttpRequest, source: str, name: str, pk: int) -> HttpResponse:
    """Change a column by form."""
    table = table_or_404(source, name)
    policy.require(request.user, Action.EDIT, table)
    column = column_or_404(table, pk)
    form = ColumnForm(request.POST or None, instance=copy(column))
    change = services.change_column
    if request.method == "POST" and saved(form, lambda: change(actor=request.user, column=column, **form.facts)):
        messages.success(request, f"The column {column.name} is changed.")
        return redirect(table)
    return _form_page(request, form, f"Edit {column.name} of {table.name}", "Save", table.get_absolute_url())


_form_page = partial(form_page, noun="Tables", list_route="table-list")


def _source_asked_for(request: HttpRequest) -> Source | None:
    return Source.objects.filter(slug=request.GET.get("source", "")).first()


def _initial(table: Table) -> dict[str, object]:
    """What the form shows beside the table's own fields: the owners stated for itself, not its builders'."""
    owners = queries.owners_of(table)
    return {
        "business_owners": [owner.slug for owner in owners.business],
        "technical_owners": [owner.slug for owner in owners.technical],
        "tags": [tag.name for tag in table.tags.all()],
    }


@transaction.atomic
def _save(form: TableForm, actor: User, table: Table | None = None) -> Table:
    if table is None:
        table = services.register_table(actor=actor, **form.facts)
    else:
        services.change_table(actor=actor, table=table, **form.facts)
    for role in Ownership.Role.values:
        if form.changed(f"{role}_owners"):
            owners = form.cleaned_data[f"{role}_owners"]
            services.set_owners(actor=actor, thing=table, role=role, owners=owners)
    return table
