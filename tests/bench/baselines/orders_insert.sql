-- One order, as one plain INSERT in one commit, into the peer's table. Its key is not remembered: the least that anyone can do.
INSERT INTO orders (order_id, user_id, amount, currency, expires_at)
VALUES (gen_random_uuid(), 'u1', 45000, 'INR', now() + interval '15 minutes') ON CONFLICT DO NOTHING RETURNING order_id, created_at;
