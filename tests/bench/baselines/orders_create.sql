-- One order with an idempotency key per commit by our own orders_create(), called with arrays of one element: what is left of ours when
-- nothing is batched.
--
--     pgbench -n -M prepared -c 32 -j 2 -T 2 -f orders_create.sql OUR_DATABASE_URL
SELECT order_id, status, user_id, amount, currency, created_at, expires_at, verdict
  FROM orders_create(ARRAY[gen_random_uuid()], ARRAY['u' || :client_id], ARRAY[45000::bigint], ARRAY['INR'], ARRAY[NULL::text],
                     ARRAY[NULL::text], ARRAY[NULL::text], ARRAY[900::bigint], ARRAY[gen_random_uuid()], ARRAY[gen_random_uuid()]);
