-- owner: tomas.oliveira@shop.example
-- business_owner: hana.ito@shop.example
-- description: The twenty best-selling products per category and country of the last 28 days, written back into the shop's Postgres for the category pages.
-- schedule: 0 6 * * *
-- orchestrator: airflow
-- dag: exports
-- tier: 1
-- tags: shop, export
-- load_strategy: full_refresh
-- backfill: Run it again; the shop shows the last run.

CREATE OR REPLACE TABLE shop_db.public.bestsellers AS
SELECT country, category, product_id, sum(quantity) AS units
FROM core.order_lines
WHERE order_date > DATE '{{ ds }}' - INTERVAL 28 DAY
GROUP BY country, category, product_id
QUALIFY row_number() OVER (PARTITION BY country, category ORDER BY sum(quantity) DESC, product_id) <= 20;
