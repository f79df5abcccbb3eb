-- owner: yuna.choi@shop.example
-- business_owner: daniel.okafor@shop.example
-- description: Advertising spend by day, channel and country. Each run adds its own day.
-- schedule: 0 4 * * *
-- orchestrator: airflow
-- dag: growth_daily
-- kind: summary
-- tier: 2
-- tags: marketing
-- load_strategy: incremental

CREATE TABLE IF NOT EXISTS growth.channel_spend_daily (
  spend_date DATE,
  channel VARCHAR,
  country VARCHAR,
  impressions BIGINT,
  clicks BIGINT,
  spend_eur DECIMAL(12, 2)
);

INSERT INTO growth.channel_spend_daily
SELECT spend_date, channel, country, sum(impressions), sum(clicks), sum(spend_eur)
FROM raw.ad_spend
WHERE spend_date BETWEEN DATE '{{ params.first_day }}' AND DATE '{{ ds }}'
GROUP BY spend_date, channel, country;
