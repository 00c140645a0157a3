-- 50,000 orders with an open payment each in the peer's tables (tests/bench/peer/schema.sql), numbered in bench_open for
-- webhook_statements.sql. Run again before each round: it forgets the former ones.
--
--     psql -X -v ON_ERROR_STOP=1 -f webhook_statements_prepare.sql PEER_DATABASE_URL
BEGIN;
SET client_min_messages = warning;
DROP TABLE IF EXISTS bench_open;
DROP SEQUENCE IF EXISTS bench_next;
CREATE SEQUENCE bench_next;
CREATE TABLE bench_open AS
    SELECT n, gen_random_uuid() AS order_id, gen_random_uuid() AS payment_id FROM generate_series(1, 50000) n;
ALTER TABLE bench_open ADD PRIMARY KEY (n);
INSERT INTO orders (order_id, user_id, amount, currency, expires_at)
SELECT order_id, 'u' || n % 1000, 45000, 'INR', now() + interval '1 day' FROM bench_open;
INSERT INTO payments (payment_id, order_id, method, amount, currency, psp, expires_at)
SELECT payment_id, order_id, 'UPI', 45000, 'INR', 'Razorpay', now() + interval '1 day' FROM bench_open;
COMMIT;
VACUUM ANALYZE orders, payments, bench_open;
