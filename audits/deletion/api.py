"""REST of verdicts and deletion reviews: the same verbs as the pages, as the person who asks."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import status
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from audits.deletion import filters, queries, serializers, services
from audits.deletion.models import DeletionReview, Verdict
from catalog.rest import refuse_unknown_parameters
from catalog.viewsets import NounViewSet


class VerdictViewSet(NounViewSet):
    """What the evidence says of each table's use, table by table; `flag_unused` writes them."""

    order = ("table_id",)
    queryset = queries.verdicts()
    serializer_class = serializers.VerdictSerializer
    filterset_class = filters.VerdictFilter

    def context_for(self, verdicts: list[Verdict]) -> dict[str, Any]:
        words = {each.verdict.table_id: each.sentences for each in queries.explained(verdicts)}
        return super().context_for(verdicts) | {"words": words}


class DeletionReviewViewSet(NounViewSet):
    """Proposals to delete tables and the pipelines that go with them, the newest first.

    Owners agree on the page that their mail links to. Pipekeeper drops nothing: `quarantined`, `deleted` and
    `restored` say that people have run the scripts.
    """

    order = ("-opened_at", "-id")
    http_method_names = ["get", "post", "head", "options"]
    queryset = DeletionReview.objects.prefetch_related(
        "tables__table__source", "pipelines__pipeline", "approvals", "events"
    )
    serializer_class = serializers.DeletionReviewSerializer
    filterset_class = filters.DeletionReviewFilter

    def context_for(self, reviews: list[DeletionReview]) -> dict[str, Any]:
        return super().context_for(reviews) | {
            "page": lambda review: self.request.build_absolute_uri(review.get_absolute_url())
        }

    def create(self, request: Request, **_: Any) -> Response:
        """Open a review of tables; what is built from them goes along."""
        refuse_unknown_parameters(request, ())
        sent = self.get_serializer_class()(data=request.data)
        sent.is_valid(raise_exception=True)
        review = services.open_review(actor=request.user, tables=sent.validated_data["tables"])
        shown = self._shown(review)
        return Response(shown, status=status.HTTP_201_CREATED, headers={"Location": shown["url"]})

    @extend_schema(request=None)
    @action(detail=True, methods=["post"])
    def notify(self, request: Request, **_: Any) -> Response:
        """Tell the owners by mail."""
        return Response(self._shown(services.notify(actor=request.user, review=self.get_object())))

    @extend_schema(request=None)
    @action(detail=True, methods=["post"])
    def remind(self, request: Request, **_: Any) -> Response:
        """Write again to the owners who have not answered."""
        return Response(self._shown(services.remind(actor=request.user, review=self.get_object())))

    @extend_schema(request=None)
    @action(detail=True, methods=["post"])
    def approve(self, request: Request, **_: Any) -> Response:
        """A steward's yes."""
        return Response(self._shown(services.approve(actor=request.user, review=self.get_object())))

    @extend_schema(request=None)
    @action(detail=True, methods=["post"], url_path="by-revoke")
    def by_revoke(self, request: Request, **_: Any) -> Response:
        """Hide the tables by taking rights away, which are read from the live source now and given back by the undo."""
        return Response(self._shown(services.quarantine_by_revoke(actor=request.user, review=self.get_object())))

    @extend_schema(request=None)
    @action(detail=True, methods=["post"], url_path="by-rename")
    def by_rename(self, request: Request, **_: Any) -> Response:
        """Hide the tables by renaming them, as every review begins."""
        return Response(self._shown(services.quarantine_by_rename(actor=request.user, review=self.get_object())))

    @extend_schema(request=None)
    @action(detail=True, methods=["post"])
    def quarantined(self, request: Request, **_: Any) -> Response:
        """Say that the builders are stopped and the tables hidden."""
        return Response(self._shown(services.record_quarantine(actor=request.user, review=self.get_object())))

    @extend_schema(request=None)
    @action(detail=True, methods=["post"])
    def deleted(self, request: Request, **_: Any) -> Response:
        """Say that the data is kept aside and the tables are dropped."""
        return Response(self._shown(services.record_deletion(actor=request.user, review=self.get_object())))

    @extend_schema(request=None)
    @action(detail=True, methods=["post"])
    def restored(self, request: Request, **_: Any) -> Response:
        """Say that the tables of a stopped review are back."""
        return Response(self._shown(services.record_restoration(actor=request.user, review=self.get_object())))

    @extend_schema(request=serializers.ReasonSerializer)
    @action(detail=True, methods=["post"])
    def stop(self, request: Request, **_: Any) -> Response:
        """End the review, for a reason."""
        sent = serializers.ReasonSerializer(data=request.data)
        sent.is_valid(raise_exception=True)
        reason = f"{request.user.get_username()}: {sent.validated_data['reason']}"
        return Response(self._shown(services.stop(actor=request.user, review=self.get_object(), reason=reason)))

    def _shown(self, review: DeletionReview) -> dict[str, Any]:
        return self.represent([self.get_queryset().get(pk=review.pk)])[0]
