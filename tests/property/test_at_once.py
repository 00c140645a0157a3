"""From many sides at once: processors with overlapping batches, cancellation, expiry, refunds, each on a connection of its own. What
depends on no order is what the rules say; the rest holds the invariants; nobody waits in a circle."""
import collections
import random
import threading

import calls
from generate import random_events
from model import Event, Payment
from scenario import message
from world import CASES, SEED

AMOUNT = Payment().amount


def at_once(*works):
    """Each in a thread. What they raised."""
    errors = []

    def run(work):
        try:
            work()
        except Exception as error:
            errors.append(error)
    threads = [threading.Thread(target=run, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return errors


def test_of_twenty_refunds_of_three_tenths_at_once_three_are_granted(world):
    payment, = world.payments(1)
    world.tell((payment, Event("captured", "a")))
    granted = []

    def ask():
        connection = world.connect()
        granted.extend(verdict for _, verdict, _ in calls.refund(connection, {"payment_id": payment, "amount": AMOUNT * 3 // 10}))
        connection.close()
    assert at_once(*[ask] * 20) == []
    assert collections.Counter(granted) == {"ok": 3, "exceeds_capture": 17}


class Town:
    """Orders with two payments each, and all that is done to them at once."""

    def __init__(self, world, seed, orders=10, rounds=10):
        self.world, self.seed, self.rounds = world, seed, rounds
        world.forget_due()
        self.orders = dict(calls.open_payment(world, 2) for _ in range(orders))
        self.payments = [payment for payments in self.orders.values() for payment in payments]
        drawn = random.Random(f"{seed} pool")
        self.pool = [(payment, event) for payment in self.payments for event in
                     [Event("captured", "a"), *random_events(drawn, 4)]]
        drawn.shuffle(self.pool)
        self.lock = threading.Lock()
        self.told = collections.defaultdict(list)
        self.closed = set()                     # orders that somebody tried to close
        self.claims, self.calls_in_vain = collections.Counter(), collections.Counter()

    def side(self, number, step):
        def run():
            connection, drawn = self.world.connect(), random.Random(f"{self.seed} side {number}")
            for _ in range(self.rounds):
                step(connection, drawn)
            connection.close()
        return run

    def process(self, connection, drawn):
        """A batch of the pool: others may apply the same reports at the same time."""
        batch = drawn.choices(self.pool, k=drawn.randint(1, 16))
        self.world.report([(payment, event, None, message(event), None) for payment, event in batch], connection)
        with self.lock:
            for payment, event in batch:
                self.told[payment].append(event)

    def close(self, connection, drawn):
        orders = drawn.sample(list(self.orders), 2)
        self.closed.update(orders)
        if drawn.random() < 0.5:
            calls.cancel(connection, *[{"order_id": order} for order in orders])
        else:
            for order in orders:
                connection.query(f"UPDATE orders SET expires_at = now() WHERE order_id = '{order}'")
            connection.query("SELECT count(*) FROM orders_expire(3)")
        calls.begin(connection, *[{"order_id": order} for order in drawn.sample(list(self.orders), 3)])  # nobody uses these

    def refund(self, connection, drawn):
        calls.refund(connection, *[{"payment_id": drawn.choice(self.payments), "amount": drawn.choice((0, 1, 20000))} for _ in range(2)])
        self.call_psp(connection, drawn, 3)

    def call_psp(self, connection, drawn, at_most):
        """As the router does: claim, call, tell of the answer. How many."""
        claimed = connection.query(f"SELECT refund_id, payment_id, amount, currency FROM refunds_claim({at_most}, 3600000)")
        for refund, payment, amount, currency in claimed:
            answer = drawn.choice(("refund_succeeded", "refund_succeeded", "refund_failed", None))
            with self.lock:
                self.claims[refund] += 1
                self.calls_in_vain[refund] += answer is None
            if answer is None:
                connection.query(f"SELECT refunds_called(ARRAY['{refund}']::uuid[], ARRAY[true], ARRAY['no answer'], ARRAY[0]::bigint[])")
                continue
            event = Event(answer, refund, int(amount), currency, "refund_call", refund=refund)
            for told in (event, Event(answer, refund, int(amount), currency, refund=refund)):  # its webhook comes too
                self.world.report([(payment, told, refund, message(told), None)], connection)
                with self.lock:
                    self.told[payment].append(told)
        return len(claimed)


def test_from_many_sides_at_once_nothing_is_doubled_and_the_rules_hold(world):
    for case in range(max(CASES // 2, 1)):
        town = Town(world, f"{SEED} town {case}")
        steps = (town.process, town.process, town.process, town.close, town.refund, town.refund)
        errors = at_once(*[town.side(number, step) for number, step in enumerate(steps)])
        assert errors == [], f"PROPERTY_SEED={SEED} case {case}"
        drawn = random.Random(f"{SEED} rest {case}")
        while town.call_psp(world, drawn, 1000):
            pass
        check(world, town)
    assert world.broken_invariants() == []


def check(world, town):
    models = {payment: Payment(events=town.told[payment]) for payment in town.payments}
    sums, facts = world.sums(town.payments), world.facts(town.payments)
    conflicts, applied = world.discrepancies(town.payments, "observation_conflict"), world.applied(town.payments)
    refunds = collections.defaultdict(list)
    for refund in world.refunds(town.payments):
        refunds[refund[1]].append(refund)
    for order, payments in town.orders.items():
        captures = [(payment, fact) for payment in payments for fact in models[payment].captures().values()]
        fits = {(payment, fact.ref) for payment, fact in captures if models[payment].fits(fact)}
        paying = [(payment, ref) for payment in payments for ref in applied[payment]]
        assert len(paying) <= 1
        asked_for = {(payment, refund[2]) for payment in payments for refund in refunds[payment]}
        if order not in town.closed:
            assert paying or not fits - asked_for, "an open order, a right capture, and nothing is paid"
        for payment, ref in fits - set(paying):
            given_back = [refund for refund in refunds[payment] if refund[2] == ref and refund[6]]
            others = [refund for refund in refunds[payment] if refund[2] == ref and not refund[6]]
            assert len(given_back) == 1 or (not given_back and others), f"{payment} {ref} is given back {len(given_back)} times"
        for payment in payments:
            wanted = models[payment].sums()
            if order in town.closed and wanted["status"] == "PENDING" and sums[payment]["status"] == "EXPIRED":
                wanted["status"] = "EXPIRED"
            assert sums[payment] == wanted
            assert facts[payment] == {(f.kind, f.ref, f.amount, f.currency, f.fee, f.refund or None): 1
                                      for f in models[payment].facts().values()}
            assert conflicts[payment] == {key: 1 for key in models[payment].conflicts()}
            assert all(refund[5] in ("SUCCESS", "FAILED") for refund in refunds[payment]), "a refund that was told of has not ended"
    mine = {refund[0] for payment in town.payments for refund in refunds[payment]}
    assert {refund: town.claims[refund] for refund in mine} == {refund: 1 + town.calls_in_vain[refund] for refund in mine}
