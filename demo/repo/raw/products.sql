-- owner: mina.park@shop.example
-- business_owner: Merchandising
-- description: The product catalogue as the shop shows it today, with list price and unit cost.
-- schedule: 5 1 * * *
-- orchestrator: airflow
-- dag: shop_raw
-- tier: 1
-- tags: shop
-- load_strategy: full_refresh

SELECT product_id, sku, name, category, list_price_eur, unit_cost_eur, launched_on, is_active
FROM shop_db.public.products
