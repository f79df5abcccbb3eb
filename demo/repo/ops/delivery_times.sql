-- owner: petra.novak@shop.example
-- business_owner: sora.kim@shop.example
-- description: Hours from order to parcel and from parcel to door, by week, carrier and country, with the share that came later than promised (72 hours).
-- schedule: 25 4 * * *
-- orchestrator: airflow
-- dag: ops_daily
-- tier: 2
-- tags: logistics
-- load_strategy: full_refresh

SELECT
  date_trunc('week', orders.order_date) AS week,
  shipments.carrier,
  shipments.destination AS country,
  count(*) AS parcels,
  avg(date_diff('hour', orders.ordered_at, shipments.shipped_at)) AS hours_to_ship,
  avg(date_diff('hour', shipments.shipped_at, shipments.delivered_at)) AS hours_on_the_road,
  avg(CASE WHEN shipments.delivered_at > orders.ordered_at + INTERVAL 72 HOUR THEN 1 ELSE 0 END) AS late_share,
  sum(shipments.cost_eur) AS postage_eur
FROM raw.shipments
JOIN core.orders ON orders.order_id = shipments.order_id
WHERE shipments.delivered_at IS NOT NULL
GROUP BY 1, 2, 3
