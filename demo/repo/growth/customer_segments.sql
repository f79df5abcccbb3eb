-- owner: yuna.choi@shop.example
-- business_owner: daniel.okafor@shop.example
-- description: Recency, frequency and value of each customer in fifths, and the segment that follows from them.
-- schedule: 40 4 * * *
-- orchestrator: airflow
-- dag: growth_daily
-- kind: summary
-- tier: 2
-- tags: marketing, crm
-- load_strategy: full_refresh

CREATE OR REPLACE TABLE growth.customer_segments AS
WITH value AS (
  SELECT
    customer_id,
    max(order_date) AS last_order_on,
    count(*) AS orders,
    sum(amount_eur) AS revenue_eur
  FROM core.orders
  WHERE status <> 'cancelled'
  GROUP BY customer_id
),
scored AS (
  SELECT
    *,
    ntile(5) OVER (ORDER BY last_order_on, customer_id) AS recency,
    ntile(5) OVER (ORDER BY orders, customer_id) AS frequency,
    ntile(5) OVER (ORDER BY revenue_eur, customer_id) AS money
  FROM value
)
SELECT
  customer_id,
  last_order_on,
  orders,
  revenue_eur,
  CASE
    WHEN recency = 5 AND frequency >= 4 AND money >= 4 THEN 'champion'
    WHEN recency >= 3 AND frequency >= 3 THEN 'loyal'
    WHEN recency <= 2 AND frequency >= 4 THEN 'at risk'
    WHEN recency = 1 THEN 'asleep'
    ELSE 'regular'
  END AS segment
FROM scored;
