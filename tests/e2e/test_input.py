"""What the edge refuses, with which code, and what it shows: nothing that is sent may stop it."""
import datetime
import json
import re
import uuid

import pytest

NOWHERE = "01900000-0000-7000-8000-000000000001"
ORDER = {"user_id": "u1", "amount": 45000, "currency": "INR"}
WEBHOOK = {"event_id": "evt_bad", "gateway": "Razorpay", "order_id": NOWHERE, "payment_id": NOWHERE, "gateway_txn_id": "txn",
           "status": "SUCCESS", "amount": 45000, "signature": "Razorpay:dev-secret", "occurred_at": "2026-02-21T00:00:00Z"}
UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
LONG = "x" * 10_000
BIG = "9223372036854775808"


def order(**fields):
    return json.dumps(ORDER | fields).encode()


def without(document, *names):
    return json.dumps({name: value for name, value in document.items() if name not in names}).encode()


def webhook(**fields):
    return json.dumps(WEBHOOK | fields).encode()


def initiate(**fields):
    return json.dumps({"order_id": NOWHERE, "payment_method": "UPI"} | fields).encode()


# name: (method, path, body, status, codes that are right)
ROWS = {
    "no body": ("POST", "/orders", b"", 400, "MALFORMED_JSON"),
    "not JSON": ("POST", "/orders", b"hello", 400, "MALFORMED_JSON"),
    "half an object": ("POST", "/orders", b'{"user_id":"u1"', 400, "MALFORMED_JSON"),
    "an array": ("POST", "/orders", b"[]", 400, "MALFORMED_JSON"),
    "null": ("POST", "/orders", b"null", 400, "MALFORMED_JSON"),
    "trailing bytes": ("POST", "/orders", order() + b" x", 400, "MALFORMED_JSON"),
    "two documents": ("POST", "/orders", order() + order(), 400, "MALFORMED_JSON"),
    "duplicate keys": ("POST", "/orders", order()[:-1] + b',"amount":1}', 400, "MALFORMED_JSON"),
    "bad UTF-8": ("POST", "/orders", b'{"user_id":"\xff\xfe","amount":45000,"currency":"INR"}', 400, "MALFORMED_JSON"),
    "half a surrogate": ("POST", "/orders", b'{"user_id":"\\ud800","amount":1,"currency":"INR"}', 400, "MALFORMED_JSON"),
    "depth": ("POST", "/orders", b'{"metadata":' + b"[" * 5000 + b"]" * 5000 + b"}", 400, "MALFORMED_JSON INVALID_FIELD"),
    "unknown field": ("POST", "/orders", order(tip=1), 400, "UNKNOWN_FIELD"),
    "missing user_id": ("POST", "/orders", without(ORDER, "user_id"), 400, "MISSING_FIELD"),
    "missing amount": ("POST", "/orders", without(ORDER, "amount"), 400, "MISSING_FIELD INVALID_AMOUNT"),
    "missing currency": ("POST", "/orders", without(ORDER, "currency"), 400, "MISSING_FIELD INVALID_CURRENCY"),
    "amount as text": ("POST", "/orders", order(amount="45000"), 400, "INVALID_AMOUNT INVALID_FIELD"),
    "amount 0": ("POST", "/orders", order(amount=0), 400, "INVALID_AMOUNT"),
    "amount negative": ("POST", "/orders", order(amount=-1), 400, "INVALID_AMOUNT"),
    "amount 1.5": ("POST", "/orders", order(amount=1.5), 400, "INVALID_AMOUNT"),
    "amount 1e3": ("POST", "/orders", order()[:-1].replace(b"45000", b"1e3") + b"}", 400, "INVALID_AMOUNT"),
    "amount 2^63": ("POST", "/orders", order().replace(b"45000", BIG.encode()), 400, "INVALID_AMOUNT MALFORMED_JSON"),
    "amount 2^63 - 1": ("POST", "/orders", order(amount=2**63 - 1), 400, "INVALID_AMOUNT"),
    "amount true": ("POST", "/orders", order(amount=True), 400, "INVALID_AMOUNT INVALID_FIELD"),
    "unknown currency": ("POST", "/orders", order(currency="ZZZ"), 400, "INVALID_CURRENCY"),
    "currency in small letters": ("POST", "/orders", order(currency="inr"), 400, "INVALID_CURRENCY"),
    "currency as number": ("POST", "/orders", order(currency=356), 400, "INVALID_CURRENCY INVALID_FIELD"),
    "user_id empty": ("POST", "/orders", order(user_id=""), 400, "INVALID_FIELD"),
    "user_id of 129 characters": ("POST", "/orders", order(user_id="x" * 129), 400, "INVALID_FIELD"),
    "user_id of 10,000 characters": ("POST", "/orders", order(user_id=LONG), 400, "INVALID_FIELD"),
    "user_id with a control character": ("POST", "/orders", order(user_id="a\nb"), 400, "INVALID_FIELD"),
    "user_id with NUL": ("POST", "/orders", order(user_id="a\0b"), 400, "INVALID_FIELD MALFORMED_JSON"),
    "user_id as number": ("POST", "/orders", order(user_id=7), 400, "INVALID_FIELD"),
    "expires_in_s 0": ("POST", "/orders", order(expires_in_s=0), 400, "INVALID_FIELD"),
    "expires_in_s negative": ("POST", "/orders", order(expires_in_s=-5), 400, "INVALID_FIELD"),
    "metadata as text": ("POST", "/orders", order(metadata="m"), 400, "INVALID_FIELD"),
    "customer with an unknown field": ("POST", "/orders", order(customer={"shoe": 44}), 400, "UNKNOWN_FIELD INVALID_FIELD"),
    "body over the limit": ("POST", "/orders", order(receipt="x" * 70_000), 413, "BODY_TOO_LARGE"),
    "initiate without an order": ("POST", "/payments/initiate", b'{"payment_method":"UPI"}', 400, "MISSING_FIELD INVALID_ID"),
    "initiate: id no UUID": ("POST", "/payments/initiate", initiate(order_id="42"), 400, "INVALID_ID"),
    "initiate: unknown method": ("POST", "/payments/initiate", initiate(payment_method="GOLD"), 400, "INVALID_FIELD"),
    "initiate: unknown gateway": ("POST", "/payments/initiate", initiate(gateway="Paywell"), 400,
                                  "INVALID_FIELD UNKNOWN_GATEWAY"),
    "initiate: return_url no URL": ("POST", "/payments/initiate", initiate(return_url="javascript:x"), 400, "INVALID_FIELD"),
    "initiate: unknown field": ("POST", "/payments/initiate", initiate(amount=5), 400, "UNKNOWN_FIELD"),
    "initiate: no such order": ("POST", "/payments/initiate", initiate(), 404, "ORDER_NOT_FOUND"),
    "cancel: a field": ("POST", f"/orders/{NOWHERE}/cancel", b'{"reason":"late"}', 400, "UNKNOWN_FIELD"),
    "cancel: id no UUID": ("POST", "/orders/42/cancel", b"", 400, "INVALID_ID"),
    "cancel: no such order": ("POST", f"/orders/{NOWHERE}/cancel", b"", 404, "ORDER_NOT_FOUND"),
    "refund: not JSON": ("POST", f"/payments/{NOWHERE}/refunds", b"all", 400, "MALFORMED_JSON"),
    "refund: amount 0": ("POST", f"/payments/{NOWHERE}/refunds", b'{"amount":0}', 400, "INVALID_AMOUNT"),
    "refund: amount 2^63": ("POST", f"/payments/{NOWHERE}/refunds", f'{{"amount":{BIG}}}'.encode(), 400, "INVALID_AMOUNT"),
    "refund: unknown field": ("POST", f"/payments/{NOWHERE}/refunds", b'{"currency":"INR"}', 400, "UNKNOWN_FIELD"),
    "refund: reason too long": ("POST", f"/payments/{NOWHERE}/refunds", b'{"reason":"%s"}' % (b"x" * 65), 400, "INVALID_FIELD"),
    "refund: id no UUID": ("POST", "/payments/42/refunds", b"", 400, "INVALID_ID"),
    "refund: no such payment": ("POST", f"/payments/{NOWHERE}/refunds", b"", 404, "PAYMENT_NOT_FOUND"),
    "refund id no UUID": ("GET", "/refunds/42", None, 400, "INVALID_ID"),
    "no such refund": ("GET", f"/refunds/{NOWHERE}", None, 404, "REFUND_NOT_FOUND"),
    "dead letters: unknown parameter": ("GET", "/admin/webhooks/dead?state=open", None, 400, "INVALID_QUERY"),
    "dead letters: unknown gateway": ("GET", "/admin/webhooks/dead?gateway=Paywell", None, 400, "INVALID_QUERY"),
    "dead letters: cursor of nobody": ("GET", "/admin/webhooks/dead?cursor=abc", None, 400, "INVALID_QUERY"),
    "dead letter: id no number": ("GET", "/admin/webhooks/dead/abc", None, 404, "NOT_FOUND"),
    "no such dead letter": ("GET", "/admin/webhooks/dead/987654321", None, 404, "NOT_FOUND"),
    "redrive: no such dead letter": ("POST", "/admin/webhooks/dead/987654321/redrive", b"", 404, "NOT_FOUND"),
    "redrive: a field": ("POST", "/admin/webhooks/dead/1/redrive", b'{"limit":1}', 400, "UNKNOWN_FIELD"),
    "redrive by filter: unknown field": ("POST", "/admin/webhooks/dead/redrive", b'{"id":1}', 400, "UNKNOWN_FIELD"),
    "redrive by filter: unknown gateway": ("POST", "/admin/webhooks/dead/redrive", b'{"gateway":"Paywell"}', 400, "INVALID_FIELD"),
    "redrive by filter: limit 0": ("POST", "/admin/webhooks/dead/redrive", b'{"limit":0}', 400, "INVALID_FIELD"),
    "discrepancies: unknown state": ("GET", "/admin/discrepancies?state=closed", None, 400, "INVALID_QUERY"),
    "discrepancies: unknown kind": ("GET", "/admin/discrepancies?kind=typo", None, 400, "INVALID_QUERY"),
    "discrepancies: payment id no UUID": ("GET", "/admin/discrepancies?payment_id=42", None, 400, "INVALID_QUERY"),
    "no such discrepancy to refund": ("POST", "/admin/discrepancies/987654321/refund", b"", 404, "NOT_FOUND"),
    "no such discrepancy to accept": ("POST", "/admin/discrepancies/987654321/accept", b"{}", 404, "NOT_FOUND"),
    "discrepancy: a field": ("POST", "/admin/discrepancies/1/refund", b'{"amount":1}', 400, "UNKNOWN_FIELD"),
    "reconciliations: limit 0": ("GET", "/admin/reconciliations?limit=0", None, 400, "INVALID_QUERY"),
    "reconciliation: a field": ("POST", "/admin/reconciliations", b'{"gateway":"Razorpay"}', 400, "UNKNOWN_FIELD"),
    "order id no UUID": ("GET", "/orders/42", None, 400, "INVALID_ID"),
    "no such order": ("GET", f"/orders/{NOWHERE}", None, 404, "ORDER_NOT_FOUND"),
    "payment id no UUID": ("GET", "/payments/xyz", None, 400, "INVALID_ID"),
    "no such payment": ("GET", f"/payments/{NOWHERE}", None, 404, "PAYMENT_NOT_FOUND"),
    "list: unknown parameter": ("GET", "/orders?colour=red", None, 400, "INVALID_QUERY"),
    "list: limit 0": ("GET", "/orders?limit=0", None, 400, "INVALID_QUERY"),
    "list: limit 101": ("GET", "/orders?limit=101", None, 400, "INVALID_QUERY"),
    "list: limit no number": ("GET", "/orders?limit=ten", None, 400, "INVALID_QUERY"),
    "list: unknown status": ("GET", "/orders?status=LOST", None, 400, "INVALID_QUERY"),
    "list: cursor of nobody": ("GET", "/orders?cursor=abc", None, 400, "INVALID_QUERY"),
    "list: user_id twice": ("GET", "/orders?user_id=a&user_id=b", None, 400, "INVALID_QUERY"),
    "list: bad escape": ("GET", "/orders?user_id=%zz", None, 400, "INVALID_QUERY"),
    "unknown path": ("GET", "/nothing/here", None, 404, "NOT_FOUND"),
    "unknown path, POST": ("POST", "/order", order(), 404, "NOT_FOUND"),
    "webhook: unknown gateway": ("POST", "/webhooks/Paywell", webhook(), 404, "UNKNOWN_GATEWAY"),
    "webhook: wrong signature": ("POST", "/webhooks/Razorpay", webhook(signature="Razorpay:wrong"), 401, "SIGNATURE_INVALID"),
    "webhook: another gateway's signature": ("POST", "/webhooks/Cashfree", webhook(), 401, "SIGNATURE_INVALID"),
    "webhook: no signature": ("POST", "/webhooks/Razorpay", without(WEBHOOK, "signature"), 401, "SIGNATURE_INVALID"),
    "webhook: not JSON": ("POST", "/webhooks/Razorpay", b"<xml/>", 400, "MALFORMED_WEBHOOK"),
    "webhook: no event_id": ("POST", "/webhooks/Razorpay", without(WEBHOOK, "event_id"), 400, "MALFORMED_WEBHOOK"),
    "webhook: status of nobody": ("POST", "/webhooks/Razorpay", webhook(status="MAYBE"), 400, "MALFORMED_WEBHOOK"),
    "webhook: amount 1.5": ("POST", "/webhooks/Razorpay", webhook(amount=1.5), 400, "MALFORMED_WEBHOOK"),
    "webhook: payment_id no UUID": ("POST", "/webhooks/Razorpay", webhook(payment_id="1"), 400, "MALFORMED_WEBHOOK"),
    "webhook: over the limit": ("POST", "/webhooks/Razorpay", webhook(pad="x" * 1_100_000), 413, "BODY_TOO_LARGE"),
}


def assert_problem(response, status, codes):
    """An RFC 9457 document with all its fields and one of the codes."""
    assert response.status == status, response
    assert response.headers["Content-Type"].startswith("application/problem+json")
    problem = response.json
    assert problem.keys() >= {"type", "title", "status", "detail", "code", "request_id", "error"}, problem
    assert problem["code"] in codes.split() and problem["status"] == status, problem
    assert problem["error"] == problem["detail"] and problem["title"] and problem["type"]
    assert UUID.fullmatch(response.headers["X-Request-Id"]) and problem["request_id"] == response.headers["X-Request-Id"]


@pytest.mark.parametrize("name", ROWS)
def test_bad_input_is_refused_with_its_code(stack, name):
    method, path, body, status, codes = ROWS[name]
    assert_problem(stack.api.request(method, path, body), status, codes)


def test_a_chunked_body_over_the_limit_is_refused(stack):
    stack.api.close()
    chunk = b"10000\r\n" + b"x" * 0x10000 + b"\r\n"
    head = f"POST /orders HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n".encode()
    answer = stack.api.raw(head + chunk * 2 + b"0\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 413 "), answer[:300]
    assert b"BODY_TOO_LARGE" in answer


def test_a_chunked_body_within_the_limit_is_taken(stack):
    body = order()
    data = b"POST /orders HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
    for at in range(0, len(body), 10):
        piece = body[at:at + 10]
        data += b"%x\r\n%b\r\n" % (len(piece), piece)
    answer = stack.api.raw(data + b"0\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 201 "), answer[:300]


def test_an_announced_body_over_the_limit_is_refused_before_it_is_sent(stack):
    answer = stack.api.raw(b"POST /orders HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 413 "), answer[:300]


@pytest.mark.parametrize("request_line", [
    "GET /orders HTTP/9.9", "BREW /orders HTTP/1.1", "GET", "\x00\x01\x02", "GET /orders/%00 HTTP/1.1",
    "GET /orders/../../etc/passwd HTTP/1.1", "GET /" + "a" * 20_000], ids=lambda line: repr(line[:40]))
def test_nonsense_instead_of_http_does_no_harm(stack, request_line):
    answer = stack.api.raw(request_line.encode("latin-1") + b"\r\nHost: x\r\n\r\n")
    assert answer == b"" or answer.startswith(b"HTTP/1.1 4") or answer.startswith(b"HTTP/1.1 5"), answer[:300]
    assert not answer.startswith(b"HTTP/1.1 500"), answer[:300]
    assert stack.api.get("/healthz").status == 200 and stack.processes["gateway-1"].running()


@pytest.mark.parametrize("method, path, allowed", [
    ("DELETE", "/orders", {"GET", "POST"}), ("PUT", f"/orders/{NOWHERE}", {"GET"}), ("PUT", "/payments/initiate", {"POST"}),
    ("GET", "/webhooks/Razorpay", {"POST"}), ("POST", "/healthz", {"GET"}), ("PATCH", f"/payments/{NOWHERE}", {"GET"})])
def test_a_wrong_method_is_told_which_are_allowed(stack, method, path, allowed):
    response = stack.api.request(method, path, b"{}" if method != "GET" else None)
    assert_problem(response, 405, "METHOD_NOT_ALLOWED")
    assert {name.strip() for name in response.headers["Allow"].split(",")} >= allowed


def test_a_request_id_that_is_given_comes_back(stack):
    given = str(uuid.uuid4())
    assert stack.api.get("/healthz", {"X-Request-Id": given}).headers["X-Request-Id"] == given
    response = stack.api.get("/nothing", {"X-Request-Id": given})
    assert response.json["request_id"] == response.headers["X-Request-Id"] == given
    made = stack.api.get("/healthz", {"X-Request-Id": "<script>"}).headers["X-Request-Id"]
    assert UUID.fullmatch(made)


def test_names_of_128_characters_and_of_every_script_are_taken(stack):
    for user_id in ("x" * 128, "अनन्या 🍱", "\u00e9" * 128, "'; DROP TABLE orders; --", "a/b?c&d=e%20"):
        order_id = stack.create_order(user_id)
        assert stack.get_order(order_id)["user_id"] == user_id


def test_an_operator_sees_every_instance_and_its_load(stack):
    response = stack.api.get("/admin/services")
    assert response.status == 200 and response.json["gateway"] == "gateway-1", response
    instances = {row["instance"]: row for row in response.json["data"]}
    assert instances.keys() == {name for name in stack.processes if not name.startswith(("gateway", "psp-sim"))}
    for name, row in instances.items():
        assert row["service"] == name.rpartition("-")[0]
        assert row["credit"] > 0 and 0 <= row["in_flight"] <= row["credit"] and row["draining"] is False
        age = datetime.datetime.now(datetime.timezone.utc) - datetime.datetime.fromisoformat(row["since"].replace("Z", "+00:00"))
        assert datetime.timedelta(seconds=-1) < age < datetime.timedelta(minutes=5), row


def test_an_operator_sees_why_a_webhook_was_refused_and_no_secret(stack):
    def razorpay():
        response = stack.api.get("/admin/gateways")
        assert response.status == 200 and b"dev-secret" not in response.body, response
        return next(row for row in response.json["data"] if row["gateway"] == "Razorpay")
    before = razorpay()
    assert stack.webhook(WEBHOOK | {"signature": "Razorpay:guessed"}).status == 401
    after = razorpay()
    assert after["configured"] is True
    assert after["webhooks"]["bad_signature"] == before["webhooks"]["bad_signature"] + 1
    assert after["last_refused_webhook"]["code"] == "SIGNATURE_INVALID" and after["last_refused_webhook"]["detail"]
    assert b"guessed" not in stack.api.get("/admin/gateways").body


def test_the_kinds_of_discrepancies_that_are_described_are_those_there_can_be(stack):
    [[rule]] = stack.psql("SELECT pg_get_constraintdef(oid) FROM pg_constraint "
                          "WHERE conrelid = 'discrepancies'::regclass AND conname = 'discrepancies_kind_check'")
    described = stack.api.get("/openapi.json").json["components"]["schemas"]["DiscrepancyKind"]["enum"]
    assert sorted(described) == sorted(re.findall(r"'(\w+)'", rule))
    for kind in described:
        assert stack.api.get(f"/admin/discrepancies?kind={kind}").json == {"data": [], "next_cursor": None}


def test_nothing_of_a_refused_webhook_is_queued(stack):
    stack.webhook(WEBHOOK | {"signature": "Razorpay:wrong", "event_id": "evt_refused"})
    stack.wait_until_quiet()
    assert stack.psql("SELECT count(*) FROM inbox WHERE event_id = 'evt_refused'") == [["0"]]


def test_the_process_has_survived_all_of_it(stack):
    assert stack.api.get("/healthz").body.strip() == b"ok"
    assert all(process.running() and not process.unexpected_ends for process in stack.processes.values())
    order_id, payment_id = stack.pay_for()
    stack.sim_pay(payment_id)
    stack.wait_for_order(order_id, "PAID")
    stack.verify()
