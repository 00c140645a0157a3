"""Scenarios: what happens to one order, as a list of steps, done to the product and to the model, many of them side by side. And
looking for one in which the two disagree, made small.

    ("report", ((payment, Event), …))   one batch
    ("begin",)  ("drain",)              the payments are begun (else before the first step); what came before is tried again
    ("cancel",)  ("due",)  ("sweep",)   the order: cancelled; its time is over; those whose time is over are expired
    ("refund", name, payment, amount)   asked for under a key; 0: all that is left of one capture
    ("claim", lease)                    refunds that are due are claimed, for long or for no time
    ("called", name, unknown)           a call to the PSP has ended
    ("decide", payment, ref, decision)  a person about a capture that does not fit"""
import dataclasses
import uuid

import calls
from model import Event
from order_model import Order

MOST_AT_ONCE = 1000  # scenarios that run side by side


def message(event):
    return " ".join(map(str, dataclasses.astuple(event)))


class Run:
    """One scenario under way: the product's ids and the model's order."""

    def __init__(self, steps, payments):
        self.steps = list(steps) if ("begin",) in steps else [("begin",), *steps]
        self.steps.append(("drain",))
        self.order_id = calls.new_id()
        self.payments = [calls.new_id() for _ in range(payments)]
        self.order = Order(payments)
        self.begun = False
        self.parked = {}            # {(payment, message): event}
        self.refund_ids = {}        # {name: id}
        self.wrong = None           # the first disagreement, in words

    def claims(self, words):
        self.wrong = self.wrong or words

    def refund_id(self, name):
        """Of a refund of ours; of one that is not there, an id that nobody knows. Ids are ordered as the names."""
        if name not in self.refund_ids and name.startswith("A"):
            self.refund_ids[name] = f"00000000-0000-{int(name[1:]):04x}-8000-{uuid.uuid4().hex[:12]}"
        return self.refund_ids.get(name) or calls.new_id()

    def named_by(self, event):
        return self.refund_id(event.refund) if event.refund else None

    def name_of(self, refund_id):
        return next((name for name, known in self.refund_ids.items() if known == refund_id), refund_id)


# ---- doing one kind of step for all runs that have it now: [(run, arguments)] ----

def do_report(world, todo):
    reports, whose = [], []
    for run, (batch,) in todo:
        for number, event in batch:
            reports.append((run.payments[number], event, run.named_by(event), message(event), None))
            whose.append(run)
            if not run.begun:
                run.parked.setdefault((run.payments[number], message(event)), (number, event))
        if run.begun:
            run.order.report(batch)
    for run, report, outcome in zip(whose, reports, world.report(reports)):
        if outcome not in (("applied", "duplicate") if run.begun else ("parked",)):
            run.claims(f"{report[1]} ended as {outcome}")


def do_begin(world, todo):
    world.begin([(run.order_id, payment) for run, _ in todo for payment in run.payments])
    for run, _ in todo:
        run.begun = True


def do_drain(world, todo):
    """What was parked, as it was received."""
    if not any(run.parked for run, _ in todo):
        return
    rows, reports = world.claim_parked([payment for run, _ in todo for payment in run.payments]), []
    for run, _ in todo:
        waiting = {key: told for key, told in run.parked.items() if key in rows}
        reports += [(key[0], event, run.named_by(event), key[1], rows[key]) for key, (_, event) in waiting.items()]
        run.order.report(list(waiting.values()))
        run.parked.clear()
    if reports:
        world.report(reports)


def do_cancel(world, todo):
    calls.cancel(world, *[{"order_id": run.order_id} for run, _ in todo])
    for run, _ in todo:
        run.order.cancel()


def do_due(world, todo):
    world.make_due([run.order_id for run, _ in todo])
    for run, _ in todo:
        run.order.due()


def do_sweep(world, todo):
    world.expire([run.order_id for run, _ in todo])
    for run, _ in todo:
        run.order.sweep()


def do_refund(world, todo):
    requests = [{"refund_id": calls.new_id() if name in run.order.answers else run.refund_id(name),  # a second try has another id
                 "payment_id": run.payments[number], "amount": amount, "key": str(uuid.uuid5(uuid.UUID(run.order_id), name))}
                for run, (name, number, amount) in todo]
    for (run, (name, number, amount)), (_, verdict, _) in zip(todo, calls.refund(world, *requests)):
        wanted = run.order.ask_refund(name, number, amount)
        if verdict != wanted:
            run.claims(f"refund {name} of {amount}: {verdict}, the rules say {wanted}")


def do_claim(world, todo):
    for lease in (False, True):
        runs = [run for run, (long,) in todo if long == lease]
        claimed = world.claim([payment for run in runs for payment in run.payments], lease) if runs else []
        found = {}
        for refund, payment in claimed:
            found.setdefault(payment, []).append(refund)
        for run in runs:
            names = sorted(run.name_of(refund) for payment in run.payments for refund in found.get(payment, ()))
            wanted = sorted(run.order.claim(lease))
            if names != wanted:
                run.claims(f"claimed are {names}, the rules say {wanted}")


def do_called(world, todo):
    world.called([(run.refund_id(name), unknown) for run, (name, unknown) in todo])
    for run, (name, unknown) in todo:
        run.order.called(name, unknown)


def do_decide(world, todo):
    for run, (number, ref, decision) in todo:
        world.decide(run.payments[number], ref, decision)
        run.order.decide((number, ref), decision)


DO = {"report": do_report, "begin": do_begin, "drain": do_drain, "cancel": do_cancel, "due": do_due, "sweep": do_sweep,
      "refund": do_refund, "claim": do_claim, "called": do_called, "decide": do_decide}


# ---- running and comparing ----

def learn_refunds(world, runs):
    """Refunds that the product made by itself get the model's names."""
    whose = {payment: (run, number) for run in runs for number, payment in enumerate(run.payments)}
    for refund_id, payment, capture, _, _, _, automatic, decided in world.refunds(list(whose)):
        run, number = whose[payment]
        if automatic:
            run.refund_ids[f"auto {number} {capture}"] = refund_id
        elif decided and refund_id not in run.refund_ids.values():
            count = sum(name.startswith(f"decided {number} {capture} ") for name in run.refund_ids)
            run.refund_ids[f"decided {number} {capture} {count + 1}"] = refund_id


def run_all(world, scenarios):
    """scenarios: [(payments, steps)]. The runs, at their end."""
    runs = [Run(steps, payments) for payments, steps in scenarios]
    world.forget_due()
    calls.create(world, *[{"order_id": run.order_id} for run in runs])
    for position in range(max(len(run.steps) for run in runs)):
        now = [run for run in runs if position < len(run.steps)]
        learned = False
        for kind in DO:
            todo = [(run, run.steps[position][1:]) for run in now if run.steps[position][0] == kind]
            if not todo:
                continue
            names_refunds = kind in ("claim", "called") or (
                kind == "report" and any(event.refund[:1] in ("a", "d") for _, (batch,) in todo for _, event in batch))
            if names_refunds and not learned:
                learn_refunds(world, now)
                learned = True
            DO[kind](world, todo)
    compare(world, runs)
    return runs


def compare(world, runs):
    learn_refunds(world, runs)
    every = [payment for run in runs for payment in run.payments]
    orders = world.order_rows([run.order_id for run in runs])
    sums, facts, ledger, applied = world.sums(every), world.facts(every), world.ledger(every), world.applied(every)
    conflicts = world.discrepancies(every, "observation_conflict")
    waiting = world.discrepancies(every, "amount_mismatch", "d.settled_at IS NULL")
    undone = world.discrepancies(every, "capture_undone", "d.settled_at IS NULL")
    failed_after_all = world.discrepancies(every, "refund_failed_after_success")
    refunds = {}
    for refund_id, payment, capture, amount, currency, status, _, _ in world.refunds(every):
        refunds.setdefault(payment, []).append((refund_id, capture, amount, currency, status))
    for run in runs:
        order = run.order
        found = {"order": orders[run.order_id],
                 "applied": [(number, ref) for number, payment in enumerate(run.payments) for ref in applied[payment]]}
        wanted = {"order": (order.status, order.payments[0].amount if order.applied else 0, order.refunded),
                  "applied": [order.applied] if order.applied else []}
        for number, payment in enumerate(run.payments):
            model = order.payments[number]
            found |= {f"sums {number}": sums[payment],
                      f"facts {number}": sorted((*key[:-1], run.name_of(key[-1]) or "") for key in facts[payment].elements()),
                      f"ledger {number}": ledger.get(payment, {}),
                      f"conflicts {number}": sorted(conflicts[payment].elements()),
                      f"waiting {number}": sorted(ref for _, ref in waiting[payment].elements()),
                      f"undone {number}": sorted(undone[payment].elements()),
                      f"refunds failed after all {number}": sorted(failed_after_all[payment].elements()),
                      f"refunds {number}": sorted((run.name_of(refund[0]), *refund[1:]) for refund in refunds.get(payment, []))}
            wanted |= {f"sums {number}": order.payment_sums(number),
                       f"facts {number}": sorted((f.kind, f.ref, f.amount, f.currency, f.fee, f.refund)
                                                 for f in model.facts().values()),
                       f"ledger {number}": order.ledger(number),
                       f"conflicts {number}": sorted(model.conflicts()),
                       f"waiting {number}": sorted(ref for whose, ref in order.waiting() if whose == number),
                       f"undone {number}": model.captures_undone(),
                       f"refunds failed after all {number}": model.refunds_failed_after_all(),
                       f"refunds {number}": sorted((name, r.capture, r.amount, r.currency, order.refund_status(name))
                                                   for name, r in order.refunds.items() if r.payment == number)}
        for key in wanted:
            if found[key] != wanted[key]:
                run.claims(f"{key}: {found[key]}, the rules say {wanted[key]}")


def disagreements(world, scenarios):
    """For each, in words; None where product and model agree."""
    found = []
    for first in range(0, len(scenarios), MOST_AT_ONCE):
        found += [run.wrong for run in run_all(world, scenarios[first:first + MOST_AT_ONCE])]
    return found


# ---- making a scenario small ----

def simpler_events(event):
    """The same event with less to it, one step at a time."""
    plain = Event(event.kind, event.ref)
    for field in ("id", "source", "currency", "amount", "fee", "refund"):
        if getattr(event, field) != getattr(plain, field):
            yield dataclasses.replace(event, **{field: getattr(plain, field)})
    if event.ref != "a":
        yield dataclasses.replace(event, ref="a")


def smaller_steps(steps):
    """Its beginning; without a step; with one report less in a batch; with a batch cut in two; with a simpler event."""
    for at, step in enumerate(steps):
        before, after = steps[:at], steps[at + 1:]
        yield before
        yield before + after
        if step[0] == "report":
            batch = step[1]
            for i, (number, event) in enumerate(batch):
                if len(batch) > 1:
                    yield before + [("report", batch[:i] + batch[i + 1:])] + after
                    if i:
                        yield before + [("report", batch[:i]), ("report", batch[i:])] + after
                for simpler in simpler_events(event):
                    yield before + [("report", batch[:i] + ((number, simpler),) + batch[i + 1:])] + after
                if number:
                    yield before + [("report", batch[:i] + ((0, event),) + batch[i + 1:])] + after


def size(scenario):
    """What shrinking makes less: reports and steps, then what is special about them."""
    payments, steps = scenario
    events = [event for step in steps if step[0] == "report" for _, event in step[1]]
    numbers = [number for step in steps if step[0] == "report" for number, _ in step[1]]
    special = sum(1 for event in events for _ in simpler_events(event)) + sum(numbers)
    return len(events) + sum(step[0] != "report" for step in steps), special, -len(steps)


def shrink(world, scenario):
    """The smallest scenario in reach that still fails: all that are a little smaller run side by side."""
    payments, steps = scenario
    words = disagreements(world, [scenario])[0]
    while words:
        candidates = [(payments, smaller) for smaller in smaller_steps(list(steps)) if size((payments, smaller)) < size((payments, steps))]
        failing = [(candidate, wrong) for candidate, wrong in zip(candidates, disagreements(world, candidates)) if wrong] \
            if candidates else []
        if not failing:
            break
        (_, steps), words = min(failing, key=lambda found: size(found[0]))
    return (payments, steps), words


def search(world, scenarios):
    """(the smallest scenario found in which product and model disagree, in words why); None when they agree in all."""
    for scenario, words in zip(scenarios, disagreements(world, scenarios)):
        if words:
            small, why = shrink(world, scenario)
            return small, why or "only side by side with others: " + words
    return None


def agrees(world, scenarios, seed):
    found = search(world, scenarios)
    assert found is None, told(found, seed)


def told(found, seed):
    (payments, steps), words = found
    return "\n  ".join([f"PROPERTY_SEED={seed}; the smallest case, {payments} payments:", *map(str, steps), words])
