-- owner: jonas.weber@shop.example
-- business_owner: Growth
-- description: Revenue shared out over the visits before each order, more to the last one. Daily by channel, and once per month.
-- schedule: 20 5 * * *
-- orchestrator: airflow
-- dag: growth_attribution
-- kind: summary
-- tier: 3
-- tags: marketing, attribution
-- load_strategy: full_refresh

CREATE OR REPLACE TABLE growth.attribution_daily AS
WITH weighted AS (
  SELECT
    order_id,
    order_date,
    channel,
    amount_eur,
    pow(0.5, steps_before_order - 1) AS weight
  FROM growth.attribution_touchpoints
),
shared AS (
  SELECT
    order_date,
    channel,
    CAST(amount_eur * weight / sum(weight) OVER (PARTITION BY order_id) AS DECIMAL(14, 4)) AS attributed_eur
  FROM weighted
)
SELECT order_date, channel, sum(attributed_eur) AS attributed_eur
FROM shared
GROUP BY order_date, channel;

CREATE OR REPLACE TABLE growth.attribution_monthly AS
SELECT
  date_trunc('month', order_date) AS month,
  channel,
  sum(attributed_eur) AS attributed_eur
FROM growth.attribution_daily
GROUP BY 1, 2;
