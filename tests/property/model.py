"""The rules of money, in a page: what facts come to, whoever told them and in whatever order. Written from the rules alone; it shares
nothing with the product.

 - A fact is known by its kind and the PSP's reference. Every report of it is an observation.
 - Of the observations of one fact one counts: a settlement line before what a PSP answers when asked (status, refund) before a
   webhook; among equals the one that fits the payment; then the greatest amount, currency, fee.
 - A payment's sums are sums over its facts, in its own currency. Its status is the first line that holds.
 - The first capture that fits, while the order is open, pays it. Every other one that fits is given back, once."""
import collections
import dataclasses

RANK = {"settlement": 3, "status_poll": 2, "refund_call": 2, "webhook": 1}


@dataclasses.dataclass(frozen=True)
class Event:
    """What one report says of a payment."""
    kind: str
    ref: str
    amount: int
    currency: str
    source: str = "webhook"
    fee: int = 0
    event_id: str = ""


@dataclasses.dataclass(frozen=True)
class Payment:
    amount: int = 45000
    currency: str = "INR"

    def fits(self, event):
        return (event.amount, event.currency) == (self.amount, self.currency)

    def weight(self, event):
        return RANK[event.source], self.fits(event), event.amount, event.currency, event.fee


def facts(payment, events):
    """{(kind, ref): the observation that counts}"""
    known = {}
    for event in events:
        best = known.get((event.kind, event.ref))
        if best is None or payment.weight(event) > payment.weight(best):
            known[event.kind, event.ref] = event
    return known


def sums(payment, events):
    known = facts(payment, events).values()
    count = collections.Counter(fact.kind for fact in known)
    total = collections.Counter()
    for fact in known:
        if fact.currency == payment.currency:
            total[fact.kind] += fact.amount
    mismatches = sum(fact.kind == "captured" and not payment.fits(fact) for fact in known)
    return {"captured": total["captured"], "refunded": total["refund_succeeded"], "captures": count["captured"],
            "mismatches": mismatches, "disputed": count["dispute_lost"] > 0 or count["dispute_opened"] > count["dispute_won"],
            "status": status(count, total, mismatches)}


def status(count, total, mismatches):
    if mismatches:
        return "MISMATCH"
    if count["captured"]:
        refunded = total["refund_succeeded"]
        return "REFUNDED" if refunded >= total["captured"] else "PARTIALLY_REFUNDED" if refunded else "SUCCESS"
    if count["authorized"] and not count["voided"]:
        return "AUTHORIZED"
    if count["failed"] or count["voided"]:
        return "FAILED"
    return "EXPIRED" if count["expired"] else "PENDING"


def ledger(payment, events):
    """What the books hold of a payment: {(account, currency): balance}. Whether a capture is the merchant's yet or nobody's is decided
    per order; here both are `owed`."""
    balance = collections.Counter()
    for fact in facts(payment, events).values():
        if fact.kind == "captured":
            lines = (("psp", fact.amount), ("owed", -fact.amount))
        elif fact.kind == "refund_succeeded":
            lines = (("refunds", fact.amount), ("psp", -fact.amount))
        elif fact.kind == "settled":
            lines = (("settlement", fact.amount - fact.fee), ("fees", fact.fee), ("psp", -fact.amount))
        elif fact.kind == "dispute_lost":
            lines = (("disputes", fact.amount), ("psp", -fact.amount))
        else:
            lines = ()
        for account, amount in lines:
            balance[account, fact.currency] += amount
    return {key: amount for key, amount in balance.items() if amount}


class Order:
    """One order and what happens to it, in the order in which it happens."""

    def __init__(self, payments):
        self.payments = payments                       # names
        self.seen = {name: [] for name in payments}    # events of each
        self.open, self.closed_as = True, None
        self.applied = None                            # (payment, capture's ref)
        self.given_back = set()

    def close(self, how):
        """Cancelled or expired: only what is not paid."""
        if self.open and self.applied is None:
            self.open, self.closed_as = False, how

    def report(self, name, event):
        self.seen[name].append(event)
        fact = facts(Payment(), self.seen[name])[event.kind, event.ref]
        capture = name, event.ref
        if event.kind != "captured" or not Payment().fits(fact) or capture == self.applied or capture in self.given_back:
            return
        if self.open and self.applied is None:
            self.applied = capture
        else:
            self.given_back.add(capture)

    @property
    def status(self):
        return "PAID" if self.applied else self.closed_as or "PENDING"
