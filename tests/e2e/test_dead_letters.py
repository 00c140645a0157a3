"""A thousand webhooks of payments that are not there yet: dead letters, and each applied once when they are driven again."""
import itertools
import threading
import uuid

from processes import wait_for
from stack import Load

STACK = {"scale": {"webhook-processor": 2}, "env": {"PARK_FOR_S": 1}}
COUNT = 1000


def uuids():
    return [str(uuid.uuid4()) for _ in range(COUNT)]


def outcomes(stack):
    return {outcome: int(count) for outcome, count in stack.psql("SELECT outcome, count(*) FROM inbox GROUP BY outcome")}


def sent(stack, bodies):
    """Every webhook, each answered 200."""
    waiting = itertools.count()

    def step(_thread, _turn):
        number = next(waiting)
        if number < COUNT:
            assert stack.webhook(bodies[number]).json == {"status": "accepted"}
            load.count("accepted")
        else:
            load.stopping.wait()
    load = Load(step, threads=8)
    with load:
        wait_for(lambda: load.errors or load.total("accepted") == COUNT, 40, "all webhooks are accepted")


def test_a_thousand_dead_letters_that_are_driven_again_from_two_sides_are_applied_once_each(stack):
    orders, payments = uuids(), uuids()
    sent(stack, [stack.webhook_body(order, payment) for order, payment in zip(orders, payments)])
    wait_for(lambda: outcomes(stack) == {"dead": COUNT}, 30, "all are dead letters", 0.1)

    def array(values, kind):
        return "ARRAY['" + "','".join(values) + f"']::{kind}[]"

    def each(value, kind):
        return f"array_fill({value}::{kind}, ARRAY[{COUNT}])"
    # Their orders and payments come to be under the ids that they named.
    stack.psql(f"INSERT INTO orders (order_id, user_id, amount, currency, expires_at) "
               f"SELECT unnest({array(orders, 'uuid')}), 'u1', 45000, 'INR', now() + interval '1 hour'")
    begun = stack.psql(f"SELECT verdict, count(*) FROM payments_begin({array(payments, 'uuid')}, {array(orders, 'uuid')}, "
                       f"{each(chr(39) + 'UPI' + chr(39), 'text')}, {each('NULL', 'text')}, {each('NULL', 'text')}, "
                       f"{array(uuids(), 'uuid')}, {each(chr(39) + 'Razorpay' + chr(39), 'text')}) GROUP BY verdict")
    assert begun == [["ok", str(COUNT)]]

    answers = []

    def redrive():
        answers.append(stack.api.post("/admin/webhooks/dead/redrive", {"gateway": "Razorpay", "reason": "PAYMENT_NOT_FOUND",
                                                                      "limit": COUNT}))
    operators = [threading.Thread(target=redrive) for _ in range(2)]
    for operator in operators:
        operator.start()
    for operator in operators:
        operator.join(20)
    assert [answer.status for answer in answers] == [200, 200], answers
    assert sum(answer.json["redriven"] for answer in answers) == COUNT
    wait_for(lambda: outcomes(stack) == {"applied": COUNT}, 30, "all are applied", 0.1)

    assert stack.psql("SELECT count(*), count(DISTINCT payment_id), count(*) FILTER (WHERE applied) FROM audit_facts") == \
        [[str(COUNT)] * 3]
    assert stack.psql("SELECT status, paid_amount, count(*) FROM orders GROUP BY 1, 2") == [["PAID", "45000", str(COUNT)]]
    assert stack.psql("SELECT type, count(*), count(DISTINCT order_id) FROM audit_outbox GROUP BY type") == \
        [["payment.confirmed", str(COUNT), str(COUNT)]]
    assert stack.psql("SELECT account, sum(amount) FROM audit_ledger GROUP BY account ORDER BY account") == \
        [["merchant", str(-45000 * COUNT)], ["psp_receivable:Razorpay", str(45000 * COUNT)]]
    redrive()
    assert answers[-1].json == {"redriven": 0}
    stack.verify()
