-- owner: rahul.mehta@shop.example
-- business_owner: daniel.okafor@shop.example
-- description: Features of each customer for the next-purchase model, as of the end of the run's day. The model server reads them from the feature store, never from here.
-- schedule: 10 5 * * *
-- orchestrator: airflow
-- dag: ml_daily
-- kind: summary
-- tier: 2
-- tags: ml, features
-- load_strategy: full_refresh
-- backfill: Run for any day; the table always holds the features of the last run.

CREATE OR REPLACE TABLE ml.customer_features AS
WITH visits AS (
  SELECT customer_id, count(*) AS visits_30d, sum(products_seen) AS products_seen_30d
  FROM core.sessions
  WHERE session_date > DATE '{{ ds }}' - INTERVAL 30 DAY AND customer_id IS NOT NULL
  GROUP BY customer_id
),
purchases AS (
  SELECT
    customer_id,
    count(*) FILTER (WHERE order_date > DATE '{{ ds }}' - INTERVAL 90 DAY) AS orders_90d,
    avg(amount_eur) AS average_basket_eur,
    date_diff('day', max(order_date), DATE '{{ ds }}') AS days_since_order
  FROM core.orders
  WHERE status <> 'cancelled' AND order_date <= DATE '{{ ds }}'
  GROUP BY customer_id
)
SELECT
  customers.customer_id,
  customers.country,
  purchases.orders_90d,
  purchases.average_basket_eur,
  purchases.days_since_order,
  coalesce(visits.visits_30d, 0) AS visits_30d,
  coalesce(visits.products_seen_30d, 0) AS products_seen_30d
FROM core.customers
JOIN purchases ON purchases.customer_id = customers.customer_id
LEFT JOIN visits ON visits.customer_id = customers.customer_id;
