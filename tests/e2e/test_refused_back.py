"""Money that has to go back and does not at first: an automatic refund that the PSP refuses, one that fails after it had succeeded, a
capture of another currency."""
import pytest

from processes import wait_for

STACK = {"env": {"RECONCILE_INTERVAL_S": 1}}


def book(stack, payment_id, kind):
    rows = stack.sim.get(f"/_sim/book?payment_id={payment_id}").json
    return [(row["amount"], row["currency"]) for row in rows if row["kind"] == kind]


def open_discrepancies(stack, payment_id):
    return stack.api.get(f"/admin/discrepancies?state=open&payment_id={payment_id}").json["data"]


def test_an_automatic_refund_that_the_psp_refuses_waits_for_a_person_and_is_not_tried_again(stack):
    order_id, payment_id = stack.pay_for(gateway="Razorpay")
    assert stack.api.post(f"/orders/{order_id}/cancel").status == 200
    stack.faults("razorpay", refund="refuse")
    try:
        stack.sim_pay(payment_id)
        row, = wait_for(lambda: open_discrepancies(stack, payment_id), 10, "the refusal is told")
        assert row["kind"] == "refund_refused"
        refused, = stack.get_payment(payment_id)["refunds"]
        assert (refused["automatic"], refused["status"], refused["amount"]) == (True, "FAILED", 45000)
        assert stack.psql(f"SELECT calls, next_call_at FROM refunds WHERE payment_id = '{payment_id}'") == [["1", None]]
    finally:
        stack.faults("razorpay")
    runs = int(stack.psql("SELECT count(*) FROM reconciliation_runs")[0][0])
    wait_for(lambda: int(stack.psql("SELECT count(*) FROM reconciliation_runs")[0][0]) >= runs + 2, 10, "two more runs are made")
    assert stack.psql(f"SELECT calls FROM refunds WHERE payment_id = '{payment_id}'") == [["1"]]
    assert book(stack, payment_id, "refund") == []
    assert (stack.get_order(order_id)["status"], stack.get_payment(payment_id)["status"]) == ("CANCELLED", "SUCCESS")

    decided = stack.api.post(f"/admin/discrepancies/{row['id']}/refund")
    assert (decided.status, decided.json["decision"]) == (200, "refund"), decided
    stack.wait_for_payment(payment_id, "REFUNDED")
    assert book(stack, payment_id, "refund") == book(stack, payment_id, "charge") == [(45000, "INR")]
    assert open_discrepancies(stack, payment_id) == []
    stack.verify()


def test_a_refund_that_fails_after_it_had_succeeded_was_not_made_and_waits_for_a_person(stack):
    order_id, payment_id = stack.pay_for(gateway="Razorpay")
    stack.sim_pay(payment_id)
    stack.wait_for_order(order_id, "PAID")
    assert stack.api.post(f"/payments/{payment_id}/refunds", {}).status == 202
    stack.wait_for_order(order_id, "REFUNDED")
    (ref,), = stack.psql(f"SELECT psp_ref FROM facts WHERE payment_id = '{payment_id}' AND kind = 'refund_succeeded'")
    assert stack.webhook(stack.webhook_body(order_id, payment_id, kind="refund_failed", gateway_txn_id=ref)).status == 200
    order = stack.wait_for_order(order_id, "PAID")
    payment = stack.get_payment(payment_id)
    assert (payment["status"], payment["refunded_amount"], payment["refunds"][0]["status"]) == ("SUCCESS", 0, "FAILED")
    assert (order["paid_amount"], order["refunded_amount"]) == (45000, 0)
    assert stack.events(order_id) == ["payment.confirmed", "payment.refunded", "payment.refund_failed"]
    row, = open_discrepancies(stack, payment_id)
    assert row["kind"] == "refund_failed_after_success"
    listed = stack.api.get(f"/admin/discrepancies?kind=refund_failed_after_success&payment_id={payment_id}").json["data"]
    assert [found["id"] for found in listed] == [row["id"]]
    decided = stack.api.post(f"/admin/discrepancies/{row['id']}/accept")
    assert (decided.status, decided.json["state"]) == (200, "settled"), decided
    stack.verify()


@pytest.mark.parametrize("decision", ("refund", "accept"))
def test_a_capture_of_another_currency_never_pays_and_a_person_decides(stack, decision):
    order_id, payment_id = stack.pay_for(gateway="Razorpay")
    assert stack.webhook(stack.webhook_body(order_id, payment_id, currency="USD")).status == 200
    stack.wait_for_payment(payment_id, "MISMATCH")
    assert (stack.get_order(order_id)["status"], stack.events(order_id)) == ("PENDING", ["payment.mismatch"])
    row, = open_discrepancies(stack, payment_id)
    assert row["kind"] == "amount_mismatch"
    decided = stack.api.post(f"/admin/discrepancies/{row['id']}/{decision}")
    assert (decided.status, decided.json["state"]) == (200, "settled"), decided
    if decision == "refund":
        # The bank never charged dollars, so it refuses: the refund fails, and that waits for a person again.
        refund_id = decided.json["refund_id"]
        asked = wait_for(lambda: (refund := stack.api.get(f"/refunds/{refund_id}").json)["status"] == "FAILED" and refund, 10,
                         "the bank has refused")
        assert (asked["amount"], asked["currency"], asked["automatic"]) == (45000, "USD", False)
        assert [row["kind"] for row in open_discrepancies(stack, payment_id)] == ["refund_refused"]
    else:
        merchant = f"SELECT currency, sum(amount) FROM audit_ledger WHERE payment_id = '{payment_id}' AND account = 'merchant' GROUP BY 1"
        assert stack.psql(merchant) == [["USD", "-45000"]]
    assert book(stack, payment_id, "refund") == []
    order = stack.get_order(order_id)
    assert (order["status"], order["paid_amount"]) == ("PENDING", 0)
    stack.verify()
