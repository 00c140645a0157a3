"""The rules of money about one payment, in a page: what reports come to, whoever brought them and in whatever order. Written from the
rules alone, as order_model.py is; the two share nothing with the product.

 - A fact is known by its kind and the PSP's reference. Every report of it is an observation.
 - Of the observations of one fact one counts: a settlement line before what a PSP answers when it is asked (its status, a refund)
   before a webhook before a settlement line in another currency than the payment's; among equals the one that fits the payment; then
   the greatest amount, currency, fee. Two amounts are a conflict.
 - What is told of refunds under one reference is of that refund of ours which a report of it names (of two names, the least); else
   the PSP refunded by itself.
 - A refund that failed under a reference did not succeed under it, whatever else is told; what succeeds under another is another
   matter.
 - A payment's sums are sums over its facts, in its own currency. Its status is the first line that holds."""
import collections
import dataclasses

REFUND_KINDS = {"refund_requested", "refund_succeeded", "refund_failed"}
RANK = {"settlement": 3, "status_poll": 2, "refund_call": 2, "webhook": 1}


@dataclasses.dataclass(frozen=True)
class Event:
    """What one report says of a payment. Two with another id are two messages; else they are one that came again."""
    kind: str
    ref: str
    amount: int = 45000         # 0: of a refund, that it says none
    currency: str = "INR"
    source: str = "webhook"
    fee: int = 0
    refund: str = ""            # the refund of ours that it names
    id: str = ""

    @property
    def at_us(self):
        """When it happened. What is no capture came before the capture of its reference, under b after it."""
        return 1700000000000000 + (0 if self.kind == "captured" else 1 if self.ref == "b" else -1)


class Payment:
    """What is known of one payment. Only the set of events matters, so nothing here depends on when they came."""

    def __init__(self, amount=45000, currency="INR", events=()):
        self.amount, self.currency, self.events = amount, currency, list(events)

    def fits(self, event):
        return (event.amount, event.currency) == (self.amount, self.currency)

    def weight(self, event):
        rank = RANK[event.source] if event.source != "settlement" or event.currency == self.currency else 0
        return rank, self.fits(event), event.amount, event.currency, event.fee

    def facts(self):
        """{(kind, ref): what counts of it}, in the order in which they became known"""
        reports, names = collections.defaultdict(list), collections.defaultdict(set)
        for event in self.events:
            reports[event.kind, event.ref].append(event)
            if event.refund:
                names[event.ref].add(event.refund)
        return {(kind, ref): dataclasses.replace(max(told, key=self.weight), id="", source="",
                                                 refund=min(names[ref], default="") if kind in REFUND_KINDS else "")
                for (kind, ref), told in reports.items()}

    def conflicts(self):
        told = collections.defaultdict(set)
        for event in self.events:
            told[event.kind, event.ref].add((event.amount, event.currency))
        return {key for key, amounts in told.items() if len(amounts) > 1}

    def refunds_made(self):
        """What succeeded, and did not fail under the same reference."""
        facts = self.facts()
        return [fact for (kind, ref), fact in facts.items() if kind == "refund_succeeded" and ("refund_failed", ref) not in facts]

    def refunds_failed_after_all(self):
        facts = self.facts()
        return sorted(key for key in facts if key[0] == "refund_failed" and ("refund_succeeded", key[1]) in facts)

    def captures_undone(self):
        """What was voided, or failed, under a capture's reference after it was captured."""
        facts = self.facts()
        return sorted((kind, ref) for kind, ref in facts if kind in ("failed", "voided") and ("captured", ref) in facts
                      and facts[kind, ref].at_us > facts["captured", ref].at_us)

    def captures(self):
        return {fact.ref: fact for fact in self.facts().values() if fact.kind == "captured"}

    def sums(self):
        facts = self.facts().values()
        count = collections.Counter(fact.kind for fact in facts)
        total = collections.Counter()
        for fact in [fact for fact in facts if fact.kind == "captured"] + self.refunds_made():
            total[fact.kind] += fact.amount if fact.currency == self.currency else 0
        mismatches = sum(not self.fits(fact) for fact in self.captures().values())
        return {"captured": total["captured"], "refunded": total["refund_succeeded"], "captures": count["captured"],
                "mismatches": mismatches,
                "disputed": count["dispute_lost"] > 0 or count["dispute_opened"] > count["dispute_won"],
                "status": self.status(count, total["captured"], total["refund_succeeded"], mismatches)}

    @staticmethod
    def status(count, captured, refunded, mismatches):
        if mismatches:
            return "MISMATCH"
        if count["captured"]:
            return "REFUNDED" if refunded >= captured else "PARTIALLY_REFUNDED" if refunded else "SUCCESS"
        if count["authorized"] and not count["voided"]:
            return "AUTHORIZED"
        if count["failed"] or count["voided"]:
            return "FAILED"
        return "EXPIRED" if count["expired"] else "PENDING"
