-- owner: felix.brandt@shop.example
-- business_owner: Merchandising
-- description: One row per product with its rating. Use this rather than raw.products.
-- schedule: 0 3 * * *
-- orchestrator: airflow
-- dag: shop_daily
-- tier: 1
-- tags: core
-- load_strategy: full_refresh

SELECT
  products.product_id,
  products.sku,
  products.name,
  products.category,
  products.list_price_eur,
  products.unit_cost_eur,
  products.is_active,
  avg(reviews.rating) AS average_rating,
  count(reviews.review_id) AS reviews
FROM raw.products
LEFT JOIN raw.reviews ON reviews.product_id = products.product_id
GROUP BY ALL
