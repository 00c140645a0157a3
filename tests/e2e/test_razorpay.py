"""Razorpay's own webhooks, from its signed bytes to the order: as one who has only its documentation would send them."""
import hashlib
import hmac
import json
import uuid

from processes import wait_for

STACK = {"env": {"PARK_FOR_S": 1, "RAZORPAY_WEBHOOK_SECRET": "dev-secret, replaced-secret"}}


def event(name, payment_id=None, order_id=None, ref=None, refund=None, dispute=None):
    """The body of an event, with the notes that our checkout gives a payment (none: as Razorpay writes empty notes)."""
    notes = {"payment_id": payment_id, "order_id": order_id} if payment_id else []
    payment = {"id": ref or f"pay_{uuid.uuid4().hex[:14]}", "entity": "payment", "amount": 45000, "currency": "INR",
               "order_id": "order_MadeUp0000001", "method": "upi", "notes": notes, "fee": 1062, "tax": 162,
               "error_code": None, "error_description": None, "created_at": 1763019000}
    payload = {"payment": {"entity": payment}}
    payload |= {kind: {"entity": entity} for kind, entity in (("refund", refund), ("dispute", dispute)) if entity}
    return json.dumps({"entity": "event", "account_id": "acc_MadeUp00000001", "event": name, "contains": list(payload),
                       "payload": payload, "created_at": 1763019089}).encode()


def post(stack, body, secret="dev-secret", event_id=None, gateway="razorpay"):
    """Razorpay's call."""
    signature = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    return stack.api.post(f"/webhooks/{gateway}", body, {"X-Razorpay-Signature": signature,
                                                         "X-Razorpay-Event-Id": event_id or uuid.uuid4().hex[:14]})


def accepted(stack, body, **call):
    answer = post(stack, body, **call)
    assert answer.status == 200 and answer.json == {"status": "accepted"}, answer


def facts(stack, payment_id):
    return stack.psql("SELECT kind, psp_ref, amount, currency, source FROM audit_facts "
                      f"WHERE payment_id = '{payment_id}' ORDER BY kind")


def test_a_captured_payment_makes_its_order_paid_once_however_often_it_is_told(stack):
    order_id, payment_id = stack.pay_for(gateway="Razorpay")
    body = event("payment.captured", payment_id, order_id, "pay_Captured000001")
    accepted(stack, body, event_id="evt_captured")
    order = stack.wait_for_order(order_id, "PAID")
    assert order["paid_amount"] == 45000
    stack.wait_until_quiet()
    assert post(stack, body, event_id="evt_captured").json == {"status": "duplicate"}
    # The same capture told by another event, and by an older secret.
    accepted(stack, event("order.paid", payment_id, order_id, "pay_Captured000001"))
    accepted(stack, event("payment.captured", payment_id, order_id, "pay_Captured000001"), secret="replaced-secret")
    wait_for(lambda: stack.inbox(payment_id) == ["applied", "duplicate", "duplicate"], 10, "each is told of once")
    assert facts(stack, payment_id) == [["captured", "pay_Captured000001", "45000", "INR", "webhook"]]
    assert stack.events(order_id) == ["payment.confirmed"]
    stack.verify()


def test_what_is_not_signed_by_razorpay_is_refused(stack):
    order_id, payment_id = stack.pay_for(gateway="Razorpay")
    body = event("payment.captured", payment_id, order_id)
    for answer in (post(stack, body, secret="guessed"), post(stack, body, gateway="cashfree"),
                   stack.api.post("/webhooks/razorpay", body), stack.api.post("/webhooks/razorpay", body,
                                                                             {"X-Razorpay-Signature": ""})):
        assert answer.status == 401 and answer.json["code"] == "SIGNATURE_INVALID", answer
    changed = body.replace(b"45000", b"4500")
    signature = hmac.new(b"dev-secret", body, hashlib.sha256).hexdigest()
    answer = stack.api.post("/webhooks/razorpay", changed, {"X-Razorpay-Signature": signature, "X-Razorpay-Event-Id": "evt_x"})
    assert answer.status == 401, answer
    stack.verify()
    assert facts(stack, payment_id) == [] and stack.get_order(order_id)["status"] == "PENDING"
    rows = {row["gateway"]: row for row in stack.api.get("/admin/gateways").json["data"]}
    assert rows["Razorpay"]["signature_header"] == "X-Razorpay-Signature" and "signature_header" not in rows["PayU"]
    assert "X-Razorpay-Signature" in rows["Razorpay"]["last_refused_webhook"]["detail"]


def test_failures_authorisations_refunds_and_disputes_are_told_of_too(stack):
    order_id, payment_id = stack.pay_for(gateway="Razorpay")
    accepted(stack, event("payment.failed", payment_id, order_id, "pay_First000000001"))
    stack.wait_for_payment(payment_id, "FAILED")
    accepted(stack, event("payment.authorized", payment_id, order_id, "pay_Second00000001"))
    stack.wait_for_payment(payment_id, "AUTHORIZED")
    accepted(stack, event("payment.captured", payment_id, order_id, "pay_Second00000001"))
    stack.wait_for_order(order_id, "PAID")
    dispute = {"id": "disp_MadeUp00000001", "amount": 45000, "currency": "INR"}
    accepted(stack, event("payment.dispute.created", payment_id, order_id, "pay_Second00000001", dispute=dispute))
    wait_for(lambda: stack.get_payment(payment_id)["disputed"], 10, "the payment is disputed")
    accepted(stack, event("payment.dispute.won", payment_id, order_id, "pay_Second00000001", dispute=dispute))
    wait_for(lambda: not stack.get_payment(payment_id)["disputed"], 10, "the dispute is over")
    refund = {"id": "rfnd_MadeUp00000001", "amount": 15000, "currency": "INR", "notes": []}
    accepted(stack, event("refund.processed", payment_id, order_id, "pay_Second00000001", refund=refund))
    order = stack.wait_for_order(order_id, "PARTIALLY_REFUNDED")
    assert order["refunded_amount"] == 15000
    stack.verify()


def test_what_is_about_no_payment_of_ours_is_answered_so_that_it_is_not_sent_again(stack):
    answer = post(stack, event("settlement.processed"))
    assert answer.status == 200 and answer.json == {"status": "ignored"}, answer
    # Money that we cannot place waits for a person.
    accepted(stack, event("payment.captured"), event_id="evt_foreign")

    def letters():
        return [row for row in stack.api.get("/admin/webhooks/dead").json["data"] if row["event_id"] == "evt_foreign"]
    [letter] = wait_for(letters, 15, "it is a dead letter")
    assert letter["reason"] == "PAYMENT_NOT_FOUND", letter
    stack.verify()
