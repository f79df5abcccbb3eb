"""REST of reads and usage. Who read is told to a table's owners and to stewards; to others only what kind they are."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response

from audits.usage import filters, queries, serializers, services
from audits.usage.models import Read
from catalog.models import Role, Table
from catalog.policy import role_of
from catalog.rest import refuse_unknown_parameters
from catalog.viewsets import NounViewSet
from lineage.queries import owner_slugs_of_tables

MOST_SHOWN = 500  # readers, and columns, of one table


class ReadViewSet(NounViewSet):
    """Reads of tables by day and reader, the newest first; programs report them in batches."""

    order = ("-day", "-id")
    http_method_names = ["get", "post", "head", "options"]
    queryset = Read.objects.select_related("table__source", "reader")
    serializer_class = serializers.ReadSerializer
    filterset_class = filters.ReadFilter

    def context_for(self, reads: list[Read]) -> dict[str, Any]:
        return super().context_for(reads) | {"named": self._tables_named({read.table_id for read in reads})}

    def _tables_named(self, tables: set[int]) -> set[int]:
        """Of some tables those whose readers this person may see by name."""
        if role_of(self.request.user) in (Role.STEWARD, Role.ADMIN):
            return tables
        mine = queries.owners_that_are(self.request.user)
        if not mine:
            return set()
        owners = owner_slugs_of_tables(sorted(tables))
        return {table for table in tables if mine & {*owners[table].business, *owners[table].technical}}

    @extend_schema(request=serializers.ReadBatchSerializer, responses={200: serializers.RecordedSerializer})
    def create(self, request: Request, **_: Any) -> Response:
        """Count reads; those that were counted before are passed over."""
        refuse_unknown_parameters(request, ())
        sent = serializers.ReadBatchSerializer(data=request.data)
        sent.is_valid(raise_exception=True)
        facts = sent.validated_data
        recorded = services.record_reads(
            actor=request.user, source=facts["source"], reads=facts["reads"], coverage=sent.coverage(facts)
        )
        answer = {"counted": recorded.counted, "known": recorded.known, "unmatched": list(recorded.unmatched)}
        return Response(answer, status=status.HTTP_200_OK)


class UsageViewSet(NounViewSet):
    """The use of every table, by its number: in a line in the list, by day, reader and column in detail."""

    queryset = Table.objects.select_related("source")
    serializer_class = serializers.TableUseSerializer
    filterset_class = filters.UsageFilter

    def read(self, tables: Any) -> Any:
        return queries.with_use(tables)

    @extend_schema(responses=serializers.UsageSerializer)
    def retrieve(self, request: Request, **_: Any) -> Response:
        table = self.get_object()
        owners = owner_slugs_of_tables([table.pk])[table.pk]
        usage = queries.usage_of(table, viewer=request.user, owners=owners, top=MOST_SHOWN)
        return Response(serializers.UsageSerializer.of(table, usage))
