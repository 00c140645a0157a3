"""Each PSP by its own API and webhooks, as the simulator plays them: from the order to the refund, told by webhooks and, when those are
lost, by asking alone. The customer is a browser without JavaScript, who does by hand what a PSP's script would."""
import html
import re
import urllib.parse

import pytest

from client import Client
from processes import wait_for

STACK = {"env": {"RECONCILE_INTERVAL_S": 1}}

CUSTOMER = {"name": "Asha Rao", "email": "asha@example.com", "phone": "9876543210"}
PSPS = ("Razorpay", "Cashfree", "Juspay", "Stripe", "PayU", "PhonePe", "Adyen")
RUPEES_ALONE = ("PayU", "PhonePe")
CASES = [(psp, currency, amount) for psp in PSPS for currency, amount in (("INR", 45001), ("JPY", 1234), ("KWD", 12340))
         if currency == "INR" or psp not in RUPEES_ALONE]
HINTING = ("Juspay", "PayU", "PhonePe")  # their webhooks say only that the PSP is to be asked


def fetch(url, method="GET", body=None, headers=None):
    parts = urllib.parse.urlsplit(url)
    path = parts.path + (f"?{parts.query}" if parts.query else "")
    return Client(parts.port).request(method, path, body, headers)


def posted_form(page):
    """What our page's form, and the script that submits it, do."""
    action = html.unescape(re.search(r'<form method="post" action="([^"]+)"', page)[1])
    fields = [(html.unescape(name), html.unescape(value)) for name, value in
              re.findall(r'<input type="hidden" name="([^"]*)" value="([^"]*)"', page)]
    answer = fetch(action, "POST", urllib.parse.urlencode(fields), {"Content-Type": "application/x-www-form-urlencoded"})
    assert answer.status == 302, answer
    return answer.headers["Location"]


def led_by_script(page):
    """What the simulator's stand-ins for Cashfree's and Razorpay's scripts do."""
    script = html.unescape(re.search(r'<script src="([^"]+)/(?:js/v3/cashfree|v1/checkout)\.js"', page)[1])
    opened_with = re.search(r'paymentSessionId: "([^"]+)"|data-order="([^"]+)"', page)
    answer = fetch(f"{script}/pay/{opened_with[1] or opened_with[2]}")
    assert answer.status == 303, answer
    return answer.headers["Location"]


def pays(stack, payment, action="pay"):
    """The customer opens the checkout, pays (or fails) on the PSP's page and is sent back to the merchant."""
    page_url = payment["checkout_url"]
    if f":{stack.sim.port}/" not in page_url:
        ours = fetch(page_url)
        assert ours.status == 200 and "Content-Security-Policy" in ours.headers, ours
        page = ours.body.decode()
        if payment["gateway"] == "PayU":
            page_url = posted_form(page)
        elif payment["gateway"] in ("Cashfree", "Razorpay"):
            page_url = led_by_script(page)
        else:  # Adyen's drop-in shows its methods on our page
            page_url = f"http://127.0.0.1:{stack.sim.port}/checkout/{payment['payment_id']}"
    assert fetch(page_url).status == 200
    answer = fetch(f"{page_url}/{action}", "POST", b"")
    assert answer.status == 303, answer
    back = answer.headers["Location"]
    if payment["gateway"] == "Razorpay" and back.startswith("../"):  # checkout.js leads back by itself
        back = html.unescape(re.search(r' data-back="([^"]+)"', page)[1])
    assert f"/checkout/{payment['payment_id']}/return" in back, back
    answer = fetch(back)
    assert answer.status == 303 and answer.headers["Location"] == "https://shop.example/thanks", answer


def begun(stack, psp, currency, amount):
    order_id = stack.create_order(amount=amount, currency=currency, customer=CUSTOMER)
    payment = stack.initiate(order_id, gateway=psp, return_url="https://shop.example/thanks")
    assert payment["gateway"] == psp
    return order_id, payment


def refunded(stack, order_id, payment_id, amount):
    """A part, then the rest."""
    for part in (amount // 3, amount - amount // 3):
        answer = stack.api.post(f"/payments/{payment_id}/refunds", {"amount": part})
        assert answer.status == 202, answer
        refund_id = answer.json["refund_id"]
        wait_for(lambda refund_id=refund_id: stack.api.get(f"/refunds/{refund_id}").json["status"] == "SUCCESS", 20,
                 "the refund is made")
    order = stack.wait_for_order(order_id, "REFUNDED")
    assert order["refunded_amount"] == amount


def booked(stack, payment_id):
    rows = stack.sim.get(f"/_sim/book?payment_id={payment_id}").json
    return {kind: sum(row["amount"] for row in rows if row["kind"] == kind) for kind in ("charge", "refund")}


def facts(stack, payment_id, kind):
    return stack.psql(f"SELECT psp_ref, amount, currency, source FROM audit_facts WHERE payment_id = '{payment_id}' "
                      f"AND kind = '{kind}'")


def refused_webhooks(stack):
    lines = stack.api.get("/metrics").body.decode().splitlines()
    return [line for line in lines if line.startswith("tiffin_webhooks_total{") and "bad_signature" in line and not line.endswith(" 0")]


@pytest.mark.parametrize("psp,currency,amount", CASES)
def test_told_by_its_own_webhooks(stack, psp, currency, amount):
    refused = refused_webhooks(stack)
    order_id, payment = begun(stack, psp, currency, amount)
    pays(stack, payment)
    order = stack.wait_for_order(order_id, "PAID")
    assert order["paid_amount"] == amount and order["currency"] == currency
    refunded(stack, order_id, payment["payment_id"], amount)
    assert booked(stack, payment["payment_id"]) == {"charge": amount, "refund": amount}
    captured = facts(stack, payment["payment_id"], "captured")
    assert len(captured) == 1 and captured[0][1:3] == [str(amount), currency], captured
    assert refused_webhooks(stack) == refused
    stack.verify()


@pytest.mark.parametrize("psp,currency,amount", CASES)
def test_by_asking_alone(stack, psp, currency, amount):
    stack.faults(psp, webhook="none")
    try:
        order_id, payment = begun(stack, psp, currency, amount)
        pays(stack, payment)
        order = stack.wait_for_order(order_id, "PAID")
        assert order["paid_amount"] == amount
        if psp == "Adyen":  # has no call that tells how a refund stands: its webhook does, or its report
            stack.faults(psp)
        refunded(stack, order_id, payment["payment_id"], amount)
        assert booked(stack, payment["payment_id"]) == {"charge": amount, "refund": amount}
        assert [row[3] for row in facts(stack, payment["payment_id"], "captured")] == ["status_poll"]
        stack.verify()
    finally:
        stack.faults(psp)


@pytest.mark.parametrize("psp", PSPS)
def test_a_failure_is_told_and_a_later_success_counts(stack, psp):
    order_id, payment = begun(stack, psp, "INR", 45000)
    pays(stack, payment, "fail")
    stack.wait_for_payment(payment["payment_id"], "FAILED")
    stack.sim_pay(payment["payment_id"])
    assert stack.wait_for_order(order_id, "PAID")["paid_amount"] == 45000
    stack.verify()


def test_a_detail_that_the_order_lacks_is_asked_for_by_name(stack):
    order_id = stack.create_order()
    answer = stack.api.post("/payments/initiate", {"order_id": order_id, "payment_method": "UPI", "gateway": "PayU"})
    assert answer.status == 422 and answer.json["code"] == "CUSTOMER_DETAIL_MISSING", answer
    assert "customer.name" in answer.json["detail"], answer


def test_a_currency_that_the_psp_does_not_take_is_refused(stack):
    order_id = stack.create_order(currency="JPY", amount=500, customer=CUSTOMER)
    answer = stack.api.post("/payments/initiate", {"order_id": order_id, "payment_method": "UPI", "gateway": "PhonePe"})
    assert answer.status == 503 and "does not take JPY" in answer.json["detail"], answer


def test_what_is_not_signed_is_refused_everywhere(stack):
    bodies = {"Razorpay": {"event": "payment.captured", "payload": {}}, "Cashfree": {"type": "PAYMENT_SUCCESS_WEBHOOK", "data": {}},
              "Juspay": {"id": "evt_1", "event_name": "ORDER_SUCCEEDED", "content": {"order": {}}},
              "Stripe": {"id": "evt_1", "object": "event", "type": "payment_intent.succeeded", "data": {"object": {}}},
              "PayU": "mihpayid=1&txnid=2&status=success&hash=00",
              "PhonePe": {"event": "checkout.order.completed", "payload": {"merchantId": "M", "state": "COMPLETED"}},
              "Adyen": {"live": "false", "notificationItems": [{"NotificationRequestItem": {"pspReference": "X"}}]}}
    for psp, body in bodies.items():
        answer = stack.api.post(f"/webhooks/{psp.lower()}", body)
        assert answer.status == 401 and answer.json["code"] == "SIGNATURE_INVALID", (psp, answer)


@pytest.mark.parametrize("first", ("own", "prototype"))
def test_the_prototypes_webhook_about_the_same_reference_is_the_same_fact(stack, first):
    """Somebody replays by hand, in the prototype's format, what the PSP has told or will tell."""
    stack.faults("Razorpay", webhook="none")
    try:
        order_id, payment = begun(stack, "Razorpay", "INR", 45000)
        stack.sim_pay(payment["payment_id"])
        ref = stack.sim.get(f"/_sim/book?payment_id={payment['payment_id']}").json[0]["psp_ref"]
        body = stack.webhook_body(order_id, payment["payment_id"], gateway_txn_id=ref)
        if first == "prototype":
            assert stack.webhook(body).status == 200
            stack.wait_for_order(order_id, "PAID")
            assert stack.api.post("/admin/reconciliations").status // 100 == 2
            own = {"entity": "event", "event": "payment.captured", "payload": {"payment": {"entity": {
                "id": ref, "amount": 45000, "currency": "INR", "notes": {"payment_id": payment["payment_id"], "order_id": order_id}}}},
                "created_at": 1763019089}
            from test_razorpay import post
            import json
            assert post(stack, json.dumps(own).encode()).status == 200
        else:
            stack.wait_for_order(order_id, "PAID")  # asked for
            assert stack.webhook(body).status == 200
        stack.wait_until_quiet()
        assert len(facts(stack, payment["payment_id"], "captured")) == 1
        assert stack.get_payment(payment["payment_id"])["refunds"] == []
        stack.verify()
    finally:
        stack.faults("Razorpay")
