"""The prototype's flow, and that whatever is repeated happens once."""
import json
import subprocess
import threading
import time
import uuid

from processes import wait_for
from stack import sanitized

PAID_WITHIN_S = 0.5 if sanitized() else 0.1
FRAME_FIELDS = {"event_id", "type", "order_id", "payment_id", "user_id", "gateway", "amount", "currency", "status",
                "order_status", "seq", "occurred_at"}


def curl(*arguments):
    done = subprocess.run(["curl", *arguments], check=True, stdout=subprocess.PIPE, timeout=20)
    return json.loads(done.stdout)


def flow_by_curl(port, user_id="u1", event_id="evt_1", txn_id="txn_1"):
    """The four commands of the prototype's README. Returns order id, payment id and when the webhook was answered."""
    at = f"localhost:{port}"
    order = curl("-sX", "POST", f"{at}/orders", "-H", "Content-Type: application/json",
                 "-d", '{"user_id":"%s","amount":45000,"currency":"INR"}' % user_id)
    payment = curl("-sX", "POST", f"{at}/payments/initiate", "-H", "Content-Type: application/json",
                   "-d", '{"order_id":"%s","payment_method":"UPI"}' % order["order_id"])
    answer = curl("-sX", "POST", f"{at}/webhooks/Razorpay", "-H", "Content-Type: application/json", "-d", """{
     "event_id":"%s",
     "gateway":"Razorpay",
     "order_id":"%s",
     "payment_id":"%s",
     "gateway_txn_id":"%s",
     "status":"SUCCESS",
     "amount":45000,
     "signature":"Razorpay:dev-secret",
     "occurred_at":"2026-02-21T00:00:00Z"
   }""" % (event_id, order["order_id"], payment["payment_id"], txn_id))
    assert answer == {"status": "accepted"}
    return order["order_id"], payment["payment_id"], time.monotonic()


def ledger(stack, payment_id):
    return stack.psql("SELECT txn_id, account, currency, amount FROM audit_ledger "
                      f"WHERE payment_id = '{payment_id}' ORDER BY txn_id, amount DESC")


def confirmations(stack, order_id):
    return stack.events(order_id).count("payment.confirmed")


def test_the_four_curl_commands_make_an_order_paid_at_once_and_tell_its_user_alone(stack):
    mine, other = stack.websocket("u1"), stack.websocket("u2")
    order_id, payment_id, _ = flow_by_curl(stack.gateways[0].port)
    order = stack.wait_for_order(order_id, "PAID", 5)
    assert curl("-s", f"localhost:{stack.gateways[0].port}/orders/{order_id}")["status"] == "PAID"
    assert (order["amount"], order["currency"], order["paid_amount"], order["refunded_amount"]) == (45000, "INR", 45000, 0)
    assert [(p["payment_id"], p["status"], p["applied"]) for p in order["payments"]] == [(payment_id, "SUCCESS", True)]

    frame = mine.wait_for_event(5, type="payment.confirmed", order_id=order_id)
    assert FRAME_FIELDS <= frame.keys()
    assert frame["payment_id"] == payment_id and frame["user_id"] == "u1" and frame["gateway"] == "Razorpay"
    assert (frame["amount"], frame["currency"], frame["status"], frame["order_status"]) == (45000, "INR", "SUCCESS", "PAID")
    assert frame["seq"] == 1 and isinstance(frame["event_id"], int)
    assert frame["occurred_at"].startswith("2026-02-21T00:00:00")

    # The same flow again, with the same event and transaction: another order, paid as well.
    again, _, _ = flow_by_curl(stack.gateways[0].port)
    stack.wait_for_order(again, "PAID", 5)
    second = mine.wait_for_event(5, type="payment.confirmed", order_id=again)
    assert second["event_id"] > frame["event_id"] and second["seq"] == 1
    stack.verify()
    assert len(mine.of(order_id=order_id)) == 1 and len(mine.of(order_id=again)) == 1
    assert other.events == []


def test_an_order_is_paid_a_moment_after_the_webhooks_answer(stack):
    """The best of several, since a machine that builds beside us says nothing about the product."""
    took_s = []
    while not took_s or (min(took_s) > PAID_WITHIN_S and len(took_s) < 8):
        order_id, _, answered_at = flow_by_curl(stack.gateways[0].port)
        stack.wait_for_order(order_id, "PAID", 5)
        took_s.append(time.monotonic() - answered_at)
    assert min(took_s) <= PAID_WITHIN_S, took_s


def test_a_webhook_that_comes_fifty_times_at_once_has_one_effect(stack):
    user_id = f"u-{uuid.uuid4().hex[:8]}"
    socket = stack.websocket(user_id)
    order_id, payment_id = stack.pay_for(user_id)
    body = stack.webhook_body(order_id, payment_id)
    answers = []
    barrier = threading.Barrier(50)

    def send():
        barrier.wait()
        answers.append(stack.webhook(body))
        stack.api.close()
    threads = [threading.Thread(target=send) for _ in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(answers) == 50 and all(answer.status == 200 for answer in answers), answers
    assert {answer.json["status"] for answer in answers} <= {"accepted", "duplicate"}
    assert "accepted" in {answer.json["status"] for answer in answers}
    stack.wait_for_order(order_id, "PAID")
    socket.wait_for_event(5, type="payment.confirmed", order_id=order_id)
    stack.verify()
    entries = ledger(stack, payment_id)
    assert len({entry[0] for entry in entries}) == 1
    assert [entry[1:] for entry in entries] == [["psp_receivable:Razorpay", "INR", "45000"], ["merchant", "INR", "-45000"]]
    assert confirmations(stack, order_id) == 1 and len(socket.of(order_id=order_id)) == 1
    facts = stack.psql(f"SELECT kind, psp, amount, source, applied FROM audit_facts WHERE payment_id = '{payment_id}'")
    assert facts == [["captured", "Razorpay", "45000", "webhook", "t"]]


def assert_nothing_changed(stack, order_id, payment_id, body):
    """A repetition is answered 200 and changes nothing."""
    before = stack.get_order(order_id), stack.get_payment(payment_id), ledger(stack, payment_id)
    answer = stack.webhook(body)
    assert answer.status == 200, answer
    stack.verify()
    assert (stack.get_order(order_id), stack.get_payment(payment_id), ledger(stack, payment_id)) == before
    assert confirmations(stack, order_id) == 1
    return answer.json["status"]


def test_a_repeated_webhook_is_a_duplicate_with_the_key_without_it_and_after_redis_was_flushed(stack):
    order_id, payment_id = stack.pay_for()
    body = stack.webhook_body(order_id, payment_id)
    assert stack.webhook(body).json == {"status": "accepted"}
    stack.wait_for_order(order_id, "PAID")
    key = f"idemp:webhook:Razorpay:{body['event_id']}"
    wait_for(lambda: stack.redis("EXISTS", key), 5, f"{key} is there")
    assert 34 * 86400 < stack.redis("TTL", key) <= 35 * 86400

    assert assert_nothing_changed(stack, order_id, payment_id, body) == "duplicate"
    stack.redis("DEL", key)
    assert_nothing_changed(stack, order_id, payment_id, body)
    stack.redis("FLUSHALL")
    assert_nothing_changed(stack, order_id, payment_id, body)
    wait_for(lambda: stack.redis("EXISTS", key), 5, f"{key} is there again")
    assert assert_nothing_changed(stack, order_id, payment_id, body) == "duplicate"


def test_the_same_capture_under_another_event_id_is_one_fact(stack):
    order_id, payment_id = stack.pay_for()
    body = stack.webhook_body(order_id, payment_id)
    stack.webhook(body)
    stack.wait_for_order(order_id, "PAID")
    assert_nothing_changed(stack, order_id, payment_id, body | {"event_id": "evt_other_" + body["event_id"]})


def test_the_gateway_in_the_path_is_case_insensitive_and_wins_over_the_body(stack):
    for spelling in ("razorpay", "RAZORPAY", "rAzOrPaY"):
        order_id, payment_id = stack.pay_for()
        answer = stack.webhook(stack.webhook_body(order_id, payment_id, gateway="Cashfree"), spelling)
        assert answer.status == 200, answer
        stack.wait_for_order(order_id, "PAID")
        assert stack.psql(f"SELECT psp FROM audit_facts WHERE payment_id = '{payment_id}'") == [["Razorpay"]]


def test_confirmations_are_published_on_the_channel(stack):
    listener = subprocess.Popen(["redis-cli", "-p", str(stack.redis.port), "SUBSCRIBE", "payments.confirmed"],
                                stdout=subprocess.PIPE, text=True)
    try:
        assert [listener.stdout.readline().strip() for _ in range(3)] == ["subscribe", "payments.confirmed", "1"]
        order_id, payment_id = stack.pay_for()
        stack.webhook(stack.webhook_body(order_id, payment_id))
        assert [listener.stdout.readline().strip() for _ in range(2)] == ["message", "payments.confirmed"]
        frame = json.loads(listener.stdout.readline())
        assert FRAME_FIELDS <= frame.keys() and frame["payment_id"] == payment_id
    finally:
        listener.kill()
        listener.wait()


def test_a_payment_at_the_simulator_pays_the_order_by_its_webhook(stack):
    socket = stack.websocket("walker")
    order_id, payment_id = stack.pay_for("walker")
    assert stack.get_order(order_id)["status"] == "PENDING"
    stack.sim_pay(payment_id)
    stack.wait_for_order(order_id, "PAID")
    socket.wait_for_event(5, type="payment.confirmed", order_id=order_id)
    book = stack.sim.get(f"/_sim/book?payment_id={payment_id}").json
    assert [(entry["kind"], entry["amount"], entry["currency"]) for entry in book] == [("charge", 45000, "INR")]
    stack.verify()


def test_a_payment_that_fails_at_the_simulator_leaves_the_order_open(stack):
    socket = stack.websocket("unlucky")
    order_id, payment_id = stack.pay_for("unlucky")
    stack.sim_pay(payment_id, "fail")
    stack.wait_for_payment(payment_id, "FAILED")
    assert stack.get_order(order_id)["status"] == "PENDING"
    assert socket.wait_for_event(5, type="payment.failed", order_id=order_id)["order_status"] == "PENDING"
    stack.verify()
