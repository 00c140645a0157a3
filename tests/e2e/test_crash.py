"""kill -9 of any process at any moment: whoever was answered has what was promised, and the system goes on by itself."""
import random
import time

from processes import wait_for
from traffic import Traffic

STACK = {"supervise": True, "env": {"RECONCILE_INTERVAL_S": 2}}
VICTIMS = ["gateway-1", "order-1", "router-1", "webhook-processor-1", "reconciler-1", "notifier-1"]
KILL_EVERY_S = 0.7
KILLING_S = 15


def test_kill_9_of_any_process_loses_and_doubles_nothing(stack):
    chance = random.Random(1)
    victims = list(VICTIMS)
    chance.shuffle(victims)
    kills, end = 0, time.monotonic() + KILLING_S
    with Traffic(stack, threads=4, resets=True, pause=0.01) as traffic:
        while kills < len(VICTIMS) or time.monotonic() < end:
            began_at, promised = time.monotonic(), len(traffic.promised)
            stack.kill(victims[kills] if kills < len(victims) else chance.choice(VICTIMS))
            kills += 1
            # The next one dies 0.7 s later, or as soon as the system has gone on by itself.
            wait_for(lambda: len(traffic.promised) >= promised + 2, 20, "webhooks are taken again")
            time.sleep(max(0, began_at + KILL_EVERY_S - time.monotonic()))
    stack.wait_until_ready()
    order_id, payment_id = stack.pay_for("survivor")
    stack.sim_pay(payment_id)
    stack.wait_for_order(order_id, "PAID")
    traffic.check()


def test_a_socket_is_told_what_happened_while_processors_and_notifiers_died(stack):
    socket = stack.websocket("watcher")
    paid = []
    for turn in range(8):
        order_id, payment_id = stack.pay_for("watcher")
        paid.append(order_id)
        stack.sim_pay(payment_id)
        stack.kill("notifier-1" if turn % 2 else "webhook-processor-1")
    for order_id in paid:
        socket.wait_for_event(20, type="payment.confirmed", order_id=order_id)
    assert [len(socket.of(order_id=order_id)) for order_id in paid] == [1] * len(paid)
    ids = [event["event_id"] for event in socket.events]
    assert ids == sorted(ids)
    stack.verify()
