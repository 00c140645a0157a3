"""What a call costs in the database when there are ten million orders, against ten thousand. Only when named: 25 GB, half an hour."""
import os
import pathlib
import statistics
import subprocess
import tempfile

from bench import ROOT, Row, durable_cluster, ratios, say
from stores import Connection, Database

SIZES = {"10 k": 10_000, "1 M": 1_000_000, "10 M": 10_000_000}
BATCHES = (1, 16, 256)
REQUESTS = 1024  # of each call and batch size in a round, but at most CALLS_MAX calls
CALLS_MAX = 64
WARM_UP = 300  # batches of 256 orders that are paid first: most pages of the indexes in no order were written since the checkpoint then

# Unmeasured: what the calls are about. A batch of n.
HELPERS = """
CREATE SCHEMA bench;
CREATE TABLE bench.old AS -- orders of any age, in no order
    SELECT row_number() OVER () AS n, x.order_id, x.payment_id, x.user_id FROM (
        SELECT a.order_id, a.payment_id, o.user_id FROM applied_captures a TABLESAMPLE BERNOULLI ({percent})
          JOIN orders o USING (order_id) ORDER BY random()) x;
ALTER TABLE bench.old ADD PRIMARY KEY (n);
CREATE SEQUENCE bench.next_old;
CREATE FUNCTION bench.ids(n int) RETURNS uuid[] LANGUAGE sql AS 'SELECT array_agg(uuid7()) FROM generate_series(1, n)';
CREATE FUNCTION bench.keys(n int) RETURNS uuid[] LANGUAGE sql AS 'SELECT array_agg(gen_random_uuid()) FROM generate_series(1, n)';
CREATE FUNCTION bench.same(value anyelement, n int) RETURNS anyarray LANGUAGE sql AS 'SELECT array_fill(value, ARRAY[n])';
CREATE FUNCTION bench.users(n int) RETURNS text[] LANGUAGE sql AS
    $$ SELECT array_agg('u' || (random() * {users})::int) FROM generate_series(1, n) $$;
CREATE FUNCTION bench.some_old(n int) RETURNS SETOF bench.old LANGUAGE sql AS $$
    SELECT o.* FROM (SELECT nextval('bench.next_old') AS next FROM generate_series(1, n)) s
      JOIN bench.old o ON o.n = 1 + s.next % (SELECT max(n) FROM bench.old) $$;
CREATE FUNCTION bench.orders(n int, lifetime_s bigint DEFAULT 900) RETURNS uuid[] LANGUAGE plpgsql AS $$
DECLARE
    made CONSTANT uuid[] := bench.ids(n);
    none CONSTANT text[] := bench.same(NULL::text, n);
BEGIN
    PERFORM orders_create(made, bench.users(n), bench.same(45000::bigint, n), bench.same('INR'::text, n), none, none, none,
                          bench.same(lifetime_s, n));
    RETURN made;
END $$;
CREATE FUNCTION bench.payments(n int, INOUT attempts uuid[] DEFAULT NULL, OUT payments uuid[]) LANGUAGE plpgsql AS $$
BEGIN
    payments := bench.ids(n);
    attempts := bench.ids(n);
    PERFORM payments_begin(payments, bench.orders(n), bench.same('UPI'::text, n), bench.same(NULL::text, n),
                           bench.same(NULL::text, n), attempts, bench.same('Razorpay'::text, n));
END $$;
CREATE TYPE bench.reports AS (nulls bigint[], psps text[], events text[], sources text[], payments uuid[], orders uuid[], refunds uuid[],
    kinds text[], refs text[], scoped boolean[], amounts bigint[], fees bigint[], currencies text[], times bigint[], reasons text[],
    bodies bytea[], headers text[], statuses int[], requests text[]);
CREATE FUNCTION bench.reports(n int, payments uuid[], kind text, refunds uuid[] DEFAULT NULL) RETURNS bench.reports LANGUAGE sql AS $$
    SELECT bench.same(NULL::bigint, n), bench.same('Razorpay'::text, n), bench.keys(n)::text[], bench.same('webhook'::text, n), payments,
           bench.same(NULL::uuid, n), coalesce(refunds, bench.same(NULL::uuid, n)), bench.same(kind, n), bench.keys(n)::text[],
           bench.same(false, n), bench.same(45000::bigint, n), bench.same(0::bigint, n), bench.same('INR'::text, n),
           bench.same((extract(epoch FROM now()) * 1000000)::bigint, n), bench.same(NULL::text, n),
           bench.same(convert_to(repeat('x', 600), 'UTF8'), n), bench.same('{{}}'::text, n), bench.same(0, n),
           bench.same('request'::text, n) $$;
CREATE FUNCTION bench.captured(n int) RETURNS uuid[] LANGUAGE plpgsql AS $$
DECLARE
    made CONSTANT uuid[] := (SELECT payments FROM bench.payments(n));
    r    CONSTANT bench.reports := bench.reports(n, made, 'captured');
BEGIN
    PERFORM {apply};
    RETURN made;
END $$;
CREATE FUNCTION bench.refunds(n int, payments uuid[], OUT made uuid[]) LANGUAGE plpgsql AS $$
BEGIN
    made := bench.ids(n);
    PERFORM refunds_create(made, payments, bench.same(0::bigint, n), bench.same(NULL::text, n));
END $$;
"""
APPLY = """webhooks_apply(r.nulls, r.psps, r.events, r.sources, r.payments, r.orders, r.refunds, r.kinds, r.refs, r.scoped, r.amounts,
    r.fees, r.currencies, r.times, r.reasons, r.bodies, r.headers, r.statuses, r.times, r.requests, 300)"""
OLD_PAYMENTS = "(SELECT array_agg(payment_id) FROM bench.some_old(n))"

# name: what is given (the record r, unmeasured), the call
CALLS = {
    "orders_create": (
        """SELECT bench.ids(n) AS ids, bench.users(n) AS users, bench.same(45000::bigint, n) AS amounts, bench.same('INR'::text, n) AS inr,
                  bench.same(NULL::text, n) AS none, bench.same(900::bigint, n) AS lives, bench.keys(n) AS keys, bench.keys(n) AS prints""",
        "orders_create(r.ids, r.users, r.amounts, r.inr, r.none, r.none, r.none, r.lives, r.keys, r.prints)"),
    "order_documents, new": ("SELECT bench.orders(n) AS ids", "order_documents(r.ids)"),
    "order_documents, of any age": ("SELECT array_agg(order_id) AS ids FROM bench.some_old(n)", "order_documents(r.ids)"),
    "payment_documents, of any age": (f"SELECT {OLD_PAYMENTS} AS ids", "payment_documents(r.ids)"),
    "payments_begin": (
        """SELECT bench.ids(n) AS ids, bench.orders(n) AS orders, bench.same('UPI'::text, n) AS methods, bench.same(NULL::text, n) AS none,
                  bench.ids(n) AS attempts, bench.same('Razorpay'::text, n) AS psps, bench.keys(n) AS keys""",
        "payments_begin(r.ids, r.orders, r.methods, r.none, r.none, r.attempts, r.psps, r.keys, r.keys, r.keys, 60000)"),
    "attempts_record": (
        """SELECT p.attempts, bench.same('OPEN'::text, n) AS outcomes, bench.same(NULL::text, n) AS none,
                  bench.same('https://checkout.psp.example/v1/x'::text, n) AS urls, bench.same(180, n) AS took,
                  bench.same(NULL::uuid, n) AS no_id, bench.same(false, n) AS give_up FROM bench.payments(n) p""",
        "attempts_record(r.attempts, r.outcomes, r.none, r.urls, r.urls, r.none, r.took, r.no_id, r.none, r.give_up)"),
    "webhooks_apply, captured": ("SELECT w.* FROM bench.payments(n) p, bench.reports(n, p.payments, 'captured') w", APPLY),
    "webhooks_apply, failed": ("SELECT w.* FROM bench.payments(n) p, bench.reports(n, p.payments, 'failed') w", APPLY),
    "webhooks_apply, a second capture of any age": (f"SELECT w.* FROM bench.reports(n, {OLD_PAYMENTS}, 'captured') w", APPLY),
    "webhooks_apply, refunded": (
        "SELECT w.* FROM bench.captured(n) AS p, bench.reports(n, p, 'refund_succeeded', bench.refunds(n, p)) w", APPLY),
    "refunds_create, of any age": (
        f"""SELECT bench.ids(n) AS ids, {OLD_PAYMENTS} AS payments, bench.same(0::bigint, n) AS amounts, bench.same(NULL::text, n) AS none,
                   bench.keys(n) AS keys""",
        "refunds_create(r.ids, r.payments, r.amounts, r.none, r.keys, r.keys, r.keys)"),
    "refunds_claim": ("SELECT bench.refunds(n, bench.captured(n))", "refunds_claim(n, 60000)"),
    "events_after": ("SELECT last_event_id - n AS after FROM feed", "events_after(r.after, n)"),
    "idempotency_forget_old": ("""WITH old AS (
                                  INSERT INTO idempotency_keys (idempotency_id, fingerprint, resource_id, created_at)
                                  SELECT gen_random_uuid(), gen_random_uuid(), gen_random_uuid(), now() - interval '26 hours'
                                    FROM generate_series(1, n) RETURNING 1) SELECT count(*) FROM old""", "idempotency_forget_old(n)"),
    "history_forget, nothing": ("SELECT 1", "history_forget(3650, 3650, n)"),
    "orders_expire": ("SELECT bench.orders(n, -1)", "orders_expire(n)"),
    "status_checks_claim": ("SELECT reconciliation_begin('bench', false) AS run FROM bench.payments(n)",
                            "status_checks_claim(r.run, n, 300)"),
    "ledger_seal": ("SELECT bench.captured(n)", "ledger_seal(n)"),
}
# One answer is one request.
PAGES = {
    "orders_page of a user": ("SELECT user_id FROM bench.some_old(1)", "orders_page(r.user_id, NULL, NULL, NULL, 20)"),
    "orders_page of a receipt": ("SELECT receipt FROM orders WHERE order_id = (SELECT order_id FROM bench.some_old(1))",
                                 "orders_page(NULL, NULL, r.receipt, NULL, 20)"),
    "orders_page, newest": ("SELECT 1", "orders_page(NULL, NULL, NULL, NULL, 20)"),
    "orders_page, newest that were cancelled": ("SELECT 1", "orders_page(NULL, 'CANCELLED', NULL, NULL, 20)"),
    "orders_page, of a status that none has": ("SELECT 1", "orders_page(NULL, 'PARTIALLY_REFUNDED', NULL, NULL, 20)"),
    "events_of_user": ("SELECT user_id, (SELECT event_id FROM retention) AS after FROM bench.some_old(1)",
                       "events_of_user(r.user_id, NULL, r.after, 20)"),
    "dead_letters_page": ("SELECT 1", "dead_letters_page(NULL, NULL, NULL, 20)"),
    "discrepancies_page, open": ("SELECT 1", "discrepancies_page('open', NULL, NULL, NULL, 20)"),
    "discrepancies_page, of a kind": ("SELECT 1", "discrepancies_page(NULL, 'unknown_reference', NULL, NULL, 20)"),
    "last_event_before": ("SELECT 1", "last_event_before((extract(epoch FROM now()) * 1000000)::bigint)"),
}
ALL = CALLS | PAGES
PROCEDURE = """
CREATE PROCEDURE bench.call_{number}(n int, rounds int, INOUT us double precision DEFAULT NULL) LANGUAGE plpgsql AS $$
DECLARE
    r     record;
    began timestamptz;
    took  double precision[];
BEGIN
    FOR i IN 1..rounds LOOP
        {given} INTO r;
        COMMIT;
        began := clock_timestamp();
        PERFORM {call};
        took := took || extract(epoch FROM clock_timestamp() - began)::double precision;
        COMMIT;
    END LOOP;
    us := (SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY t) FROM unnest(took) t) * 1000000 / n;
END
$$;
"""


class Filled:
    """A database with so many orders, and the calls as procedures: one connection, as a service has it."""

    def __init__(self, cluster, orders):
        self.database = Database(cluster.url)
        fill = ROOT / "tests" / "bench" / "fill.sql"
        subprocess.run(["psql", "-X", "-q", "-v", f"orders={orders}", "-f", str(fill), self.database.url()], check=True)
        self.connection = Connection(self.database.url())
        self.prepare(orders)
        self.connection.query(f"DO $$ BEGIN FOR i IN 1..{WARM_UP} LOOP PERFORM bench.captured(256); COMMIT; END LOOP; END $$")

    def prepare(self, orders):
        query = self.connection.query
        query("SET client_min_messages = warning")
        query("SET plan_cache_mode = force_generic_plan")  # as the services have it
        query(HELPERS.format(percent=min(100, 20_000 * 100 / orders), users=orders // 20, apply=APPLY))
        for number, (given, call) in enumerate(ALL.values()):
            query(PROCEDURE.format(number=number, given=given, call=call))

    def measure(self, name, batch):
        """Microseconds per request, the median of its batches; what is only prepared, and the commit, left out."""
        rounds = min(CALLS_MAX, max(4, REQUESTS // batch))
        (microseconds,), = self.connection.query(f"CALL bench.call_{list(ALL).index(name)}({batch}, {rounds})")
        return float(microseconds)


def run(bench):
    rows = []
    with tempfile.TemporaryDirectory(prefix="scale-", dir=os.environ.get("TIFFIN_E2E_DIR")) as directory:
        os.chmod(directory, 0o755)
        cluster = durable_cluster(pathlib.Path(directory) / "pg")
        try:
            filled = {size: Filled(cluster, orders) for size, orders in SIZES.items()}
            say(f"    filled: {', '.join(SIZES)} orders")
            for name in ALL:
                for batch in BATCHES if name in CALLS else (1,):
                    for one in filled.values():  # its plan, and what it reads each time, are there
                        one.measure(name, batch)
                    few, more, most = bench.alternate(*(lambda one=one: one.measure(name, batch) for one in filled.values()))
                    took = ", ".join(f"{size} {statistics.median(values):.1f}" for size, values in zip(SIZES, (few, more, most)))
                    rows.append(Row("scale", f"{name}, n={batch}: 10 M / 10 k orders", "×", ratios(most, few), at_least=1.3, aim=1.1,
                                    lower=True, note=f"µs a request: {took}"))
        finally:
            cluster.destroy()
    return rows
