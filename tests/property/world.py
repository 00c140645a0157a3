"""The product's database, driven by the functions that the services call; many orders side by side, a call for all of them."""
import collections
import os
import pathlib
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.append(str(ROOT / "tests" / "e2e"))
import calls  # noqa: E402
from stores import Connection, Database, broken_invariants  # noqa: E402

CASES = int(os.environ.get("PROPERTY_CASES", "6"))       # more for a longer search
SEED = os.environ.get("PROPERTY_SEED", "1")
PSP = "Razorpay"


def id_list(ids):
    return ",".join(map(calls.literal, ids)) or calls.literal(calls.NIL)


class World:
    """A database of its own, asked as its owner."""

    def __init__(self):
        self.database = Database(os.environ["TIFFIN_TEST_DATABASE_URL"])
        self.query = self.database.query

    def connect(self):
        return Connection(self.database.url())

    def drop(self):
        self.database.drop()

    def broken_invariants(self):
        return broken_invariants(self.query)

    # ---- what happens ----

    def payments(self, count):
        """Ids of as many payments, each begun for an open order of its own."""
        return calls.open_payments(self, count)

    def begin(self, payments):
        """[(order id, payment id)]"""
        begun = calls.begin(self, *[{"order_id": order, "payment_id": payment} for order, payment in payments])
        assert all(verdict == "ok" for _, verdict, _, _ in begun), begun[:3]

    def report(self, reports, connection=None):
        """One batch of (payment id, Event, the refund's id or None, message, inbox row or None); how each ended."""
        rows = [{"payment_id": payment, "kind": event.kind, "ref": event.ref, "amount": event.amount, "currency": event.currency,
                 "source": event.source, "fee": event.fee, "refund_id": refund, "event_id": message, "inbox_id": inbox,
                 "occurred_at_us": event.at_us}
                for payment, event, refund, message, inbox in reports]
        return [outcome for outcome, _ in calls.report(connection or self, *rows)]

    def tell(self, *reports, connection=None):
        """One batch of (payment id, Event), each a message of its own that names no refund."""
        return self.report([(payment, event, None, calls.new_id(), None) for payment, event in reports], connection)

    def claim_parked(self, payments):
        """What waits for these payments, made due: {(payment, message): inbox row}."""
        self.query(f"UPDATE inbox SET retry_at = now() WHERE outcome = 'parked' AND payment_ref IN ({id_list(payments)})")
        return {(payment, message): int(inbox) for payment, message, inbox in self.query(
            "SELECT payment_ref, event_id, inbox_id FROM webhooks_claim_parked(1000000, 3600, 1000000)")}

    def make_due(self, orders):
        self.query(f"UPDATE orders SET expires_at = now() - interval '1 s' WHERE order_id IN ({id_list(orders)})")

    def expire(self, orders):
        """What is due of these orders, and nothing else."""
        held = [order for order, in self.query(f"""UPDATE orders SET expires_at = now() + interval '1 h'
                                                    WHERE expires_at <= now() AND expired_at IS NULL AND cancelled_at IS NULL
                                                      AND paid_amount = 0 AND order_id NOT IN ({id_list(orders)}) RETURNING order_id""")]
        self.query("SELECT count(*) FROM orders_expire(1000000)")
        self.make_due(held)

    def forget_due(self):
        """No refund of what was done until now will be due again."""
        self.query("UPDATE refunds SET next_call_at = 'infinity' WHERE next_call_at < 'infinity'")

    def claim(self, payments, lease):
        """[(refund id, payment id)]: what is due of these payments, for an hour or for no time."""
        others = f"next_call_at < 'infinity' AND payment_id NOT IN ({id_list(payments)})"
        self.query(f"UPDATE refunds SET next_call_at = next_call_at + interval '10 years' WHERE {others}")
        rows = self.query(f"SELECT refund_id, payment_id FROM refunds_claim(1000000, {3600000 if lease else 0})")
        self.query(f"UPDATE refunds SET next_call_at = next_call_at - interval '10 years' WHERE {others}")
        return rows

    def called(self, refunds):
        """[(refund id, whether its outcome is unknown)]: to be called again at once."""
        columns = [("id", "uuid", None), ("unknown", "boolean", None), ("error", "text", None), ("after_ms", "bigint", 0)]
        calls.call(self, "refunds_called", columns, [{"id": refund, "unknown": unknown} for refund, unknown in refunds], "1")

    def decide(self, payment, ref, decision):
        """By a person, about a capture that waits; nothing when it does not."""
        for number, in self.query(f"""SELECT d.discrepancy_id FROM discrepancies d JOIN facts f USING (fact_id)
                                       WHERE d.payment_id = '{payment}' AND d.kind = 'amount_mismatch' AND d.settled_at IS NULL
                                         AND f.psp_ref = '{ref}'"""):
            calls.settle(self, number, decision)

    # ---- what it has come to, by id ----

    def order_rows(self, orders):
        return {row[0]: (row[1], int(row[2]), int(row[3])) for row in self.query(
            f"SELECT order_id, status, paid_amount, refunded_amount FROM orders WHERE order_id IN ({id_list(orders)})")}

    def sums(self, payments):
        return {row[0]: {"captured": int(row[1]), "refunded": int(row[2]), "captures": int(row[3]), "mismatches": int(row[4]),
                         "disputed": row[5] == "t", "status": row[6]}
                for row in self.query(f"""SELECT payment_id, captured_amount, refunded_amount, capture_count, mismatch_count, disputed,
                                                 status FROM payments WHERE payment_id IN ({id_list(payments)})""")}

    def facts(self, payments):
        """{payment: Counter of (kind, ref, amount, currency, fee, refund id)}"""
        found = collections.defaultdict(collections.Counter)
        for row in self.query(f"""SELECT payment_id, kind, psp_ref, amount, currency, fee, refund_id FROM facts
                                   WHERE payment_id IN ({id_list(payments)})"""):
            found[row[0]][row[1], row[2], int(row[3]), row[4], int(row[5]), row[6]] += 1
        return found

    def ledger(self, payments):
        found = collections.defaultdict(collections.Counter)
        for payment, account, currency, amount in self.query(
                f"SELECT payment_id, account, currency, amount FROM ledger_entries WHERE payment_id IN ({id_list(payments)})"):
            found[payment]["psp" if account == "psp_receivable:" + PSP else account, currency] += int(amount)
        return {payment: {key: amount for key, amount in balance.items() if amount} for payment, balance in found.items()}

    def applied(self, payments):
        """{payment: [reference of a capture that pays its order]}"""
        found = collections.defaultdict(list)
        for payment, ref in self.query(f"""SELECT f.payment_id, f.psp_ref FROM applied_captures a JOIN facts f USING (fact_id)
                                            WHERE f.payment_id IN ({id_list(payments)})"""):
            found[payment].append(ref)
        return found

    def refunds(self, payments):
        """[(refund id, payment, reference of the capture, amount, currency, status, automatic, decided by a person)]"""
        return [(*row[:3], int(row[3]), row[4], row[5], row[6] == "t", row[7] is not None) for row in self.query(
            f"""SELECT r.refund_id, r.payment_id, f.psp_ref, r.amount, r.currency, r.status, r.automatic, r.discrepancy_id
                  FROM refunds r JOIN facts f ON f.fact_id = r.capture_fact_id WHERE r.payment_id IN ({id_list(payments)})
                 ORDER BY r.created_at, r.refund_id""")]

    def discrepancies(self, payments, kind, state="true"):
        """{payment: Counter of (fact's kind, ref)}"""
        found = collections.defaultdict(collections.Counter)
        for payment, fact, ref in self.query(f"""SELECT d.payment_id, f.kind, f.psp_ref FROM discrepancies d JOIN facts f USING (fact_id)
                                                  WHERE d.payment_id IN ({id_list(payments)}) AND d.kind = {calls.literal(kind)} AND {state}"""):
            found[payment][fact, ref] += 1
        return found
