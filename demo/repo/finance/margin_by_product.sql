-- owner: aiko.tanaka@shop.example
-- business_owner: hana.ito@shop.example
-- description: Revenue, cost and margin per product and month; merchandising decides reorders and price changes with it.
-- schedule: 10 4 * * *
-- orchestrator: airflow
-- dag: shop_daily
-- tier: 2
-- tags: finance, merchandising
-- load_strategy: full_refresh

WITH monthly AS (
  SELECT
    date_trunc('month', order_date) AS month,
    product_id,
    sum(quantity) AS units,
    sum(amount_eur) AS revenue_eur,
    sum(cost_eur) AS cost_eur
  FROM core.order_lines
  GROUP BY 1, 2
)
SELECT
  monthly.month,
  products.product_id,
  products.name,
  products.category,
  monthly.units,
  monthly.revenue_eur,
  monthly.cost_eur,
  monthly.revenue_eur - monthly.cost_eur AS margin_eur,
  rank() OVER (PARTITION BY monthly.month, products.category ORDER BY monthly.revenue_eur DESC) AS rank_in_category
FROM monthly
JOIN core.products ON products.product_id = monthly.product_id
