"""Whether two sides that are to be compared do the same job: what each must answer to orders, payments and webhooks. check() is for the
driver; by hand: answers.py PORT WEBHOOK_SECRET."""
import hashlib
import hmac
import json
import pathlib
import sys
import uuid

sys.path.append(str(pathlib.Path(__file__).resolve().parents[1] / "e2e"))
from client import Client  # noqa: E402

ORDER = {"user_id": "u1", "amount": 45000, "currency": "INR"}


def expect(status, response, code=None):
    """The response, when it is the one that is expected; errors as problem documents with their code."""
    assert response.status == status, f"expected {status}: {response}"
    assert response.headers["X-Request-Id"], "no X-Request-Id"
    if code is not None:
        assert response.headers["Content-Type"].startswith("application/problem+json"), response.headers
        assert response.json["code"] == code, response
    return response


def check_orders(client):
    key = {"Idempotency-Key": str(uuid.uuid4())}
    first = expect(201, client.request("POST", "/orders", ORDER, key))
    assert {name: first.json[name] for name in ORDER} == ORDER and first.json["status"] == "PENDING", first
    assert first.headers["Location"] == f"/orders/{first.json['order_id']}", first.headers
    again = expect(201, client.request("POST", "/orders", ORDER, key))
    assert again.body == first.body and again.headers["Idempotency-Replayed"] == "true", again
    expect(422, client.request("POST", "/orders", {**ORDER, "amount": 1}, key), "IDEMPOTENCY_KEY_REUSED")
    without_key = [expect(201, client.request("POST", "/orders", ORDER)).json["order_id"] for _ in range(2)]
    assert len({first.json["order_id"], *without_key}) == 3, "an order was made once for two requests without a key"

    expect(400, client.request("POST", "/orders", b"{"), "MALFORMED_JSON")
    expect(400, client.request("POST", "/orders", {"user_id": "u1", "amount": 1}), "MISSING_FIELD")
    expect(400, client.request("POST", "/orders", {**ORDER, "colour": "red"}), "UNKNOWN_FIELD")
    for wrong in ({"amount": "45000"}, {"amount": 0}, {"amount": 1.5}, {"currency": "inr"}, {"user_id": ""}):
        expect(400, client.request("POST", "/orders", {**ORDER, **wrong}))

    read = expect(200, client.request("GET", f"/orders/{first.json['order_id']}"))
    assert read.json["paid_amount"] == 0 and read.json["payments"] == [], read
    expect(404, client.request("GET", f"/orders/{uuid.uuid4()}"), "ORDER_NOT_FOUND")
    return first.json["order_id"]


def check_payments(client, order_id):
    body, key = {"order_id": order_id, "payment_method": "UPI"}, {"Idempotency-Key": str(uuid.uuid4())}
    first = expect(201, client.request("POST", "/payments/initiate", body, key))
    assert first.json["order_id"] == order_id and first.json["checkout_url"] and first.json["status"] == "PENDING", first
    assert expect(201, client.request("POST", "/payments/initiate", body, key)).json["payment_id"] == first.json["payment_id"]
    expect(422, client.request("POST", "/payments/initiate", {**body, "payment_method": "CARD"}, key), "IDEMPOTENCY_KEY_REUSED")
    expect(404, client.request("POST", "/payments/initiate", {**body, "order_id": str(uuid.uuid4())}), "ORDER_NOT_FOUND")
    read = expect(200, client.request("GET", f"/orders/{order_id}"))
    assert [payment["payment_id"] for payment in read.json["payments"]] == [first.json["payment_id"]], read
    return first.json["payment_id"]


def check_webhooks(client, secret, order_id, payment_id):
    entity = {"id": f"pay_{uuid.uuid4().hex[:14]}", "entity": "payment", "amount": ORDER["amount"], "currency": ORDER["currency"],
              "status": "captured", "method": "upi", "captured": True, "created_at": 1760000000,
              "notes": {"order_id": order_id, "payment_id": payment_id}}
    body = json.dumps({"entity": "event", "event": "payment.captured", "contains": ["payment"],
                       "payload": {"payment": {"entity": entity}}, "created_at": 1760000001}).encode()

    def send(content, signed, gateway="razorpay"):
        signature = hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()
        return client.request("POST", f"/webhooks/{gateway}", content,
                              {"X-Razorpay-Signature": signature, "X-Razorpay-Event-Id": f"evt_{uuid.uuid4().hex}"})

    assert expect(200, send(body, body)).json == {"status": "accepted"}
    expect(401, send(body.replace(b"45000", b"1"), body), "SIGNATURE_INVALID")
    expect(401, send(body, b""), "SIGNATURE_INVALID")
    expect(400, send(body[:-1], body[:-1]))
    expect(404, send(body, body, "nobody"), "UNKNOWN_GATEWAY")


def check(port, secret):
    """Raises AssertionError with the first answer that is not as it should be."""
    client = Client(port)
    try:
        order_id = check_orders(client)
        payment_id = check_payments(client, order_id)
        check_webhooks(client, secret, order_id, payment_id)
    finally:
        client.close()


if __name__ == "__main__":
    check(int(sys.argv[1]), sys.argv[2])
    print("every answer is as it should be")
