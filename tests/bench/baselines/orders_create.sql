-- One order in one commit by our own function: what a batch of one costs.
SELECT order_id, status, user_id, amount, currency, created_at, expires_at, verdict
  FROM orders_create(ARRAY[gen_random_uuid()], ARRAY['u1'], ARRAY[45000::bigint], ARRAY['INR'], ARRAY[NULL::text], ARRAY[NULL::text],
                     ARRAY[NULL::text], ARRAY[900::bigint], ARRAY[gen_random_uuid()], ARRAY[gen_random_uuid()]);
