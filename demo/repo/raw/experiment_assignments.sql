-- owner: aiko.tanaka@shop.example
-- business_owner: Product
-- description: Who saw which variant of which experiment, from the experiment service.
-- schedule: 20 1 * * *
-- orchestrator: airflow
-- dag: shop_raw
-- tier: 2
-- tags: experiments
-- load_strategy: full_refresh

SELECT experiment, customer_id, variant, assigned_at
FROM experiments_db.public.assignments
