"""Settlement reports at a PSP whose limit is used up by questions about payments."""
from processes import wait_for

# A key that is somebody's own, so that Cashfree's limit is kept: a call in 0.6 s.
STACK = {"env": {"RECONCILE_INTERVAL_S": 3600, "SETTLEMENT_INTERVAL_S": 1, "CASHFREE_KEY_SECRET": "cfsk_ma_test_of_somebody"}}


def open_payments(stack, count):
    """Payments that Cashfree is asked about for longer than the test takes."""
    stack.psql(f"""
        WITH o AS (INSERT INTO orders (order_id, user_id, amount, currency, expires_at)
                   SELECT gen_random_uuid(), 'u1', 45000, 'INR', now() + interval '1 h' FROM generate_series(1, {count}) RETURNING order_id),
             p AS (INSERT INTO payments (payment_id, order_id, method, amount, currency, psp, checkout_url, expires_at)
                   SELECT order_id, order_id, 'UPI', 45000, 'INR', 'Cashfree', 'http://psp/pay', now() + interval '1 h' FROM o
                   RETURNING payment_id)
        INSERT INTO attempts (attempt_id, payment_id, number, psp, outcome) SELECT gen_random_uuid(), payment_id, 1, 'Cashfree', 'OPEN' FROM p""")


def test_reports_are_read_while_many_payments_are_asked_about(stack):
    open_payments(stack, 200)
    assert stack.api.post("/admin/reconciliations").json == {"status": "started"}
    wait_for(lambda: stack.psql("SELECT 1 FROM payments WHERE next_check_at > now() LIMIT 1"), 10, "payments are asked about")
    since = stack.psql("SELECT now()")[0][0]
    wait_for(lambda: stack.psql(f"SELECT count(*) FROM settlement_reports WHERE psp = 'Cashfree' AND read_at > '{since}'") == [["2"]],
             15, "both days are read")
    assert stack.psql("SELECT 1 FROM reconciliation_runs WHERE finished_at IS NULL"), "the payments are still being asked about"
