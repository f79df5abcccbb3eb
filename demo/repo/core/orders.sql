-- owner: felix.brandt@shop.example, aiko.tanaka@shop.example
-- business_owner: claire.dubois@shop.example
-- description: One row per order, in euro at the European Central Bank's last rate on or before the day of the order. The figures of this table are the figures of the company.
-- schedule: 10 3 * * *
-- orchestrator: airflow
-- dag: shop_daily
-- kind: summary
-- tier: 1
-- tags: core, finance
-- load_strategy: full_refresh

CREATE OR REPLACE TABLE core.orders AS
WITH lines AS (
  SELECT order_id, sum(quantity * unit_price) AS amount, sum(quantity) AS items
  FROM raw.order_items
  GROUP BY order_id
),
rates AS (
  SELECT rate_date, currency, per_eur FROM raw.fx_rates
  UNION ALL
  SELECT DATE '2000-01-01', 'EUR', 1
)
SELECT
  orders.order_id,
  orders.customer_id,
  orders.ordered_at,
  CAST(orders.ordered_at AS DATE) AS order_date,
  orders.status,
  customers.country,
  orders.channel,
  orders.device,
  orders.coupon_code,
  lines.items,
  orders.currency,
  lines.amount,
  CAST(lines.amount / rates.per_eur AS DECIMAL(12, 2)) AS amount_eur,
  payments.method AS payment_method
FROM raw.orders
JOIN lines ON lines.order_id = orders.order_id
JOIN raw.customers ON customers.customer_id = orders.customer_id
LEFT JOIN raw.payments ON payments.order_id = orders.order_id
ASOF LEFT JOIN rates ON rates.currency = orders.currency AND rates.rate_date <= orders.ordered_at
