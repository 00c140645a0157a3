"""kill -9 of any process at any moment: whoever was answered has what was promised, and the system goes on by itself."""
import random
import time

from traffic import Traffic

VICTIMS = ["gateway-1", "order-1", "router-1", "webhook-processor-1", "reconciler-1", "notifier-1"]
KILL_EVERY_S = 0.7
KILLS = 20


def test_kill_9_of_any_process_loses_and_doubles_nothing(new_stack):
    stack = new_stack(supervise=True, env={"RECONCILE_INTERVAL_S": 2})
    chance = random.Random(1)
    order_of_death = VICTIMS + [chance.choice(VICTIMS) for _ in range(KILLS - len(VICTIMS))]
    with Traffic(stack, threads=4, resets=True, pause=0.01) as traffic:
        for victim in order_of_death:
            time.sleep(KILL_EVERY_S)  # the interval of the murders, no synchronisation
            stack.kill(victim)
    stack.wait_until_ready()
    order_id, payment_id = stack.pay_for("survivor")
    stack.sim_pay(payment_id)
    stack.wait_for_order(order_id, "PAID")
    print(traffic.counts)
    assert len(traffic.promised) > 20, traffic.counts
    traffic.check()


def test_a_socket_is_told_what_happened_while_processors_and_notifiers_died(new_stack):
    stack = new_stack(supervise=True)
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
