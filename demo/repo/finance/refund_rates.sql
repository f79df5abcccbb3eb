-- owner: felix.brandt@shop.example
-- business_owner: claire.dubois@shop.example
-- description: Share of paid orders refunded, by day of payment, method and reason. Feeds the provision for returns in the monthly closing.
-- schedule: 20 4 * * *
-- orchestrator: airflow
-- dag: shop_daily
-- kind: summary
-- tier: 1
-- tags: finance
-- load_strategy: full_refresh
-- backfill: Run it again, it rebuilds every day.

CREATE OR REPLACE TABLE finance.refund_rates AS
SELECT
  CAST(payments.paid_at AS DATE) AS paid_on,
  payments.method,
  refunds.reason,
  count(*) AS paid_orders,
  count(refunds.refund_id) AS refunds,
  sum(CAST(refunds.amount / payments.amount AS DECIMAL(6, 4))) / count(*) AS refunded_share
FROM raw.payments
LEFT JOIN raw.refunds ON refunds.payment_id = payments.payment_id
GROUP BY paid_on, payments.method, refunds.reason;
