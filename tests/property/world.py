"""Payments in a database of their own, and reports about them, through the functions that the services call."""
import collections
import json
import os
import pathlib
import random
import sys
import uuid

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.append(str(ROOT / "tests" / "e2e"))
from stores import Connection, Database, broken_invariants  # noqa: E402

from model import Event, Payment  # noqa: E402

CASES = int(os.environ.get("PROPERTY_CASES", "6"))       # more for a longer search
SEED = int(os.environ.get("PROPERTY_SEED", "1"))
PSP = "Razorpay"


def quoted(text):
    return "'" + text.replace("'", "''") + "'"


class World:
    def __init__(self):
        self.database = Database(os.environ["TIFFIN_TEST_DATABASE_URL"])
        self.url = self.database.url()

    def query(self, sql):
        return self.database.query(sql)

    def drop(self):
        self.database.drop()

    def orders(self, count, payments_each=1, amount=Payment().amount, currency=Payment().currency):
        """[(order id, [payment id …])], open, each payment begun."""
        made = [(str(uuid.uuid4()), [str(uuid.uuid4()) for _ in range(payments_each)]) for _ in range(count)]
        rows = json.dumps([{"o": order, "p": payment, "a": str(uuid.uuid4())} for order, payments in made for payment in payments])
        orders = json.dumps([order for order, _ in made])
        self.query(f"""
            SELECT count(*) FROM (SELECT array_agg(o::uuid) AS ids FROM jsonb_array_elements_text({quoted(orders)}) o) a,
                 LATERAL orders_create(a.ids, array_fill('u'::text, ARRAY[{count}]), array_fill({amount}::bigint, ARRAY[{count}]),
                         array_fill({quoted(currency)}::text, ARRAY[{count}]), array_fill(NULL::text, ARRAY[{count}]),
                         array_fill(NULL::text, ARRAY[{count}]), array_fill(NULL::text, ARRAY[{count}]),
                         array_fill(900::bigint, ARRAY[{count}])) c""")
        total = count * payments_each
        verdicts = self.query(f"""
            SELECT b.verdict FROM (SELECT array_agg(p) AS p, array_agg(o) AS o, array_agg(a) AS a
                     FROM jsonb_to_recordset({quoted(rows)}) AS r(o uuid, p uuid, a uuid)) x,
                 LATERAL payments_begin(x.p, x.o, array_fill('UPI'::text, ARRAY[{total}]), array_fill(NULL::text, ARRAY[{total}]),
                         array_fill(NULL::text, ARRAY[{total}]), x.a, array_fill({quoted(PSP)}::text, ARRAY[{total}])) b""")
        assert verdicts == [["ok"]] * total, verdicts[:3]
        return made

    def apply(self, reports, connection=None):
        """reports: [(payment id, Event)], one batch. The outcome of each."""
        rows = json.dumps([{"n": n, "p": payment, "e": event.event_id or str(uuid.uuid4()), "k": event.kind, "r": event.ref,
                            "a": event.amount, "f": event.fee, "c": event.currency, "s": event.source}
                           for n, (payment, event) in enumerate(reports)])
        n = len(reports)
        answer = (connection or self).query(f"""
            SELECT w.outcome FROM (SELECT array_agg(p ORDER BY n) AS p, array_agg(e ORDER BY n) AS e, array_agg(k ORDER BY n) AS k,
                       array_agg(r ORDER BY n) AS r, array_agg(a ORDER BY n) AS a, array_agg(f ORDER BY n) AS f,
                       array_agg(c ORDER BY n) AS c, array_agg(s ORDER BY n) AS s
                     FROM jsonb_to_recordset({quoted(rows)})
                          AS x(n int, p uuid, e text, k text, r text, a bigint, f bigint, c text, s text)) x,
                 LATERAL webhooks_apply(array_fill(NULL::bigint, ARRAY[{n}]), array_fill({quoted(PSP)}::text, ARRAY[{n}]), x.e, x.s,
                         x.p, array_fill(NULL::uuid, ARRAY[{n}]), array_fill(NULL::uuid, ARRAY[{n}]), x.k, x.r,
                         array_fill(true, ARRAY[{n}]), x.a, x.f, x.c, array_fill(1700000000000000::bigint, ARRAY[{n}]),
                         array_fill(NULL::text, ARRAY[{n}]), array_fill('x'::bytea, ARRAY[{n}]), array_fill(NULL::text, ARRAY[{n}]),
                         array_fill(0, ARRAY[{n}]), array_fill((extract(epoch FROM now()) * 1000000)::bigint, ARRAY[{n}]),
                         array_fill(NULL::text, ARRAY[{n}]), 300) w
             WHERE w.position > 0 ORDER BY w.position""")
        return [row[0] for row in answer]

    def state(self, payments):
        """What the database says of each payment: {id: (sums, facts, ledger)}, in the model's terms."""
        ids = ",".join(quoted(payment) for payment in payments)
        sums = {row[0]: {"captured": int(row[1]), "refunded": int(row[2]), "captures": int(row[3]), "mismatches": int(row[4]),
                         "disputed": row[5] == "t", "status": row[6]}
                for row in self.query(f"""SELECT payment_id, captured_amount, refunded_amount, capture_count, mismatch_count, disputed,
                                                 status FROM payments WHERE payment_id IN ({ids})""")}
        facts, ledger = collections.defaultdict(set), collections.defaultdict(collections.Counter)
        for row in self.query(f"SELECT payment_id, kind, psp_ref, amount, currency, fee FROM facts WHERE payment_id IN ({ids})"):
            facts[row[0]].add((row[1], row[2], int(row[3]), row[4], int(row[5])))
        for payment, account, currency, amount in self.query(
                f"SELECT payment_id, account, currency, amount FROM ledger_entries WHERE payment_id IN ({ids})"):
            name = "psp" if account.startswith("psp_") else "owed" if account in ("merchant", "unapplied") else account
            ledger[payment][name, currency] += int(amount)
        return {payment: (sums[payment], facts[payment], {key: value for key, value in ledger[payment].items() if value})
                for payment in payments}

    def broken_invariants(self):
        return broken_invariants(self.query)


def connect(world):
    return Connection(world.url)


# ---- what is drawn ----

KINDS = ("captured",) * 6 + ("failed", "failed", "authorized", "voided", "expired", "refund_succeeded", "refund_succeeded",
                             "refund_failed", "refund_requested", "dispute_opened", "dispute_won", "dispute_lost", "settled")
SOURCES = {"captured": ("webhook", "webhook", "status_poll", "settlement"), "failed": ("webhook", "status_poll"),
           "settled": ("settlement", "webhook")}


def random_event(drawn):
    kind = drawn.choice(KINDS)
    full = Payment()
    amount = full.amount
    if kind.startswith("refund"):
        amount = drawn.choice((full.amount, 15000, 20000))
    elif drawn.random() < 0.25:
        amount = drawn.choice((44000, 1, 90000))
    return Event(kind, drawn.choice(("a", "a", "b")), amount, "INR" if drawn.random() < 0.9 else "USD",
                 drawn.choice(SOURCES.get(kind, ("webhook", "webhook", "status_poll", "settlement"))),
                 fee=900 if kind == "settled" else 0)


def random_events(drawn, count):
    return [random_event(drawn) for _ in range(count)]
