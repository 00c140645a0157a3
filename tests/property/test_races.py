"""Keys, locks and rounds: what happens when two come at once, or one comes late."""
import threading
import time

import pytest

from calls import (NIL, begin, cancel, connect, create, discrepancies, new_id, open_payment, open_payments, record, refund, report,
                   settle)
from stores import broken_invariants

OTHER_BODY = "11111111-1111-1111-1111-111111111111"


@pytest.fixture(scope="module", autouse=True)
def nothing_is_broken_afterwards(database):
    yield
    assert broken_invariants(database.query) == []
    assert database.query("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()") == [["0"]]


def together(database, works):
    """Runs each work(connection) in a session of its own, all at once; what they gave."""
    found, errors, start = [None] * len(works), [], threading.Barrier(len(works))

    def run(n):
        connection = connect(database)
        try:
            start.wait()
            found[n] = works[n](connection)
        except Exception as error:
            errors.append(error)
        connection.close()
    threads = [threading.Thread(target=run, args=(n,)) for n in range(len(works))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors, errors[:2]
    return found


def waiting(database):
    return database.query("SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'")


# ---- keys ----

@pytest.mark.parametrize("ask", (
    lambda c, key, order, payment: create(c, {"key": key})[0],
    lambda c, key, order, payment: refund(c, {"key": key, "payment_id": payment, "amount": 100})[0][:2],
    lambda c, key, order, payment: begin(c, {"key": key, "order_id": order})[0][0],
    lambda c, key, order, payment: cancel(c, {"key": key, "order_id": order})[0][::2],
), ids=("create", "refund", "begin", "cancel"))
def test_who_waits_for_a_keys_first_request_gets_its_answer(database, ask):
    order, (payment,) = open_payment(database)
    _, (paid,) = open_payment(database)
    report(database, {"payment_id": paid})
    key, first, second = new_id(), connect(database), connect(database)
    first.query("BEGIN")
    answer = ask(first, key, order, paid)
    found = []
    late = threading.Thread(target=lambda: found.append(ask(second, key, order, paid)))
    late.start()
    while late.is_alive() and not waiting(database):
        time.sleep(0.005)
    first.query("COMMIT")
    late.join()
    replayed = ("created", "replayed")
    if answer[1] in replayed:
        assert (found[0][0], found[0][1]) == (answer[0], "replayed")
    else:
        assert found[0] == answer
    first.close()
    second.close()


def test_whose_first_request_was_rolled_back_a_key_is_free(database):
    key, first = new_id(), connect(database)
    first.query("BEGIN")
    (gone, _), = create(first, {"key": key})
    first.query("ROLLBACK")
    first.close()
    (order, verdict), = create(database, {"key": key, "body": OTHER_BODY})
    assert verdict == "created" and order != gone


def test_of_one_key_in_one_batch_the_first_counts(database):
    key = new_id()
    answers = create(database, {"key": key, "amount": 1}, {"key": key, "amount": 1}, {"key": key, "body": OTHER_BODY}, {})
    assert [verdict for _, verdict in answers] == ["created", "replayed", "key_reused", "created"]
    assert answers[0][0] == answers[1][0]
    _, (payment,) = open_payment(database)
    report(database, {"payment_id": payment})
    key = new_id()
    asked = {"key": key, "payment_id": payment, "amount": 100}
    answers = refund(database, asked, asked, asked, {**asked, "body": OTHER_BODY})
    assert [verdict for _, verdict, _ in answers] == ["ok", "ok", "ok", "key_reused"]
    assert database.query(f"SELECT count(*) FROM refunds WHERE payment_id = '{payment}'") == [["1"]]


def test_five_keys_in_batches_from_ten_sides_have_five_effects(database):
    of_orders, of_refunds = [new_id() for _ in range(5)], [new_id() for _ in range(5)]
    _, (payment,) = open_payment(database)
    report(database, {"payment_id": payment})

    def ask(n):
        def work(connection):
            turned = [*range(n % 5, 5), *range(n % 5)]
            return (create(connection, *[{"key": of_orders[i]} for i in turned]),
                    refund(connection, *[{"key": of_refunds[i], "payment_id": payment, "amount": 10} for i in reversed(turned)]))
        return work
    found = together(database, [ask(n) for n in range(10)])
    assert len({order for made, _ in found for order, _ in made}) == 5
    assert sum(verdict == "created" for made, _ in found for _, verdict in made) == 5
    assert len({refund_id for _, made in found for refund_id, _, _ in made}) == 5
    assert database.query(f"SELECT count(*), sum(amount) FROM refunds WHERE payment_id = '{payment}'") == [["5", "50"]]


def test_a_day_later_a_key_is_new(database):
    key = new_id()
    (first, _), = create(database, {"key": key})
    database.query(f"""UPDATE idempotency_keys SET created_at = created_at - interval '24 hours 1 second'
                        WHERE idempotency_id = '{key}'""")
    (second, verdict), = create(database, {"key": key, "body": OTHER_BODY})
    assert verdict == "created" and second != first
    assert create(database, {"key": key, "body": OTHER_BODY})[0] == (second, "replayed")


# ---- rounds of attempts ----

def given_up(database, key=None):
    order = new_id()
    create(database, {"order_id": order})
    (payment, verdict, attempt, _), = begin(database, {"order_id": order, "key": key, "holder": NIL}, lease_ms=0)
    assert verdict == "ok"
    record(database, {"attempt_id": attempt, "outcome": "UNKNOWN", "give_up": True})
    return order, payment, attempt


def test_who_is_still_at_an_earlier_round_ends_nothing_of_the_newest(database):
    key = new_id()
    order, payment, attempt = given_up(database, key)
    (again, verdict, second, _), = begin(database, {"order_id": order, "key": key})
    assert (again, verdict) == (payment, "ok") and second != attempt
    late = {"attempt_id": attempt, "give_up": True, "next_attempt_id": new_id(), "next_psp": "PayU"}
    (_, gave_up, number, _), = record(database, late)
    assert (gave_up, number) == ("f", "2")
    (_, gave_up, _, url), = record(database, {"attempt_id": second, "outcome": "OPEN", "checkout_url": "http://pay"})
    assert (gave_up, url) == ("f", "http://pay")


def test_many_payments_begun_anew_and_answered_late_from_all_sides(database):
    keys = [new_id() for _ in range(20)]
    rounds = [given_up(database, key) for key in keys]

    def again(turned):
        return lambda c: begin(c, *[{"order_id": order, "key": key} for key, (order, _, _) in turned])

    def late(turned):
        gone = [{"attempt_id": attempt, "outcome": "REFUSED", "give_up": True} for _, (_, _, attempt) in turned]
        return lambda c: record(c, *gone)
    pairs = list(zip(keys, rounds))
    together(database, [again(pairs), late(pairs[::-1]), again(pairs[::-1]), late(pairs)])
    assert database.query(f"""SELECT count(*) FROM payments WHERE payment_id IN ({','.join(f"'{p}'" for _, p, _ in rounds)})
                               AND given_up_at IS NULL AND round_from = 2""") == [["20"]]


# ---- batches that overlap ----

KEYED = {
    "captures": lambda c, rows: report(c, *[{"payment_id": payment} for _, payment, _, _ in rows]),
    "cancel": lambda c, rows: cancel(c, *[{"order_id": order, "key": key} for order, _, _, key in rows]),
    "refunds": lambda c, rows: refund(c, *[{"payment_id": payment, "key": key} for _, payment, _, key in rows]),
    "begin": lambda c, rows: begin(c, *[{"order_id": order, "payment_id": payment, "key": key}
                                        for order, payment, _, key in rows]),
    "record": lambda c, rows: record(c, *[{"attempt_id": attempt, "outcome": "REFUSED"} for _, _, attempt, _ in rows]),
}


@pytest.mark.parametrize("name, table", (
    ("captures", "orders"), ("captures", "payments"), ("cancel", "orders"), ("cancel", "payments"), ("cancel", "idempotency_keys"),
    ("refunds", "payments"), ("refunds", "idempotency_keys"), ("begin", "orders"), ("begin", "payments"),
    ("begin", "idempotency_keys"), ("record", "payments")))
def test_locks_are_taken_by_id_whatever_order_a_batch_is_in(database, name, table):
    """Where one row is held, a batch has locked what comes before it and nothing after."""
    column = {"orders": "order_id", "payments": "payment_id", "idempotency_keys": "idempotency_id"}[table]
    payments = open_payments(database, 9)
    keys = [new_id() for _ in payments]
    for key in keys:  # of yesterday, so that each is taken over
        database.query(f"""INSERT INTO idempotency_keys (idempotency_id, fingerprint, resource_id, created_at, verdict)
                           VALUES ('{key}', '{NIL}', '{NIL}', now() - interval '25 hours', 'not_found')""")
    rows = [(order, payment, attempt, key) for (order, payment, attempt), key in zip(database.query(
        f"""SELECT p.order_id, p.payment_id, a.attempt_id FROM payments p JOIN attempts a USING (payment_id)
             WHERE p.payment_id IN ({','.join(map(repr, payments))})"""), keys)]
    place = {"orders": 0, "payments": 1, "idempotency_keys": 3}[table]
    ids = sorted(row[place] for row in rows)
    named, holder, caller = ",".join(map(repr, ids)), connect(database), connect(database)
    holder.query(f"BEGIN; SELECT FROM {table} WHERE {column} = '{ids[4]}' FOR UPDATE")
    call = threading.Thread(target=lambda: KEYED[name](caller, sorted(rows, key=lambda row: row[place], reverse=True)))
    call.start()
    while call.is_alive() and not waiting(database):
        time.sleep(0.005)
    free = database.query(f"""SELECT {column} FROM {table} WHERE {column} IN ({named}) ORDER BY {column}
                              FOR NO KEY UPDATE SKIP LOCKED""")
    holder.query("COMMIT")
    call.join()
    assert [row for row, in free] == ids[5:]
    holder.close()
    caller.close()


def test_batches_in_opposite_orders_wait_and_never_in_a_circle(database):
    payments = open_payments(database, 60)
    named = ",".join(map(repr, payments))
    orders = dict(database.query(f"SELECT payment_id, order_id FROM payments WHERE payment_id IN ({named})"))
    events = {payment: new_id() for payment in payments}

    def told(order, ref):
        return lambda c: report(c, *[{"payment_id": payment, "event_id": events[payment], "ref": ref} for payment in order])

    def closed(order):
        return lambda c: cancel(c, *[{"order_id": orders[payment], "key": new_id()} for payment in order])

    def refunded(order):
        return lambda c: refund(c, *[{"payment_id": payment, "amount": 15000, "key": new_id()} for payment in order])

    def begun(order):
        return lambda c: begin(c, *[{"order_id": orders[payment], "key": new_id()} for payment in order])
    turned = payments[::-1]
    for _ in range(3):
        together(database, [told(payments, "a"), told(turned, "a"), told(payments[::2] + payments[1::2], "b"), closed(payments),
                            closed(turned), refunded(payments), refunded(turned), begun(payments)])
    assert database.query(f"SELECT count(*) FROM inbox WHERE payment_ref IN ({named})") == [["60"]]
    assert database.query(f"SELECT count(*) FROM facts WHERE payment_id IN ({named})") == [["60"]]


def test_a_capture_and_a_cancellation_at_once_leave_one_of_them(database):
    for _ in range(10):
        order, (payment,) = open_payment(database)
        together(database, [lambda c, p=payment: report(c, {"payment_id": p}), lambda c, o=order: cancel(c, {"order_id": o})])
        (status, applied, given_back), = database.query(f"""
            SELECT o.status, (SELECT count(*) FROM applied_captures a WHERE a.order_id = o.order_id),
                   (SELECT count(*) FROM refunds r WHERE r.order_id = o.order_id AND r.automatic)
              FROM orders o WHERE o.order_id = '{order}'""")
        assert (status, applied, given_back) in (("PAID", "1", "0"), ("CANCELLED", "0", "1"))


# ---- what PSPs say late or twice about a refund ----

def test_a_refund_that_succeeds_after_its_money_was_promised_again_waits_for_a_person(database):
    _, (payment,) = open_payment(database)
    report(database, {"payment_id": payment})
    (first, _, _), = refund(database, {"payment_id": payment})
    report(database, {"payment_id": payment, "refund_id": first, "kind": "refund_failed"})
    assert refund(database, {"payment_id": payment})[0][1] == "ok"
    report(database, {"payment_id": payment, "refund_id": first, "kind": "refund_succeeded", "ref": "b"})
    number, decision = discrepancies(database, payment)["refund_over_captured"]
    assert decision is None
    assert settle(database, number, "accept") == "ok"


def test_a_refund_that_is_told_of_under_two_references_is_a_discrepancy(database):
    _, (payment,) = open_payment(database)
    report(database, {"payment_id": payment})
    (refund_id, _, _), = refund(database, {"payment_id": payment, "amount": 15000})
    told = {"payment_id": payment, "refund_id": refund_id, "kind": "refund_succeeded", "amount": 15000}
    report(database, {**told, "ref": "r1"}, {**told, "ref": "r2"})
    assert discrepancies(database, payment)["reference_conflict"][1] is None


def test_a_refund_that_turns_out_to_be_another_one_is_due_again(database):
    _, (payment,) = open_payment(database)
    report(database, {"payment_id": payment})
    smaller, greater = sorted((new_id(), new_id()))
    refund(database, *[{"refund_id": refund_id, "payment_id": payment, "amount": 100} for refund_id in (smaller, greater)])
    told = {"payment_id": payment, "kind": "refund_succeeded", "ref": "r", "amount": 100}
    report(database, {**told, "refund_id": greater})
    report(database, {**told, "refund_id": smaller, "source": "status_poll"})
    assert dict(database.query(f"SELECT refund_id, status FROM refunds WHERE payment_id = '{payment}'")) == {
        smaller: "SUCCESS", greater: "PENDING"}
