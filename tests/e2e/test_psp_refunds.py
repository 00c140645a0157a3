"""Every way in which a PSP can answer a refund, and a customer who is charged twice: what we show is what the bank moved."""
from processes import wait_for

STACK = {"env": {"RECONCILE_INTERVAL_S": 1, "PSP_TIMEOUT_MS": 1000}}


def paid(stack):
    """An order that is paid at Razorpay."""
    order_id = stack.create_order()
    payment_id = stack.initiate(order_id, gateway="Razorpay")["payment_id"]
    stack.sim_pay(payment_id)
    stack.wait_for_order(order_id, "PAID")
    return order_id, payment_id


def refund(stack, payment_id, **body):
    answer = stack.api.post(f"/payments/{payment_id}/refunds", body)
    assert answer.status == 202, answer
    return answer.json["refund_id"]


def status_of(stack, refund_id):
    answer = stack.api.get(f"/refunds/{refund_id}")
    assert answer.status == 200, answer
    return answer.json["status"]


def wait_for_refund(stack, refund_id, status, deadline_s=15):
    wait_for(lambda: status_of(stack, refund_id) == status, deadline_s, f"the refund is {status}")


def moved(stack, payment_id):
    """What the bank charged, and what it gave back."""
    rows = stack.sim.get(f"/_sim/book?payment_id={payment_id}").json
    return tuple(sum(row["amount"] for row in rows if row["kind"] == kind) for kind in ("charge", "refund"))


def agree(stack, order_id, payment_id, charged, refunded):
    """Bank, API and ledger tell of the same money."""
    assert moved(stack, payment_id) == (charged, refunded)
    payment = stack.get_payment(payment_id)
    assert (payment["captured_amount"], payment["refunded_amount"]) == (charged, refunded)
    receivable = stack.psql("SELECT coalesce(sum(amount), 0) FROM audit_ledger "
                            f"WHERE payment_id = '{payment_id}' AND account LIKE 'psp_receivable:%'")
    assert int(receivable[0][0]) == charged - refunded
    stack.verify()


def test_a_refund_is_carried_out_at_once(stack):
    stack.faults("Razorpay")
    order_id, payment_id = paid(stack)
    wait_for_refund(stack, refund(stack, payment_id, amount=13500), "SUCCESS")
    stack.wait_for_order(order_id, "PARTIALLY_REFUNDED")
    wait_for_refund(stack, refund(stack, payment_id), "SUCCESS")
    stack.wait_for_order(order_id, "REFUNDED")
    agree(stack, order_id, payment_id, 45000, 45000)


def test_a_refund_that_takes_its_time_is_pending_until_the_psp_says_more(stack):
    for webhook in ("once", "none", "twice"):
        stack.faults("Razorpay")
        order_id, payment_id = paid(stack)
        stack.faults("Razorpay", refund="pending", refund_delay_ms=3000, webhook=webhook)
        refund_id = refund(stack, payment_id, amount=500)
        wait_for(lambda: stack.psql(f"SELECT 1 FROM audit_facts WHERE payment_id = '{payment_id}' "
                                    "AND kind = 'refund_requested'"), 10, "the PSP has taken it")
        assert status_of(stack, refund_id) == "PENDING"
        wait_for_refund(stack, refund_id, "SUCCESS", 30)
        agree(stack, order_id, payment_id, 45000, 500)


def test_a_refund_that_the_psp_refuses_fails_for_good_and_is_a_discrepancy(stack):
    stack.faults("Razorpay")
    order_id, payment_id = paid(stack)
    stack.faults("Razorpay", refund="refuse")
    refund_id = refund(stack, payment_id, amount=500)
    wait_for_refund(stack, refund_id, "FAILED")
    stack.faults("Razorpay")
    assert stack.psql(f"SELECT kind FROM audit_discrepancies WHERE payment_id = '{payment_id}'") == [["refund_refused"]]
    agree(stack, order_id, payment_id, 45000, 0)
    wait_for_refund(stack, refund(stack, payment_id), "SUCCESS")  # what failed holds nothing back
    agree(stack, order_id, payment_id, 45000, 45000)


def test_a_refund_that_fails_later_was_pending_before(stack):
    stack.faults("Razorpay")
    order_id, payment_id = paid(stack)
    stack.faults("Razorpay", refund="fail_later", refund_delay_ms=300)
    wait_for_refund(stack, refund(stack, payment_id, amount=500), "FAILED")
    stack.faults("Razorpay")
    agree(stack, order_id, payment_id, 45000, 0)


def test_a_refund_whose_outcome_is_not_known_is_asked_again_under_its_key_until_it_is(stack):
    for mode in ("unknown", "hang"):
        stack.faults("Razorpay")
        order_id, payment_id = paid(stack)
        stack.faults("Razorpay", refund=mode, webhook="none")
        refund_id = refund(stack, payment_id, amount=500)
        wait_for_refund(stack, refund_id, "UNKNOWN")
        assert moved(stack, payment_id) == (45000, 500)
        stack.faults("Razorpay")
        wait_for_refund(stack, refund_id, "SUCCESS", 30)
        agree(stack, order_id, payment_id, 45000, 500)


def test_a_psp_that_is_down_gives_the_money_back_once_it_is_up(stack):
    stack.faults("Razorpay")
    order_id, payment_id = paid(stack)
    stack.faults("Razorpay", refuse=True)
    refund_id = refund(stack, payment_id, amount=500)
    wait_for_refund(stack, refund_id, "UNKNOWN")
    assert moved(stack, payment_id) == (45000, 0)
    stack.faults("Razorpay")
    wait_for_refund(stack, refund_id, "SUCCESS", 30)
    agree(stack, order_id, payment_id, 45000, 500)


def test_a_customer_who_is_charged_twice_gets_one_charge_back_once(stack):
    stack.faults("Razorpay", duplicate_capture=True)
    order_id, payment_id = paid(stack)
    stack.faults("Razorpay")
    wait_for(lambda: moved(stack, payment_id) == (90000, 45000), 15, "the second charge is given back")
    wait_for(lambda: stack.get_payment(payment_id)["refunded_amount"] == 45000, 10, "and we know")
    payment = stack.get_payment(payment_id)
    assert [(row["amount"], row["automatic"], row["status"]) for row in payment["refunds"]] == [(45000, True, "SUCCESS")]
    order = stack.get_order(order_id)
    assert (order["status"], order["paid_amount"], order["refunded_amount"]) == ("PAID", 45000, 0)
    agree(stack, order_id, payment_id, 90000, 45000)


def test_a_dispute_is_a_flag_and_a_settlement_moves_the_receivable(stack):
    stack.faults("Razorpay")
    _, payment_id = paid(stack)
    assert stack.sim.post(f"/_sim/payments/{payment_id}/settle", {}).status == 200
    wait_for(lambda: dict(stack.psql("SELECT account, sum(amount) FROM audit_ledger "
                                     f"WHERE payment_id = '{payment_id}' GROUP BY account")) ==
             {"psp_receivable:Razorpay": "0", "merchant": "-45000", "fees": "900", "settlement": "44100"}, 10, "it is settled")
    for outcome, disputed in (("opened", True), ("won", False)):
        assert stack.sim.post(f"/_sim/payments/{payment_id}/dispute", {"outcome": outcome}).status == 200
        wait_for(lambda disputed=disputed: stack.get_payment(payment_id)["disputed"] == disputed, 10, f"disputed: {disputed}")
    assert stack.get_payment(payment_id)["status"] == "SUCCESS"
    stack.verify()


def test_webhooks_in_any_order_end_in_what_happened(stack):
    stack.faults("Razorpay", webhook="reorder", webhook_delay_ms=1500)
    order_id = stack.create_order()
    payment_id = stack.initiate(order_id, gateway="Razorpay")["payment_id"]
    stack.sim_pay(payment_id, "fail")
    stack.sim_pay(payment_id)
    stack.wait_for_order(order_id, "PAID")
    wait_for_refund(stack, refund(stack, payment_id, amount=500), "SUCCESS")
    wait_for(lambda: {kind for kind, in stack.psql(f"SELECT kind FROM audit_facts WHERE payment_id = '{payment_id}'")} >=
             {"captured", "failed", "refund_succeeded"}, 10, "all is told")
    stack.faults("Razorpay")
    assert stack.get_payment(payment_id)["status"] == "PARTIALLY_REFUNDED"
    agree(stack, order_id, payment_id, 45000, 500)
