-- owner: felix.brandt@shop.example
-- business_owner: ines.garcia@shop.example
-- schedule: 45 4 * * *
-- orchestrator: airflow
-- dag: shop_daily
-- tier: 2
-- tags: web
-- load_strategy: incremental

CREATE TABLE IF NOT EXISTS product.funnel_daily (
  session_date DATE,
  channel VARCHAR,
  device VARCHAR,
  visits BIGINT,
  saw_product BIGINT,
  reached_checkout BIGINT,
  purchased BIGINT
);

DELETE FROM product.funnel_daily
WHERE session_date BETWEEN DATE '{{ params.first_day }}' AND DATE '{{ ds }}';

INSERT INTO product.funnel_daily
SELECT
  session_date,
  channel,
  device,
  count(*),
  count(*) FILTER (WHERE products_seen > 0),
  count(*) FILTER (WHERE reached_checkout),
  count(*) FILTER (WHERE purchased)
FROM core.sessions
WHERE session_date BETWEEN DATE '{{ params.first_day }}' AND DATE '{{ ds }}'
GROUP BY session_date, channel, device;
