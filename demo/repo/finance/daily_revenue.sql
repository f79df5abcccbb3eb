-- owner: aiko.tanaka@shop.example
-- business_owner: claire.dubois@shop.example
-- description: Revenue by day and country, as reported to the board every Monday. Cancelled orders do not count, refunds are taken off on the day of the order.
-- schedule: 0 4 * * *
-- dag: shop_daily
-- tier: 1
-- tags: finance, board
-- load_strategy: full_refresh
-- backfill: Run it again, it rebuilds every day.

WITH refunds AS (
  SELECT order_id, sum(amount) AS refunded
  FROM raw.refunds
  GROUP BY order_id
)
SELECT
  orders.order_date,
  orders.country,
  count(*) AS orders,
  count(DISTINCT orders.customer_id) AS customers,
  sum(orders.amount_eur) AS gross_eur,
  coalesce(sum(orders.amount_eur * refunds.refunded / orders.amount), 0) AS refunded_eur,
  sum(orders.amount_eur) - coalesce(sum(orders.amount_eur * refunds.refunded / orders.amount), 0) AS net_eur
FROM core.orders
LEFT JOIN refunds ON refunds.order_id = orders.order_id
WHERE orders.status <> 'cancelled'
GROUP BY orders.order_date, orders.country
