-- owner: jonas.weber@shop.example
-- business_owner: Growth
-- description: Segments for the loyalty mails: VIP is anyone above 400 euro in twelve months. Writes the table that growth already has, because the mail tool was wired to it.
-- schedule: 0 5 * * *
-- orchestrator: airflow
-- dag: crm_daily
-- kind: summary
-- tier: 3
-- tags: crm
-- load_strategy: full_refresh

CREATE OR REPLACE TABLE growth.customer_segments AS
SELECT
  customer_id,
  max(order_date) AS last_order_on,
  count(*) AS orders,
  sum(amount_eur) AS revenue_eur,
  CASE WHEN sum(amount_eur) >= 400 THEN 'vip' ELSE 'regular' END AS segment
FROM core.orders
WHERE status <> 'cancelled' AND order_date > DATE '{{ ds }}' - INTERVAL 12 MONTH
GROUP BY customer_id;
