-- owner: mina.park@shop.example
-- business_owner: Analytics
-- description: Copies orders, order lines and customers from the shop's Postgres. The whole copy takes under a minute, so it is a full refresh, all three in one transaction, and they always fit together.
-- schedule: 0 1 * * *
-- orchestrator: airflow
-- dag: shop_raw
-- kind: raw_ingest
-- tier: 1
-- tags: shop, pii
-- load_strategy: full_refresh
-- backfill: Nothing to do, the next run copies everything.

BEGIN TRANSACTION;

CREATE OR REPLACE TABLE raw.orders AS
SELECT order_id, customer_id, ordered_at, status, currency, channel, device, coupon_code
FROM shop_db.public.orders;

CREATE OR REPLACE TABLE raw.order_items AS
SELECT order_id, line_no, product_id, quantity, unit_price
FROM shop_db.public.order_items;

-- The address itself stays in the shop; the hash is enough to join on.
CREATE OR REPLACE TABLE raw.customers AS
SELECT customer_id, md5(lower(email)) AS email_hash, country, signed_up_at, marketing_consent, referral_channel
FROM shop_db.public.customers;

COMMIT;
