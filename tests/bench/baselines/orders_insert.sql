-- One order as one plain INSERT per commit, into the peer's table (tests/bench/peer/schema.sql), without an idempotency key: the least
-- that anybody can do who commits each order by itself.
--
--     pgbench -n -M prepared -c 32 -j 2 -T 2 -f orders_insert.sql PEER_DATABASE_URL
INSERT INTO orders (order_id, user_id, amount, currency, expires_at)
VALUES (gen_random_uuid(), 'u' || :client_id, 45000, 'INR', now() + interval '15 minutes')
ON CONFLICT DO NOTHING RETURNING created_at, expires_at;
