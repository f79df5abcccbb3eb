-- What people, dashboards and services ask of the warehouse. Each query says who asks and how often; demo.queries runs it
-- for every such day, with {{ day }} the day before. days_ago: FIRST-LAST bounds the days, 120-1 where it is left out.

-- user: metabase  kind: service  every: 1  at: 07:00
SELECT order_date, sum(net_eur) AS net_eur, sum(orders) AS orders
FROM finance.daily_revenue
WHERE order_date > DATE '{{ day }}' - 28
GROUP BY order_date
ORDER BY order_date;

-- user: metabase  kind: service  every: 1  at: 07:00
SELECT country, sum(net_eur) FROM finance.daily_revenue WHERE order_date = DATE '{{ day }}' GROUP BY country;

-- user: metabase  kind: service  every: 1  at: 07:01
SELECT category, sum(margin_eur) / sum(revenue_eur) AS margin
FROM finance.margin_by_product
WHERE month = date_trunc('month', DATE '{{ day }}')
GROUP BY category;

-- user: metabase  kind: service  every: 1  at: 07:01
SELECT method, sum(refunds) / sum(paid_orders) AS refund_rate
FROM finance.refund_rates
WHERE paid_on > DATE '{{ day }}' - 90
GROUP BY method;

-- user: metabase  kind: service  every: 1  at: 07:05
SELECT channel, sum(spend_eur) AS spend_eur, sum(revenue_eur) / sum(spend_eur) AS return_on_spend
FROM growth.channel_performance
WHERE day > DATE '{{ day }}' - 7
GROUP BY channel
ORDER BY spend_eur DESC;

-- user: metabase  kind: service  every: 1  at: 07:05
SELECT segment, count(*) AS customers, sum(revenue_eur) AS revenue_eur FROM growth.customer_segments GROUP BY segment;

-- user: metabase  kind: service  every: 7  at: 07:06
SELECT campaign, sum(opens) / sum(sends) AS open_rate FROM growth.email_engagement GROUP BY campaign ORDER BY campaign;

-- user: metabase  kind: service  every: 1  at: 07:10
SELECT carrier, avg(late_share) AS late_share
FROM ops.delivery_times
WHERE week >= DATE '{{ day }}' - 28
GROUP BY carrier;

-- user: crm_mailer  kind: service  every: 7  at: 08:00
SELECT customers.customer_id, segments.segment
FROM growth.customer_segments AS segments
JOIN core.customers ON customers.customer_id = segments.customer_id
WHERE customers.marketing_consent AND segments.segment = 'vip';

-- user: export_product_cards  kind: pipeline  every: 1  at: 06:10
SELECT products.product_id, products.name, products.list_price_eur, products.average_rating, sum(levels.on_hand) AS on_hand
FROM core.products
LEFT JOIN ops.stock_levels AS levels ON levels.product_id = products.product_id
WHERE products.is_active
GROUP BY ALL;

-- user: export_product_search  kind: pipeline  every: 1  at: 06:20
SELECT products.product_id, products.name, products.category, string_agg(reviews.body, ' ') AS reviews
FROM core.products
LEFT JOIN raw.reviews ON reviews.product_id = products.product_id
WHERE products.is_active
GROUP BY products.product_id, products.name, products.category;

-- user: export_customer_features  kind: pipeline  every: 1  at: 06:30
SELECT * FROM ml.customer_features;

-- user: petra.novak@shop.example  kind: human  every: 1  at: 08:20
SELECT site, name, on_hand FROM ops.reorder_suggestions ORDER BY on_hand;

-- user: petra.novak@shop.example  kind: human  every: 3  at: 09:40
SELECT kind, site, sum(quantity) FROM raw.stock_movements WHERE moved_at >= DATE '{{ day }}' GROUP BY kind, site;

-- user: sora.kim@shop.example  kind: human  every: 7  at: 09:00
SELECT week, country, sum(postage_eur) / sum(parcels) AS postage_per_parcel
FROM ops.delivery_times
WHERE carrier = 'Nordpaket'
GROUP BY week, country
ORDER BY week DESC;

-- user: sora.kim@shop.example  kind: human  every: 14  at: 10:30
SELECT topic, sum(tickets) AS tickets, avg(hours_to_close) AS hours_to_close
FROM support.ticket_summary
WHERE opened_on > DATE '{{ day }}' - 14
GROUP BY topic;

-- user: claire.dubois@shop.example  kind: human  every: 7  at: 09:15
SELECT date_trunc('month', order_date) AS month, sum(gross_eur) AS gross_eur, sum(refunded_eur) AS refunded_eur
FROM finance.daily_revenue
GROUP BY month
ORDER BY month;

-- user: claire.dubois@shop.example  kind: human  every: 30  at: 15:00
SELECT reason, sum(refunded_share) AS provision FROM finance.refund_rates WHERE paid_on > DATE '{{ day }}' - 30 GROUP BY reason;

-- user: daniel.okafor@shop.example  kind: human  every: 7  at: 13:10
SELECT country, channel, sum(spend_eur) / sum(orders) AS cost_per_order
FROM growth.channel_performance
WHERE day > DATE '{{ day }}' - 30
GROUP BY country, channel
ORDER BY cost_per_order DESC;

-- user: yuna.choi@shop.example  kind: human  every: 2  at: 11:00
SELECT spend_date, sum(spend_eur) FROM growth.channel_spend_daily WHERE spend_date > DATE '{{ day }}' - 14 GROUP BY spend_date;

-- user: yuna.choi@shop.example  kind: human  every: 14  at: 14:30
WITH opened AS (
  SELECT customer_id, count(opened_at) AS opens FROM raw.email_sends WHERE sent_at > DATE '{{ day }}' - 60 GROUP BY customer_id
)
SELECT customers.country, avg(opened.opens) AS opens
FROM opened
JOIN core.customers ON customers.customer_id = opened.customer_id
GROUP BY customers.country;

-- user: ines.garcia@shop.example  kind: human  every: 3  at: 10:00
SELECT device, sum(purchased) / sum(visits) AS conversion
FROM product.funnel_daily
WHERE session_date > DATE '{{ day }}' - 7
GROUP BY device;

-- user: ines.garcia@shop.example  kind: human  every: 7  at: 10:05  days_ago: 55-1
SELECT variant, items_per_order, basket_eur, basket_eur_standard_error FROM experiments.free_shipping_threshold;

-- user: ines.garcia@shop.example  kind: human  every: 7  at: 10:06  days_ago: 55-1
SELECT variant, sum(purchases) / sum(checkouts) AS completion_rate FROM experiments.one_page_checkout GROUP BY variant;

-- user: hana.ito@shop.example  kind: human  every: 7  at: 02:30
SELECT category, name, units, margin_eur
FROM finance.margin_by_product
WHERE month = date_trunc('month', DATE '{{ day }}') AND rank_in_category <= 5
ORDER BY category, units DESC;

-- user: felix.brandt@shop.example  kind: human  every: 2  at: 16:00
SELECT status, count(*) FROM core.orders WHERE order_date >= DATE '{{ day }}' - 7 GROUP BY status;

-- user: felix.brandt@shop.example  kind: human  every: 5  at: 16:20
SELECT category, country, sum(amount_eur) AS revenue_eur
FROM core.order_lines
WHERE order_date BETWEEN DATE '{{ day }}' - 30 AND DATE '{{ day }}'
GROUP BY category, country;

-- user: felix.brandt@shop.example  kind: human  every: 4  at: 16:45  days_ago: 11-1
SELECT reason, count(*) FROM raw.refunds WHERE refunded_at >= DATE '{{ day }}' GROUP BY reason;

-- user: aiko.tanaka@shop.example  kind: human  every: 6  at: 11:45
SELECT
  date_trunc('month', customers.first_order_at) AS cohort,
  date_diff('month', customers.first_order_at, orders.ordered_at) AS months_later,
  count(DISTINCT orders.customer_id) AS customers
FROM core.orders
JOIN core.customers ON customers.customer_id = orders.customer_id
GROUP BY cohort, months_later;

-- user: aiko.tanaka@shop.example  kind: human  every: 9  at: 14:00
SELECT channel, median(products_seen) FROM core.sessions WHERE session_date > DATE '{{ day }}' - 14 GROUP BY channel;

-- user: rahul.mehta@shop.example  kind: human  every: 10  at: 17:00
SELECT country, avg(days_since_order), avg(visits_30d) FROM ml.customer_features GROUP BY country;

-- user: tomas.oliveira@shop.example  kind: human  every: 8  at: 09:30
SELECT CAST(occurred_at AS DATE) AS day, count(*) FROM raw.events WHERE occurred_at >= DATE '{{ day }}' - 3 GROUP BY day ORDER BY day;

-- Jonas looked at his attribution until he left; nobody has since.
-- user: jonas.weber@shop.example  kind: human  every: 3  at: 15:30  days_ago: 120-104
SELECT channel, sum(attributed_eur) FROM growth.attribution_daily WHERE order_date > DATE '{{ day }}' - 30 GROUP BY channel;

-- user: jonas.weber@shop.example  kind: human  every: 7  at: 15:40  days_ago: 120-106
SELECT month, channel, attributed_eur FROM growth.attribution_monthly ORDER BY month, channel;
