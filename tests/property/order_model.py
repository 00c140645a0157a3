"""The rules of money about an order, its payments and their refunds. A capture is (payment, its reference).

 - A message that has come counts once.
 - The first capture that fits while the order is open pays it, for good. Every other one that fits is given back, once. One that does
   not fit waits for a person; so does one that was given back in part before it came to fit, and one that came to more after a
   person had it given back.
 - Of a capture no more is promised back than it brought: less every refund that has not failed (what was asked for or
   what was given back for it, whichever is more), less what the PSP gave back by itself.
 - A refund is due until a report says how it ended.
 - A capture is the merchant's when it pays the order or a person has accepted it, and so are the refunds of it; else it is nobody's
   yet. What a PSP gives back by itself is the merchant's when a capture of its payment is."""
import collections
import dataclasses

from model import Payment


@dataclasses.dataclass
class Refund:
    payment: int
    capture: str
    amount: int
    currency: str
    unknown: bool = False       # the PSP was asked, and may have done it
    leased: bool = False        # somebody is at it


class Order:
    """What happens to it, in the order in which it happens."""

    def __init__(self, payments=1):
        self.payments = [Payment() for _ in range(payments)]
        self.is_due = self.cancelled = self.expired = False
        self.messages = set()   # that have come
        self.known = {}         # captures, in the order in which they became known
        self.applied, self.given_back, self.decided = None, set(), {}
        self.refunds = {}       # by name
        self.answers = {}       # of refund requests, by name

    # ---- what happens ----

    def report(self, batch):
        """[(payment, Event)]: one transaction."""
        told = {}               # captures of which something new is said
        for number, event in batch:
            if (number, event) in self.messages:
                continue
            self.messages.add((number, event))
            named = self.refunds.get(event.refund)
            event = dataclasses.replace(event, id="", refund=event.refund if named and named.payment == number else "")
            if event.amount == 0 and event.refund:
                event = dataclasses.replace(event, amount=named.amount)
            if event.kind == "captured" and event not in self.payments[number].events:
                told[number, event.ref] = True
            self.payments[number].events.append(event)
        self.known.update(told)
        for capture in (known for known in self.known if known in told):
            if self.is_more_than_was_decided(capture):
                del self.decided[capture]
            treated = capture == self.applied or self.refunds_of(capture) or capture in self.decided
            if treated or not self.fits(capture):
                continue
            if self.applied is None and not (self.is_due or self.cancelled or self.expired):
                self.applied = capture
            else:
                self.given_back.add(capture)
                self.give_back(f"auto {capture[0]} {capture[1]}", capture, self.payments[0].amount)
        for name, refund in self.refunds.items():
            refund.unknown = refund.unknown and not self.told_of(name)
            refund.leased = refund.leased and not self.ended(name)

    def cancel(self):
        self.cancelled = self.cancelled or (self.status == "PENDING" and not self.is_due)

    def due(self):
        self.is_due = True

    def sweep(self):
        self.expired = self.expired or (self.status == "PENDING" and self.is_due)

    def ask_refund(self, name, number, amount):
        """0: all that is left of one capture. A name that was answered gets the same answer."""
        if name not in self.answers:
            fitting = [(capture, left) for capture, left in self.refundable(number) if left >= max(amount, 1)]
            self.answers[name] = "ok" if fitting else "exceeds_capture"
            if fitting:
                self.give_back(name, fitting[0][0], amount or fitting[0][1])
        return self.answers[name]

    def decide(self, capture, decision):
        """A person about a capture that waits."""
        if capture not in self.waiting():
            return
        left = dict(self.refundable(capture[0]))[capture]
        if decision == "accept" or left > 0:
            self.decided[capture] = decision
        if decision == "refund" and left > 0:
            before = sum(name.startswith("decided") for name in self.refunds_of(capture))
            self.give_back(f"decided {capture[0]} {capture[1]} {before + 1}", capture, left)

    def claim(self, lease):
        """Names of the refunds that their PSP is to be asked for now."""
        due = [name for name, refund in self.refunds.items() if not refund.leased and not self.ended(name)]
        for name in due:
            self.refunds[name].leased = lease
        return due

    def called(self, name, unknown):
        if name in self.refunds and not self.ended(name):
            refund = self.refunds[name]
            refund.unknown = refund.unknown or (unknown and not self.told_of(name))
            refund.leased = False

    def give_back(self, name, capture, amount):
        self.refunds[name] = Refund(capture[0], capture[1], amount, self.fact(capture).currency)

    # ---- what it comes to ----

    def fact(self, capture):
        return self.payments[capture[0]].captures()[capture[1]]

    def fits(self, capture):
        return self.payments[capture[0]].fits(self.fact(capture))

    def refunds_of(self, capture):
        return [name for name, refund in self.refunds.items() if (refund.payment, refund.capture) == capture]

    def told_of(self, name):
        """Kinds of the facts of this refund."""
        return {fact.kind for fact in self.payments[self.refunds[name].payment].facts().values() if fact.refund == name}

    def made(self, number, name):
        """What a PSP gave back for this refund; "": by itself."""
        return [fact for fact in self.payments[number].refunds_made() if fact.refund == name]

    def ended(self, name):
        return self.told_of(name) & {"refund_succeeded", "refund_failed"}

    def refund_status(self, name):
        told = self.told_of(name)
        return ("SUCCESS" if self.made(self.refunds[name].payment, name) else "FAILED" if "refund_failed" in told
                else "UNKNOWN" if self.refunds[name].unknown else "PENDING")

    def given_for(self, name, currency):
        """What the PSP says it gave back for this refund."""
        return sum(fact.amount for fact in self.made(self.refunds[name].payment, name) if fact.currency == currency)

    def refundable(self, number):
        """[(capture, what is left of it)], the one that pays the order first."""
        captures = sorted(((number, ref) for ref in self.payments[number].captures()), key=lambda c: c != self.applied)
        by_itself = collections.Counter()
        for fact in self.made(number, ""):
            by_itself[fact.currency] += fact.amount
        found = []
        for capture in captures:
            fact = self.fact(capture)
            left = max(fact.amount - sum(max(self.refunds[name].amount, self.given_for(name, fact.currency))
                                         for name in self.refunds_of(capture) if self.refund_status(name) != "FAILED"), 0)
            taken = min(left, by_itself[fact.currency])
            by_itself[fact.currency] -= taken
            found.append((capture, left - taken))
        return found

    def waiting(self):
        """Captures that wait for a person."""
        every = {(number, ref) for number, payment in enumerate(self.payments) for ref in payment.captures()}
        return {capture for capture in every if capture not in self.decided and
                not (self.fits(capture) and (capture == self.applied or capture in self.given_back))}

    def is_more_than_was_decided(self, capture):
        """Given back by a person, and now it comes to more. (Refused by the PSP, it is the refund that waits.)"""
        return (self.decided.get(capture) == "refund" and dict(self.refundable(capture[0]))[capture] > 0
                and all(self.refund_status(name) != "FAILED" for name in self.refunds_of(capture)))

    def is_merchants(self, capture):
        return capture == self.applied or self.decided.get(capture) == "accept"

    @property
    def refunded(self):
        """Of the capture that pays the order: refunds of it, and what the PSP gave back of its payment by itself."""
        if self.applied is None:
            return 0
        payment = self.payments[self.applied[0]]
        return sum(fact.amount for fact in payment.refunds_made()
                   if fact.currency == payment.currency
                   and (not fact.refund or self.refunds[fact.refund].capture == self.applied[1]))

    @property
    def status(self):
        if self.applied:
            paid = self.payments[0].amount
            return "REFUNDED" if self.refunded >= paid else "PARTIALLY_REFUNDED" if self.refunded else "PAID"
        return "CANCELLED" if self.cancelled else "EXPIRED" if self.expired else "PENDING"

    def payment_sums(self, number):
        """A payment that nobody used ends with its order."""
        sums = self.payments[number].sums()
        if (self.cancelled or self.expired) and sums["status"] == "PENDING":
            sums["status"] = "EXPIRED"
        return sums

    def ledger(self, number):
        """What the books hold of a payment: {(account, currency): balance}, debits positive."""
        balance = collections.Counter()
        merchants = {ref for ref in self.payments[number].captures() if self.is_merchants((number, ref))}
        facts = self.payments[number].facts().values()
        for fact in [fact for fact in facts if fact.kind != "refund_succeeded"] + self.payments[number].refunds_made():
            refund = self.refunds.get(fact.refund)
            lines = {"captured": (("psp", fact.amount),
                                  ("merchant" if fact.ref in merchants else "unapplied", -fact.amount)),
                     "refund_succeeded": (("refunds" if (refund.capture in merchants if refund else merchants) else "unapplied",
                                           fact.amount), ("psp", -fact.amount)),
                     "settled": (("settlement", fact.amount - fact.fee), ("fees", fact.fee), ("psp", -fact.amount)),
                     "dispute_lost": (("disputes", fact.amount), ("psp", -fact.amount))}
            for account, amount in lines.get(fact.kind, ()):
                balance[account, fact.currency] += amount
        return {key: amount for key, amount in balance.items() if amount}
