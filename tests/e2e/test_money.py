"""The money rules: what is captured late, twice, wrongly, after a failure or without a word from the PSP."""
import time

from processes import wait_for

STACK = {"env": {"RECONCILE_INTERVAL_S": 1, "PARK_FOR_S": 2}}


def discrepancies(stack, payment_id):
    return [row[0] for row in stack.psql(f"SELECT kind FROM discrepancies WHERE payment_id = '{payment_id}'")]


def accounts(stack, payment_id):
    return {account: int(amount) for account, amount in
            stack.psql(f"SELECT account, amount FROM audit_ledger WHERE payment_id = '{payment_id}'")}


def send(stack, order_id, payment_id, **fields):
    """A webhook, and how the processor settled it."""
    body = stack.webhook_body(order_id, payment_id, **fields)
    answer = stack.webhook(body)
    assert answer.status == 200, answer
    return wait_for(lambda: stack.psql(f"SELECT outcome FROM inbox WHERE event_id = '{body['event_id']}' "
                                       f"AND payment_ref = '{payment_id}'"), 10, "the webhook is handled")[0][0]


def test_an_order_expires_with_its_payments_and_a_late_capture_stays_unapplied(stack):
    socket = stack.websocket("late")
    order_id = stack.create_order("late", expires_in_s=1)
    payment_id = stack.initiate(order_id)["payment_id"]
    stack.wait_for_order(order_id, "EXPIRED", 6)
    frame = socket.wait_for_event(5, type="order.expired", order_id=order_id)
    assert frame["order_status"] == "EXPIRED" and frame["seq"] == 1
    assert stack.get_payment(payment_id)["status"] == "EXPIRED"

    assert send(stack, order_id, payment_id) == "applied"
    payment = stack.get_payment(payment_id)
    assert (payment["status"], payment["applied"], payment["captured_amount"]) == ("SUCCESS", False, 45000)
    order = stack.get_order(order_id)
    assert (order["status"], order["paid_amount"]) == ("EXPIRED", 0)
    assert accounts(stack, payment_id) == {"psp_receivable:Razorpay": 45000, "unapplied": -45000}
    assert "payment.confirmed" not in stack.events(order_id)
    stack.verify()


def test_the_order_service_sets_how_long_an_order_lives(stack):
    stack.restart("order-1", ORDER_TTL_S=1)
    order_id = stack.create_order()
    stack.wait_for_order(order_id, "EXPIRED", 6)
    assert stack.api.post("/payments/initiate", {"order_id": order_id, "payment_method": "UPI"}).json["code"] == \
        "ORDER_NOT_PAYABLE"
    stack.restart("order-1", ORDER_TTL_S=900)
    stack.verify()


def test_a_capture_of_another_amount_or_currency_is_a_mismatch_that_pays_nothing(stack):
    socket = stack.websocket("mismatched")
    for fields in ({"amount": 44999}, {"amount": 45001}, {"currency": "USD"}):
        order_id, payment_id = stack.pay_for("mismatched")
        send(stack, order_id, payment_id, **fields)
        payment = stack.get_payment(payment_id)
        assert (payment["status"], payment["applied"]) == ("MISMATCH", False), fields
        order = stack.get_order(order_id)
        assert (order["status"], order["paid_amount"]) == ("PENDING", 0)
        assert discrepancies(stack, payment_id) == ["amount_mismatch"]
        assert stack.events(order_id) == ["payment.mismatch"]
        socket.wait_for_event(5, type="payment.mismatch", order_id=order_id)
    stack.verify()


def test_a_bank_that_moves_another_amount_is_caught_at_the_simulator_too(stack):
    stack.faults("razorpay", amount_delta=-100)
    try:
        order_id, payment_id = stack.pay_for()
        stack.sim_pay(payment_id)
        stack.wait_for_payment(payment_id, "MISMATCH")
        assert stack.get_order(order_id)["status"] == "PENDING"
        assert discrepancies(stack, payment_id) == ["amount_mismatch"]
    finally:
        stack.faults("razorpay")
    stack.verify()


def test_the_second_payment_of_an_order_that_succeeds_is_unapplied_and_the_order_paid_once(stack):
    order_id = stack.create_order("twice")
    first, second = (stack.initiate(order_id)["payment_id"] for _ in range(2))
    assert first != second
    send(stack, order_id, first)
    send(stack, order_id, second)
    order = stack.wait_for_order(order_id, "PAID")
    assert order["paid_amount"] == 45000
    assert stack.get_payment(first)["applied"] is True
    payment = stack.get_payment(second)
    assert (payment["status"], payment["applied"]) == ("SUCCESS", False)
    assert accounts(stack, second) == {"psp_receivable:Razorpay": 45000, "unapplied": -45000}
    assert stack.events(order_id).count("payment.confirmed") == 1
    stack.verify()


def test_a_second_capture_of_one_payment_is_unapplied(stack):
    order_id, payment_id = stack.pay_for()
    send(stack, order_id, payment_id)
    send(stack, order_id, payment_id)
    payment = stack.get_payment(payment_id)
    assert payment["captured_amount"] == 90000 and payment["applied"] is True
    assert stack.get_order(order_id)["paid_amount"] == 45000
    assert stack.events(order_id).count("payment.confirmed") == 1
    stack.verify()


def test_a_failure_after_a_success_changes_nothing(stack):
    order_id, payment_id = stack.pay_for()
    send(stack, order_id, payment_id)
    send(stack, order_id, payment_id, status="FAILED")
    assert stack.get_payment(payment_id)["status"] == "SUCCESS"
    assert stack.get_order(order_id)["status"] == "PAID"
    assert stack.events(order_id) == ["payment.confirmed"]
    stack.verify()


def test_a_success_after_a_failure_pays(stack):
    order_id, payment_id = stack.pay_for()
    send(stack, order_id, payment_id, status="FAILED")
    assert stack.get_payment(payment_id)["status"] == "FAILED"
    send(stack, order_id, payment_id)
    assert stack.get_payment(payment_id)["status"] == "SUCCESS"
    assert stack.wait_for_order(order_id, "PAID")["paid_amount"] == 45000
    assert stack.events(order_id) == ["payment.failed", "payment.confirmed"]
    stack.verify()


def test_a_pending_webhook_changes_nothing(stack):
    order_id, payment_id = stack.pay_for()
    assert send(stack, order_id, payment_id, status="PENDING") == "applied"
    assert stack.get_payment(payment_id)["status"] == "PENDING"
    assert stack.events(order_id) == []
    stack.verify()


def test_a_webhook_that_comes_before_the_checkout_is_answered_is_applied(stack):
    """The customer pays, and the webhook is delivered, while the router still waits for the PSP's answer."""
    stack.faults("razorpay", webhook="before")
    try:
        order_id = stack.create_order("early")
        payment_id = stack.initiate(order_id)["payment_id"]
        stack.wait_for_order(order_id, "PAID")
        assert stack.get_payment(payment_id)["status"] == "SUCCESS"
        assert stack.events(order_id).count("payment.confirmed") == 1
    finally:
        stack.faults("razorpay")
    stack.verify()


def test_webhooks_that_come_twice_or_late_have_one_effect(stack):
    for faults in ({"webhook": "twice"}, {"webhook": "late", "webhook_delay_ms": 300}):
        stack.faults("razorpay", **faults)
        try:
            order_id, payment_id = stack.pay_for()
            stack.sim_pay(payment_id)
            stack.wait_for_order(order_id, "PAID")
        finally:
            stack.faults("razorpay")
        assert stack.events(order_id) == ["payment.confirmed"]
    stack.verify()


def test_a_parked_webhook_is_applied_once_its_payment_is_there(stack):
    """The payment comes to be between two tries of the webhook: here its row is made under the id that the webhook named."""
    order_id = stack.create_order("parked")
    payment_id = "01900000-0000-7000-8000-000000000abc"
    assert send(stack, order_id, payment_id) == "parked"
    stack.psql("SELECT * FROM payments_begin(ARRAY['%s']::uuid[], ARRAY['%s']::uuid[], ARRAY['UPI'], ARRAY[NULL]::text[], "
               "ARRAY[NULL]::text[], ARRAY[gen_random_uuid()], ARRAY['Razorpay'])" % (payment_id, order_id))
    stack.wait_for_order(order_id, "PAID", 6)
    assert stack.inbox(payment_id) == ["applied"]
    stack.verify()


def test_a_webhook_for_a_payment_that_never_was_becomes_a_dead_letter_with_its_reason(stack):
    order_id = stack.create_order("ghost")
    payment_id = "01900000-0000-7000-8000-00000000dead"
    body = stack.webhook_body(order_id, payment_id)
    assert stack.webhook(body).json == {"status": "accepted"}
    wait_for(lambda: stack.inbox(payment_id) == ["dead"], 10, "the webhook is a dead letter")
    assert stack.psql(f"SELECT reason FROM inbox WHERE payment_ref = '{payment_id}'") == [["PAYMENT_NOT_FOUND"]]

    def copies():
        entries = stack.redis("XRANGE", "stream:webhooks:dead", "-", "+")
        fields = [dict(zip(entry[1][::2], entry[1][1::2])) for entry in entries]
        return [entry for entry in fields if entry["event_id"] == body["event_id"]]
    copy = wait_for(copies, 5, "the dead letter is in its stream")[0]
    assert copy["reason"] == "PAYMENT_NOT_FOUND" and copy["psp"] == "Razorpay" and body["event_id"] in copy["body"]
    assert stack.get_order(order_id)["status"] == "PENDING"
    stack.verify()


def test_a_webhook_that_names_another_order_than_the_payments_is_a_dead_letter(stack):
    _, payment_id = stack.pay_for()
    other = stack.create_order()
    assert send(stack, other, payment_id) == "dead"
    assert stack.get_order(other)["status"] == "PENDING" and stack.get_payment(payment_id)["status"] == "PENDING"
    stack.verify()


def test_what_no_webhook_tells_the_reconciler_finds_out(stack):
    stack.faults("razorpay", webhook="none")
    try:
        socket = stack.websocket("silent")
        paid_order, paid = stack.pay_for("silent")
        failed_order, failed = stack.pay_for("silent")
        open_order, still_open = stack.pay_for("silent")
        stack.sim_pay(paid)
        stack.sim_pay(failed, "fail")
        stack.wait_for_order(paid_order, "PAID", 15)
        stack.wait_for_payment(failed, "FAILED", 15)
        socket.wait_for_event(5, type="payment.confirmed", order_id=paid_order)
        facts = stack.psql(f"SELECT kind, source, applied FROM audit_facts WHERE payment_id = '{paid}'")
        assert facts == [["captured", "status_poll", "t"]]
        # The PSP was asked about the open one too, and it is what it was.
        asked = int(stack.psql("SELECT coalesce(sum(asked), 0) FROM reconciliation_runs")[0][0])
        wait_for(lambda: int(stack.psql("SELECT sum(asked) FROM reconciliation_runs")[0][0]) > asked, 10, "the PSP is asked")
        assert stack.get_payment(still_open)["status"] == "PENDING"
        assert stack.get_order(open_order)["status"] == "PENDING" and stack.get_order(failed_order)["status"] == "PENDING"
    finally:
        stack.faults("razorpay")
    stack.verify()


def test_webhook_and_status_answer_about_one_capture_are_one_fact(stack):
    """The webhook comes after the reconciler has found out."""
    stack.faults("razorpay", webhook="late", webhook_delay_ms=4000)
    try:
        order_id, payment_id = stack.pay_for()
        paid_at = time.monotonic()
        stack.sim_pay(payment_id)
        stack.wait_for_order(order_id, "PAID", 10)
        wait_for(lambda: len(stack.inbox(payment_id)) == 2, 15, "both reports are in the inbox")
        assert time.monotonic() - paid_at > 1
        assert sorted(stack.inbox(payment_id)) == ["applied", "duplicate"]
        assert stack.get_payment(payment_id)["captured_amount"] == 45000
    finally:
        stack.faults("razorpay")
    stack.verify()
