"""REST of incidents, post-mortems and action items: the same verbs as the pages, as the person who asks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction
from django.http import Http404
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework import status
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from audits.postmortems import actions, alerts, filters, queries, reports, services
from audits.postmortems import serializers as s
from audits.postmortems.models import ActionItem, Cause, Incident, IncidentPerson, PostMortem, Section
from catalog.links import link
from catalog.models import User
from catalog.rest import Conflict, refuse_unknown_parameters
from catalog.viewsets import NounViewSet


class PostMortemsViewSet(NounViewSet):
    """What the three have in common: opened with POST, changed with PATCH, their rights asked by their services."""

    created_inside = True  # an owner may open one on what they own: `services` asks
    http_method_names = ["get", "post", "patch", "head", "options"]

    def context_for(self, things: list[Any]) -> dict[str, Any]:
        return super().context_for(things) | {
            "page": lambda key: self.request.build_absolute_uri(link(f"{self.basename}-detail", key))
        }

    def create(self, request: Request, **_: Any) -> Response:
        refuse_unknown_parameters(request, ())
        with transaction.atomic():
            thing = self.register(self.facts(self.get_serializer_class()))
        shown = self.shown(thing)
        return Response(shown, status=status.HTTP_201_CREATED, headers={"Location": shown["url"]})

    def partial_update(self, request: Request, **_: Any) -> Response:
        thing = self.get_object()
        with transaction.atomic():
            self.change(thing, self.facts(self.get_serializer_class(), thing, partial=True))
        return Response(self.shown(thing))

    def facts(self, serializer: type, thing: Any = None, **options: Any) -> dict[str, Any]:
        """What was sent, checked."""
        sent = serializer(thing, data=self.request.data, **options)
        sent.is_valid(raise_exception=True)
        return sent.validated_data

    def done(self, thing: Any) -> Response:
        """The thing as it is after a verb."""
        return Response(self.shown(thing))


class IncidentViewSet(PostMortemsViewSet):
    """Incidents, the newest first. One POST opens one, with its severity, the things it began in, a first finding."""

    order = ("-started_at", "-id")
    queryset = queries.incidents()
    serializer_class = s.IncidentSerializer
    filterset_class = filters.IncidentFilter

    def context_for(self, things: list[Any]) -> dict[str, Any]:
        ids, known = [row["id"] for row in things], IncidentPerson.objects.exclude(owner=None)
        return super().context_for(things) | {
            "people": queries.parts_of(known, "incident", ids, "role", "owner__slug"),
            "began": queries.parts_of(queries.beginnings(), "incident", ids, "node"),
        }

    def register(self, facts: dict[str, Any]) -> Incident:
        people = {name: facts.pop(name) for name in ("lead", "participants") if name in facts}
        because = facts.pop("run", None) or facts.pop("check", None)
        facts.pop("check", None)
        suggested = services.suggested_facts(because) if because else {"things": []}
        things = [*suggested.pop("things"), *facts.pop("things", [])]
        facts = suggested | facts
        if not facts.get("title"):
            raise ValidationError({"title": "Say in a few words what is wrong."})
        incident = services.open_incident(actor=self.request.user, things=things, because=because, **facts)
        self._set_people(incident, people)
        return incident

    def change(self, incident: Incident, facts: dict[str, Any]) -> Incident:
        self._set_people(incident, {name: facts.pop(name) for name in ("lead", "participants") if name in facts})
        for name in ("things", "finding", "run", "check"):
            if name in facts:
                raise ValidationError({name: "This is for opening an incident; add to its hits or timeline instead."})
        return services.change_incident(actor=self.request.user, incident=incident, **facts)

    def _set_people(self, incident: Incident, people: dict[str, Any]) -> None:
        """State the lead or the participants; who is not sent stays."""
        if not people:
            return
        now = list(incident.people.select_related("owner"))
        lead = people.get("lead", next((each.owner for each in now if each.role == "lead"), None))
        helpers = people.get("participants", [each.owner for each in now if each.role != "lead" and each.owner])
        services.set_people(actor=self.request.user, incident=incident, lead=lead, participants=helpers)

    @extend_schema(request=s.WordsSerializer)
    @action(detail=True, methods=["post"])
    def acknowledge(self, request: Request, **_: Any) -> Response:
        """Take it on."""
        incident, facts = self.get_object(), self.facts(s.WordsSerializer)
        return self.done(services.acknowledge(actor=request.user, incident=incident, at=facts.get("at")))

    @extend_schema(request=s.WordsSerializer)
    @action(detail=True, methods=["post"])
    def mitigate(self, request: Request, **_: Any) -> Response:
        """Say that it does no more harm."""
        incident = self.get_object()
        return self.done(services.mitigate(actor=request.user, incident=incident, **self.facts(s.WordsSerializer)))

    @extend_schema(request=s.WordsSerializer)
    @action(detail=True, methods=["post"])
    def resolve(self, request: Request, **_: Any) -> Response:
        """Say that the data is right again."""
        incident = self.get_object()
        return self.done(services.resolve(actor=request.user, incident=incident, **self.facts(s.WordsSerializer)))

    @extend_schema(request=s.ReasonedSerializer)
    @action(detail=True, methods=["post"])
    def reopen(self, request: Request, **_: Any) -> Response:
        """Open it again, for a reason."""
        incident = self.get_object()
        return self.done(services.reopen(actor=request.user, incident=incident, **self.facts(s.ReasonedSerializer)))

    @extend_schema(responses=s.TimelineEntrySerializer(many=True), filters=False)
    @action(detail=True, methods=["get"], pagination_class=None)
    def timeline(self, request: Request, **_: Any) -> Response:
        """What happened, in order."""
        return Response(s.TimelineEntrySerializer(self.get_object().timeline.all(), many=True).data)

    @extend_schema(request=s.TimelineEntrySerializer, responses={201: s.TimelineEntrySerializer})
    @timeline.mapping.post
    def add_to_timeline(self, request: Request, **_: Any) -> Response:
        """Note something."""
        incident, facts = self.get_object(), self.facts(s.TimelineEntrySerializer)
        entry = services.add_entry(actor=request.user, incident=incident, **facts)
        return Response(s.TimelineEntrySerializer(entry).data, status=status.HTTP_201_CREATED)

    @extend_schema(request=s.TimelineEntrySerializer, responses=s.TimelineEntrySerializer)
    @action(detail=True, methods=["patch"], url_path="timeline/<int:entry>", pagination_class=None)
    def mend_timeline(self, request: Request, entry: int, **_: Any) -> Response:
        """Pin an entry, or mend what a person noted."""
        known = self.get_object().timeline.select_related("incident").filter(pk=entry).first()
        if known is None:
            raise Http404
        facts = self.facts(s.TimelineEntrySerializer, known, partial=True)
        changed = services.change_entry(actor=request.user, entry=known, **facts)
        return Response(s.TimelineEntrySerializer(changed).data)

    @extend_schema(responses=s.HitSerializer(many=True), filters=False)
    @action(detail=True, methods=["get"], pagination_class=None)
    def hits(self, request: Request, **_: Any) -> Response:
        """What it hit, by the lineage and the names of its start."""
        return Response(s.HitSerializer(self.get_object().hits.all(), many=True).data)

    @extend_schema(request=s.HitSerializer, responses={201: s.HitSerializer})
    @hits.mapping.post
    def add_to_hits(self, request: Request, **_: Any) -> Response:
        """Add a thing by hand, or with `is_out` cross one out."""
        incident, facts = self.get_object(), self.facts(s.HitSerializer)
        [hit] = services.add_hits(
            actor=request.user, incident=incident, things=[facts["node"]], note=facts.get("note", "")
        )
        if facts.get("is_out"):
            hit = services.change_hit(actor=request.user, hit=hit, is_out=True)
        return Response(s.HitSerializer(hit).data, status=status.HTTP_201_CREATED)

    @extend_schema(responses=s.AttachmentSerializer(many=True), filters=False)
    @action(detail=True, methods=["get"], pagination_class=None)
    def attachments(self, request: Request, **_: Any) -> Response:
        """What is kept with it."""
        return Response(s.AttachmentSerializer(queries.attachments_of(self.get_object()), many=True).data)

    @extend_schema(request=s.AttachmentSerializer, responses={201: s.AttachmentSerializer})
    @attachments.mapping.post
    def attach(self, request: Request, **_: Any) -> Response:
        """Keep a text with it, such as a log."""
        incident, facts = self.get_object(), self.facts(s.AttachmentSerializer)
        content = facts["content"].encode()
        kept = services.attach(actor=request.user, incident=incident, name=facts["name"], content=content)
        return Response(s.AttachmentSerializer(kept).data, status=status.HTTP_201_CREATED)

    @extend_schema(request=OpenApiTypes.OBJECT, responses=s.ReceivedSerializer(many=True), filters=False)
    @action(detail=False, methods=["post"], pagination_class=None)
    def pagerduty(self, request: Request, **_: Any) -> Response:
        """Take a PagerDuty event: one of its Events API v2 or of its webhooks v3."""
        return self._receive(alerts.from_pagerduty)

    @extend_schema(request=OpenApiTypes.OBJECT, responses=s.ReceivedSerializer(many=True), filters=False)
    @action(detail=False, methods=["post"], pagination_class=None)
    def alertmanager(self, request: Request, **_: Any) -> Response:
        """Take a notification of Alertmanager's webhook receiver."""
        return self._receive(alerts.from_alertmanager)

    def _receive(self, read: Callable[[Any], list[alerts.Alert]]) -> Response:
        refuse_unknown_parameters(self.request, ())
        received = [alerts.receive(actor=self.request.user, alert=alert) for alert in read(self.request.data)]
        url = self.context_for([])["url"]
        return Response(
            [{"outcome": each.outcome, "incident": each.incident and f"{url}{each.incident.pk}/"} for each in received]
        )


class PostMortemViewSet(PostMortemsViewSet):
    """Reports on incidents, the newest first. Text changes section by section, over the revision that was read."""

    order = ("-created_at", "-id")
    queryset = queries.post_mortems()
    serializer_class = s.PostMortemSerializer
    filterset_class = filters.PostMortemFilter

    def context_for(self, things: list[Any]) -> dict[str, Any]:
        ids = [row["id"] for row in things]
        return super().context_for(things) | {
            "sections": queries.parts_of(Section.objects.all(), "post_mortem", ids, "name", "text", "revision"),
            "causes": queries.parts_of(Cause.objects.all(), "post_mortem", ids, "code", "is_root"),
        }

    def register(self, facts: dict[str, Any]) -> PostMortem:
        report = reports.start_post_mortem(actor=self.request.user, incident=facts.pop("incident"))
        facts.setdefault("revisions", dict.fromkeys(facts.get("sections", ()), 0))
        return self.change(report, facts)

    def change(self, report: PostMortem, facts: dict[str, Any]) -> PostMortem:
        user, sections = self.request.user, facts.get("sections", {})
        if facts.get("incident", report.incident) != report.incident:
            raise ValidationError({"incident": "This cannot change once registered."})
        missing = [name for name in sections if name not in facts.get("revisions", {})]
        if missing:
            raise ValidationError({"revisions": f"Say which revision of {', '.join(missing)} you read."})
        for name, text in sections.items():
            self._save(report, name, text, facts["revisions"][name])
        if "root_cause" in facts or "causes" in facts:
            now = reports.content_of(report)
            root = facts.get("root_cause", now["root_cause"]) or ""
            reports.set_causes(
                actor=user, post_mortem=report, root=root, contributing=facts.get("causes", now["causes"])
            )
        return report

    def _save(self, report: PostMortem, name: str, text: str, revision: int) -> None:
        if not report.sections.filter(name=name).exists():
            reports.add_section(actor=self.request.user, post_mortem=report, name=name)
        saved = reports.save_section(
            actor=self.request.user, post_mortem=report, name=name, text=text, revision=revision
        )
        if saved.refused is not None:
            raise Conflict(f"{saved.section.saved_by_name} saved {name} meanwhile: read it again, then repeat.")

    @extend_schema(request=s.ReviewerSerializer)
    @action(detail=True, methods=["post"])
    def review(self, request: Request, **_: Any) -> Response:
        """Send it to somebody who did not write it."""
        report, name = self.get_object(), self.facts(s.ReviewerSerializer)["reviewer"]
        reviewer = User.objects.filter(username=name, is_active=True).first()
        if reviewer is None:
            raise ValidationError({"reviewer": f"Nobody here has the user name {name}."})
        return self.done(reports.send_to_review(actor=request.user, post_mortem=report, reviewer=reviewer))

    @extend_schema(request=s.ReasonedSerializer)
    @action(detail=True, methods=["post"], url_path="send-back")
    def send_back(self, request: Request, **_: Any) -> Response:
        """Ask for changes."""
        report = self.get_object()
        return self.done(reports.send_back(actor=request.user, post_mortem=report, **self.facts(s.ReasonedSerializer)))

    @extend_schema(request=None)
    @action(detail=True, methods=["post"])
    def publish(self, request: Request, **_: Any) -> Response:
        """The reviewer's yes."""
        return self.done(reports.publish(actor=request.user, post_mortem=self.get_object()))

    @extend_schema(request=s.ReasonedSerializer)
    @action(detail=True, methods=["post"])
    def reopen(self, request: Request, **_: Any) -> Response:
        """Open it again, for a reason."""
        report = self.get_object()
        return self.done(reports.reopen(actor=request.user, post_mortem=report, **self.facts(s.ReasonedSerializer)))

    def check_object_permissions(self, request: Request, report: PostMortem) -> None:
        """A reviewer need not be allowed to edit: the two verbs that are theirs ask who it is themselves."""
        if self.action not in ("publish", "send_back"):
            super().check_object_permissions(request, report)


class ActionItemViewSet(PostMortemsViewSet):
    """What was decided after incidents, what is due first ahead."""

    order = ("due", "priority", "id")
    queryset = queries.action_items()
    serializer_class = s.ActionItemSerializer
    filterset_class = filters.ActionItemFilter

    def register(self, facts: dict[str, Any]) -> ActionItem:
        check = facts.pop("check", None)
        item = actions.create_item(actor=self.request.user, **facts)
        return self._proven_by(item, check) if check else item

    def change(self, item: ActionItem, facts: dict[str, Any]) -> ActionItem:
        if facts.pop("incident", item.incident) != item.incident:
            raise ValidationError({"incident": "This cannot change once registered."})
        check = facts.pop("check", None)
        item = actions.change_item(actor=self.request.user, item=item, **facts)
        return self._proven_by(item, check) if check and check.pk != item.proof_check_id else item

    def _proven_by(self, item: ActionItem, check: Any) -> ActionItem:
        return actions.prove_by(actor=self.request.user, item=item, proof=ActionItem.Proof.CHECK, check=check)

    @extend_schema(request=None)
    @action(detail=True, methods=["post"])
    def start(self, request: Request, **_: Any) -> Response:
        """Say that somebody works on it."""
        return self.done(actions.start(actor=request.user, item=self.get_object()))

    @extend_schema(request=s.WordsSerializer)
    @action(detail=True, methods=["post"])
    def finish(self, request: Request, **_: Any) -> Response:
        """Say that it is done, and how one can tell."""
        item, facts = self.get_object(), self.facts(s.WordsSerializer)
        return self.done(actions.finish(actor=request.user, item=item, words=facts.get("words", "")))

    @extend_schema(request=s.ReasonedSerializer)
    @action(detail=True, methods=["post"])
    def drop(self, request: Request, **_: Any) -> Response:
        """Decide not to do it, for a reason."""
        item = self.get_object()
        return self.done(actions.drop(actor=request.user, item=item, reason=self.facts(s.ReasonedSerializer)["words"]))

    @extend_schema(request=None)
    @action(detail=True, methods=["post"])
    def reopen(self, request: Request, **_: Any) -> Response:
        """It is to be done after all."""
        return self.done(actions.reopen(actor=request.user, item=self.get_object()))
