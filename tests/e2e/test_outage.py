"""Redis or PostgreSQL away for a while, or forgetful: clients are told so, and everything goes on by itself."""
import time
import uuid

from processes import wait_for
from traffic import Traffic

STACK = {"private_pg": True, "env": {"PARK_FOR_S": 1}}
OUTAGE_S = 3


def recovered(stack, deadline_s=15):
    """Serves again by itself: an order is created, paid and confirmed."""
    def paid_one():
        response = stack.api.post("/orders", {"user_id": "after", "amount": 45000, "currency": "INR"})
        if response.status != 201:
            return None
        initiated = stack.api.post("/payments/initiate", {"order_id": response.json["order_id"], "payment_method": "UPI"})
        if initiated.status != 201:
            return None
        body = stack.webhook_body(response.json["order_id"], initiated.json["payment_id"])
        return stack.webhook(body).status == 200 and response.json["order_id"]
    order_id = wait_for(paid_one, deadline_s, "orders, payments and webhooks are served again")
    stack.wait_for_order(order_id, "PAID", deadline_s)


def test_flushall_under_way_is_survived(stack):
    with Traffic(stack, threads=3) as traffic:
        for _ in range(3):
            seen = len(traffic.promised)
            wait_for(lambda: len(traffic.promised) > seen + 5, 15, "webhooks are taken")
            stack.redis("FLUSHALL")
        seen = len(traffic.promised)
        wait_for(lambda: len(traffic.promised) > seen + 5, 15, "webhooks are taken after the flush")
    assert not traffic.wrong, traffic.wrong[:5]
    recovered(stack)
    groups = stack.redis("XINFO", "GROUPS", "stream:webhooks")
    assert [dict(zip(group[::2], group[1::2]))["name"] for group in groups] == ["webhook-processor"]
    # What the flush took with it the PSP would tell again: here its webhooks come once more.
    for event_id, payment_id in list(traffic.promised.items()):
        if not stack.inbox(payment_id):
            order_id = stack.get_payment(payment_id)["order_id"]
            gateway = stack.get_payment(payment_id)["gateway"]
            body = stack.webhook_body(order_id, payment_id, event_id=event_id, signature=f"{gateway}:dev-secret")
            assert stack.webhook(body, gateway).status == 200
    traffic.check()


def test_redis_away_refuses_webhooks_and_nothing_else(stack):
    with Traffic(stack, threads=3) as traffic:
        wait_for(lambda: len(traffic.promised) > 5, 15, "webhooks are taken")
        stack.redis.kill()
        down_at = time.monotonic()
        order_id = stack.create_order("during")
        payment_id = stack.initiate(order_id)["payment_id"]
        answer = stack.webhook(stack.webhook_body(order_id, payment_id))
        assert (answer.status, answer.json["code"]) == (503, "QUEUE_UNAVAILABLE"), answer
        assert answer.headers["Retry-After"]
        orders = len(traffic.orders)
        wait_for(lambda: len(traffic.orders) > orders, 5, "orders go on")
        wait_for(lambda: stack.api.get("/readyz").status == 503, 5, "/readyz says so")
        time.sleep(max(0, down_at + OUTAGE_S - time.monotonic()))  # the length of the outage
        stack.redis.start()
        seen = len(traffic.promised)
        wait_for(lambda: len(traffic.promised) > seen + 5, 15, "webhooks are taken again")
    assert all(what.startswith("webhook") or not what.endswith(("503", "504")) for what in traffic.counts), traffic.counts
    recovered(stack)
    traffic.check()
    stack.wait_until_ready()


def database_outage(stack, begin, end):
    with Traffic(stack, threads=3) as traffic:
        wait_for(lambda: len(traffic.promised) > 5, 15, "webhooks are taken")
        begin()
        down_at = time.monotonic()
        wait_for(lambda: traffic.load.total("order 503") > 0, 8, "orders are refused")
        payment_id = str(uuid.uuid4())
        answer = stack.webhook(stack.webhook_body(str(uuid.uuid4()), payment_id))
        assert answer.status == 200, "webhooks need no database"
        time.sleep(max(0, down_at + OUTAGE_S - time.monotonic()))  # the length of the outage
        end()
        seen = len(traffic.promised)
        wait_for(lambda: len(traffic.promised) > seen + 5, 15, "payments are taken again")
    recovered(stack)
    wait_for(lambda: stack.inbox(payment_id) == ["dead"], 15, "the webhook without a payment is a dead letter")
    traffic.check()
    stack.wait_until_ready()


def test_postgresql_stopped_is_said_and_nothing_answered_is_lost(stack):
    database_outage(stack, stack.cluster.stop, stack.cluster.start)


def test_postgresql_frozen_is_said_and_nothing_answered_is_lost(stack):
    try:
        database_outage(stack, stack.cluster.freeze, stack.cluster.thaw)
    finally:
        stack.cluster.thaw()
