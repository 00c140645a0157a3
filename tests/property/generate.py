"""What is drawn: events of a payment, arrivals of them, lives of orders. The same random.Random draws the same."""
import dataclasses
import itertools

from model import Event

AMOUNT = Event("", "").amount
OTHER_END = {"refund_succeeded": "refund_failed", "refund_failed": "refund_succeeded"}
REFUND_KINDS = ("refund_succeeded", "refund_succeeded", "refund_failed", "refund_requested")
KINDS = ("captured",) * 7 + REFUND_KINDS + ("failed",) * 2 + ("authorized", "voided", "expired", "settled",
                                                               "dispute_opened", "dispute_won", "dispute_lost")
SOURCES = ("webhook", "webhook", "status_poll", "settlement")
FIRST_REFUNDS = [("report", ((0, Event("captured", "a")),)), ("refund", "A1", 0, 15000), ("refund", "A2", 0, 20000)]


def random_event(drawn, refunds=()):
    """refunds: names of ours that a report may be about."""
    kind = drawn.choice(REFUND_KINDS if refunds and drawn.random() < 0.3 else KINDS)
    name, amount, ref = "", AMOUNT, drawn.choice("aaab")
    if kind.startswith("refund"):
        amount = drawn.choice((AMOUNT, 15000, 20000))
        if refunds and drawn.random() < 0.7:
            name = drawn.choice(refunds)
            ref = name + drawn.choice(("", "", "", "'"))  # a second reference of one refund is the PSP's mistake
            amount = drawn.choice((amount, amount, 0))
            name = drawn.choice((name,) * 6 + ("",))      # told by its reference alone
    if drawn.random() < 0.2:
        amount = drawn.choice((44000, 1, 90000))
    sources = SOURCES + ("refund_call",) * 3 if kind.startswith("refund") else SOURCES
    return Event(kind, ref, amount, "USD" if drawn.random() < 0.08 else "INR", drawn.choice(sources),
                 900 if kind == "settled" else 0, name)


def told_again(event, drawn):
    """By another source, or as another message; now and then with something else in it. A refund also to have ended the other way,
    under its reference or another."""
    again = dataclasses.replace(event, source=drawn.choice(SOURCES), id=drawn.choice(("", "2")))
    if event.kind in OTHER_END and drawn.random() < 0.5:
        return dataclasses.replace(again, kind=OTHER_END[event.kind], ref=event.ref + drawn.choice(("", "'")))
    if drawn.random() < 0.6:
        change = drawn.choice(({"amount": 44000}, {"amount": AMOUNT}, {"currency": "USD"}, {"fee": 450}, {"refund": ""}))
        again = dataclasses.replace(again, **change)
    return again


def random_events(drawn, count, refunds=()):
    found = []
    while len(found) < count:
        found.append(told_again(drawn.choice(found), drawn) if found and drawn.random() < 0.35 else random_event(drawn, refunds))
    return found


# ---- one payment: arrivals of the same events ----

def in_batches(events, drawn):
    steps, rest = [], list(events)
    while rest:
        count = drawn.choice((1, 1, 1, 2, 3))
        steps.append(("report", tuple((0, event) for event in rest[:count])))
        rest = rest[count:]
    return steps


def orders_of_arrival(events, drawn):
    """Every permutation of at most six events; of more, random ones in which some come again, as the same message or another."""
    if len(events) <= 6:
        return [list(order) for order in itertools.permutations(events)]
    found = []
    for _ in range(60):
        order = events + [dataclasses.replace(event, id=drawn.choice((event.id, "again")))
                          for event in drawn.choices(events, k=drawn.randint(1, len(events)))]
        drawn.shuffle(order)
        found.append(order)
    return found


def arrivals(drawn, size):
    """Scenarios of one payment that differ in nothing but the order and the batches of arrival. In some, two refunds were asked for
    before; in some, the payment is begun after all has come."""
    refunded, late = drawn.random() < 0.5, drawn.random() < 0.15
    before = FIRST_REFUNDS if refunded and not late else []
    events = random_events(drawn, size, ("A1", "A2") if before else ())
    return [(1, before + in_batches(order, drawn) + ([("begin",)] if late else [])) for order in orders_of_arrival(events, drawn)]


# ---- one order: whatever may happen to it ----

def random_step(drawn, payments, names):
    """names: of refunds, those asked for and those that the product may make by itself."""
    number, what = drawn.randrange(payments), drawn.random()
    if what < 0.55:
        batch = []
        for _ in range(drawn.choice((1, 1, 1, 2, 4))):
            number = drawn.randrange(payments)
            own = [name for name in names if name[0] == "A" or int(name.split()[1]) == number]
            batch.append((number, random_event(drawn, own)))
        return ("report", tuple(batch))
    if what < 0.62:
        return drawn.choice((("cancel",), ("due",), ("sweep",)))
    if what < 0.78:
        return ("refund", drawn.choice(("A1", "A2", "A3", "A4")), number, drawn.choice((0, 1, 15000, 20000, 30000, AMOUNT)))
    if what < 0.86:
        return ("claim", drawn.random() < 0.5)
    if what < 0.94:
        return ("called", drawn.choice(names), drawn.random() < 0.5)
    return ("decide", number, drawn.choice("ab"), drawn.choice(("accept", "refund")))


def life(drawn):
    payments = drawn.randint(1, 3)
    names = [f"A{i}" for i in range(1, 5)] + [name for number in range(payments) for ref in "ab"
                                              for name in (f"auto {number} {ref}", f"decided {number} {ref} 1")]
    steps = [random_step(drawn, payments, names) for _ in range(drawn.randint(4, 16))]
    if drawn.random() < 0.2:  # webhooks before their payment
        early = [step for step in steps[:3] if step[0] == "report"]
        steps = early + [("begin",), *steps[3:]]
        steps.insert(drawn.randint(len(early) + 1, len(steps)), ("drain",))
    return payments, steps


def life_with_refunds(drawn):
    """Captures, then mostly refunds: asked for, claimed, called, told of."""
    payments = drawn.randint(1, 2)
    steps = [("report", ((number, Event("captured", drawn.choice("ab"))),)) for number in range(payments)]
    names = [f"A{i}" for i in range(1, 5)] + [f"auto {number} {ref}" for number in range(payments) for ref in "ab"]
    for _ in range(drawn.randint(6, 16)):
        what = drawn.random()
        if what < 0.3:
            steps.append(("refund", drawn.choice(names[:4]), drawn.randrange(payments), drawn.choice((0, 1, 15000, 20000, AMOUNT))))
        elif what < 0.5:
            steps.append(("claim", drawn.random() < 0.5))
        elif what < 0.65:
            steps.append(("called", drawn.choice(names), drawn.random() < 0.5))
        elif what < 0.95:
            name = drawn.choice(names)
            number = int(name.split()[1]) if name[0] == "a" else drawn.randrange(payments)
            ref = name + drawn.choice(("", "", "", "'"))
            steps.append(("report", ((number, Event(drawn.choice(REFUND_KINDS), ref, drawn.choice((0, 0, 15000)),
                                                    source=drawn.choice(("webhook", "refund_call")), refund=name)),)))
        else:
            steps.append(random_step(drawn, payments, names))
    return payments, steps
