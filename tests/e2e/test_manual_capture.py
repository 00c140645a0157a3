"""Orders that are captured by hand: paid is only authorised, the merchant captures or voids, and the bank moves money once or never."""
import pytest

from processes import wait_for

STACK = {"env": {"RECONCILE_INTERVAL_S": 1, "PSP_TIMEOUT_MS": 1000}}


def authorized(stack, **optional):
    """An order of which a payment is authorised at Stripe."""
    order_id = stack.create_order(capture="manual", **optional)
    payment_id = stack.initiate(order_id, method="CARD", gateway="Stripe")["payment_id"]
    stack.sim_pay(payment_id)
    stack.wait_for_payment(payment_id, "AUTHORIZED")
    order = stack.get_order(order_id)
    assert (order["status"], order["capture"], order["paid_amount"]) == ("PENDING", "manual", 0)
    assert book(stack, payment_id) == []
    return order_id, payment_id


def book(stack, payment_id):
    return [(row["kind"], row["amount"]) for row in stack.sim.get(f"/_sim/book?payment_id={payment_id}").json]


def ask(stack, payment_id, action, **headers):
    return stack.api.post(f"/payments/{payment_id}/{action}", headers=headers)


def refused(answer, status, code):
    assert (answer.status, answer.json["code"]) == (status, code), answer


@pytest.mark.parametrize("webhook", ["once", "none", "twice"])
def test_a_capture_charges_once_and_can_be_refunded(stack, webhook):
    stack.faults("Stripe", webhook=webhook)
    order_id, payment_id = authorized(stack)
    first = ask(stack, payment_id, "capture", **{"Idempotency-Key": f"capture-{webhook}"})
    assert first.status == 202 and first.json == {"payment_id": payment_id, "status": "AUTHORIZED"}, first
    stack.wait_for_order(order_id, "PAID")
    again = ask(stack, payment_id, "capture", **{"Idempotency-Key": f"capture-{webhook}"})
    assert (again.status, again.json) == (202, first.json)
    assert again.headers["Idempotency-Replayed"] == "true"
    refused(ask(stack, payment_id, "capture"), 409, "PAYMENT_NOT_AUTHORIZED")
    refused(ask(stack, payment_id, "void"), 409, "PAYMENT_NOT_AUTHORIZED")
    assert book(stack, payment_id) == [("charge", 45000)]
    assert stack.api.post(f"/payments/{payment_id}/refunds", {}).status == 202
    stack.wait_for_order(order_id, "REFUNDED")
    assert book(stack, payment_id) == [("charge", 45000), ("refund", 45000)]
    stack.verify()


@pytest.mark.parametrize("webhook", ["once", "none"])
def test_a_void_releases_what_was_authorised(stack, webhook):
    stack.faults("Stripe", webhook=webhook)
    order_id, payment_id = authorized(stack)
    assert ask(stack, payment_id, "void").status == 202
    stack.wait_for_payment(payment_id, "FAILED")
    refused(ask(stack, payment_id, "capture"), 409, "PAYMENT_NOT_AUTHORIZED")
    assert stack.get_order(order_id)["status"] == "PENDING"
    assert book(stack, payment_id) == []
    stack.verify()


@pytest.mark.parametrize("ends", ["expires", "cancelled"])
def test_what_is_authorised_when_its_order_ends_is_voided(stack, ends):
    stack.faults("Stripe")
    order_id, payment_id = authorized(stack, **({"expires_in_s": 3} if ends == "expires" else {}))
    if ends == "cancelled":
        assert stack.api.post(f"/orders/{order_id}/cancel").status == 200
    stack.wait_for_payment(payment_id, "FAILED", 15)
    stack.wait_for_order(order_id, "EXPIRED" if ends == "expires" else "CANCELLED")
    assert book(stack, payment_id) == []
    stack.verify()


def test_only_an_authorised_payment_of_such_an_order_is_captured(stack):
    stack.faults("Stripe")
    order_id = stack.create_order()
    payment_id = stack.initiate(order_id, method="CARD", gateway="Stripe")["payment_id"]
    refused(ask(stack, payment_id, "capture"), 409, "PAYMENT_NOT_AUTHORIZED")
    stack.sim_pay(payment_id)
    stack.wait_for_order(order_id, "PAID")
    assert stack.get_order(order_id)["capture"] == "automatic"
    refused(ask(stack, payment_id, "capture"), 409, "PAYMENT_NOT_AUTHORIZED")
    refused(ask(stack, "01920000-0000-7000-8000-000000000000", "void"), 404, "PAYMENT_NOT_FOUND")
    refused(stack.api.post(f"/payments/{payment_id}/capture", {"amount": 1}), 400, "UNKNOWN_FIELD")


def test_no_checkout_is_opened_where_it_cannot_be_captured_by_hand(stack):
    order_id = stack.create_order(capture="manual")
    refused(stack.api.post("/payments/initiate", {"order_id": order_id, "payment_method": "UPI", "gateway": "Razorpay"}),
            422, "MANUAL_CAPTURE_UNSUPPORTED")
    refused(stack.api.post("/payments/initiate", {"order_id": order_id, "payment_method": "CARD"}), 503, "NO_PSP_AVAILABLE")
    refused(stack.api.post("/orders", {"user_id": "u1", "amount": 1, "currency": "INR", "capture": "later"}), 400, "INVALID_FIELD")


def test_a_capture_outlives_a_psp_that_is_down(stack):
    stack.faults("Stripe")
    order_id, payment_id = authorized(stack)
    stack.faults("Stripe", refuse=True)
    assert ask(stack, payment_id, "capture").status == 202
    wait_for(lambda: stack.psql(f"SELECT 1 FROM payments WHERE payment_id = '{payment_id}' AND capture_error = 'HTTP 503'"), 10,
             "the PSP has refused")
    assert stack.get_payment(payment_id)["status"] == "AUTHORIZED" and book(stack, payment_id) == []
    stack.faults("Stripe")
    stack.wait_for_order(order_id, "PAID", 20)
    assert book(stack, payment_id) == [("charge", 45000)]
