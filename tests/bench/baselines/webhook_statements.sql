-- One captured payment in one commit, by single statements into plain tables: inbox, payment, order, two ledger lines, an event.
SELECT gen_random_uuid() AS payment, gen_random_uuid() AS order_id \gset
BEGIN;
INSERT INTO inbox (event_id, body) VALUES (:payment::text, repeat('x', 600)) ON CONFLICT DO NOTHING;
INSERT INTO payments (payment_id, order_id, status, captured) VALUES (:payment::uuid, :order_id::uuid, 'SUCCESS', 45000);
INSERT INTO orders (order_id, user_id, amount, currency, status, paid_amount, expires_at)
VALUES (:order_id::uuid, 'u1', 45000, 'INR', 'PAID', 45000, now() + interval '15 minutes');
INSERT INTO ledger (payment_id, account, amount) VALUES (:payment::uuid, 'psp_receivable', 45000);
INSERT INTO ledger (payment_id, account, amount) VALUES (:payment::uuid, 'merchant', -45000);
INSERT INTO outbox (order_id, type, payload) VALUES (:order_id::uuid, 'payment.confirmed', repeat('x', 300));
COMMIT;
