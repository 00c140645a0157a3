"""What a person decides about money, and has tried again: each once, and the books follow."""
import threading

import pytest

from calls import balances, begin, connect, create, discrepancies, new_id, open_payment, refund, report, settle
from stores import broken_invariants

RECEIVABLE = "psp_receivable:Razorpay"


@pytest.fixture(autouse=True)
def nothing_is_broken_afterwards(database):
    yield
    assert broken_invariants(database.query) == []


def mismatch(database, amount=44000):
    """(payment, discrepancy): a capture of another amount, that waits."""
    _, (payment,) = open_payment(database)
    assert report(database, {"payment_id": payment, "amount": amount}) == [("applied", None)]
    number, decision = discrepancies(database, payment)["amount_mismatch"]
    assert decision is None
    return payment, number


def refunds(database, payment):
    return [(int(amount), status) for amount, status in database.query(
        f"SELECT amount, status FROM refunds WHERE payment_id = '{payment}' ORDER BY created_at, refund_id")]


def refunded(database, payment, refund_id, amount=44000):
    report(database, {"payment_id": payment, "refund_id": refund_id, "kind": "refund_succeeded", "ref": f"rfd_{refund_id}",
                      "amount": amount})


def test_a_mismatch_is_nobodys_until_it_is_given_back(database):
    payment, number = mismatch(database)
    assert balances(database, payment) == {RECEIVABLE: 44000, "unapplied": -44000}
    refund_id = new_id()
    assert settle(database, number, "refund", refund_id) == "ok"
    assert refunds(database, payment) == [(44000, "PENDING")]
    refunded(database, payment, refund_id)
    assert balances(database, payment) == {}
    assert discrepancies(database, payment)["amount_mismatch"] == (number, "refund")


def test_a_mismatch_that_is_accepted_is_the_merchants_and_so_are_its_refunds(database):
    payment, number = mismatch(database)
    assert settle(database, number, "accept") == "ok"
    assert balances(database, payment) == {RECEIVABLE: 44000, "merchant": -44000}
    (refund_id, verdict, _), = refund(database, {"payment_id": payment, "amount": 4000})
    assert verdict == "ok"
    refunded(database, payment, refund_id, 4000)
    assert balances(database, payment) == {RECEIVABLE: 40000, "merchant": -44000, "refunds": 4000}


def test_what_was_given_back_before_a_mismatch_is_accepted_becomes_the_merchants_too(database):
    payment, number = mismatch(database)
    (refund_id, _, _), = refund(database, {"payment_id": payment, "amount": 4000})
    refunded(database, payment, refund_id, 4000)
    assert balances(database, payment) == {RECEIVABLE: 40000, "unapplied": -40000}
    assert settle(database, number, "accept") == "ok"
    assert balances(database, payment) == {RECEIVABLE: 40000, "merchant": -44000, "refunds": 4000}


def test_of_a_mismatch_what_is_left_is_given_back(database):
    payment, number = mismatch(database)
    refund(database, {"payment_id": payment, "amount": 4000})
    assert settle(database, number, "refund") == "ok"
    assert refunds(database, payment) == [(4000, "PENDING"), (40000, "PENDING")]


def test_a_decision_is_made_once(database):
    payment, number = mismatch(database)
    refund_id = new_id()
    assert [settle(database, number, decision, refund_id) for decision in ("refund", "refund", "accept")] == ["ok", "ok", "settled"]
    assert refunds(database, payment) == [(44000, "PENDING")]


def test_of_decisions_at_once_one_is_made(database):
    payment, number = mismatch(database)
    verdicts = []

    def decide(what):
        connection = connect(database)
        verdicts.append((what, settle(connection, number, what)))
        connection.close()
    threads = [threading.Thread(target=decide, args=(what,)) for what in ("refund", "accept") * 4]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    made = discrepancies(database, payment)["amount_mismatch"][1]
    assert sorted(verdicts) == sorted([(made, "ok")] * 4 + [("accept" if made == "refund" else "refund", "settled")] * 4)
    assert refunds(database, payment) == ([(44000, "PENDING")] if made == "refund" else [])


def test_what_does_not_fit_is_not_decided(database):
    payment, number = mismatch(database)
    refund(database, {"payment_id": payment})
    assert settle(database, number, "refund") == "not_possible", "nothing is left"
    assert discrepancies(database, payment)["amount_mismatch"] == (number, None)
    assert settle(database, 10**15, "accept") == "not_found"
    _, (other,) = open_payment(database)
    report(database, {"payment_id": other, "kind": "dispute_opened"})
    number, _ = discrepancies(database, other)["dispute_opened"]
    assert settle(database, number, "refund") == "not_possible"
    assert settle(database, number, "accept") == "ok"


def test_a_refund_that_was_refused_is_made_again_only_when_a_person_says_so(database):
    _, payments = open_payment(database, 2)
    report(database, *[{"payment_id": payment} for payment in payments])
    (refund_id, second), = database.query(f"SELECT refund_id, payment_id FROM refunds WHERE payment_id = '{payments[1]}'")
    report(database, {"payment_id": second, "refund_id": refund_id, "kind": "refund_failed", "reason": "no"})
    number, decision = discrepancies(database, second)["refund_refused"]
    assert decision is None and refunds(database, second) == [(45000, "FAILED")]
    assert not database.query(f"SELECT refund_id FROM refunds_claim(1000, 0) WHERE payment_id = '{second}'")
    assert settle(database, number, "refund") == "ok"
    assert refunds(database, second) == [(45000, "FAILED"), (45000, "PENDING")]
    report(database, {"payment_id": second, "refund_id": refund_id, "kind": "refund_failed", "ref": "again"})
    assert refunds(database, second) == [(45000, "FAILED"), (45000, "PENDING")]


def test_a_refund_that_was_refused_and_came_all_the_same_needs_no_decision(database):
    _, (payment,) = open_payment(database)
    report(database, {"payment_id": payment})
    (refund_id, _, _), = refund(database, {"payment_id": payment})
    report(database, {"payment_id": payment, "refund_id": refund_id, "kind": "refund_failed"})
    refunded(database, payment, refund_id, 45000)
    assert refunds(database, payment) == [(45000, "SUCCESS")]
    assert discrepancies(database, payment)["refund_refused"][1] == "refunded after all"


def test_what_was_corrected_after_a_part_was_given_back_still_waits(database):
    payment, number = mismatch(database)
    (refund_id, _, _), = refund(database, {"payment_id": payment, "amount": 4000})
    refunded(database, payment, refund_id, 4000)
    report(database, {"payment_id": payment, "amount": 45000, "source": "settlement"})
    assert discrepancies(database, payment)["amount_mismatch"] == (number, None)
    assert refunds(database, payment) == [(4000, "SUCCESS")], "neither applied nor given back by itself"
    assert settle(database, number, "refund") == "ok"
    assert refunds(database, payment) == [(4000, "SUCCESS"), (41000, "PENDING")]


def test_what_was_corrected_in_time_pays(database):
    payment, number = mismatch(database)
    report(database, {"payment_id": payment, "amount": 45000, "source": "status_poll"})
    assert discrepancies(database, payment)["amount_mismatch"] == (number, "corrected by the PSP")
    assert balances(database, payment) == {RECEIVABLE: 45000, "merchant": -45000}


# ---- dead letters ----

def dead(database, count, **fields):
    """So many reports of payments that are not there, given up. [(dead letter, payment)]"""
    payments = [new_id() for _ in range(count)]
    outcomes = report(database, *[{"payment_id": payment, **fields} for payment in payments], park_for_s=0)
    assert outcomes == [("dead", "PAYMENT_NOT_FOUND")] * count
    rows = dict(database.query(f"SELECT payment_ref, inbox_id FROM inbox WHERE payment_ref IN ({','.join(map(repr, payments))})"))
    return [(rows[payment], payment) for payment in payments]


def redrive(connection, number=None, psp=None, reason=None, at_most=1000):
    values = ", ".join("NULL" if value is None else repr(value) for value in (number and int(number), psp, reason))
    (count,), = connection.query(f"SELECT dead_letters_redrive({values}, {at_most}, 'ann')")
    return int(count)


def process(connection, at_most=100):
    """One round of a processor over what is parked. How many."""
    rows = connection.query(f"SELECT inbox_id, psp, event_id, payment_ref FROM webhooks_claim_parked({at_most}, 60, 3)")
    if rows:
        report(connection, *[{"inbox_id": int(number), "psp": psp, "event_id": event, "payment_id": payment}
                             for number, psp, event, payment in rows])
    return len(rows)


def begin_late(database, payments):
    orders = [{"order_id": new_id(), "payment_id": payment} for payment in payments]
    create(database, *orders)
    begin(database, *orders)


def test_what_is_driven_again_in_vain_is_dead_again_after_one_try(database):
    (number, _), = dead(database, 1)
    database.query(f"UPDATE inbox SET received_at = received_at - interval '1 hour' WHERE inbox_id = {number}")
    for times in (1, 2):
        assert redrive(database, number) == 1
        assert redrive(database, number) == 0, "it is not dead now"
        assert process(database) == 1 and process(database) == 0
        found = database.query(f"SELECT outcome, tries, redrives FROM inbox WHERE inbox_id = {number}")
        assert found == [["dead", str(1 + times), str(times)]]
    assert database.query(f"SELECT count(*) FROM discrepancies WHERE inbox_id = {number} AND settled_at IS NULL") == [["1"]]


def test_a_thousand_driven_again_from_all_sides_are_applied_once_each(database):
    letters = dead(database, 1000, psp="Cashfree")
    payments = [payment for _, payment in letters]
    begin_late(database, payments)
    driven, handled, lock = [], [], threading.Lock()

    def drive():
        connection = connect(database)
        count = redrive(connection, psp="Cashfree", reason="PAYMENT_NOT_FOUND")
        with lock:
            driven.append(count)
        connection.close()

    def work():
        connection = connect(database)
        for _ in range(10000):
            if sum(handled) == 1000:
                break
            count = process(connection)
            with lock:
                handled.append(count)
        connection.close()
    threads = [threading.Thread(target=drive) for _ in range(3)] + [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(driven) == 1000 and sum(handled) == 1000
    named = ",".join(map(repr, payments))
    assert database.query(f"SELECT outcome, count(*) FROM inbox WHERE payment_ref IN ({named}) GROUP BY outcome") == [["applied", "1000"]]
    assert database.query(f"""SELECT count(*), count(DISTINCT payment_id), min(amount), max(amount) FROM applied_captures
                               WHERE payment_id IN ({named})""") == [["1000", "1000", "45000", "45000"]]
    assert database.query(f"""SELECT decision, count(*) FROM discrepancies d JOIN inbox i USING (inbox_id)
                               WHERE i.payment_ref IN ({named}) GROUP BY decision""") == [["applied", "1000"]]


def test_a_filter_drives_what_fits_it_oldest_first(database):
    numbers = sorted(int(number) for number, _ in dead(database, 3, psp="PayU"))
    assert redrive(database, psp="PayU", reason="MALFORMED") == 0
    assert redrive(database, psp="PayU", reason="PAYMENT", at_most=2) == 2
    parked = database.query("SELECT inbox_id FROM inbox WHERE psp = 'PayU' AND outcome = 'parked' ORDER BY inbox_id")
    assert [int(number) for number, in parked] == numbers[:2]
    assert redrive(database, psp="PayU") == 1
    process(database)


def test_what_a_new_delivery_has_applied_is_not_dead_any_more(database):
    (number, payment), = dead(database, 1, event_id="evt_late")
    begin_late(database, [payment])
    assert report(database, {"payment_id": payment, "event_id": "evt_late"}) == [("applied", None)]
    assert redrive(database, number) == 0
