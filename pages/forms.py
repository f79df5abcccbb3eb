"""Forms that register and change things. They read and check; `catalog.services` and `lineage.services` write."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.core.validators import validate_slug
from django.db.models import Model, Q
from django.db.models.fields import BLANK_CHOICE_DASH
from django.forms import BoundField
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse_lazy

from catalog.models import Column, Owner, Pipeline, Source, Table

MOST_NAMES = 200  # in one field: far above any real pipeline, far below what would slow a query


class Lines(forms.Textarea):
    """A list of names as text, one a line."""

    def __init__(self, suggest: str) -> None:
        super().__init__({"spellcheck": "false", "data-suggest": reverse_lazy(f"suggest-{suggest}")})

    def format_value(self, value: Any) -> str:
        return value if isinstance(value, str) else "\n".join(map(str, value or ()))


class Words(forms.TextInput):
    """A list of names as text, separated by commas."""

    def format_value(self, value: Any) -> str:
        return value if isinstance(value, str) else ", ".join(map(str, value or ()))


class NamesField(forms.CharField):
    """Names, one a line or separated by commas, each looked up by `find`, which raises ValidationError."""

    def __init__(self, find: Callable[[list[str]], list[Any]], **options: Any) -> None:
        super().__init__(required=False, max_length=50_000, **options)
        self.find = find

    def clean(self, value: Any) -> list[Any]:
        names = _split(super().clean(value))
        if len(names) > MOST_NAMES:
            raise ValidationError(f"These are {len(names)} names; at most {MOST_NAMES} fit here.")
        return self.find(names) if names else []

    def has_changed(self, initial: Any, data: Any) -> bool:
        return _split(self.widget.format_value(initial)) != _split(data or "")


def _split(text: str) -> list[str]:
    return list(dict.fromkeys(part.strip() for part in re.split(r"[\n,]", text) if part.strip()))


def find_owners(names: list[str]) -> list[Owner]:
    """Owners by slug, e-mail address or name. One query; ValidationError names everyone unknown."""
    wanted = Q(slug__in=names) | Q(email__in=names) | Q(name__in=names)
    known: dict[str, Owner] = {}
    for owner in Owner.objects.filter(wanted):
        known |= {owner.name: owner, owner.email: owner, owner.slug: owner}
    _refuse_unknown("owner", [name for name in names if name not in known])
    return [known[name] for name in names]


def find_tables(names: list[str]) -> list[Table]:
    """Tables by `source:name`, or by name where one source alone has it. One query."""
    bare = [name.partition(":")[2] for name in names] + names
    by_name: dict[str, list[Table]] = {}
    for table in Table.objects.select_related("source").filter(name__in=bare):
        for key in (table.name, f"{table.source.slug}:{table.name}"):
            by_name.setdefault(key, []).append(table)
    _refuse_unknown("table", [name for name in names if name not in by_name])
    unclear = [name for name in names if len(by_name[name]) > 1]
    if unclear:
        raise ValidationError(f"Several sources have {', '.join(unclear)}: write source:name.")
    return [by_name[name][0] for name in names]


def find_tags(names: list[str]) -> list[str]:
    """Tag names, new ones included. ValidationError for one that is not a single word."""
    for name in names:
        try:
            validate_slug(name)
        except ValidationError as error:
            raise ValidationError(f"{name!r} is not a tag: letters, digits, - and _ only, without spaces.") from error
    return names


def table_names(tables: Iterable[Table]) -> list[str]:
    """Tables as `find_tables` reads them."""
    return [f"{table.source.slug}:{table.name}" for table in tables]


def _refuse_unknown(noun: str, names: list[str]) -> None:
    if names:
        raise ValidationError(f"No {noun} here is called {', '.join(names)}. Register it first, or mend the spelling.")


class ConnectionName(forms.TextInput):
    """A name; an address that somebody wrote instead is not sent back to the page."""

    def format_value(self, value: Any) -> str:
        return "" if "://" in str(value or "") else str(value or "")


def _name_no_choice(field: forms.Field) -> None:
    """Say in words what Django shows as dashes."""
    words = "Choose one" if field.required else "Not stated"
    if isinstance(field, forms.ModelChoiceField):
        field.empty_label = words
    elif isinstance(field, forms.ChoiceField):
        field.choices = [(value, words if text == BLANK_CHOICE_DASH[0][1] else text) for value, text in field.choices]


class FactsForm(forms.ModelForm):
    """A form over a copy of a thing, whose `facts` are what the person changed.

    `layout` gives the fields in groups; fields named in `whole` take a whole line.
    """

    layout: list[tuple[str, list[str]]] = []
    whole = {"name", "description", "backfill", "business_owners", "technical_owners", "inputs", "outputs", "tags"}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name, field in self.fields.items():
            field.whole = name in self.whole
            _name_no_choice(field)
            if isinstance(field.widget, forms.Textarea):
                field.widget.attrs["rows"] = 2

    @property
    def groups(self) -> list[tuple[str, list[BoundField]]]:
        """The layout as bound fields."""
        return [(legend, [self[name] for name in names if name in self.fields]) for legend, names in self.layout]

    @property
    def facts(self) -> dict[str, Any]:
        """The changed facts of the thing itself, `tags` among them, as services take them."""
        own = {*self._meta.fields, "tags"}
        return {name: self.cleaned_data[name] for name in self.changed_data if name in own}

    def changed(self, name: str) -> bool:
        """Whether the person changed that field."""
        return name in self.changed_data


def _owners_field(label: str, help_text: str = "") -> NamesField:
    return NamesField(find_owners, label=label, help_text=help_text, widget=Lines("owners"))


class OwnedForm(FactsForm):
    """What forms of pipelines and tables share: owners per role, and tags."""

    business_owners = _owners_field("Business owners: who asked for it", "Name, slug or e-mail address, one a line.")
    technical_owners = _owners_field("Technical owners: who keep it running")
    tags = NamesField(find_tags, label="Tags", help_text="Single words, with commas between.", widget=Words())


class PipelineForm(OwnedForm):
    inputs = NamesField(
        find_tables,
        label="Declared inputs",
        help_text="For what no SQL tells. One table a line, as source:name.",
        widget=Lines("tables"),
    )
    outputs = NamesField(find_tables, label="Declared outputs", widget=Lines("tables"))

    layout = [
        ("", ["name", "description", "kind", "status", "tier", "tags"]),
        ("Owners", ["business_owners", "technical_owners"]),
        ("How it runs", ["schedule", "orchestrator", "dag", "repository_path", "load_strategy", "catchup", "backfill"]),
        ("What it reads and writes", ["inputs", "outputs"]),
    ]

    class Meta:
        model = Pipeline
        fields = [
            "name",
            "description",
            "kind",
            "status",
            "tier",
            "schedule",
            "orchestrator",
            "dag",
            "repository_path",
            "load_strategy",
            "catchup",
            "backfill",
        ]
        widgets = {"tier": forms.Select(choices=[("", "Not stated"), *((tier, str(tier)) for tier in range(1, 5))])}
        labels = {"dag": "DAG", "backfill": "Backfill instructions"}


class TableForm(OwnedForm):
    layout = [
        ("", ["source", "name", "description", "kind", "status", "tags"]),
        ("Owners", ["business_owners", "technical_owners"]),
        ("Keeping it", ["provenance", "retention_days", "keep_forever"]),
    ]

    class Meta:
        model = Table
        fields = [
            "source",
            "name",
            "description",
            "kind",
            "status",
            "provenance",
            "retention_days",
            "keep_forever",
        ]
        labels = {"retention_days": "Retention period in days"}

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        if cleaned.get("keep_forever") and cleaned.get("retention_days") is not None:
            self.add_error("retention_days", "Either a retention period or forever, not both.")
        return cleaned


class ColumnForm(FactsForm):
    layout = [("", ["name", "type", "position", "is_primary_key", "is_sensitive", "description"])]
    whole = {"description"}

    class Meta:
        model = Column
        fields = ["name", "type", "position", "is_primary_key", "is_sensitive", "description"]
        labels = {"is_primary_key": "Part of the primary key", "is_sensitive": "Holds sensitive values"}


class OwnerForm(FactsForm):
    layout = [("", ["name", "kind", "email", "team", "status"])]

    class Meta:
        model = Owner
        fields = ["name", "kind", "email", "team", "status"]
        labels = {"email": "E-mail address"}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["team"].queryset = Owner.objects.filter(kind=Owner.Kind.TEAM).exclude(pk=self.instance.pk)


class LinesField(forms.CharField):
    """A list of texts, one a line."""

    widget = forms.Textarea

    def prepare_value(self, value: Any) -> Any:
        return "\n".join(value) if isinstance(value, list) else value

    def to_python(self, value: Any) -> list[str]:
        return [line.strip() for line in (value or "").splitlines() if line.strip()]

    def has_changed(self, initial: Any, data: Any) -> bool:
        return (initial or []) != self.to_python(data)


class SourceForm(FactsForm):
    """`may_connect` is whether the person may name the connection."""

    namespaces = LinesField(
        required=False,
        label="OpenLineage namespaces",
        help_text="Whose datasets lie in this source, one a line: postgres://db:5432",
    )

    layout = [
        ("", ["name", "platform", "storage", "dialect", "description", "namespaces"]),
        ("Live connection", ["connection"]),
    ]
    whole = {*FactsForm.whole, "namespaces", "connection"}

    class Meta:
        model = Source
        fields = ["name", "platform", "storage", "dialect", "description", "namespaces", "connection"]
        widgets = {"connection": ConnectionName({"placeholder": "WAREHOUSE_URL", "autocomplete": "off"})}

    def __init__(self, *args: Any, may_connect: bool, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if not may_connect:
            self.fields["connection"].disabled = True
            self.fields["connection"].help_text = "A steward names it."


def saved(form: FactsForm, save: Callable[[], Model]) -> Model | None:
    """The thing that `save` wrote, or None with what a service refused standing at the form's fields."""
    if not form.is_valid():
        return None
    try:
        return save()
    except ValidationError as error:
        for field, errors in _by_field(error).items():
            form.add_error(field if field in form.fields else None, errors)
        return None


def _by_field(error: ValidationError) -> dict[str | None, list[ValidationError]]:
    return dict(error.error_dict) if hasattr(error, "error_dict") else {None: error.error_list}


def form_page(
    request: HttpRequest, form: forms.BaseForm, title: str, verb: str, back: str, *, noun: str, list_route: str
) -> HttpResponse:
    """The page of a form: `verb` on its button, `back` where one leaves it; 422 when it was sent and refused."""
    context = {"title": title, "form": form, "verb": verb, "back": back, "noun": noun, "list_route": list_route}
    return render(request, "shared/form_page.html", context, status=422 if form.is_bound else 200)
