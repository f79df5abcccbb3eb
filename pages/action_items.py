"""Action items: the board, the page of one, and the forms by which they are decided, made and proven."""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from functools import partial
from typing import Any

from django import forms
from django.contrib import messages
from django.core.exceptions import ValidationError
from django.db.models import Q
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_POST

from audits.checks.models import Check
from audits.postmortems import actions, queries
from audits.postmortems.filters import ActionItemFilter
from audits.postmortems.models import ActionItem
from catalog import policy
from catalog.models import Owner, Ownership, Pipeline, Table, User
from catalog.policy import Action
from catalog.queries import history_of
from pages.forms import FactsForm, Lines, NamesField, find_owners, find_tables, form_page, saved
from pages.incidents import find_pipelines, incident_or_404, say
from pages.lists import list_page, listing

BOARDS = [  # label, query string, the count beside it
    ("Mine", "whose=mine&status=unfinished", "mine"),
    ("My team's", "whose=team&status=unfinished", "team"),
    ("Overdue", "is_overdue=true", "overdue"),
    ("All open", "status=unfinished", "open"),
]


@require_GET
def action_item_list(request: HttpRequest) -> HttpResponse:
    """The board: what is to be done, what is due first above."""
    found = listing(
        request,
        ActionItemFilter,
        queries.action_items(),
        order=("due", "priority", "id"),
        controls={"q": "Title", "status": "Status", "type": "Type", "priority": "Priority", "team": "Team"},
    )
    counts = queries.item_counts(request.user)
    asked = request.GET.urlencode()
    boards = [(label, query, getattr(counts, name), query == asked) for label, query, name in BOARDS]
    more = {"boards": boards, "is_everything": not asked}
    return list_page(request, "action_items/list.html", "Action items", found, **more)


@require_GET
def detail(request: HttpRequest, pk: int) -> HttpResponse:
    """One action item: what is to be done, what proves it, and what may be done now."""
    item = _item_or_404(pk)
    may_edit = policy.may(request.user, Action.EDIT, item)
    context = {
        "title": item.title,
        "item": item,
        "incident": item.incident,
        "proven": actions.proof_of(item),
        "makers": [(verb, maker(item, prefix=verb)) for verb, maker in MAKERS.items()]
        if may_edit and item.is_open
        else [],
        "history": history_of(item),
        "may_edit": may_edit,
    }
    return render(request, "action_items/detail.html", context)


# Deciding on one, and changing it


class ActionItemForm(FactsForm):
    owner = NamesField(
        find_owners, label="Owner", help_text="Who does it: name, slug or e-mail address.", widget=Lines("owners")
    )
    ticket = forms.URLField(required=False, assume_scheme="https", help_text="In another tool")
    layout = [("", ["title", "description", "type", "priority", "owner", "due", "ticket", "proof_words"])]
    whole = {"title", "description", "ticket", "proof_words"}

    class Meta:
        model = ActionItem
        fields = ["title", "description", "type", "priority", "owner", "due", "ticket", "proof_words"]
        labels = {"proof_words": "What proves it done"}
        widgets = {"due": forms.DateInput({"type": "date"}, format="%Y-%m-%d")}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["owner"].required = True

    def clean_owner(self) -> Owner:
        """One person or one team."""
        found = self.cleaned_data["owner"]
        if len(found) != 1:
            raise ValidationError("Name one person, or one team: what two own, nobody does.")
        return found[0]

    def _post_clean(self) -> None:
        """Leave the model's own validation to the service."""


def create(request: HttpRequest, pk: int) -> HttpResponse:
    """Decide on an action item after an incident."""
    incident = incident_or_404(pk)
    policy.require(request.user, Action.EDIT, incident)
    form = ActionItemForm(request.POST or None, instance=ActionItem(incident=incident), initial={"owner": []})
    new = actions.create_item
    if request.method == "POST" and saved(
        form, lambda: new(actor=request.user, incident=incident, **form.cleaned_data)
    ):
        messages.success(request, "The action item is decided, and its owner is told.")
        return redirect(incident)
    return _form_page(request, form, "Decide on an action item", "Decide", incident.get_absolute_url())


def edit(request: HttpRequest, pk: int) -> HttpResponse:
    """Change an action item by form."""
    item = _item_or_404(pk)
    policy.require(request.user, Action.EDIT, item)
    initial = {"owner": [item.owner.slug] if item.owner else []}
    form = ActionItemForm(request.POST or None, instance=copy(item), initial=initial)
    change = actions.change_item
    if request.method == "POST" and saved(form, lambda: change(actor=request.user, item=item, **form.facts)):
        messages.success(request, "The changes are saved.")
        return redirect(item)
    return _form_page(request, form, f"Edit {item.title}", "Save", item.get_absolute_url())


_form_page = partial(form_page, noun="Action items", list_route="action-item-list")


# Making the thing that proves it


class MakerForm(forms.Form):
    """Makes the thing that proves an action item; `make` returns the item as it is then."""

    title = ""

    def __init__(self, item: ActionItem, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.item = item

    def make(self, actor: User) -> ActionItem:
        """Make it, as this person."""
        raise NotImplementedError


class CheckForm(MakerForm):
    """A check of what was hit: one that is there, or a new one."""

    title = "Have a check prove it"
    check = forms.ModelChoiceField(Check.objects.none(), required=False, empty_label="A new one", label="Check")
    table = NamesField(find_tables, label="Of the table, as source:name")
    kind = forms.ChoiceField(
        choices=[(kind, Check.Kind(kind).label) for kind in ("unique_key", "not_null", "duplicate_rows")],
        label="That it has",
    )
    columns = forms.CharField(required=False, label="Columns", help_text="With commas between; of the key, or the one.")

    def __init__(self, item: ActionItem, *args: Any, **kwargs: Any) -> None:
        super().__init__(item, *args, **kwargs)
        hit = item.incident.hits.filter(is_out=False)
        of_hit = Q(table__in=hit.values("table")) | Q(pipeline__in=hit.values("pipeline"))
        self.fields["check"].queryset = Check.objects.filter(of_hit).select_related("table", "pipeline")
        self.fields["check"].label_from_instance = lambda check: f"{check.name}, {check.thing}"

    def make(self, actor: User) -> ActionItem:
        facts = self.cleaned_data
        if facts["check"]:
            proof = ActionItem.Proof.CHECK
            return actions.prove_by(actor=actor, item=self.item, proof=proof, check=facts["check"])
        columns = [name.strip() for name in facts["columns"].split(",") if name.strip()]
        parameters = {
            "unique_key": {"columns": columns},
            "not_null": {"column": ", ".join(columns)},
            "duplicate_rows": {},
        }[facts["kind"]]
        return actions.make_check(
            actor=actor, item=self.item, table=_one(self, "table"), kind=facts["kind"], **parameters
        )


class BackfillForm(MakerForm):
    """How a pipeline is run again for a range of dates."""

    title = "Write how to run a pipeline again"
    pipeline = NamesField(find_pipelines, label="Pipeline")
    text = forms.CharField(label="How to run it again", widget=forms.Textarea({"rows": 3}))

    def make(self, actor: User) -> ActionItem:
        pipeline, text = _one(self, "pipeline"), self.cleaned_data["text"]
        return actions.note_backfill(actor=actor, item=self.item, pipeline=pipeline, text=text)


class OwnerForm(MakerForm):
    """Who answers for a table or pipeline."""

    title = "Put an owner on record"
    table = NamesField(find_tables, label="Table, as source:name")
    pipeline = NamesField(find_pipelines, label="or pipeline")
    role = forms.ChoiceField(choices=Ownership.Role.choices)
    owner = NamesField(find_owners, label="Owner")

    def make(self, actor: User) -> ActionItem:
        thing: Table | Pipeline = _one(self, "table" if self.cleaned_data["table"] else "pipeline")
        role, owner = self.cleaned_data["role"], _one(self, "owner")
        return actions.assign_owner(actor=actor, item=self.item, thing=thing, role=role, owner=owner)


class DeletionForm(MakerForm):
    """Tables that are to go."""

    title = "Open a deletion review"
    tables = NamesField(find_tables, label="Tables, as source:name", widget=Lines("tables"))

    def make(self, actor: User) -> ActionItem:
        return actions.review_deletion(actor=actor, item=self.item, tables=self.cleaned_data["tables"])


MAKERS: dict[str, type[MakerForm]] = {
    "check": CheckForm,
    "backfill": BackfillForm,
    "owner": OwnerForm,
    "deletion": DeletionForm,
}


def _one(form: forms.Form, name: str) -> Any:
    found = form.cleaned_data[name]
    if len(found) != 1:
        raise ValidationError(f"{form.fields[name].label}: name one.")
    return found[0]


# What its buttons do


@require_POST
def act(request: HttpRequest, pk: int, verb: str) -> HttpResponse:
    """Do one thing to an action item: what a button says."""
    item = _item_or_404(pk)
    try:
        if verb in MAKERS:
            _make(request, item, verb)
        elif verb in _VERBS:
            _VERBS[verb](request, item)
        else:
            raise Http404(f"Nobody can {verb} an action item.")
    except ValidationError as error:
        say(request, error)
    return redirect(item)


def _make(request: HttpRequest, item: ActionItem, verb: str) -> None:
    policy.require(request.user, Action.EDIT, item)
    form = MAKERS[verb](item, request.POST, prefix=verb)
    if not form.is_valid():
        raise ValidationError(
            [f"{form.fields[name].label}: {error}" for name, errors in form.errors.items() for error in errors]
        )
    made = form.make(request.user)
    messages.success(
        request, "That is done, and so is the action item." if not made.is_open else "It waits for that now."
    )


def _look(request: HttpRequest, item: ActionItem) -> None:
    policy.require(request.user, Action.EDIT, item)
    if actions.close_if_proven(item).is_open:
        messages.warning(request, "It does not show green yet.")


_VERBS: dict[str, Callable[[HttpRequest, ActionItem], Any]] = {
    "start": lambda request, item: actions.start(actor=request.user, item=item),
    "finish": lambda request, item: actions.finish(
        actor=request.user, item=item, words=request.POST.get("words", "")[:500]
    ),
    "drop": lambda request, item: actions.drop(
        actor=request.user, item=item, reason=request.POST.get("reason", "")[:2000]
    ),
    "reopen": lambda request, item: actions.reopen(actor=request.user, item=item),
    "look": _look,
}


def _item_or_404(pk: int) -> ActionItem:
    """One query; its incident, its owner and what proves it come along."""
    along = ("incident", "owner", "proof_check", "proof_table__source", "proof_pipeline", "proof_review")
    item = ActionItem.objects.select_related(*along).filter(pk=pk).first()
    if item is None:
        raise Http404(f"There is no action item {pk}.")
    return item
