-- owner: tomas.oliveira@shop.example
-- business_owner: Finance
-- description: Payments and refunds from the billing service's MySQL, column by column as billing has them.
-- schedule: 10 1 * * *
-- orchestrator: airflow
-- dag: shop_raw
-- kind: raw_ingest
-- tier: 1
-- tags: finance
-- load_strategy: full_refresh
-- backfill: Nothing to do, the next run copies everything.

BEGIN TRANSACTION;

CREATE OR REPLACE TABLE raw.payments AS
SELECT * FROM billing_db.billing.payments;

CREATE OR REPLACE TABLE raw.refunds AS
SELECT * FROM billing_db.billing.refunds;

COMMIT;
