"""tiffin-tap: the whole life of a payment, live, decoded, with personal data masked."""
import json
import select
import threading

import pytest

from processes import wait_for

STACK = {"env": {"RECONCILE_INTERVAL_S": 300}}


class Tap:
    """A running tiffin-tap whose lines are collected."""

    def __init__(self, stack, *arguments):
        self.child = stack.tap(*arguments)
        self.lines = []
        self.thread = threading.Thread(target=self._read, daemon=True)
        self.thread.start()

    def _read(self):
        for line in self.child.stdout:
            self.lines.append(line)

    def messages(self):
        return [json.loads(line) for line in list(self.lines)]

    def status(self, deadline_s=10):
        self.child.wait(deadline_s)
        self.thread.join(5)
        return self.child.returncode


@pytest.fixture
def tap(stack):
    made = []

    def make(*arguments):
        made.append(Tap(stack, *arguments))
        return made[-1]
    yield make
    for each in made:
        if each.child.poll() is None:
            each.child.terminate()
            assert each.status(5) == 0


def listening(stack, tap):
    """Once a message is shown the gateway has the subscription."""
    def shown():
        stack.api.get("/orders/01900000-0000-7000-8000-000000000001")
        return tap.lines
    wait_for(shown, 5, "the tap shows a message")


def test_expect_ends_with_0_when_the_message_comes_and_with_1_when_not(stack, tap):
    expecting = tap("--expect", "order.create", "--within", "5s")
    wait_for(lambda: stack.create_order() and expecting.child.poll() is not None, 8, "the tap has ended")
    assert expecting.status() == 0
    assert tap("--expect", "reconciler.asked", "--within", "300ms").status() == 1


def test_where_shows_only_what_is_about_the_thing(stack, tap):
    mine, other = stack.create_order(), stack.create_order()
    watching = tap("--json", "--where", f"order_id={mine}")

    def shown():
        stack.get_order(other)
        stack.get_order(mine)
        return len(watching.lines) >= 4
    wait_for(shown, 5, "the tap shows the order's messages")
    assert all(mine in line and other not in line for line in list(watching.lines))
    assert {message["kind"] for message in watching.messages()} == {"REQUEST", "REPLY"}


def test_one_tap_sees_the_whole_life_of_a_payment_and_nobodys_name(stack, tap):
    watching = tap("--json")
    listening(stack, watching)
    user_id = "somebody-with-a-name"
    stack.websocket(user_id)
    response = stack.api.post("/orders", {"user_id": user_id, "amount": 45000, "currency": "INR",
                                          "customer": {"email": "private@example.org"}, "metadata": {"note": "secret note"}})
    order_id = response.json["order_id"]
    payment_id = stack.initiate(order_id)["payment_id"]
    stack.webhook(stack.webhook_body(order_id, payment_id))
    stack.wait_for_order(order_id, "PAID")

    def about():
        return [message for message in watching.messages() if message.get("body", {}).get("order_id") == order_id]
    expected = {("REQUEST", "order.create"), ("REPLY", "order.create"), ("REQUEST", "router.initiate"),
                ("REPLY", "router.initiate"), ("EVENT", "router.attempt"), ("EVENT", "gateway.webhook"),
                ("EVENT", "webhook-processor.handled"), ("EVENT", "notifier.event")}
    wait_for(lambda: expected <= {(message["kind"], message["topic"]) for message in about()}, 5,
             f"all of {expected} (seen: {sorted({(m['kind'], m['topic']) for m in about()})})")
    by_topic = {(message["kind"], message["topic"]): message["body"] for message in about()}
    assert by_topic["REQUEST", "order.create"]["amount"] == 45000
    assert by_topic["REQUEST", "order.create"]["user_id"] == "***"
    assert by_topic["EVENT", "router.attempt"]["outcome"] == "OPEN"
    assert by_topic["EVENT", "gateway.webhook"]["answer"] == "accepted"
    assert by_topic["EVENT", "webhook-processor.handled"]["outcome"] == "applied"
    assert by_topic["EVENT", "notifier.event"]["type"] == "payment.confirmed"
    everything = "".join(watching.lines)
    for private in (user_id, "private@example.org", "secret note"):
        assert private not in everything
    request_id = response.headers["X-Request-Id"]
    assert {message["topic"] for message in watching.messages() if message.get("request_id") == request_id} == {"order.create"}


def test_errors_shows_only_failed_replies(stack, tap):
    watching = tap("--json", "--errors")
    listening(stack, watching)
    stack.create_order()
    stack.api.get("/orders/01900000-0000-7000-8000-000000000001")
    assert {message["status"] for message in watching.messages()} == {"ORDER_NOT_FOUND"}


def test_many_taps_slow_nothing_down(stack, tap):
    """Readers that do not read: their own messages are lost, nobody else waits."""
    idle = [stack.tap("--json") for _ in range(3)]
    try:
        for child in idle:
            while not select.select([child.stdout], [], [], 0)[0]:
                stack.create_order()
        for _ in range(50):
            stack.create_order()
    finally:
        for child in idle:
            child.terminate()
            child.communicate(timeout=5)
    assert [child.returncode for child in idle] == [0, 0, 0]
