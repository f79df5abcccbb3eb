-- description: Tickets per day and topic with hours to close and satisfaction. Made for the customer-care team before it moved to the agency.
-- schedule: 35 4 * * *
-- orchestrator: airflow
-- dag: shop_daily
-- tags: care

CREATE OR REPLACE TABLE support.ticket_summary AS
SELECT
  CAST(tickets.opened_at AS DATE) AS opened_on,
  tickets.topic,
  orders.country,
  count(*) AS tickets,
  avg(date_diff('hour', tickets.opened_at, tickets.closed_at)) AS hours_to_close,
  avg(tickets.satisfaction) AS satisfaction
FROM raw.tickets
JOIN core.orders ON orders.order_id = tickets.order_id
GROUP BY 1, 2, 3;
