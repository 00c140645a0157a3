-- 20,000 orders with an open payment each, made by our own functions in batches as the services make them, numbered in bench_open for
-- webhook_apply.sql. Run again before each round: it forgets the former ones.
--
--     psql -X -v ON_ERROR_STOP=1 -f webhook_apply_prepare.sql OUR_DATABASE_URL
BEGIN;
SET client_min_messages = warning;
DROP TABLE IF EXISTS bench_open;
DROP SEQUENCE IF EXISTS bench_next;
CREATE SEQUENCE bench_next;
CREATE TABLE bench_open AS
    SELECT n, uuid7() AS order_id, uuid7() AS payment_id, uuid7() AS attempt_id FROM generate_series(1, 20000) n;
ALTER TABLE bench_open ADD PRIMARY KEY (n);
SELECT count(*) FROM (
    SELECT array_agg(order_id ORDER BY n) AS orders, array_agg('u' || n % 1000 ORDER BY n) AS users,
           array_agg(45000::bigint) AS amounts, array_agg('INR'::text) AS currencies, array_agg(NULL::text) AS none,
           array_agg(86400::bigint) AS lifetimes
      FROM bench_open GROUP BY n / 250) b
 CROSS JOIN LATERAL orders_create(b.orders, b.users, b.amounts, b.currencies, b.none, b.none, b.none, b.lifetimes);
SELECT count(*) FROM (
    SELECT array_agg(payment_id ORDER BY n) AS payments, array_agg(order_id ORDER BY n) AS orders, array_agg('UPI'::text) AS methods,
           array_agg(NULL::text) AS none, array_agg(attempt_id ORDER BY n) AS attempts, array_agg('Razorpay'::text) AS psps
      FROM bench_open GROUP BY n / 250) b
 CROSS JOIN LATERAL payments_begin(b.payments, b.orders, b.methods, b.none, b.none, b.attempts, b.psps);
COMMIT;
VACUUM ANALYZE orders, payments, attempts, bench_open;
