-- owner: aiko.tanaka@shop.example
-- business_owner: claire.dubois@shop.example
-- description: Revenue by day and country, as reported to the board every Monday. Cancelled orders do not count, refunds are taken off on the day of the order.
-- schedule: 0 4 * * *
-- orchestrator: airflow
-- dag: shop_daily
-- tier: 1
-- tags: finance, board
-- load_strategy: full_refresh
-- backfill: Run it again, it rebuilds every day.

WITH refunds AS (
  SELECT order_id, sum(amount) AS refunded
  FROM raw.refunds
  GROUP BY order_id
),
settled AS (
  SELECT
    orders.order_date,
    orders.country,
    orders.customer_id,
    orders.amount_eur,
    CAST(coalesce(orders.amount_eur * refunds.refunded / orders.amount, 0) AS DECIMAL(12, 2)) AS refunded_eur
  FROM core.orders
  LEFT JOIN refunds ON refunds.order_id = orders.order_id
  WHERE orders.status <> 'cancelled'
)
SELECT
  order_date,
  country,
  count(*) AS orders,
  count(DISTINCT customer_id) AS customers,
  sum(amount_eur) AS gross_eur,
  sum(refunded_eur) AS refunded_eur,
  sum(amount_eur - refunded_eur) AS net_eur
FROM settled
GROUP BY order_date, country
