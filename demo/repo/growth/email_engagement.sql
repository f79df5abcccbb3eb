-- owner: yuna.choi@shop.example
-- business_owner: Growth
-- description: Newsletter sends, opens and clicks by day and country. Opens arrive late, so the last 30 days are made anew each night.
-- schedule: 50 4 * * *
-- orchestrator: airflow
-- dag: growth_daily
-- kind: summary
-- tier: 3
-- tags: marketing, email
-- load_strategy: incremental

CREATE TABLE IF NOT EXISTS growth.email_engagement (
  sent_on DATE,
  campaign VARCHAR,
  country VARCHAR,
  sends BIGINT,
  opens BIGINT,
  clicks BIGINT
);

BEGIN TRANSACTION;

DELETE FROM growth.email_engagement WHERE sent_on >= CURRENT_DATE - 30;

INSERT INTO growth.email_engagement
SELECT
  CAST(sends.sent_at AS DATE) AS sent_on,
  sends.campaign,
  customers.country,
  count(*) AS sends,
  count(sends.opened_at) AS opens,
  count(sends.clicked_at) AS clicks
FROM raw.email_sends AS sends
JOIN core.customers ON customers.customer_id = sends.customer_id
WHERE sends.sent_at >= CURRENT_DATE - 30
GROUP BY ALL;

COMMIT;
