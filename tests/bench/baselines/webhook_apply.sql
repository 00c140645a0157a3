-- One capture of one open payment per commit by our own webhooks_apply(), called with arrays of one element: what is left of ours when
-- nothing is batched. Takes each payment of bench_open once (webhook_apply_prepare.sql), and fails when there is none left.
--
--     PGOPTIONS='-c plan_cache_mode=force_generic_plan' pgbench -n -M prepared -c 32 -j 2 -T 2 -f webhook_apply.sql OUR_DATABASE_URL
SELECT a.outcome AS outcome
  FROM bench_open b
 CROSS JOIN LATERAL webhooks_apply(
           ARRAY[NULL::bigint], ARRAY['Razorpay'], ARRAY['evt_' || b.payment_id], ARRAY['webhook'], ARRAY[b.payment_id],
           ARRAY[b.order_id], ARRAY[NULL::uuid], ARRAY['captured'], ARRAY['pay_' || b.payment_id], ARRAY[false],
           ARRAY[45000::bigint], ARRAY[0::bigint], ARRAY['INR'], ARRAY[1760000000000000], ARRAY[NULL::text],
           ARRAY[convert_to(repeat('x', 600), 'UTF8')], ARRAY['{}'], ARRAY[0], ARRAY[1760000000000000],
           ARRAY[gen_random_uuid()::text], 300) a
 WHERE b.n = (SELECT nextval('bench_next')) AND a.position = 1 AND a.outcome = 'applied' \gset
