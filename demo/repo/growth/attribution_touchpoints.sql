-- owner: jonas.weber@shop.example
-- business_owner: Growth
-- description: Every visit of a customer in the 30 days before an order, numbered back from the order. First step of the multi-touch attribution of spring.
-- schedule: 0 5 * * *
-- orchestrator: airflow
-- dag: growth_attribution
-- tier: 3
-- tags: marketing, attribution
-- load_strategy: full_refresh

SELECT
  orders.order_id,
  orders.order_date,
  orders.amount_eur,
  sessions.session_id,
  sessions.channel,
  sessions.started_at,
  row_number() OVER (PARTITION BY orders.order_id ORDER BY sessions.started_at DESC) AS steps_before_order
FROM core.orders
JOIN core.sessions
  ON sessions.customer_id = orders.customer_id
  AND sessions.started_at BETWEEN orders.ordered_at - INTERVAL 30 DAY AND orders.ordered_at
