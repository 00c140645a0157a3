"""What goes wrong elsewhere, from outside: two clicks, late successes, refunds at once, disputes, every order of arrival."""
import collections
import itertools
import threading

import pytest

from processes import wait_for

STACK = {"scale": {"router": 2, "webhook-processor": 2}}


def book(stack, payment_id, kind):
    return [row["amount"] for row in stack.sim.get(f"/_sim/book?payment_id={payment_id}").json if row["kind"] == kind]


def discrepancies(stack, payment_id):
    found = stack.api.get(f"/admin/discrepancies?payment_id={payment_id}").json["data"]
    return {row["kind"]: row["state"] for row in found}


def at_once(count, call):
    answers, threads = [], []
    for _ in range(count):
        threads.append(threading.Thread(target=lambda: answers.append(call())))
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert len(answers) == count
    return answers


def given_back(stack, payment_id):
    """The payment, once the bank has given back what it had charged, by itself."""
    payment = stack.wait_for_payment(payment_id, "REFUNDED")
    assert not payment["applied"] and [refund["automatic"] for refund in payment["refunds"]] == [True]
    assert book(stack, payment_id, "refund") == book(stack, payment_id, "charge")
    return payment


def test_of_two_clicks_one_pays_and_the_other_is_given_back(stack):
    order_id = stack.create_order()
    payments = [stack.initiate(order_id)["payment_id"] for _ in range(2)]
    for payment_id in payments:
        stack.sim_pay(payment_id)
    order = stack.wait_for_order(order_id, "PAID")
    other, = wait_for(lambda: [payment for payment in payments if stack.get_payment(payment)["status"] == "REFUNDED"],
                      10, "the second payment is given back")
    given_back(stack, other)
    order = stack.get_order(order_id)
    assert (order["status"], order["paid_amount"], order["refunded_amount"]) == ("PAID", 45000, 0)
    assert {payment["payment_id"]: payment["applied"] for payment in order["payments"]} == {
        payment: payment != other for payment in payments}
    assert discrepancies(stack, other) == {"unapplied_capture": "settled"}
    assert stack.events(order_id).count("payment.confirmed") == 1


def test_a_second_capture_of_one_payment_is_given_back(stack):
    stack.faults("razorpay", duplicate_capture=True)
    try:
        order_id, payment_id = stack.pay_for(gateway="Razorpay")
        stack.sim_pay(payment_id)
        stack.wait_for_order(order_id, "PAID")
        wait_for(lambda: book(stack, payment_id, "refund") == [45000], 10, "one of two charges is given back")
        payment = stack.wait_for_payment(payment_id, "PARTIALLY_REFUNDED")
        assert (payment["captured_amount"], payment["refunded_amount"], payment["applied"]) == (90000, 45000, True)
        assert stack.get_order(order_id)["status"] == "PAID"
    finally:
        stack.faults("razorpay")


def test_a_success_after_a_failure_pays_and_a_failure_after_it_changes_nothing(stack):
    order_id, payment_id = stack.pay_for()
    stack.webhook(stack.webhook_body(order_id, payment_id, status="FAILED"))
    stack.wait_for_payment(payment_id, "FAILED")
    stack.webhook(stack.webhook_body(order_id, payment_id))
    stack.wait_for_order(order_id, "PAID")
    late = stack.webhook_body(order_id, payment_id, status="FAILED")
    stack.webhook(late)
    wait_for(lambda: stack.psql(f"SELECT outcome FROM inbox WHERE event_id = '{late['event_id']}'") == [["applied"]], 10, "it is taken in")
    assert stack.get_payment(payment_id)["status"] == "SUCCESS" and stack.get_order(order_id)["status"] == "PAID"
    assert discrepancies(stack, payment_id) == {"success_after_failure": "settled"}


def test_a_success_after_cancellation_is_given_back(stack):
    order_id, payment_id = stack.pay_for()
    assert stack.api.post(f"/orders/{order_id}/cancel").status == 200
    stack.sim_pay(payment_id)
    given_back(stack, payment_id)
    assert stack.get_order(order_id)["status"] == "CANCELLED" and stack.get_order(order_id)["paid_amount"] == 0


def test_a_success_after_expiry_is_given_back(stack):
    order_id = stack.create_order(expires_in_s=1)
    payment_id = stack.initiate(order_id)["payment_id"]
    stack.wait_for_order(order_id, "EXPIRED")
    stack.sim_pay(payment_id)
    given_back(stack, payment_id)
    assert stack.get_order(order_id)["status"] == "EXPIRED"


@pytest.mark.parametrize("decision", ("refund", "accept"))
def test_a_wrong_amount_never_pays_and_waits_for_a_person(stack, decision):
    stack.faults("cashfree", amount_delta=-1000)
    try:
        order_id, payment_id = stack.pay_for(gateway="Cashfree")
        stack.sim_pay(payment_id)
        stack.wait_for_payment(payment_id, "MISMATCH")
    finally:
        stack.faults("cashfree")
    assert stack.get_order(order_id)["status"] == "PENDING"
    waiting, = stack.api.get(f"/admin/discrepancies?payment_id={payment_id}").json["data"]
    assert (waiting["kind"], waiting["state"]) == ("amount_mismatch", "open")
    decided = stack.api.post(f"/admin/discrepancies/{waiting['id']}/{decision}")
    assert decided.status == 200 and decided.json["state"] == "settled"
    if decision == "refund":
        wait_for(lambda: book(stack, payment_id, "refund") == [44000], 10, "it is given back")
    else:
        assert stack.psql(f"SELECT sum(amount) FROM audit_ledger WHERE payment_id = '{payment_id}' AND account = 'merchant'") == [["-44000"]]
        assert book(stack, payment_id, "refund") == []
    assert stack.get_order(order_id)["status"] == "PENDING"


def test_a_payment_ends_the_same_in_every_order_of_arrival(stack):
    """A failure, a success, the same success under another event id, and another capture of a wrong amount: 24 orders."""
    ends = collections.Counter()
    arrivals = list(itertools.permutations(range(4)))
    made = [stack.pay_for() for _ in arrivals]
    for (order_id, payment_id), arrival in zip(made, arrivals):
        bodies = [stack.webhook_body(order_id, payment_id, status="FAILED", gateway_txn_id="f"),
                  stack.webhook_body(order_id, payment_id, gateway_txn_id="c"),
                  stack.webhook_body(order_id, payment_id, gateway_txn_id="c"),
                  stack.webhook_body(order_id, payment_id, gateway_txn_id="w", amount=100)]
        for number in arrival:
            assert stack.webhook(bodies[number]).status == 200
    stack.wait_until_quiet()
    for order_id, payment_id in made:
        payment = stack.get_payment(payment_id)
        ends[payment["status"], payment["captured_amount"], payment["applied"], stack.get_order(order_id)["status"]] += 1
    assert ends == {("MISMATCH", 45100, True, "PAID"): 24}


def test_of_twenty_refunds_of_a_third_at_once_three_succeed(stack):
    order_id, payment_id = stack.pay_for()
    stack.sim_pay(payment_id)
    stack.wait_for_order(order_id, "PAID")
    answers = at_once(20, lambda: stack.api.post(f"/payments/{payment_id}/refunds", {"amount": 13500}))
    assert collections.Counter(answer.status for answer in answers) == {202: 3, 422: 17}
    assert {answer.json["code"] for answer in answers if answer.status == 422} == {"REFUND_EXCEEDS_CAPTURE"}
    wait_for(lambda: book(stack, payment_id, "refund") == [13500] * 3, 10, "three are made")
    order = stack.wait_for_order(order_id, "PARTIALLY_REFUNDED")
    wait_for(lambda: stack.get_order(order_id)["refunded_amount"] == 40500, 10, "all three are told")
    assert order["paid_amount"] == 45000


def test_refunds_happen_once_although_both_routers_are_killed_meanwhile(stack):
    paid = [stack.pay_for(gateway="Juspay") for _ in range(6)]
    for _, payment_id in paid:
        stack.sim_pay(payment_id)
    for order_id, _ in paid:
        stack.wait_for_order(order_id, "PAID")
    stack.faults("juspay", refund="hang", hang_ms=1500)
    try:
        for _, payment_id in paid:
            assert stack.api.post(f"/payments/{payment_id}/refunds").status == 202
        wait_for(lambda: any(book(stack, payment_id, "refund") for _, payment_id in paid), 10, "the bank is at it")
        for router in ("router-1", "router-2"):
            stack.processes[router].kill()
            stack.processes[router].start()
    finally:
        stack.faults("juspay")
    stack.wait_until_ready()
    stack.psql("UPDATE refunds SET next_call_at = now() WHERE next_call_at IS NOT NULL")  # the leases of the dead have ended
    for order_id, payment_id in paid:
        stack.wait_for_order(order_id, "REFUNDED", 20)
        assert book(stack, payment_id, "refund") == [45000]


def test_a_dispute_is_a_flag_and_one_after_a_refund_is_told_to_a_person(stack):
    order_id, payment_id = stack.pay_for()
    stack.sim_pay(payment_id)
    stack.wait_for_order(order_id, "PAID")

    def dispute(outcome):
        assert stack.sim.post(f"/_sim/payments/{payment_id}/dispute", {"outcome": outcome}).status == 200
    dispute("opened")
    wait_for(lambda: stack.get_payment(payment_id)["disputed"], 10, "it is disputed")
    assert stack.get_order(order_id)["status"] == "PAID"
    assert stack.api.post(f"/payments/{payment_id}/refunds").status == 202
    stack.wait_for_payment(payment_id, "REFUNDED")
    dispute("lost")
    wait_for(lambda: {"dispute_lost", "dispute_after_refund"} <= set(discrepancies(stack, payment_id)), 10, "it is told")
    assert stack.get_payment(payment_id)["disputed"]


def test_what_was_lost_on_the_way_is_found_when_an_operator_asks(stack):
    stack.faults("cashfree", webhook="none")
    try:
        order_id, payment_id = stack.pay_for(gateway="Cashfree")
        stack.sim_pay(payment_id)
        answer = stack.api.post("/admin/reconciliations")
        assert answer.status == 202 and answer.json["status"] in ("started", "running")
        stack.wait_for_order(order_id, "PAID")
    finally:
        stack.faults("cashfree")


def test_the_invariants_hold_after_all_that(stack):
    stack.verify()
