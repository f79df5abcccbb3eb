"""The form of a check: what every check has, and the parameters of its kind."""

from __future__ import annotations

import dataclasses
import json
import re
from typing import Any

from django import forms
from django.core.exceptions import ValidationError

from audits.checks.kinds import KINDS
from audits.checks.models import Check
from catalog.models import Owner, Pipeline, Table
from lineage.queries import inputs_and_outputs
from pages.forms import FactsForm, table_names

_WHOLE = {"columns", "values", "to_columns", "sql", "where", "to_table", "input", "output", "what"}
_LABELS = {
    "min": "At least",
    "max": "At most",
    "percent": "Percent",
    "runs": "Earlier results to compare with",
    "deviations": "Median deviations",
    "weeks": "Weeks to look back",
    "hours": "Hours",
    "where": "Only rows where",
    "to_table": "The table it refers to",
    "to_columns": "Its columns",
    "sql": "SQL",
    "values": "Accepted values",
    "input": "Input",
    "output": "Output",
    "what": "What is measured",
}
_HELP = {
    "where": "A condition on this table's columns, such as the newest partitions.",
    "to_table": "As source:name.",
    "to_columns": "In the order of the columns above, one a line.",
    "values": "One a line.",
    "sql": "One SELECT of one row; its first value is the figure. Without bounds it must be 0.",
    "deviations": "How many times the median deviation a count may lie from the median.",
}
_NUMBER = re.compile(r"INT|DEC|NUM|FLOAT|DOUBLE|REAL", re.IGNORECASE)


class CheckForm(FactsForm):
    """A check of one kind, on one table or pipeline. Its parameters are fields beside the model's own."""

    whole = {"name", "description", *_WHOLE}

    class Meta:
        model = Check
        fields = ["name", "description", "severity", "schedule", "owner", "is_active"]
        labels = {"is_active": "It is run", "schedule": "Schedule", "description": "What goes wrong if it fails"}

    def __init__(self, *args: Any, kind: str, of: Table | Pipeline, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.kind, self.of = kind, of
        self.columns = list(of.columns.all()) if isinstance(of, Table) else []
        self.fields["name"].required = False
        self.fields["name"].help_text = "Called by what it does, if empty."
        self.fields["owner"].queryset = Owner.objects.filter(status=Owner.Status.ACTIVE)
        self.fields["owner"].empty_label = "Not stated"
        self.fields["owner"].help_text = "Who is told; the owners of the table or pipeline, if empty."
        self.fields["description"].help_text = ""
        names = [field.name for field in dataclasses.fields(KINDS[kind])]
        self.names = sorted(names, key=lambda name: name == "where")  # which comes last
        for field in dataclasses.fields(KINDS[kind]):
            self.fields[field.name] = self._field(field)
            self.fields[field.name].whole = field.name in _WHOLE
            if field.name in self.instance.parameters:
                self.initial[field.name] = _as_text(self.instance.parameters[field.name])
            elif field.default is not dataclasses.MISSING:
                self.initial[field.name] = field.default
        self.layout = [
            ("What must hold", self.names),
            ("", ["name", "description", "severity", "owner", "schedule", "is_active"]),
        ]

    def _field(self, field: dataclasses.Field) -> forms.Field:
        name = field.name
        shared = {
            "required": field.default is dataclasses.MISSING,
            "label": _LABELS.get(name, name.capitalize()),
            "help_text": _HELP.get(name, ""),
        }
        if name in ("input", "output") and isinstance(self.of, Pipeline):
            inputs, outputs = inputs_and_outputs(self.of)
            return forms.ChoiceField(choices=_twice(table_names(inputs if name == "input" else outputs)), **shared)
        if name == "column" and self.columns:
            return forms.ChoiceField(choices=_twice(column.name for column in self.columns), **shared)
        if name in ("columns", "to_columns", "values", "sql"):
            shared["help_text"] = shared["help_text"] or f"One a line. {self._columns_in_words()}".strip()
            return forms.CharField(widget=forms.Textarea({"rows": 3, "spellcheck": "false"}), **shared)
        if name in ("column", "where", "to_table", "what"):
            return forms.CharField(**shared)
        return forms.FloatField(widget=forms.NumberInput({"step": "any"}), **shared)

    def _columns_in_words(self) -> str:
        names = [column.name for column in self.columns[:40]]
        return f"It has: {', '.join(names)}{', …' if len(self.columns) > 40 else ''}." if names else ""

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        cleaned["parameters"] = {
            name: self._read(name, cleaned[name]) for name in self.names if cleaned.get(name) not in (None, "")
        }
        return cleaned

    def _read(self, name: str, value: Any) -> Any:
        if name in ("columns", "to_columns"):
            return [part.strip() for part in re.split(r"[\n,]", value) if part.strip()]
        if name == "values":
            return [self._value(line.strip()) for line in value.splitlines() if line.strip()]
        return int(value) if isinstance(value, float) and value == int(value) else value

    def _value(self, text: str) -> Any:
        """A number where the column holds numbers; else the text."""
        of = next((column for column in self.columns if column.name == self.cleaned_data.get("column")), None)
        if of is None or not _NUMBER.search(of.type):
            return text
        try:
            number = json.loads(text)
        except ValueError as error:
            raise ValidationError({"values": f"{of.name} holds numbers, and {text!r} is none."}) from error
        return number

    @property
    def facts(self) -> dict[str, Any]:
        facts = {name: self.cleaned_data[name] for name in self._meta.fields}
        return facts | {"parameters": self.cleaned_data["parameters"]}

    def add_error(self, field: str | None, error: Any) -> None:
        """What a service says of a parameter begins with its name, and stands at its field."""
        if field is not None or hasattr(error, "error_dict"):
            super().add_error(field, error)
            return
        for message in ValidationError(error).messages:
            name, _, words = message.partition(": ")
            super().add_error(*((name, words) if name in self.names else (None, message)))


def _as_text(value: Any) -> Any:
    return "\n".join(map(str, value)) if isinstance(value, list) else value


def _twice(names: Any) -> list[tuple[str, str]]:
    return [(name, name) for name in names]
