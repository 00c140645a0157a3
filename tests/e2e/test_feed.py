"""Cancelling, and the feed of events: over REST, and resumed by WebSockets."""
import threading
import urllib.parse
import uuid

from client import WebSocket
from processes import wait_for


def read_feed(stack, **query):
    """Every event after `since`, page by page."""
    events, since = [], query.pop("since", 0)
    while True:
        response = stack.api.get("/events?" + urllib.parse.urlencode({**query, "since": since}))
        assert response.status == 200, response
        page = response.json
        events += page["data"]
        since = page["next_since"]
        if not page["more"]:
            return events


def test_an_open_order_is_cancelled_once_and_cannot_be_paid_any_more(stack):
    order_id, payment_id = stack.pay_for("canceller")
    response = stack.api.post(f"/orders/{order_id}/cancel")
    assert (response.status, response.json["status"]) == (200, "CANCELLED"), response
    again = stack.api.post(f"/orders/{order_id}/cancel", {})
    assert (again.status, again.json["status"]) == (200, "CANCELLED"), again
    assert stack.get_payment(payment_id)["status"] == "EXPIRED"
    refused = stack.api.post("/payments/initiate", {"order_id": order_id, "payment_method": "UPI"})
    assert (refused.status, refused.json["code"]) == (409, "ORDER_NOT_PAYABLE"), refused
    stack.sim_pay(payment_id)  # too late: the money is recorded and given back, the order stays as it is
    stack.wait_for_payment(payment_id, "REFUNDED")
    order = stack.get_order(order_id)
    assert (order["status"], order["paid_amount"], order["payments"][0]["applied"]) == ("CANCELLED", 0, False)
    assert [event["type"] for event in read_feed(stack, user_id="canceller")] == ["order.cancelled", "payment.refunded"]
    stack.verify()


def test_a_paid_order_and_one_that_is_not_there_cannot_be_cancelled(stack):
    order_id, payment_id = stack.pay_for("paid")
    stack.sim_pay(payment_id)
    stack.wait_for_order(order_id, "PAID")
    response = stack.api.post(f"/orders/{order_id}/cancel")
    assert (response.status, response.json["code"]) == (409, "ORDER_NOT_CANCELLABLE"), response
    response = stack.api.post(f"/orders/{uuid.uuid4()}/cancel")
    assert (response.status, response.json["code"]) == (404, "ORDER_NOT_FOUND"), response
    response = stack.api.post(f"/orders/{order_id}/cancel", {"reason": "x"})
    assert (response.status, response.json["code"]) == (400, "UNKNOWN_FIELD"), response


def test_the_feed_is_read_in_order_in_pages_and_by_user(stack):
    orders = [stack.create_order("pager") for _ in range(25)]
    others = stack.create_order("somebody-else")
    for order_id in [*orders, others]:
        assert stack.api.post(f"/orders/{order_id}/cancel").status == 200
    mine = read_feed(stack, user_id="pager", limit=7)
    assert [event["order_id"] for event in mine] == orders
    ids = [event["event_id"] for event in mine]
    assert ids == sorted(set(ids))
    assert read_feed(stack, user_id="pager", since=ids[19]) == mine[20:]
    everything = read_feed(stack, limit=100)
    numbers = [event["event_id"] for event in everything]
    assert numbers == list(range(1, len(numbers) + 1))
    for query in ("since=-1", "since=x", "since=1.5", "limit=0", "limit=101", "colour=red"):
        response = stack.api.get(f"/events?{query}")
        assert (response.status, response.json["code"]) == (400, "INVALID_QUERY"), response


def test_a_socket_that_is_cut_again_and_again_misses_nothing(stack):
    user_id, cuts, cut_every_s = "resumer", 12, 0.1
    cut_enough, never = threading.Event(), threading.Event()
    made, seen, since = [], {}, 0

    def produce():
        while not cut_enough.is_set():
            order_id = stack.create_order(user_id)
            assert stack.api.post(f"/orders/{order_id}/cancel").status == 200
            made.append(order_id)
    producer = threading.Thread(target=produce)
    producer.start()

    def all_seen():
        nonlocal cuts, since
        socket = WebSocket(stack.gateways[0].port, user_id=user_id, since=since)
        never.wait(cut_every_s)
        frames = socket.of(type="order.cancelled")
        socket.drop()
        cuts -= 1
        if cuts <= 0:
            cut_enough.set()
        ids = [frame["event_id"] for frame in frames]
        assert ids == sorted(set(ids)), "out of order, or repeated to one socket"
        assert not ids or ids[0] > since, "not after what was asked for"
        for frame in frames:
            seen[frame["event_id"]] = frame
            since = max(since, frame["event_id"])
        return not producer.is_alive() and len(seen) == len(made)
    try:
        wait_for(all_seen, 60, "every event of the user")
    finally:
        cut_enough.set()
        producer.join()
    assert [seen[event_id]["order_id"] for event_id in sorted(seen)] == made
    assert sorted(seen) == [event["event_id"] for event in read_feed(stack, user_id=user_id)]


def test_a_socket_that_resumes_gets_the_past_first_and_then_what_is_new(stack):
    before = stack.create_order("both")
    stack.api.post(f"/orders/{before}/cancel")
    socket = WebSocket(stack.gateways[0].port, user_id="both", since=0)
    socket.wait_for_event(5, type="order.cancelled", order_id=before)
    after = stack.create_order("both")
    stack.api.post(f"/orders/{after}/cancel")
    socket.wait_for_event(5, type="order.cancelled", order_id=after)
    assert [frame["order_id"] for frame in socket.of()] == [before, after]
    socket.close()
