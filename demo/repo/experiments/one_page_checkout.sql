-- owner: aiko.tanaka@shop.example
-- business_owner: ines.garcia@shop.example
-- description: Does a checkout on one page lose fewer buyers? Visits, checkouts and purchases per variant and device.
-- schedule: 40 5 * * *
-- orchestrator: airflow
-- dag: experiments_daily
-- tier: 3
-- tags: experiments
-- load_strategy: full_refresh

WITH exposed AS (
  SELECT assignments.variant, sessions.device, sessions.reached_checkout, sessions.purchased
  FROM raw.experiment_assignments AS assignments
  JOIN core.sessions
    ON sessions.customer_id = assignments.customer_id
    AND sessions.started_at >= assignments.assigned_at
  WHERE assignments.experiment = 'one_page_checkout'
)
SELECT
  variant,
  device,
  count(*) AS visits,
  count(*) FILTER (WHERE reached_checkout) AS checkouts,
  count(*) FILTER (WHERE purchased) AS purchases,
  count(*) FILTER (WHERE purchased) / nullif(count(*) FILTER (WHERE reached_checkout), 0) AS completion_rate
FROM exposed
GROUP BY variant, device
