"""Looking for a set of events whose order matters, and making it small."""
import collections
import dataclasses
import itertools
import random

import model
from model import Payment
from world import random_events


def expected(events):
    known = model.facts(Payment(), events).values()
    facts = {(fact.kind, fact.ref, fact.amount, fact.currency, fact.fee) for fact in known}
    return model.sums(Payment(), events), facts, model.ledger(Payment(), events)


def arrivals(events, drawn, at_most):
    """Every permutation when there are few; else random shuffles in which some events come again."""
    if len(events) <= 6:
        every = list(itertools.permutations(events))
        return every if len(every) <= at_most else drawn.sample(every, at_most)
    found = []
    for _ in range(min(at_most, 60)):
        order = events + drawn.choices(events, k=drawn.randint(1, len(events)))
        drawn.shuffle(order)
        found.append(tuple(order))
    return found


def shuffled_among_payments(batch, drawn):
    """In order within each payment, at random among them."""
    of_payment = collections.defaultdict(list)
    for payment, event in batch:
        of_payment[payment].append(event)
    places = [payment for payment, _ in batch]
    drawn.shuffle(places)
    return [(payment, of_payment[payment].pop(0)) for payment in places]


def disagreement(world, events, drawn, at_most=720):
    """An arrival of these events whose end is not the model's, in words; None when all agree. All arrivals run side by side, each
    on a payment of its own, cut into batches at random."""
    orders = arrivals(list(events), drawn, at_most)
    payments = [ids[0] for _, ids in world.orders(len(orders))]
    waiting = [list(order) for order in orders]
    while any(waiting):
        batch = []
        for payment, rest in zip(payments, waiting):
            for event in rest[:drawn.choice((1, 1, 1, 2, 3))]:
                batch.append((payment, event))
                rest.pop(0)
        world.apply(shuffled_among_payments(batch, drawn))
    wanted, found = expected(events), world.state(payments)
    for payment, order in zip(payments, orders):
        if found[payment] != wanted:
            return f"{list(order)}\n  ends in {found[payment]}\n  the rules say {wanted}"
    return None


def simpler(event):
    """The same event with less to it, one step at a time."""
    full = Payment()
    if event.source != "webhook":
        yield dataclasses.replace(event, source="webhook")
    if event.currency != full.currency:
        yield dataclasses.replace(event, currency=full.currency)
    if event.amount != full.amount:
        yield dataclasses.replace(event, amount=full.amount)
    if event.fee:
        yield dataclasses.replace(event, fee=0)
    if event.ref != "a":
        yield dataclasses.replace(event, ref="a")


def shrink(events, fails):
    """The smallest set that still fails, by leaving out and simplifying."""
    events, smaller = list(events), True
    while smaller:
        smaller = False
        candidates = [events[:i] + events[i + 1:] for i in range(len(events))]
        candidates += [events[:i] + [less] + events[i + 1:] for i, event in enumerate(events) for less in simpler(event)]
        for candidate in candidates:
            if candidate and fails(candidate):
                events, smaller = candidate, True
                break
    return events


def search(world, seed, cases, sizes):
    """The first failing case, made small: (events, words); None when none was found."""
    for case in range(cases):
        drawn = random.Random(f"{seed} {case}")
        events = random_events(drawn, drawn.choice(sizes))
        if disagreement(world, events, drawn) is None:
            continue

        def still_fails(smaller):
            return disagreement(world, smaller, random.Random(1), at_most=24) is not None
        small = shrink(events, still_fails) if still_fails(events) else events
        return small, disagreement(world, small, random.Random(1)) or "only in the order that was drawn"
    return None
