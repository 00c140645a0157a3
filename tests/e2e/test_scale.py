"""Several of each: every instance serves, and whoever listens hears it once, at whichever gateway."""
import collections
import uuid

from processes import wait_for
from traffic import Traffic

STACK = {"scale": {"gateway": 2, "order": 3, "router": 2, "webhook-processor": 2, "notifier": 2}}


def served(stack):
    """Replies and events by instance, over both gateways."""
    counts = collections.Counter()
    for gateway in range(len(stack.gateways)):
        for (_, instance, _, _), count in stack.metrics(gateway).items():
            counts[instance] += count
    return counts


def test_every_instance_serves_and_confirmations_reach_sockets_on_both_gateways_once(stack):
    users = [f"load-{number}" for number in range(8)]
    sockets = {user: [stack.websocket(user, gateway) for gateway in (0, 1)] for user in users}
    expected = {f"{service}-{number}" for service in ("order", "router", "webhook-processor", "notifier")
                for number in range(1, STACK["scale"][service] + 1)}
    with Traffic(stack, threads=8) as traffic:
        wait_for(lambda: len(traffic.promised) >= 60 and all(served(stack)[name] > 0 for name in expected), 30,
                 "every instance serves")
    traffic.check()
    counts = served(stack)
    assert all(counts[name] > 0 for name in expected), counts

    paid = {row[0] for row in stack.psql("SELECT order_id FROM orders WHERE status = 'PAID'")}
    assert len(paid) >= 60

    def heard(gateway):
        return [event["order_id"] for user in users for event in sockets[user][gateway].of(type="payment.confirmed")]
    for gateway in (0, 1):
        wait_for(lambda: paid <= set(heard(gateway)), 15, f"sockets at gateway {gateway + 1} have heard of every order")
    for gateway in (0, 1):
        assert len(heard(gateway)) == len(paid), "a confirmation came more than once"
        for user in users:
            ids = [event["event_id"] for event in sockets[user][gateway].events]
            assert ids == sorted(ids) and all(event["user_id"] == user for event in sockets[user][gateway].events)


def test_an_order_made_at_one_gateway_is_paid_and_read_at_the_other(stack):
    one, two = (gateway.client for gateway in stack.gateways)
    user_id = f"both-{uuid.uuid4().hex[:8]}"
    socket = stack.websocket(user_id, 0)
    order_id = stack.create_order(user_id, api=one)
    payment_id = stack.initiate(order_id, api=two)["payment_id"]
    body = stack.webhook_body(order_id, payment_id)
    assert stack.webhook(body, api=two).status == 200
    socket.wait_for_event(5, type="payment.confirmed", order_id=order_id)
    assert two.get(f"/orders/{order_id}").json["status"] == one.get(f"/orders/{order_id}").json["status"] == "PAID"
    wait_for(lambda: stack.webhook(body, api=one).json == {"status": "duplicate"}, 5, "the other gateway knows the webhook too")
    stack.verify()


def test_a_service_that_leaves_in_order_is_not_missed(stack):
    with Traffic(stack, threads=4) as traffic:
        wait_for(lambda: traffic.load.total("order") > 10, 10, "load")
        for name in ("order-3", "router-2", "webhook-processor-2", "notifier-2"):
            assert stack.sigterm(name) == 0, name
        seen = traffic.load.total("order")
        wait_for(lambda: traffic.load.total("order") > seen + 20, 10, "the others serve")
    assert set(traffic.counts) <= {"order 201", "initiate 201", "webhook 200"}, traffic.counts
    traffic.check()
