"""Orders that are captured by hand: paid is only authorised, the merchant captures or voids, and the bank moves money once or never.
At each PSP that takes them, on its own page, told by its webhooks or by asking alone."""
import pytest

from processes import wait_for
from test_psps import CUSTOMER, pays

STACK = {"env": {"RECONCILE_INTERVAL_S": 1, "PSP_TIMEOUT_MS": 1000}}

PSPS = ("Stripe", "Razorpay", "Adyen", "Cashfree")
VOIDING = ("Stripe", "Adyen", "Cashfree")


@pytest.fixture(autouse=True)
def faultless(stack):
    for psp in PSPS:
        stack.faults(psp)


def authorized(stack, psp="Stripe", **optional):
    """An order of which a payment is authorised: the customer pays on the PSP's page."""
    order_id = stack.create_order(capture="manual", customer=CUSTOMER, **optional)
    payment = stack.initiate(order_id, method="CARD", gateway=psp, return_url="https://shop.example/thanks")
    payment_id = payment["payment_id"]
    pays(stack, payment)
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


def can_be_told(stack, psp):
    """Adyen has no call that tells what became of an authorisation: its webhook does."""
    if psp == "Adyen":
        stack.faults(psp)


def noted(stack, payment_id, error):
    wait_for(lambda: stack.psql(f"SELECT 1 FROM payments WHERE payment_id = '{payment_id}' AND capture_error = '{error}'"), 15,
             f"it is noted: {error}")


@pytest.mark.parametrize("webhook", ["once", "none", "twice"])
@pytest.mark.parametrize("psp", PSPS)
def test_a_capture_charges_once_and_can_be_refunded(stack, psp, webhook):
    stack.faults(psp, webhook=webhook)
    order_id, payment_id = authorized(stack, psp)
    can_be_told(stack, psp)
    key = f"capture-{psp}-{webhook}"
    first = ask(stack, payment_id, "capture", **{"Idempotency-Key": key})
    assert first.status == 202 and first.json == {"payment_id": payment_id, "status": "AUTHORIZED"}, first
    stack.wait_for_order(order_id, "PAID")
    again = ask(stack, payment_id, "capture", **{"Idempotency-Key": key})
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
@pytest.mark.parametrize("psp", VOIDING)
def test_a_void_releases_what_was_authorised(stack, psp, webhook):
    stack.faults(psp, webhook=webhook)
    order_id, payment_id = authorized(stack, psp)
    can_be_told(stack, psp)
    assert ask(stack, payment_id, "void").status == 202
    stack.wait_for_payment(payment_id, "FAILED")
    refused(ask(stack, payment_id, "capture"), 409, "PAYMENT_NOT_AUTHORIZED")
    assert stack.get_order(order_id)["status"] == "PENDING"
    assert book(stack, payment_id) == []
    stack.verify()


@pytest.mark.parametrize("ends", ["expires", "cancelled"])
@pytest.mark.parametrize("psp", VOIDING)
def test_what_is_authorised_when_its_order_ends_is_voided(stack, psp, ends):
    order_id, payment_id = authorized(stack, psp, **({"expires_in_s": 3} if ends == "expires" else {}))
    if ends == "cancelled":
        assert stack.api.post(f"/orders/{order_id}/cancel").status == 200
    stack.wait_for_payment(payment_id, "FAILED", 15)
    stack.wait_for_order(order_id, "EXPIRED" if ends == "expires" else "CANCELLED")
    assert book(stack, payment_id) == []
    stack.verify()


def test_what_adyen_took_and_could_not_do_is_told_by_its_webhook(stack):
    """Somebody cancels at Adyen what is being captured: its capture fails, and nothing moves."""
    order_id, payment_id = authorized(stack, "Adyen")
    stack.faults("Adyen", webhook="none")
    assert stack.sim.post(f"/_sim/payments/{payment_id}/release").status == 200
    stack.faults("Adyen")
    assert ask(stack, payment_id, "capture").status == 202
    wait_for(lambda: stack.psql(f"SELECT reason FROM facts WHERE payment_id = '{payment_id}' AND kind = 'failed'")
             == [["Insufficient balance on payment"]], 15, "the capture has failed")
    assert stack.get_payment(payment_id)["status"] == "AUTHORIZED" and stack.get_order(order_id)["status"] == "PENDING"
    assert book(stack, payment_id) == []
    stack.verify()


def test_what_adyen_releases_by_itself_is_told_by_its_webhook(stack):
    _, payment_id = authorized(stack, "Adyen")
    assert stack.sim.post(f"/_sim/payments/{payment_id}/release").status == 200
    stack.wait_for_payment(payment_id, "FAILED")
    refused(ask(stack, payment_id, "capture"), 409, "PAYMENT_NOT_AUTHORIZED")
    stack.verify()


def test_where_there_is_no_void_it_is_refused_and_the_payment_can_still_be_captured(stack):
    order_id, payment_id = authorized(stack, "Razorpay")
    first = ask(stack, payment_id, "void", **{"Idempotency-Key": "void-where-there-is-none"})
    refused(first, 422, "VOID_UNSUPPORTED")
    again = ask(stack, payment_id, "void", **{"Idempotency-Key": "void-where-there-is-none"})
    refused(again, 422, "VOID_UNSUPPORTED")
    assert again.headers["Idempotency-Replayed"] == "true"
    assert ask(stack, payment_id, "capture").status == 202
    stack.wait_for_order(order_id, "PAID")
    assert book(stack, payment_id) == [("charge", 45000)]
    stack.verify()


@pytest.mark.parametrize("webhook", ["once", "none"])
def test_where_there_is_no_void_what_is_left_over_is_noted_once_until_the_psp_releases_it(stack, webhook):
    stack.faults("Razorpay", webhook=webhook)
    order_id, payment_id = authorized(stack, "Razorpay")
    assert stack.api.post(f"/orders/{order_id}/cancel").status == 200
    noted(stack, payment_id, "the PSP has no void: it releases it by itself")
    assert stack.psql(f"SELECT capture_calls, capture_next_at IS NULL, next_check_at IS NULL FROM payments "
                      f"WHERE payment_id = '{payment_id}'") == [["1", "t", "f"]]
    refused(ask(stack, payment_id, "capture"), 409, "PAYMENT_NOT_AUTHORIZED")  # it is being released
    assert stack.get_payment(payment_id)["status"] == "AUTHORIZED"
    assert stack.sim.post(f"/_sim/payments/{payment_id}/release").status == 200
    stack.wait_for_payment(payment_id, "FAILED", 15)
    stack.wait_until_quiet()
    assert stack.psql(f"SELECT capture_calls FROM payments WHERE payment_id = '{payment_id}'") == [["1"]]
    assert stack.get_order(order_id)["status"] == "CANCELLED" and book(stack, payment_id) == []
    stack.verify()


@pytest.mark.parametrize("action", ["capture", "void"])
def test_what_an_account_authorises_though_its_order_did_not_ask_is_captured_or_voided_too(stack, action):
    order_id, payment_id = authorized(stack, "Cashfree")
    for table in ("orders", "payments"):  # as if the order were like any other
        stack.psql(f"UPDATE {table} SET manual_capture = false WHERE order_id = '{order_id}'")
    assert ask(stack, payment_id, action).status == 202
    if action == "capture":
        stack.wait_for_order(order_id, "PAID")
    else:
        stack.wait_for_payment(payment_id, "FAILED")
    assert book(stack, payment_id) == ([("charge", 45000)] if action == "capture" else [])
    stack.verify()


def test_only_an_authorised_payment_is_captured(stack):
    order_id = stack.create_order()
    payment_id = stack.initiate(order_id, method="CARD", gateway="Stripe")["payment_id"]
    refused(ask(stack, payment_id, "capture"), 409, "PAYMENT_NOT_AUTHORIZED")
    stack.sim_pay(payment_id)
    stack.wait_for_order(order_id, "PAID")
    assert stack.get_order(order_id)["capture"] == "automatic"
    refused(ask(stack, payment_id, "capture"), 409, "PAYMENT_NOT_AUTHORIZED")
    refused(ask(stack, "01920000-0000-7000-8000-000000000000", "void"), 404, "PAYMENT_NOT_FOUND")
    refused(stack.api.post(f"/payments/{payment_id}/capture", {"amount": 1}), 400, "UNKNOWN_FIELD")


def test_a_payment_goes_only_where_it_can_be_captured_by_hand(stack):
    order_id = stack.create_order(capture="manual", customer=CUSTOMER)
    refused(stack.api.post("/payments/initiate", {"order_id": order_id, "payment_method": "UPI", "gateway": "PayU"}),
            422, "MANUAL_CAPTURE_UNSUPPORTED")
    for psp in PSPS:
        stack.faults(psp, refuse=True)
    answer = stack.api.post("/payments/initiate", {"order_id": order_id, "payment_method": "CARD"})
    refused(answer, 503, "NO_PSP_AVAILABLE")
    tried = stack.psql(f"SELECT DISTINCT a.psp FROM attempts a JOIN payments p USING (payment_id) WHERE p.order_id = '{order_id}'")
    assert {row[0] for row in tried} == set(PSPS) & {"Razorpay", "Cashfree", "Juspay"}  # the others are asked by name alone
    refused(stack.api.post("/orders", {"user_id": "u1", "amount": 1, "currency": "INR", "capture": "later"}), 400, "INVALID_FIELD")


@pytest.mark.parametrize("psp", PSPS)
def test_a_capture_outlives_a_psp_that_is_down(stack, psp):
    order_id, payment_id = authorized(stack, psp)
    stack.faults(psp, refuse=True)
    assert ask(stack, payment_id, "capture").status == 202
    noted(stack, payment_id, "HTTP 503")
    assert stack.get_payment(payment_id)["status"] == "AUTHORIZED" and book(stack, payment_id) == []
    stack.faults(psp)
    stack.wait_for_order(order_id, "PAID", 20)
    assert book(stack, payment_id) == [("charge", 45000)]
