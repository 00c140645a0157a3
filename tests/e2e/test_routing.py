"""Which PSP opens the checkout, and what happens when one refuses, hangs or answers nonsense."""
import uuid

import pytest

STACK = {"env": {"PSP_TIMEOUT_MS": 700, "RECONCILE_INTERVAL_S": 300}}
PSPS = ("razorpay", "cashfree", "juspay")


@pytest.fixture(autouse=True)
def no_faults_afterwards(stack):
    yield
    for psp in PSPS:
        stack.faults(psp)


def attempts(payment):
    return [(attempt["gateway"], attempt["status"]) for attempt in payment["attempts"]]


def test_a_checkout_is_opened_at_the_first_psp(stack):
    order_id = stack.create_order()
    initiated = stack.initiate(order_id, return_url="https://shop.example/back")
    assert initiated.keys() >= {"payment_id", "order_id", "gateway", "checkout_url", "expires_at", "status"}
    assert (initiated["order_id"], initiated["gateway"], initiated["status"]) == (order_id, "Razorpay", "PENDING")
    assert initiated["checkout_url"].startswith("http://")
    payment = stack.get_payment(initiated["payment_id"])
    assert attempts(payment) == [("Razorpay", "OPEN")]
    assert payment["attempts"][0]["psp_ref"] and payment["attempts"][0]["took_ms"] >= 0


def test_each_call_makes_a_new_payment_and_the_earlier_stay_payable(stack):
    order_id = stack.create_order()
    first, second = (stack.initiate(order_id, method)["payment_id"] for method in ("UPI", "CARD"))
    assert first != second
    stack.sim_pay(first)
    order = stack.wait_for_order(order_id, "PAID")
    assert {payment["payment_id"]: payment["applied"] for payment in order["payments"]} == {first: True, second: False}


def test_a_refusal_goes_to_the_next_psp(stack):
    stack.faults("razorpay", refuse=True)
    order_id = stack.create_order()
    initiated = stack.initiate(order_id)
    assert initiated["gateway"] == "Cashfree"
    payment = stack.get_payment(initiated["payment_id"])
    assert attempts(payment) == [("Razorpay", "REFUSED"), ("Cashfree", "OPEN")]
    assert payment["attempts"][0]["error"]
    stack.sim_pay(initiated["payment_id"])
    stack.wait_for_order(order_id, "PAID")
    stack.verify()


def test_a_psp_that_hangs_leaves_an_unknown_attempt_and_the_next_is_taken(stack):
    stack.faults("razorpay", hang_ms=5000)
    order_id = stack.create_order()
    initiated = stack.initiate(order_id)
    assert initiated["gateway"] == "Cashfree"
    assert attempts(stack.get_payment(initiated["payment_id"])) == [("Razorpay", "UNKNOWN"), ("Cashfree", "OPEN")]
    stack.sim_pay(initiated["payment_id"])
    stack.wait_for_order(order_id, "PAID")
    stack.verify()


def test_no_psp_available_is_said_and_the_attempts_stay_on_record(stack):
    for psp in PSPS:
        stack.faults(psp, refuse=True)
    order_id = stack.create_order()
    answer = stack.api.post("/payments/initiate", {"order_id": order_id, "payment_method": "UPI"})
    assert (answer.status, answer.json["code"]) == (503, "NO_PSP_AVAILABLE"), answer
    assert answer.headers["Retry-After"]
    payments = stack.get_order(order_id)["payments"]
    assert [payment["status"] for payment in payments] == ["FAILED"]
    payment = stack.get_payment(payments[0]["payment_id"])
    assert attempts(payment) == [("Razorpay", "REFUSED"), ("Cashfree", "REFUSED"), ("Juspay", "REFUSED")]
    assert stack.get_order(order_id)["status"] == "PENDING"
    # Once a PSP is back the order is payable.
    stack.faults("juspay")
    assert stack.initiate(order_id)["gateway"] == "Juspay"
    stack.verify()


def test_a_payment_whose_outcome_no_psp_tells_is_unknown(stack):
    for psp in PSPS:
        stack.faults(psp, hang_ms=5000)
    order_id = stack.create_order()
    answer = stack.api.post("/payments/initiate", {"order_id": order_id, "payment_method": "UPI"})
    assert (answer.status, answer.json["code"]) == (503, "NO_PSP_AVAILABLE"), answer
    payment = stack.get_payment(stack.get_order(order_id)["payments"][0]["payment_id"])
    assert payment["status"] == "UNKNOWN"
    assert attempts(payment) == [("Razorpay", "UNKNOWN"), ("Cashfree", "UNKNOWN"), ("Juspay", "UNKNOWN")]


def test_the_gateway_that_is_asked_for_is_the_only_one_tried(stack):
    order_id = stack.create_order()
    for asked, spelled in (("Cashfree", "Cashfree"), ("juspay", "Juspay")):
        initiated = stack.initiate(order_id, gateway=asked)
        assert initiated["gateway"] == spelled
    stack.faults("cashfree", refuse=True)
    answer = stack.api.post("/payments/initiate", {"order_id": order_id, "payment_method": "UPI", "gateway": "Cashfree"})
    assert (answer.status, answer.json["code"]) == (503, "NO_PSP_AVAILABLE"), answer
    newest = stack.get_order(order_id)["payments"][0]
    assert attempts(stack.get_payment(newest["payment_id"])) == [("Cashfree", "REFUSED")]


def test_only_an_order_that_is_there_and_open_can_be_paid(stack):
    answer = stack.api.post("/payments/initiate", {"order_id": str(uuid.uuid4()), "payment_method": "UPI"})
    assert (answer.status, answer.json["code"]) == (404, "ORDER_NOT_FOUND"), answer
    order_id, payment_id = stack.pay_for()
    stack.sim_pay(payment_id)
    stack.wait_for_order(order_id, "PAID")
    answer = stack.api.post("/payments/initiate", {"order_id": order_id, "payment_method": "UPI"})
    assert (answer.status, answer.json["code"]) == (409, "ORDER_NOT_PAYABLE"), answer
    assert len(stack.get_order(order_id)["payments"]) == 1
