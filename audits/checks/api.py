"""REST of checks and their results: the same verbs as the pages, as the person who asks."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet
from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response

from audits.checks import filters, queries, serializers, services
from audits.checks.models import Check, CheckResult
from catalog.rest import refuse_unknown_parameters
from catalog.viewsets import NounViewSet, WritableNounViewSet

_READ = (
    *(field.name for field in Check._meta.concrete_fields),
    *("table__name", "table__kind", "table__source__slug", "table__source__dialect", "pipeline__name", "owner__slug"),
)


class CheckViewSet(WritableNounViewSet):
    """What tables' data, and what pipelines make of their input, must meet."""

    created_inside = True  # whoever may change the table or pipeline may
    queryset = queries.checks()
    serializer_class = serializers.CheckSerializer
    filterset_class = filters.CheckFilter

    def context_for(self, checks: list[Check]) -> dict[str, Any]:
        return super().context_for(checks) | {
            "page": lambda check: self.request.build_absolute_uri(check.get_absolute_url())
        }

    def read(self, checks: QuerySet) -> QuerySet:
        """Without what no check shows of its table, pipeline and owner."""
        return checks.only(*_READ)

    def check_object_permissions(self, request: Request, check: Check) -> None:
        """A check belongs to its table or pipeline."""
        super().check_object_permissions(request, check.thing)

    def register(self, facts: dict[str, Any]) -> Check:
        return services.create_check(actor=self.request.user, origin=Check.Origin.REST, **facts)

    def change(self, check: Check, facts: dict[str, Any]) -> Check:
        facts.pop("of", None)
        return services.change_check(actor=self.request.user, check=check, **facts)


class CheckResultViewSet(NounViewSet):
    """What measurements came to, the newest first; programs report those that they made."""

    order = ("-at", "-id")
    created_inside = True
    http_method_names = ["get", "post", "head", "options"]
    queryset = CheckResult.objects.all()
    serializer_class = serializers.CheckResultSerializer
    filterset_class = filters.CheckResultFilter

    def create(self, request: Request, **_: Any) -> Response:
        """Store a result. 201 where it is new, 200 where it was known and changes nothing."""
        refuse_unknown_parameters(request, ())
        sent = self.get_serializer_class()(data=request.data)
        sent.is_valid(raise_exception=True)
        facts = dict(sent.validated_data)
        check = facts.pop("check")
        result = services.record_result(actor=request.user, check=check, **facts)
        is_new = result is not None
        key = services.key_of(facts.get("key", ""), request.user.get_username(), facts["at"])
        shown = self.represent([result or check.results.get(key=key)])[0]
        return Response(shown, status=status.HTTP_201_CREATED if is_new else status.HTTP_200_OK)
