-- owner: petra.novak@shop.example
-- business_owner: sora.kim@shop.example
-- description: Units on hand per product and site, brought up to date by the day's movements, and what to order next.
-- schedule: 15 4 * * *
-- orchestrator: airflow
-- dag: ops_daily
-- kind: summary
-- tier: 1
-- tags: stock
-- load_strategy: incremental
-- backfill: Trigger with {"first_day": "2025-01-01"}; levels are counted anew from all movements of the products that moved.

CREATE TABLE IF NOT EXISTS ops.stock_levels (
  product_id INTEGER,
  site VARCHAR,
  on_hand BIGINT,
  last_moved_at TIMESTAMP
);

MERGE INTO ops.stock_levels AS levels
USING (
  SELECT product_id, site, sum(quantity) AS on_hand, max(moved_at) AS last_moved_at
  FROM raw.stock_movements
  GROUP BY product_id, site
  HAVING max(moved_at) >= DATE '{{ params.first_day }}'
) AS moved
ON levels.product_id = moved.product_id AND levels.site = moved.site
WHEN MATCHED THEN UPDATE SET on_hand = moved.on_hand, last_moved_at = moved.last_moved_at
WHEN NOT MATCHED THEN INSERT (product_id, site, on_hand, last_moved_at)
  VALUES (moved.product_id, moved.site, moved.on_hand, moved.last_moved_at);

CREATE OR REPLACE VIEW ops.reorder_suggestions AS
SELECT products.product_id, products.sku, products.name, levels.site, levels.on_hand
FROM ops.stock_levels AS levels
JOIN core.products ON products.product_id = levels.product_id
WHERE products.is_active AND levels.on_hand < 20;
