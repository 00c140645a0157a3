-- One event of one open payment in one commit by our own function: what a batch of one costs. bench_open holds the payments, of which
-- each is taken once; when all are taken, an event of none comes (the driver makes enough of them).
SELECT nextval('bench_next') AS n \gset
SELECT order_id, payment_id FROM bench_open WHERE n = :n::bigint \gset
SELECT outcome FROM webhooks_apply(ARRAY[NULL::bigint], ARRAY['Razorpay'], ARRAY['evt_single_' || :payment_id::text], ARRAY['webhook'],
    ARRAY[:payment_id::uuid], ARRAY[:order_id::uuid], ARRAY[NULL::uuid], ARRAY['captured'],
    ARRAY['pay_single_' || :payment_id::text], ARRAY[false], ARRAY[45000::bigint], ARRAY[0::bigint], ARRAY['INR'],
    ARRAY[1760000000000000], ARRAY[NULL::text], ARRAY[convert_to(repeat('x', 600), 'UTF8')], ARRAY['{}'], ARRAY[0],
    ARRAY[1760000000000000], ARRAY[gen_random_uuid()::text], 300) WHERE position > 0;
