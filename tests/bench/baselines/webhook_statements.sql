-- One capture of one open payment per commit, as it is commonly written: lock the payment, then event, payment, order, two ledger lines
-- and an outbox row, a statement each, into plain tables. Takes each payment of bench_open once (webhook_statements_prepare.sql), and
-- fails when there is none left.
--
--     PGOPTIONS='-c plan_cache_mode=force_generic_plan' pgbench -n -M prepared -c 32 -j 2 -T 2 -f webhook_statements.sql PEER_DATABASE_URL
BEGIN;
SELECT p.payment_id AS payment, p.order_id AS of_order FROM payments p
 WHERE p.payment_id = (SELECT b.payment_id FROM bench_open b WHERE b.n = (SELECT nextval('bench_next'))) FOR UPDATE \gset
INSERT INTO events (psp, event_id, payment_id, body)
VALUES ('Razorpay', 'evt_' || :payment::text, :payment, convert_to(repeat('x', 600), 'UTF8')) ON CONFLICT DO NOTHING;
UPDATE payments SET captured_amount = 45000 WHERE payment_id = :payment;
UPDATE orders SET paid_amount = 45000, event_seq = event_seq + 1 WHERE order_id = :of_order;
INSERT INTO ledger_entries (payment_id, account, currency, amount) VALUES (:payment, 'psp_receivable', 'INR', 45000);
INSERT INTO ledger_entries (payment_id, account, currency, amount) VALUES (:payment, 'merchant', 'INR', -45000);
INSERT INTO outbox (order_id, payment_id, user_id, seq, type, payload)
VALUES (:of_order, :payment, 'u1', 1, 'payment.confirmed', repeat('x', 300));
COMMIT;
