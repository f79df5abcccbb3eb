-- owner: aiko.tanaka@shop.example
-- business_owner: ines.garcia@shop.example
-- description: Does a bar that shows how far the basket is from free shipping make baskets larger? Basket size and value per variant, with the standard error.
-- schedule: 30 5 * * *
-- orchestrator: airflow
-- dag: experiments_daily
-- kind: ab_test
-- tier: 2
-- tags: experiments
-- load_strategy: full_refresh

SELECT
  assignments.variant,
  count(DISTINCT assignments.customer_id) AS customers,
  count(orders.order_id) AS orders,
  avg(orders.items) AS items_per_order,
  avg(orders.amount_eur) AS basket_eur,
  round(stddev_samp(orders.amount_eur) / sqrt(count(orders.order_id)), 3) AS basket_eur_standard_error
FROM raw.experiment_assignments AS assignments
LEFT JOIN core.orders
  ON orders.customer_id = assignments.customer_id
  AND orders.ordered_at >= assignments.assigned_at
  AND orders.status <> 'cancelled'
WHERE assignments.experiment = 'free_shipping_threshold'
GROUP BY assignments.variant
