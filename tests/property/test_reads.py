"""However much there is, a call reads what it is about, by index."""
import types

import pytest

from calls import begin, cancel, connect, create, new_id, open_payments, record, refund, report
from processes import wait_for
from stores import invariants

MANY, FEW = 1500, 5
READS = """SELECT c.relname, pg_stat_get_xact_tuples_returned(c.oid) + pg_stat_get_xact_tuples_fetched(c.oid)
             FROM pg_class c WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'i')"""

ORDER_STATUSES = ("PAID", "CANCELLED", "EXPIRED", "REFUNDED", "PARTIALLY_REFUNDED")  # of PENDING all that are open are read

# c: the connection; s: ids to ask for
CALLS = {
    "orders_create": lambda c, s: create(c, *[{"key": new_id()} for _ in range(FEW)]),
    "orders_cancel": lambda c, s: cancel(c, *[{"order_id": order, "key": new_id()} for order in s.open_orders]),
    "orders of a status": lambda c, s: [c.query(f"SELECT orders_page(NULL, '{status}', NULL, NULL, {FEW})") for status in ORDER_STATUSES],
    "orders_expire": lambda c, s: c.query(f"SELECT count(*) FROM orders_expire({FEW})"),
    "payments_begin": lambda c, s: begin(c, *[{"order_id": order, "key": new_id()} for order in s.open_orders]),
    "attempts_record": lambda c, s: record(c, *[{"attempt_id": attempt, "outcome": "UNKNOWN", "next_attempt_id": new_id(),
                                                 "next_psp": "PayU"} for attempt in s.attempts]),
    "payment_documents": lambda c, s: c.query(f"SELECT document FROM payment_documents(ARRAY{s.open_payments}::uuid[])"),
    "captures": lambda c, s: report(c, *[{"payment_id": payment} for payment in s.open_payments]),
    "wrong captures": lambda c, s: report(c, *[{"payment_id": payment, "amount": 1} for payment in s.open_payments]),
    "failures": lambda c, s: report(c, *[{"payment_id": payment, "kind": "failed"} for payment in s.open_payments]),
    "reports of no payment": lambda c, s: report(c, *[{"payment_id": new_id()} for _ in range(FEW)], park_for_s=0),
    "refunds that succeeded": lambda c, s: report(c, *[{"payment_id": payment, "refund_id": refund_id, "kind": "refund_succeeded"}
                                                       for refund_id, payment in s.refunds]),
    "refunds that failed": lambda c, s: report(c, *[{"payment_id": payment, "refund_id": refund_id, "kind": "refund_failed"}
                                                    for refund_id, payment in s.refunds]),
    "refunds_create": lambda c, s: refund(c, *[{"payment_id": payment, "key": new_id()} for payment in s.paid_payments]),
    "refunds_claim": lambda c, s: c.query(f"SELECT refund_id FROM refunds_claim({FEW}, 1000)"),
    "refunds_called": lambda c, s: c.query(f"""SELECT refunds_called(ARRAY['{s.refunds[0][0]}'::uuid], ARRAY[true], ARRAY['x'],
                                                                     ARRAY[1]::bigint[])"""),
    "ledger_seal": lambda c, s: c.query(f"SELECT ledger_seal({FEW})"),
    "status_checks_claim": lambda c, s: c.query(f"SELECT count(*) FROM status_checks_claim({s.run}, {FEW}, 300)"),
    "webhooks_claim_parked": lambda c, s: c.query(f"SELECT inbox_id FROM webhooks_claim_parked({FEW}, 5, 3)"),
    "webhooks_dead_to_copy": lambda c, s: c.query(f"SELECT inbox_id FROM webhooks_dead_to_copy({FEW})"),
    "dead letters": lambda c, s: c.query(f"SELECT dead_letters_page('Razorpay', 'PAYMENT', NULL, {FEW})"),
    "redrive of one": lambda c, s: c.query(f"SELECT dead_letters_redrive({s.dead}, NULL, NULL, 1, 'ann')"),
    "redrive of some": lambda c, s: c.query(f"SELECT dead_letters_redrive(NULL, NULL, 'PAYMENT', {FEW}, 'ann')"),
    "discrepancies": lambda c, s: c.query(f"SELECT discrepancies_page(NULL, NULL, NULL, NULL, {FEW})"),
    "open discrepancies": lambda c, s: c.query(f"SELECT discrepancies_page('open', NULL, NULL, NULL, {FEW})"),
    "discrepancies of a kind": lambda c, s: c.query(f"SELECT discrepancies_page(NULL, 'dispute_opened', NULL, NULL, {FEW})"),
    "discrepancies of a payment": lambda c, s: c.query(f"SELECT discrepancies_page(NULL, NULL, '{s.open_payments[0]}', NULL, {FEW})"),
    "events_after": lambda c, s: c.query(f"SELECT event_id FROM events_after({s.event}, {FEW})"),
    "events_of_user": lambda c, s: c.query(f"SELECT event_id FROM events_of_user('u', NULL, {s.event}, {FEW})"),
}


def fill(database):
    """Payments of which nine in ten are paid, each tenth a second time; half the refunds that follow are done; dead letters."""
    for _ in range(MANY // 500):
        payments = open_payments(database, 500)[:450]
        report(database, *[{"payment_id": payment} for payment in payments])
        report(database, *[{"payment_id": payment, "ref": "b"} for payment in payments[::2]])
        due = database.query("SELECT refund_id, payment_id FROM refunds_claim(100, 60000)")
        report(database, *[{"payment_id": payment, "refund_id": refund_id, "kind": "refund_succeeded"} for refund_id, payment in due])
        report(database, *[{"payment_id": new_id()} for _ in range(250)], park_for_s=0)
        report(database, *[{"payment_id": new_id()} for _ in range(250)])
    # All is sealed, and known to be: that takes until whatever else runs in this cluster has ended.
    wait_for(lambda: [*database.query("SELECT ledger_seal(1000)"), *database.query(
        "SELECT floor_txn_id = (SELECT max(txn_id) FROM ledger_transactions) FROM ledger_seal_state")] == [["0"], ["t"]], 60, "sealed")


def sample(database):
    def some(what):
        return [row[0] if len(row) == 1 else row for row in database.query(f"{what} LIMIT {FEW}")]
    return types.SimpleNamespace(
        open_orders=some("SELECT order_id FROM orders WHERE paid_amount = 0 ORDER BY order_id DESC"),
        open_payments=some("SELECT payment_id FROM payments WHERE capture_count = 0 ORDER BY payment_id DESC"),
        paid_payments=some("SELECT payment_id FROM applied_captures ORDER BY fact_id DESC"),
        attempts=some("SELECT attempt_id FROM attempts"),
        refunds=some("SELECT refund_id, payment_id FROM refunds WHERE status = 'PENDING'"),
        dead=some("SELECT inbox_id FROM inbox WHERE outcome = 'dead' ORDER BY inbox_id DESC")[0],
        event=int(some("SELECT last_event_id FROM feed")[0]) - FEW,
        run=some("SELECT reconciliation_begin('x', true)")[0])


def rows_read(connection, call, ids):
    """Rows and index entries that a call reads, by table and index."""
    connection.query("BEGIN")
    before = dict(connection.query(READS))
    call(connection, ids)
    after = connection.query(READS)
    connection.query("ROLLBACK")
    return {name: int(read) - int(before.get(name, 0)) for name, read in after}


@pytest.fixture(scope="module")
def full(database):
    """A connection and ids to ask for, where the server thinks that there is a thousand times as much as there is: of so little it
    would rather read all."""
    database.query(f"ALTER DATABASE {database.name} SET plan_cache_mode = force_generic_plan")  # as the services have it
    fill(database)
    ids = sample(database)
    database.query("VACUUM ANALYZE")  # dead versions are read until then, by whoever comes first
    database.query("""UPDATE pg_class SET reltuples = reltuples * 1000
                       WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' AND reltuples > 0""")
    connection = connect(database)
    yield connection, ids
    connection.close()


@pytest.mark.parametrize("name", CALLS)
def test_a_call_reads_what_it_is_about(full, name):
    connection, ids = full
    read = rows_read(connection, CALLS[name], ids)
    assert max(read.values()) < 80 * FEW, {table: count for table, count in read.items() if count > 20 * FEW}


@pytest.mark.parametrize("name, sql", invariants())
def test_what_must_hold_is_looked_up_in_a_pass_over_all(full, name, sql):
    connection, _ = full
    (rows,), = connection.query("SELECT sum(n_live_tup) FROM pg_stat_user_tables")
    read = rows_read(connection, lambda c, _: c.query(sql), None)
    assert sum(read.values()) < 10 * int(rows), name
