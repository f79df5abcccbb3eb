"""The real openlineage-python client against a running server."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from catalog.models import Pipeline, Run
from catalog.tokens import issue_token
from ingest.models import LineageEvent
from lineage.models import ColumnEdge

pytest.importorskip("openlineage.client", reason="openlineage-python is not installed")

from openlineage.client import OpenLineageClient  # noqa: E402
from openlineage.client.event_v2 import (  # noqa: E402
    DatasetEvent,
    InputDataset,
    Job,
    JobEvent,
    OutputDataset,
    RunEvent,
    RunState,
    StaticDataset,
)
from openlineage.client.event_v2 import (
    Run as ReportedRun,
)
from openlineage.client.facet_v2 import (  # noqa: E402
    column_lineage_dataset,
    output_statistics_output_dataset,
    schema_dataset,
    sql_job,
)
from openlineage.client.transport.http import (  # noqa: E402
    ApiKeyTokenProvider,
    HttpCompression,
    HttpConfig,
    HttpTransport,
)
from openlineage.client.uuid import generate_new_uuid  # noqa: E402

pytestmark = pytest.mark.django_db(transaction=True)
SHOP = "postgres://db:5432"


@pytest.fixture(params=[None, HttpCompression.GZIP], ids=["plain", "gzip"])
def client(request, live_server, editor) -> OpenLineageClient:
    _, secret = issue_token(user=editor, name="client", scope="ingest")
    config = HttpConfig(url=live_server.url, auth=ApiKeyTokenProvider({"apiKey": secret}), compression=request.param)
    return OpenLineageClient(transport=HttpTransport(config))


def test_what_the_client_sends_arrives(client) -> None:
    run, job = ReportedRun(runId=str(generate_new_uuid())), Job(namespace="warehouse", name="orders.daily")
    fields = [schema_dataset.SchemaDatasetFacetFields(name="amount", type="numeric")]
    orders = InputDataset(SHOP, "shop.raw.orders", facets={"schema": schema_dataset.SchemaDatasetFacet(fields)})
    made = column_lineage_dataset.Fields(
        [
            column_lineage_dataset.InputField(
                SHOP, "shop.raw.orders", "amount", [column_lineage_dataset.Transformation("DIRECT", "AGGREGATION")]
            )
        ]
    )
    totals = OutputDataset(
        SHOP,
        "shop.mart.totals",
        facets={"columnLineage": column_lineage_dataset.ColumnLineageDatasetFacet({"total": made})},
        outputFacets={"outputStatistics": output_statistics_output_dataset.OutputStatisticsOutputDatasetFacet(42)},
    )
    with_sql = Job("warehouse", "orders.daily", {"sql": sql_job.SQLJobFacet("select sum(amount) from raw.orders")})

    def head() -> dict[str, str]:
        return {"eventTime": datetime.now(UTC).isoformat(), "producer": "https://example.com/test"}

    flow = {"inputs": [orders], "outputs": [totals]}
    for state in (RunState.START, RunState.COMPLETE):
        client.emit(RunEvent(**head(), run=run, job=with_sql, eventType=state, **flow))
    client.emit(JobEvent(**head(), job=job, **flow))
    client.emit(DatasetEvent(**head(), dataset=StaticDataset(SHOP, "shop.raw.orders")))
    assert sorted(LineageEvent.objects.values_list("kind", flat=True)) == ["dataset", "job", "run", "run"]
    stored = Run.objects.get(pipeline=Pipeline.objects.get())
    assert (stored.external_id, stored.state, stored.rows_out) == (run.runId, "succeeded", 42)
    assert set(ColumnEdge.objects.values_list("kind", "target_column__name")) == {("AGGREGATION", "total")}
