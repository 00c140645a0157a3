"""What the simulator does where the real PSPs have no idempotency keys, or none is sent: each request is one of its own. And what it
refuses as they do."""
import base64
import urllib.parse

import pytest

from processes import wait_for

RAZORPAY = {"Authorization": "Basic " + base64.b64encode(b"rzp_test_key:dev-secret").decode()}
STRIPE = {"Authorization": "Bearer dev-secret", "Content-Type": "application/x-www-form-urlencoded"}


def link(reference):
    return {"amount": 45000, "currency": "INR", "reference_id": reference, "description": "an order"}


def test_razorpay_refuses_a_second_link_of_one_reference_and_lists_the_first(stack):
    reference = "11112222-3333-7444-8555-666677778888"
    first = stack.sim.request("POST", "/razorpay/v1/payment_links", link(reference), RAZORPAY)
    assert first.status == 200, first
    second = stack.sim.request("POST", "/razorpay/v1/payment_links", link(reference), RAZORPAY)
    assert second.status == 400 and "already exists" in second.json["error"]["description"], second
    listed = stack.sim.request("GET", f"/razorpay/v1/payment_links?reference_id={reference}", headers=RAZORPAY)
    assert [entry["id"] for entry in listed.json["payment_links"]] == [first.json["id"]]


@pytest.mark.parametrize("key, refunds", [(None, 2), ("the-same", 1)])
def test_stripe_makes_a_refund_for_each_request_but_for_repeated_keys(stack, key, refunds):
    order_id = stack.create_order()
    payment_id = stack.initiate(order_id, gateway="Stripe")["payment_id"]
    stack.sim_pay(payment_id)
    stack.wait_for_order(order_id, "PAID")
    [[intent]] = stack.psql(f"SELECT psp_ref FROM facts WHERE payment_id = '{payment_id}' AND kind = 'captured'")
    body = urllib.parse.urlencode({"payment_intent": intent, "amount": 1000})
    headers = STRIPE | ({"Idempotency-Key": key} if key else {})
    answers = [stack.sim.request("POST", "/stripe/v1/refunds", body, headers) for _ in range(2)]
    assert [answer.status for answer in answers] == [200, 200], answers
    assert len({answer.json["id"] for answer in answers}) == refunds
    booked = stack.sim.get(f"/_sim/book?payment_id={payment_id}").json
    assert [entry["kind"] for entry in booked].count("refund") == refunds


def test_stripe_refunds_no_part_of_a_unit(stack):
    """A currency that it counts in whole units: 166 of our minor units are 1.66 of its own."""
    order_id = stack.create_order(amount=500, currency="MGA")
    payment_id = stack.initiate(order_id, gateway="Stripe")["payment_id"]
    stack.sim_pay(payment_id)
    stack.wait_for_order(order_id, "PAID")
    refund_id = stack.api.post(f"/payments/{payment_id}/refunds", {"amount": 166}).json["refund_id"]
    wait_for(lambda: stack.api.get(f"/refunds/{refund_id}").json["status"] == "FAILED", 10, "the refund has failed")
    assert [entry["kind"] for entry in stack.sim.get(f"/_sim/book?payment_id={payment_id}").json] == ["charge"]
    assert stack.get_order(order_id)["refunded_amount"] == 0


ADYEN = {"X-API-Key": "dev-secret"}


def adyen(stack, psp_ref, action, body, key=None):
    """A modification, as its library asks for it."""
    answer = stack.sim.request("POST", f"/adyen/v72/payments/{psp_ref}/{action}", {"merchantAccount": "TiffinDev"} | body,
                               ADYEN | ({"Idempotency-Key": key} if key else {}))
    assert answer.status == 201 and answer.json["status"] == "received", answer
    return answer.json["pspReference"]


def test_adyen_takes_every_modification_and_says_by_webhook_what_became_of_it(stack):
    order_id = stack.create_order(capture="manual")
    payment_id = stack.initiate(order_id, method="CARD", gateway="Adyen")["payment_id"]
    stack.sim_pay(payment_id)
    stack.wait_for_payment(payment_id, "AUTHORIZED")
    [[psp_ref]] = stack.psql(f"SELECT psp_ref FROM facts WHERE payment_id = '{payment_id}' AND kind = 'authorized'")
    amount = {"amount": {"currency": "INR", "value": 45000}, "reference": "by-hand"}
    first = adyen(stack, psp_ref, "captures", amount, "key-1")
    assert adyen(stack, psp_ref, "captures", amount, "key-1") == first != psp_ref
    stack.wait_for_order(order_id, "PAID")
    assert [row["kind"] for row in stack.sim.get(f"/_sim/book?payment_id={payment_id}").json] == ["charge"]
    late = adyen(stack, psp_ref, "cancels", {"reference": "too-late"}, "key-2")
    assert late not in (first, psp_ref)
    refund = adyen(stack, psp_ref, "refunds", {"amount": {"currency": "INR", "value": 45001}, "reference": f"{payment_id}"}, "key-3")
    wait_for(lambda: stack.psql(f"SELECT 1 FROM inbox WHERE event_id = 'REFUND_{refund}_false'"), 10, "the refund is refused")
    assert stack.psql(f"SELECT event_id FROM inbox WHERE event_id LIKE 'CAPTURE_{first}%'") == [[f"CAPTURE_{first}_true"]]
    captured = stack.psql(f"SELECT psp_ref, amount FROM facts WHERE payment_id = '{payment_id}' AND kind = 'captured'")
    assert captured == [[psp_ref, "45000"]]
    assert [row["kind"] for row in stack.sim.get(f"/_sim/book?payment_id={payment_id}").json] == ["charge"]


def test_a_refund_that_adyen_took_and_then_refused_has_failed(stack):
    order_id = stack.create_order()
    payment_id = stack.initiate(order_id, method="CARD", gateway="Adyen")["payment_id"]
    stack.sim_pay(payment_id)
    stack.wait_for_order(order_id, "PAID")
    stack.faults("Adyen", refund="refuse")
    try:
        refund_id = stack.api.post(f"/payments/{payment_id}/refunds", {"amount": 100}).json["refund_id"]
        wait_for(lambda: stack.api.get(f"/refunds/{refund_id}").json["status"] == "FAILED", 15, "the refund has failed")
    finally:
        stack.faults("Adyen")
    assert stack.get_order(order_id)["status"] == "PAID"
    assert [row["kind"] for row in stack.sim.get(f"/_sim/book?payment_id={payment_id}").json] == ["charge"]
