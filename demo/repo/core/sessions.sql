-- owner: tomas.oliveira@shop.example
-- business_owner: ines.garcia@shop.example
-- description: One row per visit, from the tracker's events. Incremental, because a full pass over the events no longer fits into the night; the day is replaced in one transaction.
-- schedule: 30 3 * * *
-- orchestrator: airflow
-- dag: shop_daily
-- kind: summary
-- tier: 2
-- tags: core, web
-- load_strategy: incremental
-- backfill: Trigger with {"first_day": "2025-01-01"}; events older than 180 days must be restored from the lake first.

CREATE TABLE IF NOT EXISTS core.sessions (
  session_id VARCHAR,
  session_date DATE,
  customer_id BIGINT,
  channel VARCHAR,
  device VARCHAR,
  started_at TIMESTAMP,
  events BIGINT,
  products_seen BIGINT,
  reached_checkout BOOLEAN,
  purchased BOOLEAN
);

BEGIN TRANSACTION;

DELETE FROM core.sessions
WHERE session_date BETWEEN DATE '{{ params.first_day }}' AND DATE '{{ ds }}';

INSERT INTO core.sessions
SELECT
  session_id,
  CAST(min(occurred_at) AS DATE) AS session_date,
  max(customer_id) AS customer_id,
  min(channel) AS channel,
  min(device) AS device,
  min(occurred_at) AS started_at,
  count(*) AS events,
  count(DISTINCT product_id) AS products_seen,
  bool_or(event_type = 'checkout') AS reached_checkout,
  bool_or(event_type = 'purchase') AS purchased
FROM raw.events
-- a visit may go on past midnight; it belongs to the day it began
WHERE occurred_at >= DATE '{{ params.first_day }}' - INTERVAL 1 DAY AND occurred_at < DATE '{{ ds }}' + INTERVAL 2 DAY
GROUP BY session_id
HAVING CAST(min(occurred_at) AS DATE) BETWEEN DATE '{{ params.first_day }}' AND DATE '{{ ds }}';

COMMIT;
