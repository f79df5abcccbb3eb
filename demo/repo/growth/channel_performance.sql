-- owner: yuna.choi@shop.example
-- business_owner: daniel.okafor@shop.example
-- description: What each paid channel brings for what it costs, by day and country. The weekly budget round works from this table.
-- schedule: 30 4 * * *
-- orchestrator: airflow
-- dag: growth_daily
-- tier: 1
-- tags: marketing, board
-- load_strategy: full_refresh

WITH spend AS (
  SELECT spend_date, channel, country, sum(spend_eur) AS spend_eur, sum(clicks) AS clicks
  FROM growth.channel_spend_daily
  GROUP BY spend_date, channel, country
),
sales AS (
  SELECT order_date, channel, country, count(*) AS orders, sum(amount_eur) AS revenue_eur
  FROM core.orders
  WHERE status <> 'cancelled'
  GROUP BY order_date, channel, country
)
SELECT
  spend.spend_date AS day,
  spend.channel,
  spend.country,
  spend.spend_eur,
  spend.clicks,
  coalesce(sales.orders, 0) AS orders,
  coalesce(sales.revenue_eur, 0) AS revenue_eur,
  spend.spend_eur / nullif(sales.orders, 0) AS cost_per_order_eur,
  sales.revenue_eur / nullif(spend.spend_eur, 0) AS return_on_spend
FROM spend
LEFT JOIN sales
  ON sales.order_date = spend.spend_date AND sales.channel = spend.channel AND sales.country = spend.country
