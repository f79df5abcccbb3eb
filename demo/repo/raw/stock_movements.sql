-- owner: tomas.oliveira@shop.example
-- business_owner: Operations
-- description: Every pick, receipt and return in the two warehouses, a day at a time. A movement is never changed once written, so the day of moved_at is enough to find what is new.
-- schedule: 15 1 * * *
-- orchestrator: airflow
-- dag: shop_raw
-- kind: raw_ingest
-- tier: 2
-- tags: stock
-- load_strategy: incremental
-- backfill: Trigger with {"first_day": "2025-01-01"}; the days from there to the run's own are replaced.

CREATE TABLE IF NOT EXISTS raw.stock_movements (
  movement_id BIGINT,
  product_id INTEGER,
  site VARCHAR,
  moved_at TIMESTAMP,
  kind VARCHAR,
  quantity INTEGER,
  order_id BIGINT
);

BEGIN TRANSACTION;

DELETE FROM raw.stock_movements
WHERE moved_at >= DATE '{{ params.first_day }}' AND moved_at < DATE '{{ ds }}' + INTERVAL 1 DAY;

INSERT INTO raw.stock_movements (movement_id, product_id, site, moved_at, kind, quantity, order_id)
SELECT movement_id, product_id, site, moved_at, kind, quantity, order_id
FROM wms_db.wms.stock_movements
WHERE moved_at >= DATE '{{ params.first_day }}' AND moved_at < DATE '{{ ds }}' + INTERVAL 1 DAY;

COMMIT;
