"""How incidents, post-mortems and action items read and are written in JSON; others are named by slug or node id."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from audits.checks.models import Check
from audits.postmortems.models import ActionItem, Attachment, Cause, Hit, Incident, PostMortem, Section, TimelineEntry
from catalog.models import Owner, Run
from catalog.serializers import OneOf, RowSerializer, StrictSerializer
from lineage.nodes import NodeId, find

MOST_THINGS = 50  # that one incident begins with


class OwnerField(serializers.SlugRelatedField):
    """An owner by slug."""

    def __init__(self, **options: Any) -> None:
        super().__init__(slug_field="slug", queryset=Owner.objects.all(), **options)
        self.error_messages["does_not_exist"] = "No owner has the slug {value}."


class NodesField(serializers.ListField):
    """Tables, columns and pipelines by node id."""

    def __init__(self, **options: Any) -> None:
        super().__init__(child=serializers.CharField(max_length=2000), max_length=MOST_THINGS, **options)

    def to_internal_value(self, data: Any) -> list[Any]:
        try:
            return [find(NodeId.parse(node)) for node in super().to_internal_value(data)]
        except (LookupError, ValueError) as error:
            raise serializers.ValidationError(str(error)) from error


class LinkSerializer(StrictSerializer):
    title = serializers.CharField(required=False, allow_blank=True, max_length=200)
    url = serializers.CharField(max_length=1000)


class IncidentSerializer(StrictSerializer, RowSerializer):
    """`things`, `finding`, `run` and `check` are for opening one; the hit list and timeline have addresses of their
    own. `context` holds the `people` and where each `began`, by id."""

    serializer_choice_field = OneOf
    lookups = {"post_mortem": "post_mortem__id"}
    made = ("url", "page", "lead", "participants", "began")
    sent = ("things", "finding", "run", "check")

    url = serializers.URLField(read_only=True)
    page = serializers.URLField(read_only=True, help_text="Where people look at it")
    links = LinkSerializer(many=True, required=False)
    lead = OwnerField(required=False, allow_null=True, help_text="Slug of who leads")
    participants = serializers.ListField(
        child=serializers.CharField(max_length=150), required=False, max_length=100, help_text="Slugs of who helps"
    )
    things = NodesField(
        required=False, write_only=True, help_text="Node ids of the tables, columns and pipelines where it began"
    )
    finding = serializers.CharField(required=False, write_only=True, allow_blank=True, help_text="The first finding")
    run = serializers.PrimaryKeyRelatedField(
        queryset=Run.objects.select_related("pipeline"), required=False, write_only=True, help_text="A run that failed"
    )
    check = serializers.PrimaryKeyRelatedField(
        queryset=Check.objects.select_related("table__source", "pipeline"),
        required=False,
        write_only=True,
        help_text="A check that fails",
    )
    began = serializers.ListField(child=serializers.CharField(), read_only=True, help_text="Node ids of where it began")
    post_mortem = serializers.IntegerField(read_only=True, allow_null=True, help_text="Id of its report, if begun")

    class Meta:
        model = Incident
        fields = [
            *("id", "url", "page", "title", "severity", "status", "detection", *Incident.TIMES),
            *("data_from", "data_to", "wrong_rows", "decisions", "links", "lead", "participants"),
            *("things", "finding", "run", "check", "began", "post_mortem", "lineage_at", "beyond", "alert_key"),
            *("opened_by_name", "opened_at"),
        ]
        read_only_fields = ["status", "lineage_at", "beyond", "alert_key", "opened_by_name", "opened_at"]
        extra_kwargs = {
            "started_at": {"required": False},
            "detected_at": {"required": False},
            "title": {"required": False, "help_text": "Needed unless a run or a check says it"},
        }

    def validate_participants(self, slugs: list[str]) -> list[Owner]:
        """Owners by slug; names everyone unknown."""
        found = {owner.slug: owner for owner in Owner.objects.filter(slug__in=slugs)}
        if unknown := [slug for slug in slugs if slug not in found]:
            raise serializers.ValidationError(f"No owner has the slug {', '.join(unknown)}.")
        return [found[slug] for slug in slugs]

    def make(self, row: dict[str, Any]) -> dict[str, Any]:
        people = self.context["people"][row["id"]]
        return super().make(row) | {
            "page": self.context["page"](row["id"]),
            "lead": next((slug for role, slug in people if role == "lead"), None),
            "participants": [slug for role, slug in people if role == "participant"],
            "began": [node for (node,) in self.context["began"][row["id"]]],
        }


class HitSerializer(StrictSerializer, serializers.ModelSerializer):
    """A thing that an incident hit, by the names of then. Sent, it needs the `node`: a node id, or owner:<slug>."""

    class Meta:
        model = Hit
        fields = ["id", "kind", "node", "source", "name", "distance", "added_by_name", "is_out", "note"]
        read_only_fields = [name for name in fields if name not in ("node", "note", "is_out")]

    def validate_node(self, node: str) -> Any:
        """The thing that the node id names."""
        kind, _, slug = node.partition(":")
        if kind == "owner":
            owner = Owner.objects.filter(slug=slug).first()
            if owner is None:
                raise serializers.ValidationError(f"No owner has the slug {slug}.")
            return owner
        try:
            return find(NodeId.parse(node))
        except (LookupError, ValueError) as error:
            raise serializers.ValidationError(str(error)) from error


class TimelineEntrySerializer(StrictSerializer, serializers.ModelSerializer):
    text = serializers.CharField(help_text="One longer than 20,000 characters is kept as an attachment")

    class Meta:
        model = TimelineEntry
        fields = ["id", "at", "text", "source", "is_pinned", "link", "by_name", "noted_at"]
        read_only_fields = ["source", "by_name", "noted_at"]
        extra_kwargs = {"at": {"required": False, "help_text": "Now, if not sent"}}


class AttachmentSerializer(StrictSerializer, serializers.ModelSerializer):
    content = serializers.CharField(write_only=True, trim_whitespace=False, help_text="Its text, up to 8,000,000 bytes")
    page = serializers.CharField(read_only=True, source="get_absolute_url", help_text="Where it is downloaded")

    class Meta:
        model = Attachment
        fields = ["id", "name", "content", "size", "page", "by_name", "at"]
        read_only_fields = ["size", "by_name", "at"]


class WordsSerializer(StrictSerializer):
    """What was done, or why; and when, where that was earlier."""

    words = serializers.CharField(required=False, allow_blank=True, max_length=2000)
    at = serializers.DateTimeField(required=False, allow_null=True)


class ReasonedSerializer(StrictSerializer):
    """Why."""

    words = serializers.CharField(max_length=2000)


class ReceivedSerializer(serializers.Serializer):
    """What an alert came to."""

    outcome = serializers.ChoiceField(["opened", "noted", "acknowledged", "ignored"])
    incident = serializers.URLField(allow_null=True)


# Post-mortems


class PostMortemSerializer(StrictSerializer, RowSerializer):
    """`sections` maps a section to its text. Sent back with `revisions` as they were read, nothing is overwritten that
    somebody else saved meanwhile: that is answered with 409. `context` holds the `sections` and `causes` by id."""

    lookups = {"incident": "incident_id"}
    made = ("url", "page", "sections", "revisions", "root_cause", "causes")
    url = serializers.URLField(read_only=True)
    page = serializers.URLField(read_only=True)
    incident = serializers.PrimaryKeyRelatedField(queryset=Incident.objects.all())
    sections = serializers.DictField(child=serializers.CharField(allow_blank=True), required=False)
    revisions = serializers.DictField(child=serializers.IntegerField(min_value=0), required=False)
    root_cause = OneOf(Cause.Code.choices, required=False, allow_null=True)
    causes = serializers.ListField(child=OneOf(Cause.Code.choices), required=False, help_text="What contributed")
    open_items = serializers.IntegerField(read_only=True, help_text="Its action items that are not ended")

    class Meta:
        model = PostMortem
        fields = [
            *("id", "url", "page", "incident", "state", "sections", "revisions", "root_cause", "causes", "open_items"),
            *("author_name", "reviewer_name", "created_at", "published_at"),
        ]
        read_only_fields = ["state", "author_name", "reviewer_name", "created_at", "published_at"]

    def validate_sections(self, sections: dict[str, str]) -> dict[str, str]:
        """Only sections that there are."""
        if unknown := [name for name in sections if name not in Section.Name.values]:
            raise serializers.ValidationError(
                f"No section is called {', '.join(unknown)}: {', '.join(Section.Name.values)}."
            )
        return sections

    def make(self, row: dict[str, Any]) -> dict[str, Any]:
        sections, causes = self.context["sections"][row["id"]], self.context["causes"][row["id"]]
        return super().make(row) | {
            "page": self.context["page"](row["id"]),
            "sections": {name: text for name, text, _ in sections},
            "revisions": {name: revision for name, _, revision in sections},
            "root_cause": next((code for code, is_root in causes if is_root), None),
            "causes": [code for code, is_root in causes if not is_root],
        }


class ReviewerSerializer(StrictSerializer):
    reviewer = serializers.CharField(max_length=150, help_text="User name of somebody other than the author")


# Action items


class ActionItemSerializer(StrictSerializer, serializers.ModelSerializer):
    serializer_choice_field = OneOf

    url = serializers.URLField(read_only=True)
    page = serializers.URLField(read_only=True)
    incident = serializers.PrimaryKeyRelatedField(queryset=Incident.objects.all())
    owner = OwnerField(help_text="Slug of who does it")
    check = serializers.PrimaryKeyRelatedField(
        queryset=Check.objects.all(), required=False, allow_null=True, help_text="A check that proves it by passing"
    )
    is_overdue = serializers.BooleanField(read_only=True)

    class Meta:
        model = ActionItem
        fields = [
            *("id", "url", "page", "incident", "title", "description", "type", "owner", "due", "priority", "status"),
            *("is_overdue", "ticket", "proof", "proof_words", "check", "drop_reason", "created_by_name", "created_at"),
            *("ended_at", "ended_by_name"),
        ]
        read_only_fields = [
            "status",
            "proof",
            "drop_reason",
            "created_by_name",
            "created_at",
            "ended_at",
            "ended_by_name",
        ]

    def to_representation(self, item: ActionItem) -> dict[str, Any]:
        made = {
            "url": f"{self.context['url']}{item.pk}/",
            "page": self.context["page"](item.pk),
            "incident": item.incident_id,
            "owner": item.owner.slug if item.owner else None,
            "check": item.proof_check_id,
        }
        return {name: made[name] if name in made else getattr(item, name) for name in self.Meta.fields}
