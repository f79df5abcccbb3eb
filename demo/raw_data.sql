-- The shop's outside systems, made up: each is an attached in-memory database, as DuckDB would attach the real ones.
-- Every figure is drawn by dice(), a hash of a salt and a key, so the same day gives the same shop.
-- Variables set by demo.build: first_day, today (the first day not in the data), tracking_from (the web tracker's start)
-- and clock (what shop_db and billing_db show ends here, so that a past run sees what it saw).

-- Hashed twice: hash(a, b) alone combines by XOR, which leaves throws of different salts correlated.
CREATE TEMP MACRO dice(salt, key, sides) AS (hash(hash(salt, key)) % sides)::INTEGER;   -- 0 … sides-1
CREATE TEMP MACRO part(salt, key) AS (hash(hash(salt, key)) % 1000000) / 1000000.0;      -- 0 … 1
CREATE TEMP MACRO pick(list, salt, key) AS list[1 + dice(salt, key, len(list))];

-- shop_db ------------------------------------------------------------------------------------------------------------
CREATE SCHEMA shop_db.public;
CREATE SCHEMA shop_db.ledger;

CREATE TABLE shop_db.public.products AS
SELECT
  id AS product_id,
  format('MR-{:05d}', id * 37) AS sku,
  pick(['Ash', 'Walnut', 'Linen', 'Stone', 'Indigo', 'Sage', 'Rice', 'Clay', 'Snow', 'Charcoal'], 'adjective', id)
    || ' ' || pick(['Bowl', 'Lamp', 'Tray', 'Blanket', 'Kettle', 'Vase', 'Knife', 'Cushion', 'Mug', 'Shelf'], 'noun', id)
    || ' No. ' || id AS name,
  pick(['kitchen', 'kitchen', 'tableware', 'tableware', 'textiles', 'lighting', 'storage', 'stationery'], 'category', id)
    AS category,
  (4 + 90 * power(part('price', id), 3))::DECIMAL(10, 2) AS list_price_eur,
  ((4 + 90 * power(part('price', id), 3)) * (0.35 + 0.25 * part('cost', id)))::DECIMAL(10, 2) AS unit_cost_eur,
  getvariable('first_day') - 300 + dice('launch', id, 700) AS launched_on,
  dice('retired', id, 20) > 0 AS is_active
FROM range(1, 601) AS numbers(id);

CREATE TABLE shop_db.ledger.customers AS
SELECT
  id AS customer_id,
  format('customer{}@mail.example', id) AS email,
  pick(['Jiwoo', 'Haruto', 'Lena', 'Camille', 'Emma', 'Minjun', 'Yui', 'Paul', 'Louise', 'Noah'], 'first', id) || ' '
    || pick(['Kim', 'Sato', 'Schmidt', 'Martin', 'Smith', 'Lee', 'Suzuki', 'Weber', 'Bernard', 'Brown'], 'last', id)
    AS full_name,
  pick(['KR', 'KR', 'KR', 'JP', 'JP', 'DE', 'DE', 'FR', 'US'], 'country', id) AS country,
  (getvariable('first_day') - 400)::TIMESTAMP
    + to_seconds(((getvariable('today') - getvariable('first_day') + 400) * 86400.0 * id / 40001)::BIGINT) AS signed_up_at,
  dice('consent', id, 10) < 6 AS marketing_consent,
  pick(['search', 'search', 'social', 'friend', 'email', 'direct', 'affiliate'], 'referral', id) AS referral_channel
FROM range(1, 40001) AS numbers(id);

-- About 200 orders a day at first and 340 at the end; Sundays are strong, November and December stronger.
CREATE TEMP TABLE order_seeds AS
WITH days AS (
  SELECT
    day::DATE AS day,
    (200 * (1 + 0.7 * date_diff('day', getvariable('first_day'), day::DATE) / 548.0)
      * [1.25, 0.9, 0.9, 0.95, 1.0, 1.05, 1.2][1 + dayofweek(day)]
      * CASE month(day) WHEN 11 THEN 1.35 WHEN 12 THEN 1.5 WHEN 8 THEN 0.85 ELSE 1 END
      * (0.9 + 0.2 * part('weather', day::DATE)))::INTEGER AS orders
  FROM range(getvariable('first_day')::TIMESTAMP, getvariable('today')::TIMESTAMP, INTERVAL 1 DAY) AS calendar(day)
),
numbered AS (
  SELECT row_number() OVER (ORDER BY day, nr) AS order_id, day
  FROM (SELECT day, unnest(range(orders)) AS nr FROM days)
)
SELECT
  100000 + order_id AS order_id,
  -- anyone who had signed up by that day; early customers buy more often
  1 + floor(40000.0 * (date_diff('day', getvariable('first_day'), day) + 400)
    / (date_diff('day', getvariable('first_day'), getvariable('today')) + 400)
    * power(part('buyer', order_id), 1.4))::INTEGER AS customer_id,
  day::TIMESTAMP + to_seconds((86399 * sqrt(part('hour', order_id)))::BIGINT) AS ordered_at,
  part('fate', order_id) AS fate
FROM numbered;

CREATE TABLE shop_db.ledger.orders AS
SELECT
  order_id,
  customer_id,
  ordered_at,
  CASE
    WHEN fate < 0.03 THEN 'cancelled'
    WHEN ordered_at >= getvariable('today') - INTERVAL 1 DAY THEN 'paid'
    WHEN ordered_at >= getvariable('today') - INTERVAL 4 DAY THEN 'shipped'
    WHEN fate > 0.94 THEN 'returned'
    ELSE 'delivered'
  END AS status,
  CASE country WHEN 'KR' THEN 'KRW' WHEN 'JP' THEN 'JPY' WHEN 'US' THEN 'USD' ELSE 'EUR' END AS currency,
  pick(['search', 'search', 'social', 'email', 'direct', 'direct', 'affiliate'], 'channel', order_id) AS channel,
  pick(['mobile', 'mobile', 'desktop', 'app'], 'device', order_id) AS device,
  CASE WHEN dice('coupon', order_id, 12) = 0 THEN 'WELCOME10' END AS coupon_code
FROM order_seeds JOIN shop_db.ledger.customers USING (customer_id);

-- Treatment of the free-shipping experiment puts a little more into its baskets, so that there is an effect to find.
CREATE TABLE shop_db.ledger.order_items AS
WITH sized AS (
  SELECT
    order_id, currency,
    1 + dice('basket', order_id, 3)
      + CASE WHEN dice('free_shipping_threshold', customer_id, 2) = 1 AND dice('lift', order_id, 5) = 0
               AND ordered_at >= getvariable('today') - INTERVAL 60 DAY THEN 1 ELSE 0 END AS lines
  FROM shop_db.ledger.orders
),
lines AS (SELECT order_id, currency, unnest(range(1, lines + 1)) AS line_no FROM sized)
SELECT
  order_id,
  line_no,
  product_id,
  1 + dice('quantity', order_id * 10 + line_no, 4) // 3 AS quantity,
  (list_price_eur * CASE currency WHEN 'KRW' THEN 1480 WHEN 'JPY' THEN 163 WHEN 'USD' THEN 1.09 ELSE 1 END)
    ::DECIMAL(12, 2) AS unit_price
FROM (SELECT *, 1 + floor(600 * power(part('product', order_id * 10 + line_no), 2))::INTEGER AS product_id FROM lines)
JOIN shop_db.public.products USING (product_id);

-- What the shop shows on a day: orders up to it, as they stood then.
CREATE VIEW shop_db.public.customers AS
SELECT * FROM shop_db.ledger.customers WHERE signed_up_at < getvariable('clock');

CREATE VIEW shop_db.public.orders AS
SELECT * REPLACE (
  CASE
    WHEN status = 'cancelled' THEN status
    WHEN ordered_at >= getvariable('clock') - INTERVAL 1 DAY THEN 'paid'
    WHEN ordered_at >= getvariable('clock') - INTERVAL 4 DAY THEN 'shipped'
    ELSE status
  END AS status
)
FROM shop_db.ledger.orders WHERE ordered_at < getvariable('clock');

CREATE VIEW shop_db.public.order_items AS
SELECT * FROM shop_db.ledger.order_items WHERE order_id <= (SELECT max(order_id) FROM shop_db.public.orders);

-- billing_db ---------------------------------------------------------------------------------------------------------
CREATE SCHEMA billing_db.billing;
CREATE SCHEMA billing_db.ledger;

CREATE TABLE billing_db.ledger.payments AS
SELECT
  order_id + 5000000 AS payment_id,
  order_id,
  pick(['card', 'card', 'card', 'wallet', 'bank_transfer'], 'method', order_id) AS method,
  amount,
  currency,
  ordered_at + to_seconds(20 + dice('pay', order_id, 300)) AS paid_at,
  'captured' AS status
FROM shop_db.ledger.orders
JOIN (SELECT order_id, sum(quantity * unit_price) AS amount FROM shop_db.ledger.order_items GROUP BY order_id)
  USING (order_id)
WHERE status <> 'cancelled';

CREATE TABLE billing_db.ledger.refunds AS
SELECT
  payment_id + 4000000 AS refund_id,
  payment_id,
  order_id,
  CASE WHEN dice('partial', order_id, 3) = 0 THEN (amount / 2)::DECIMAL(12, 2) ELSE amount END AS amount,
  currency,
  paid_at + to_days(3 + dice('refund', order_id, 18)) AS refunded_at,
  pick(['damaged', 'wrong_size', 'late', 'late', 'changed_mind', 'changed_mind', 'not_as_described'], 'reason', order_id)
    AS reason_code
FROM billing_db.ledger.payments
WHERE order_id IN (SELECT order_id FROM shop_db.ledger.orders WHERE status = 'returned');

CREATE VIEW billing_db.billing.payments AS
SELECT * FROM billing_db.ledger.payments WHERE paid_at < getvariable('clock');

-- As it was before billing 4.2; demo.build puts the renamed column in place on the day of that release.
CREATE VIEW billing_db.billing.refunds AS
SELECT refund_id, payment_id, order_id, amount, currency, refunded_at, reason_code AS reason
FROM billing_db.ledger.refunds WHERE refunded_at < getvariable('clock');

-- wms_db: what moves in and out of the two warehouses -----------------------------------------------------------------
CREATE SCHEMA wms_db.wms;

CREATE TABLE wms_db.wms.stock_movements AS
WITH moves AS (
  SELECT product_id, ordered_at + INTERVAL 4 HOUR AS moved_at, 'pick' AS kind, -quantity AS quantity, order_id AS reference
  FROM shop_db.ledger.order_items JOIN shop_db.ledger.orders USING (order_id)
  WHERE status <> 'cancelled'
  UNION ALL
  SELECT product_id, refunded_at, 'return', 1, order_id
  FROM billing_db.ledger.refunds JOIN shop_db.ledger.order_items USING (order_id)
  WHERE line_no = 1
  UNION ALL
  SELECT product_id, week, 'receipt',
    floor(weekly * (0.85 + 0.3 * part('receipt', product_id || week::DATE)) + part('carton', product_id || week::DATE))
      + CASE WHEN week = getvariable('first_day') THEN ceil(weekly * 2) ELSE 0 END,
    NULL
  FROM (
    SELECT product_id, sum(quantity) / (getvariable('today') - getvariable('first_day')) * 7 AS weekly
    FROM shop_db.ledger.order_items GROUP BY product_id
  ), range(getvariable('first_day')::TIMESTAMP, getvariable('today')::TIMESTAMP, INTERVAL 7 DAY) AS weeks(week)
)
SELECT
  row_number() OVER (ORDER BY moved_at, product_id, kind, reference) AS movement_id,
  product_id,
  CASE WHEN dice('site', product_id, 3) = 0 THEN 'Incheon' ELSE 'Leipzig' END AS site,
  moved_at, kind, quantity::INTEGER AS quantity, reference AS order_id
FROM moves
WHERE moved_at < getvariable('today');

-- experiments_db -----------------------------------------------------------------------------------------------------
CREATE SCHEMA experiments_db.public;

CREATE TABLE experiments_db.public.assignments AS
SELECT
  experiment,
  customer_id,
  CASE dice(experiment, customer_id, 2) WHEN 1 THEN 'treatment' ELSE 'control' END AS variant,
  greatest(signed_up_at, getvariable('today') - INTERVAL 60 DAY) AS assigned_at
FROM shop_db.ledger.customers,
  (VALUES ('free_shipping_threshold', 10), ('one_page_checkout', 5)) AS running(experiment, tenths)
WHERE dice(experiment || ' in', customer_id, 10) < tenths;

-- reviews_store, clickstream, and the files that others send: what the loaders without SQL land in the warehouse -------
CREATE SCHEMA raw;

CREATE TABLE raw.reviews AS
SELECT
  order_id * 10 + line_no AS review_id,
  product_id,
  customer_id,
  [5, 5, 5, 4, 4, 3, 2, 1][1 + dice('rating', order_id, 8)] AS rating,
  pick(['Lovely.', 'Smaller than I thought.', 'Arrived broken, replaced at once.', 'Would buy again.', 'A gift.'], 'body', order_id)
    AS body,
  ordered_at + to_days(6 + dice('review day', order_id, 20)) AS written_at
FROM shop_db.ledger.order_items JOIN shop_db.ledger.orders USING (order_id)
WHERE status = 'delivered' AND dice('reviews', order_id * 10 + line_no, 14) = 0
  AND ordered_at + to_days(6 + dice('review day', order_id, 20)) < getvariable('today');

-- One session behind every order, three that bought nothing; a session is a run of steps through the shop.
CREATE TABLE raw.events AS
WITH sessions AS (
  SELECT 'b' || order_id AS session_id, customer_id, ordered_at - INTERVAL 10 MINUTE AS started_at, channel, device, 5 AS steps
  FROM shop_db.ledger.orders WHERE ordered_at >= getvariable('tracking_from')
  UNION ALL
  SELECT 'v' || order_id || '-' || nr,
    CASE WHEN dice('known', order_id * 4 + nr, 3) = 0 THEN 1 + dice('visitor', order_id * 4 + nr, 40000) END,
    ordered_at + to_minutes(dice('when', order_id * 4 + nr, 600)),
    pick(['search', 'search', 'social', 'social', 'email', 'direct', 'affiliate'], 'visit', order_id * 4 + nr),
    pick(['mobile', 'mobile', 'desktop', 'app'], 'with', order_id * 4 + nr),
    [1, 1, 2, 2, 3, 4][1 + dice('steps', order_id * 4 + nr, 6)]
  FROM shop_db.ledger.orders, range(3) AS visits(nr)
  WHERE ordered_at >= getvariable('tracking_from')
)
SELECT
  session_id || '.' || step AS event_id,
  session_id,
  customer_id,
  ['page_view', 'product_view', 'add_to_cart', 'checkout', 'purchase'][step] AS event_type,
  CASE WHEN step BETWEEN 2 AND 3 THEN 1 + dice('seen', session_id, 600) END AS product_id,
  started_at + to_seconds(step * 110) AS occurred_at,
  channel,
  device
FROM (SELECT *, unnest(range(1, steps + 1)) AS step FROM sessions)
WHERE started_at + INTERVAL 10 MINUTE < getvariable('today');

CREATE TABLE raw.shipments AS
SELECT
  'TRK' || (order_id * 7919) AS tracking_no,
  order_id,
  carrier,
  ordered_at + to_hours(8 + dice('pack', order_id, 30)) AS shipped_at,
  CASE WHEN status <> 'shipped' THEN
    ordered_at + to_hours(40 + dice('road', order_id, 40) + CASE carrier WHEN 'Nordpaket' THEN 30 ELSE 0 END)
  END AS delivered_at,
  (3.2 + 4 * part('postage', order_id))::DECIMAL(10, 2) AS cost_eur,
  country AS destination
FROM (SELECT *, pick(['Hanjin', 'Yamato', 'DHL', 'DHL', 'Nordpaket'], 'carrier', order_id) AS carrier FROM shop_db.ledger.orders)
JOIN shop_db.ledger.customers USING (customer_id)
WHERE status IN ('shipped', 'delivered', 'returned');

CREATE TABLE raw.ad_spend AS
SELECT
  day::DATE AS spend_date,
  channel,
  country,
  channel || '-' || lower(country) || '-' || CASE WHEN month(day) IN (11, 12) THEN 'winter' ELSE 'always-on' END AS campaign,
  (budget * (400 + dice('seen', day::DATE || channel || country, 200)))::INTEGER AS impressions,
  (budget * (8 + dice('clicked', day::DATE || channel || country, 5)))::INTEGER AS clicks,
  (budget * (2.4 + 1.2 * part('spent', day::DATE || channel || country)))::DECIMAL(12, 2) AS spend_eur
FROM range(getvariable('first_day')::TIMESTAMP, getvariable('today')::TIMESTAMP, INTERVAL 1 DAY) AS calendar(day),
  (VALUES ('search', 60), ('social', 45), ('affiliate', 20)) AS channels(channel, budget),
  (VALUES ('KR'), ('JP'), ('DE'), ('FR'), ('US')) AS countries(country);

CREATE TABLE raw.email_sends AS
SELECT
  customer_id * 1000 + week AS send_id,
  'newsletter-' || strftime(sent_at, '%Y-%W') AS campaign,
  customer_id,
  sent_at,
  CASE WHEN part('opens', customer_id * 1000 + week) < 0.31 THEN
    sent_at + to_minutes(3 + dice('open', customer_id * 1000 + week, 2000)) END AS opened_at,
  CASE WHEN part('opens', customer_id * 1000 + week) < 0.045 THEN
    sent_at + to_minutes(5 + dice('open', customer_id * 1000 + week, 2000)) END AS clicked_at
FROM (
  SELECT customer_id, week, getvariable('today')::TIMESTAMP - to_days(3 + 7 * week) + INTERVAL 9 HOUR AS sent_at, signed_up_at
  FROM shop_db.ledger.customers, range(26) AS weeks(week)
  WHERE marketing_consent AND dice('frequency', customer_id, 4) = week % 4
)
WHERE sent_at > signed_up_at;

CREATE TABLE raw.tickets AS
SELECT
  order_id + 700000 AS ticket_id,
  order_id,
  customer_id,
  ordered_at + to_hours(30 + dice('ticket', order_id, 200)) AS opened_at,
  CASE WHEN dice('solved', order_id, 15) > 0 THEN
    ordered_at + to_hours(32 + dice('ticket', order_id, 200) + dice('answer', order_id, 50)) END AS closed_at,
  pick(['where_is_my_order', 'where_is_my_order', 'return', 'damaged', 'invoice', 'product_question'], 'topic', order_id) AS topic,
  CASE WHEN dice('rated', order_id, 3) = 0 THEN 1 + dice('satisfaction', order_id, 5) END AS satisfaction
FROM shop_db.ledger.orders
WHERE dice('tickets', order_id, 11) = 0 AND ordered_at < getvariable('today') - INTERVAL 10 DAY;

-- The European Central Bank publishes on working days only.
CREATE TABLE raw.fx_rates AS
SELECT
  day::DATE AS rate_date,
  currency,
  (base * (0.97 + 0.06 * (0.5 + 0.5 * sin(date_diff('day', getvariable('first_day'), day::DATE) / 40.0))
    + 0.004 * part('fx', day::DATE || currency)))::DECIMAL(14, 4) AS per_eur
FROM range((getvariable('first_day') - 7)::TIMESTAMP, getvariable('today')::TIMESTAMP, INTERVAL 1 DAY) AS calendar(day),
  (VALUES ('KRW', 1480), ('JPY', 163), ('USD', 1.09)) AS currencies(currency, base)
WHERE dayofweek(day) BETWEEN 1 AND 5;

DROP TABLE order_seeds;
