-- owner: felix.brandt@shop.example
-- business_owner: Analytics
-- description: One row per customer with first and last order. Start here for anything about people.
-- schedule: 0 3 * * *
-- orchestrator: airflow
-- dag: shop_daily
-- tier: 1
-- tags: core
-- load_strategy: full_refresh

WITH orders AS (
  SELECT
    customer_id,
    min(ordered_at) AS first_order_at,
    max(ordered_at) AS last_order_at,
    count(*) AS orders
  FROM raw.orders
  WHERE status <> 'cancelled'
  GROUP BY customer_id
)
SELECT
  customers.customer_id,
  customers.email_hash,
  customers.country,
  customers.signed_up_at,
  customers.marketing_consent,
  customers.referral_channel,
  orders.first_order_at,
  orders.last_order_at,
  coalesce(orders.orders, 0) AS orders
FROM raw.customers
LEFT JOIN orders ON orders.customer_id = customers.customer_id
