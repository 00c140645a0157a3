"""What can be read: orders in pages, payments, health and the description of the API."""
import re
import urllib.parse
import uuid

from processes import wait_for

TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{3}|\.\d{6})?Z")


def page(stack, **query):
    response = stack.api.get("/orders?" + urllib.parse.urlencode(query))
    assert response.status == 200, response
    assert response.json.keys() == {"data", "next_cursor"}
    return response.json


def test_an_order_is_created_as_asked_and_shown_as_created(stack):
    response = stack.api.post("/orders", {"user_id": "reader", "amount": 99, "currency": "JPY", "receipt": "r-1",
                                          "metadata": {"table": 7, "note": "नमस्ते"}, "expires_in_s": 60,
                                          "customer": {"name": "A", "email": "a@example.org", "phone": "+911234567890"}})
    assert response.status == 201, response
    created = response.json
    assert created.keys() >= {"order_id", "status", "user_id", "amount", "currency", "created_at", "expires_at"}
    assert response.headers["Location"] == f"/orders/{created['order_id']}"
    assert uuid.UUID(created["order_id"]).version == 7
    assert (created["status"], created["user_id"], created["amount"], created["currency"]) == ("PENDING", "reader", 99, "JPY")
    assert TIME.fullmatch(created["created_at"]) and TIME.fullmatch(created["expires_at"])
    shown = stack.get_order(created["order_id"])
    assert shown.keys() >= created.keys() | {"paid_amount", "refunded_amount", "payments"}
    assert {name: shown[name] for name in created} == created
    assert (shown["paid_amount"], shown["refunded_amount"], shown["payments"]) == (0, 0, [])
    assert shown["receipt"] == "r-1" and shown["metadata"] == {"table": 7, "note": "नमस्ते"}


def test_orders_are_listed_newest_first_in_pages_that_miss_and_repeat_nothing(stack):
    user_id = f"pages-{uuid.uuid4().hex[:8]}"
    made = [stack.create_order(user_id, amount) for amount in range(1, 8)]
    seen, cursor = [], None
    for _ in range(4):
        got = page(stack, user_id=user_id, limit=2, **({"cursor": cursor} if cursor else {}))
        assert len(got["data"]) <= 2
        seen += [order["order_id"] for order in got["data"]]
        cursor = got["next_cursor"]
        if cursor is None:
            break
        stack.create_order(user_id)  # what comes while one turns pages is newer than any page
    assert seen == made[::-1] and cursor is None
    assert page(stack, user_id=user_id, limit=100)["next_cursor"] is None


def test_the_list_is_filtered_by_user_status_and_receipt(stack):
    user_id = f"filter-{uuid.uuid4().hex[:8]}"
    paid, payment_id = stack.pay_for(user_id)
    stack.sim_pay(payment_id)
    stack.wait_for_order(paid, "PAID")
    receipt = f"r-{uuid.uuid4().hex}"
    pending = stack.create_order(user_id, receipt=receipt)

    def ids(**query):
        return [order["order_id"] for order in page(stack, **query)["data"]]
    assert ids(user_id=user_id) == [pending, paid]
    assert ids(user_id=user_id, status="PAID") == [paid]
    assert ids(user_id=user_id, status="PENDING") == [pending]
    assert ids(receipt=receipt) == [pending]
    assert ids(user_id=user_id, status="CANCELLED") == []
    assert ids(user_id="nobody-" + user_id) == []
    assert pending in ids()


def test_a_payment_shows_all_its_fields(stack):
    order_id, payment_id = stack.pay_for("reader")
    stack.sim_pay(payment_id)
    stack.wait_for_order(order_id, "PAID")
    payment = stack.get_payment(payment_id)
    assert payment.keys() >= {"payment_id", "order_id", "gateway", "method", "status", "amount", "currency", "captured_amount",
                              "refunded_amount", "applied", "disputed", "created_at", "expires_at", "attempts", "refunds",
                              "routing"}
    expected = {"payment_id": payment_id, "order_id": order_id, "gateway": "Razorpay", "method": "UPI", "status": "SUCCESS",
                "amount": 45000, "currency": "INR", "captured_amount": 45000, "refunded_amount": 0, "applied": True,
                "disputed": False, "refunds": []}
    assert {name: payment[name] for name in expected} == expected
    assert TIME.fullmatch(payment["created_at"]) and TIME.fullmatch(payment["expires_at"])
    attempt, = payment["attempts"]
    assert attempt.keys() >= {"attempt_id", "gateway", "status", "error", "psp_ref", "started_at", "took_ms"}


def test_a_payment_that_was_tried_very_often_is_shown_with_the_newest_attempts(stack):
    """Whoever repeats a request while no PSP takes the payment has it tried again, as long as the order lives."""
    _, payment_id = stack.pay_for()
    stack.psql(f"""
        WITH a AS (INSERT INTO attempts (attempt_id, payment_id, number, psp, outcome, error)
                   SELECT uuid7(), '{payment_id}', n, 'Stripe', 'REFUSED', 'HTTP 503' FROM generate_series(2, 500) n RETURNING attempt_id)
        INSERT INTO routing_decisions (attempt_id, decision)
        SELECT a.attempt_id, (SELECT d.decision FROM routing_decisions d JOIN attempts t USING (attempt_id)
                               WHERE t.payment_id = '{payment_id}' LIMIT 1) FROM a""")
    payment = stack.get_payment(payment_id)
    newest = [row[0] for row in stack.psql(f"SELECT attempt_id FROM attempts WHERE payment_id = '{payment_id}' ORDER BY number DESC LIMIT 60")]
    assert [attempt["attempt_id"] for attempt in payment["attempts"]] == newest[::-1]
    assert [decision["attempt_id"] for decision in payment["routing"]["decisions"]] == newest[::-1]
    assert payment["routing"]["tried"] == ["Stripe"] * 60


def test_health_readiness_metrics_and_the_description_are_served(stack):
    assert (stack.api.get("/healthz").status, stack.api.get("/healthz").body.strip()) == (200, b"ok")
    ready = stack.api.get("/readyz")
    assert ready.status == 200 and isinstance(ready.json, dict)
    assert stack.api.get("/openapi.json").json["openapi"].startswith("3.1")
    paths = stack.api.get("/openapi.json").json["paths"]
    assert {"/orders", "/orders/{id}", "/payments/initiate", "/payments/{id}", "/webhooks/{gateway}", "/ws"} <= \
        {re.sub(r"\{\w*id\}", "{id}", path) for path in paths}
    stack.create_order()
    assert sum(count for (service, instance, message, outcome), count in stack.metrics().items()
               if (service, instance, message, outcome) == ("order", "order-1", "order.create", "ok")) >= 1


def test_requests_of_a_service_that_is_not_there_are_refused_at_once_and_served_again_when_it_is_back(stack):
    assert stack.sigterm("order-1") == 0
    answer = wait_for(lambda: (response := stack.api.post("/orders", {"user_id": "u", "amount": 1, "currency": "INR"})).status
                      == 503 and response, 10, "503 without an order service")
    assert answer.json["code"] == "NO_WORKER" and answer.headers["Retry-After"]
    assert stack.api.get("/readyz").status == 503 and stack.api.get("/healthz").status == 200
    stack.processes["order-1"].start()
    stack.wait_until_ready()
    stack.create_order()
