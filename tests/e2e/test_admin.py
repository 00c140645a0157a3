"""What an operator sees and decides over /admin: discrepancies, dead letters, reconciliation runs; and who may."""
import base64
import hashlib
import json
import uuid

import pytest

from processes import wait_for

STACK = {"env": {"PARK_FOR_S": 1}}


def admin(stack, path, status=200):
    response = stack.api.get(f"/admin/{path}")
    assert response.status == status, response
    return response.json


def pages(stack, path, limit):
    """All rows, page by page."""
    rows, cursor = [], ""
    while cursor is not None:
        page = admin(stack, f"{path}{'&' if '?' in path else '?'}limit={limit}{cursor}")
        assert len(page["data"]) <= limit
        rows += page["data"]
        cursor = f"&cursor={page['next_cursor']}" if page["next_cursor"] is not None else None
    return rows


# ---- discrepancies ----

def mismatch(stack):
    """A payment that was captured with another amount, and its discrepancy."""
    stack.faults("razorpay", amount_delta=-100)
    try:
        order_id, payment_id = stack.pay_for(gateway="Razorpay")
        stack.sim_pay(payment_id)
        stack.wait_for_payment(payment_id, "MISMATCH")
    finally:
        stack.faults("razorpay")
    [row] = admin(stack, f"discrepancies?payment_id={payment_id}")["data"]
    assert (row["kind"], row["state"], row["order_id"], row["gateway"]) == ("amount_mismatch", "open", order_id, "Razorpay")
    assert row["action"] and row["decision"] is row["settled_by"] is row["settled_at"] is None
    return payment_id, row


def book(stack, payment_id):
    return [(row["kind"], row["amount"]) for row in stack.sim.get(f"/_sim/book?payment_id={payment_id}").json]


def accounts(stack, payment_id):
    return {account: int(amount) for account, amount in
            stack.psql("SELECT account, sum(amount) FROM audit_ledger WHERE payment_id = "
                       f"'{payment_id}' GROUP BY account HAVING sum(amount) <> 0")}


def test_a_mismatch_is_given_back_when_an_operator_says_so_and_once(stack):
    payment_id, row = mismatch(stack)
    path = f"/admin/discrepancies/{row['id']}"
    settled = stack.api.post(f"{path}/refund")
    assert settled.status == 200, settled
    assert (settled.json["state"], settled.json["decision"], settled.json["settled_by"]) == ("settled", "refund", "an operator")
    refund_id = settled.json["refund_id"]
    wait_for(lambda: stack.api.get(f"/refunds/{refund_id}").json["status"] == "SUCCESS", 10, "the refund is done")
    assert stack.api.post(f"{path}/refund").json["refund_id"] == refund_id  # said again
    refused = stack.api.post(f"{path}/accept")
    assert (refused.status, refused.json["code"]) == (409, "DISCREPANCY_SETTLED")
    [refund] = stack.get_payment(payment_id)["refunds"]
    assert (refund["refund_id"], refund["amount"], refund["automatic"]) == (refund_id, 44900, False)
    stack.wait_until_quiet()
    assert book(stack, payment_id) == [("charge", 44900), ("refund", 44900)]
    assert accounts(stack, payment_id) == {}
    stack.verify()


def test_a_mismatch_that_is_accepted_becomes_the_merchants_and_is_not_given_back(stack):
    payment_id, row = mismatch(stack)
    assert accounts(stack, payment_id) == {"psp_receivable:Razorpay": 44900, "unapplied": -44900}
    settled = stack.api.post(f"/admin/discrepancies/{row['id']}/accept", {})
    assert (settled.status, settled.json["decision"]) == (200, "accept"), settled
    assert accounts(stack, payment_id) == {"psp_receivable:Razorpay": 44900, "merchant": -44900}
    refused = stack.api.post(f"/admin/discrepancies/{row['id']}/refund")
    assert (refused.status, refused.json["code"]) == (409, "DISCREPANCY_SETTLED")
    assert book(stack, payment_id) == [("charge", 44900)]
    stack.verify()


def test_a_decision_that_does_not_fit_is_refused_and_changes_nothing(stack):
    order_id, payment_id = stack.pay_for(gateway="Razorpay")
    stack.sim_pay(payment_id)
    stack.wait_for_order(order_id, "PAID")
    assert stack.sim.post(f"/_sim/payments/{payment_id}/dispute", {"outcome": "opened"}).status // 100 == 2
    [row] = wait_for(lambda: admin(stack, f"discrepancies?payment_id={payment_id}")["data"], 10, "the dispute is seen")
    assert (row["kind"], row["state"]) == ("dispute_opened", "open")
    refused = stack.api.post(f"/admin/discrepancies/{row['id']}/refund")
    assert (refused.status, refused.json["code"]) == (422, "UNPROCESSABLE")
    assert admin(stack, f"discrepancies?payment_id={payment_id}")["data"] == [row]
    assert stack.api.post(f"/admin/discrepancies/{row['id']}/accept").json["state"] == "settled"
    assert stack.get_payment(payment_id)["refunds"] == []
    stack.verify()


def test_discrepancies_are_listed_newest_first_by_state_and_kind(stack):
    for _ in range(3):
        mismatch(stack)
    rows = pages(stack, "discrepancies", 2)
    ids = [row["id"] for row in rows]
    assert ids == sorted(set(ids), reverse=True) and len(ids) >= 3
    for state in ("open", "settled"):
        assert pages(stack, f"discrepancies?state={state}", 2) == [row for row in rows if row["state"] == state]
    for kind in ("amount_mismatch", "dispute_opened"):
        assert pages(stack, f"discrepancies?kind={kind}", 100) == [row for row in rows if row["kind"] == kind]


# ---- dead letters ----

def dead_letter(stack, **fields):
    """A webhook of a payment that there is not, as it was sent, and the dead letter that it became."""
    body = json.dumps(stack.webhook_body(str(uuid.uuid4()), str(uuid.uuid4()), **fields))
    answer = stack.api.post("/webhooks/Razorpay", body, {"X-Psp-Trace": "t\"1\"", "Authorization": "Basic c2VjcmV0"})
    assert answer.status == 200, answer
    event_id = json.loads(body)["event_id"]
    row = wait_for(lambda: next((row for row in pages(stack, "webhooks/dead", 100) if row["event_id"] == event_id), None), 15,
                   "the dead letter is there")
    return body, row


def test_a_dead_letter_is_shown_whole_but_for_secrets(stack):
    body, row = dead_letter(stack)
    assert (row["gateway"], row["source"], row["reason"]) == ("Razorpay", "webhook", "PAYMENT_NOT_FOUND")
    assert row["payment_id"] == json.loads(body)["payment_id"] and row["redrives"] == 0 and row["tries"] >= 1
    letter = admin(stack, f"webhooks/dead/{row['id']}")
    assert letter.items() >= row.items()
    assert (letter["body"], letter["body_encoding"], letter["body_size"]) == (body, "text", len(body))
    assert letter["headers"]["x-psp-trace"] == 't"1"' and letter["headers"]["content-type"] == "application/json"
    assert "authorization" not in letter["headers"] and base64.b64encode(b"secret").decode() not in json.dumps(letter)
    [discrepancy] = [found for found in pages(stack, "discrepancies?kind=unknown_reference", 100)
                     if found["dead_letter_id"] == row["id"]]
    assert discrepancy["state"] == "open"


def test_a_dead_letter_that_is_driven_again_is_tried_once_more(stack):
    _, row = dead_letter(stack)
    answer = stack.api.post(f"/admin/webhooks/dead/{row['id']}/redrive")
    assert (answer.status, answer.json) == (200, {"redriven": 1}), answer

    def again():
        response = stack.api.get(f"/admin/webhooks/dead/{row['id']}")
        return response.json if response.status == 200 else None
    letter = wait_for(again, 15, "it is dead again")
    assert (letter["redrives"], letter["tries"]) == (1, row["tries"] + 1)
    assert letter["reason"] == "PAYMENT_NOT_FOUND"


def test_dead_letters_are_driven_again_by_filter(stack):
    rows = [dead_letter(stack)[1] for _ in range(3)]
    ids = [row["id"] for row in rows]

    def redrives():
        return [row["redrives"] for row in sorted(pages(stack, "webhooks/dead", 100), key=lambda row: row["id"]) if row["id"] in ids]

    everything = len(pages(stack, "webhooks/dead", 100))
    fitting = len(pages(stack, "webhooks/dead?gateway=Razorpay&reason=PAYMENT", 100))

    def redrive(body, expected):
        answer = stack.api.post("/admin/webhooks/dead/redrive", body)
        assert (answer.status, answer.json) == (200, {"redriven": expected}), answer
        wait_for(lambda: len(pages(stack, "webhooks/dead", 100)) == everything, 15, "all are dead again")
    redrive({"gateway": "Cashfree"}, 0)
    redrive({"reason": "NO_SUCH"}, 0)
    assert redrives() == [0, 0, 0]
    redrive({"gateway": "razorpay", "reason": "PAYMENT"}, fitting)
    assert redrives() == [1, 1, 1]
    redrive({"limit": 1}, 1)
    redrive(None, everything)
    assert redrives() == [2, 2, 2]


# ---- runs ----

def test_a_run_is_begun_now_and_shown_when_it_is_done(stack):
    order_id, payment_id = stack.pay_for(gateway="Razorpay")
    stack.faults("razorpay", webhook="none")
    try:
        stack.sim_pay(payment_id)
    finally:
        stack.faults("razorpay")
    before = admin(stack, "reconciliations")["data"]
    answer = stack.api.post("/admin/reconciliations")
    assert answer.status == 202, answer
    newest = wait_for(lambda: (rows := admin(stack, "reconciliations?limit=1")["data"]) and rows != before[:1]
                      and rows[0]["finished_at"] and rows[0], 15, "the run is done")
    assert newest["instance"] == "reconciler-1" and newest["errors"] == 0
    stack.wait_for_order(order_id, "PAID", 15)
    ids = [row["id"] for row in pages(stack, "reconciliations", 1)]
    assert ids == sorted(set(ids), reverse=True)


# ---- who may ----

@pytest.fixture
def keys(stack, tmp_path):
    """The gateway wants API keys: Authorization headers by scope."""
    file = tmp_path / "keys"
    file.write_text("".join(f"{scope}-desk {scope} {hashlib.sha256(scope.encode()).hexdigest()}\n"
                            for scope in ("read", "write", "admin")))
    stack.restart("gateway-1", API_KEYS_FILE=file)
    yield {scope: {"Authorization": f"Bearer {scope}"} for scope in ("read", "write", "admin")}
    stack.restart("gateway-1", API_KEYS_FILE="")


def test_only_the_admin_scope_may_and_a_decision_bears_its_name(stack, keys):
    calls = [("GET", "/admin/services"), ("GET", "/admin/gateways"), ("GET", "/admin/webhooks/dead"),
             ("GET", "/admin/webhooks/dead/1"), ("POST", "/admin/webhooks/dead/1/redrive"), ("POST", "/admin/webhooks/dead/redrive"),
             ("GET", "/admin/discrepancies"), ("POST", "/admin/discrepancies/1/refund"), ("POST", "/admin/discrepancies/1/accept"),
             ("GET", "/admin/reconciliations"), ("POST", "/admin/reconciliations")]
    described = {(method.upper(), path) for path, methods in stack.api.get("/openapi.json").json["paths"].items()
                 if path.startswith("/admin/") for method in methods}
    assert {(method, path.replace("/1", "/{id}")) for method, path in calls} == described
    for method, path in calls:
        assert stack.api.request(method, path).status == 401, path
        for scope in ("read", "write"):
            assert stack.api.request(method, path, headers=keys[scope]).status == 403, path
    order = stack.api.post("/orders", {"user_id": "u", "amount": 45000, "currency": "INR"}, keys["write"]).json
    payment = stack.api.post("/payments/initiate", {"order_id": order["order_id"], "payment_method": "UPI", "gateway": "Razorpay"},
                             keys["write"]).json
    assert stack.webhook(stack.webhook_body(order["order_id"], payment["payment_id"], amount=1)).status == 200
    path = f"/admin/discrepancies?payment_id={payment['payment_id']}"
    [row] = wait_for(lambda: stack.api.get(path, keys["admin"]).json["data"], 10, "the mismatch is seen")
    settled = stack.api.post(f"/admin/discrepancies/{row['id']}/accept", headers=keys["admin"])
    assert (settled.status, settled.json["settled_by"]) == (200, "admin-desk"), settled
