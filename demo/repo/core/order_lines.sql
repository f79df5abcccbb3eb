-- owner: felix.brandt@shop.example
-- business_owner: Analytics
-- description: One row per order line with its product and its share of the order's euro amount. A view, so it is never older than its tables.
-- schedule: 20 3 * * *
-- orchestrator: airflow
-- dag: shop_daily
-- kind: summary
-- tier: 2
-- tags: core

CREATE OR REPLACE VIEW core.order_lines AS
SELECT
  orders.order_id,
  items.line_no,
  orders.order_date,
  orders.country,
  items.product_id,
  products.category,
  items.quantity,
  CAST(items.quantity * items.unit_price * orders.amount_eur / orders.amount AS DECIMAL(14, 4)) AS amount_eur,
  items.quantity * products.unit_cost_eur AS cost_eur
FROM core.orders
JOIN raw.order_items AS items ON items.order_id = orders.order_id
JOIN core.products ON products.product_id = items.product_id
WHERE orders.status <> 'cancelled';
