"""What PSPs say of refunds, in whatever order and by whatever name: whose a refund is, and whether it was made."""
import itertools

import pytest

from calls import balances, discrepancies, open_payment, refund, report, settle
from stores import broken_invariants

RECEIVABLE = "psp_receivable:Razorpay"


@pytest.fixture(autouse=True)
def nothing_is_broken_afterwards(database):
    yield
    assert broken_invariants(database.query) == []


def paid(database, count=1):
    """(order, payment): paid by its first payment; of more, the others' captures are given back by themselves."""
    order, payments = open_payment(database, count)
    for payment in payments:
        report(database, {"payment_id": payment})
    return order, payments[-1]


def ask(database, payment, amount=0):
    (refund_id, verdict, _), = refund(database, {"payment_id": payment, "amount": amount})
    assert verdict == "ok"
    return refund_id


def statuses(database, payment):
    """(the order's, the payment's, those of its refunds)"""
    (order, of_payment), = database.query(f"""SELECT o.status, p.status FROM payments p JOIN orders o USING (order_id)
                                               WHERE p.payment_id = '{payment}'""")
    return order, of_payment, [status for status, in database.query(
        f"SELECT status FROM refunds WHERE payment_id = '{payment}' ORDER BY created_at, refund_id")]


def refundable(database, payment):
    return [int(left) for left, in database.query(f"SELECT left_amount FROM captures_refundable('{payment}')")]


def told(payment, kind, ref="re_1", amount=45000, refund_id=None, **fields):
    return {"payment_id": payment, "kind": kind, "ref": ref, "amount": amount, "refund_id": refund_id, **fields}


@pytest.mark.parametrize("sources", [("refund_call", "webhook"), ("refund_call", "settlement"), ("webhook", "webhook")])
@pytest.mark.parametrize("named_first", [True, False])
def test_a_refund_is_ours_when_any_report_under_its_reference_names_it(database, sources, named_first):
    _, payment = paid(database)
    refund_id = ask(database, payment, 20000)
    said = [told(payment, "refund_requested", amount=20000, refund_id=refund_id, source=sources[0]),
            told(payment, "refund_succeeded", amount=20000, source=sources[1])]
    for one in said if named_first else said[::-1]:
        report(database, one)
    assert statuses(database, payment) == ("PARTIALLY_REFUNDED", "PARTIALLY_REFUNDED", ["SUCCESS"])
    assert refundable(database, payment) == [25000]
    assert not database.query(f"SELECT 1 FROM refunds_claim(1000, 0) WHERE refund_id = '{refund_id}'"), "it is asked for again"
    noted = discrepancies(database, payment).get("refund_unknown")
    assert noted is None if named_first else noted[1] == "it was asked for"


def test_a_refund_of_a_capture_that_is_nobodys_is_booked_as_such_once_its_name_is_known(database):
    _, payment = paid(database, 2)
    (refund_id,), = database.query(f"SELECT refund_id FROM refunds WHERE payment_id = '{payment}'")
    report(database, told(payment, "refund_succeeded"))
    report(database, told(payment, "refund_requested", refund_id=refund_id, source="refund_call"))
    assert statuses(database, payment)[1:] == ("REFUNDED", ["SUCCESS"]) and balances(database, payment) == {}


def test_one_reference_at_two_payments_names_the_refund_of_one(database):
    (_, first), (_, second) = paid(database), paid(database)
    refund_id = ask(database, first, 20000)
    report(database, told(first, "refund_requested", amount=20000, refund_id=refund_id))
    report(database, told(second, "refund_succeeded", amount=20000))
    assert statuses(database, first) == ("PAID", "SUCCESS", ["PENDING"])
    assert discrepancies(database, second)["refund_unknown"][1] == ""


# ---- said to have succeeded, and to have failed ----

def events(database, payment):
    return [kind for kind, in database.query(f"SELECT type FROM outbox WHERE payment_id = '{payment}' ORDER BY event_id")]


def is_open(database, payment):
    """Kinds of what waits for a person about this payment."""
    return sorted(kind for kind, (_, decision) in discrepancies(database, payment).items() if decision is None)


@pytest.mark.parametrize("failed_first", [False, True])
def test_a_refund_that_failed_after_it_had_succeeded_was_not_made(database, failed_first):
    _, payment = paid(database)
    refund_id = ask(database, payment, 20000)
    said = [told(payment, "refund_succeeded", amount=20000, refund_id=refund_id),
            told(payment, "refund_failed", amount=20000, refund_id=refund_id, reason="account closed")]
    for one in said[::-1] if failed_first else said:
        report(database, one)
    assert statuses(database, payment) == ("PAID", "SUCCESS", ["FAILED"])
    assert refundable(database, payment) == [45000]
    assert balances(database, payment) == {RECEIVABLE: 45000, "merchant": -45000}
    assert is_open(database, payment) == ["refund_failed_after_success"]
    assert events(database, payment) == ["payment.confirmed"] + ([] if failed_first else ["payment.refunded", "payment.refund_failed"])
    assert not database.query(f"SELECT 1 FROM refunds_claim(1000, 0) WHERE refund_id = '{refund_id}'"), "that is for a person"


def test_whole_and_given_back_by_itself_it_is_left_to_refund_once_a_person_says_so(database):
    order, payment = paid(database, 2)
    (refund_id,), = database.query(f"SELECT refund_id FROM refunds WHERE payment_id = '{payment}'")
    report(database, told(payment, "refund_succeeded", refund_id=refund_id))
    assert statuses(database, payment) == ("PAID", "REFUNDED", ["SUCCESS"]) and balances(database, payment) == {}
    report(database, told(payment, "refund_failed", refund_id=refund_id))
    assert statuses(database, payment) == ("PAID", "SUCCESS", ["FAILED"])
    assert balances(database, payment) == {RECEIVABLE: 45000, "unapplied": -45000}
    number, _ = discrepancies(database, payment)["refund_failed_after_success"]
    assert settle(database, number, "refund") == "ok"
    assert statuses(database, payment)[2] == ["FAILED", "PENDING"] and refundable(database, payment) == [0]


def test_an_order_that_was_refunded_is_paid_again_when_its_refund_failed_after_all(database):
    _, payment = paid(database)
    refund_id = ask(database, payment)
    report(database, told(payment, "refund_succeeded", refund_id=refund_id))
    assert statuses(database, payment) == ("REFUNDED", "REFUNDED", ["SUCCESS"])
    report(database, told(payment, "refund_failed"))  # by its reference alone
    assert statuses(database, payment) == ("PAID", "SUCCESS", ["FAILED"])
    last, = database.query(f"SELECT payload::json ->> 'status', payload::json ->> 'order_status', payload::json ->> 'amount' "
                           f"FROM outbox WHERE payment_id = '{payment}' ORDER BY event_id DESC LIMIT 1")
    assert last == ["SUCCESS", "PAID", "45000"]


def test_one_that_the_psp_made_by_itself_and_took_back_waits_for_a_person(database):
    _, payment = paid(database)
    report(database, told(payment, "refund_succeeded", amount=5000), told(payment, "refund_failed", amount=5000))
    assert statuses(database, payment) == ("PAID", "SUCCESS", []) and refundable(database, payment) == [45000]
    number, decision = discrepancies(database, payment)["refund_failed_after_success"]
    assert decision is None and settle(database, number, "refund") == "not_possible" and settle(database, number, "accept") == "ok"
    assert events(database, payment) == ["payment.confirmed"], "what came at once was never so"


@pytest.mark.parametrize("order", itertools.permutations(range(3)))
def test_under_another_reference_a_success_counts_all_the_same(database, order):
    _, payment = paid(database)
    refund_id = ask(database, payment, 20000)
    said = [told(payment, "refund_succeeded", amount=20000, refund_id=refund_id), told(payment, "refund_failed", refund_id=refund_id),
            told(payment, "refund_succeeded", "re_2", amount=20000, refund_id=refund_id)]
    for number in order:
        report(database, said[number])
    assert statuses(database, payment) == ("PARTIALLY_REFUNDED", "PARTIALLY_REFUNDED", ["SUCCESS"])
    assert refundable(database, payment) == [25000]
    assert not {"refund_failed_after_success", "refund_refused"} & set(is_open(database, payment)), "it was made after all"
    report(database, told(payment, "refund_failed", "re_2"))
    assert statuses(database, payment) == ("PAID", "SUCCESS", ["FAILED"])
    assert "refund_failed_after_success" in is_open(database, payment)


def test_what_waits_about_a_refund_that_failed_in_every_way_says_so_once_for_each_reference(database):
    _, payment = paid(database)
    refund_id = ask(database, payment, 20000)
    for kind, ref in (("refund_failed", "re_1"), ("refund_succeeded", "re_2"), ("refund_succeeded", "re_1"), ("refund_failed", "re_2")):
        report(database, told(payment, kind, ref, amount=20000, refund_id=refund_id))
    assert statuses(database, payment) == ("PAID", "SUCCESS", ["FAILED"])
    assert database.query(f"""SELECT d.kind, f.psp_ref FROM discrepancies d JOIN facts f USING (fact_id)
                               WHERE d.payment_id = '{payment}' AND d.settled_at IS NULL ORDER BY f.psp_ref""") == [
        ["refund_failed_after_success", "re_1"], ["refund_failed_after_success", "re_2"]]


def test_of_a_refund_that_failed_twice_one_is_made_again(database):
    _, payment = paid(database)
    refund_id = ask(database, payment, 10000)
    for ref in ("re_1", "re_2"):
        report(database, told(payment, "refund_failed", ref, amount=10000, refund_id=refund_id))
    rows = database.query(f"SELECT discrepancy_id FROM discrepancies WHERE payment_id = '{payment}' AND settled_at IS NULL")
    assert [settle(database, int(number), "refund") for number, in rows] == ["ok", "not_possible"]
    assert statuses(database, payment)[2] == ["FAILED", "PENDING"]


# ---- made by the PSP itself ----

@pytest.mark.parametrize("capture_first", [True, False])
def test_what_a_psp_gives_back_by_itself_of_a_capture_that_is_nobodys_leaves_nothing_in_the_books(database, capture_first):
    order, payments = open_payment(database, 2)
    report(database, {"payment_id": payments[0]})
    said = [{"payment_id": payments[1]}, told(payments[1], "refund_succeeded")]
    for one in said if capture_first else said[::-1]:
        report(database, one)
    (refund_id,), = database.query(f"SELECT refund_id FROM refunds WHERE payment_id = '{payments[1]}' AND automatic")
    report(database, told(payments[1], "refund_failed", "refused", refund_id=refund_id))
    assert balances(database, payments[1]) == {}


def test_it_is_the_merchants_from_when_its_payments_capture_is(database):
    _, (payment,) = open_payment(database)
    report(database, told(payment, "refund_succeeded", amount=4000))
    assert balances(database, payment) == {RECEIVABLE: -4000, "unapplied": 4000}
    report(database, {"payment_id": payment, "amount": 44000})
    assert balances(database, payment) == {RECEIVABLE: 40000, "unapplied": -40000}
    number, _ = discrepancies(database, payment)["amount_mismatch"]
    assert settle(database, number, "accept") == "ok"
    assert balances(database, payment) == {RECEIVABLE: 40000, "merchant": -44000, "refunds": 4000}
    _, (payment,) = open_payment(database)
    report(database, told(payment, "refund_succeeded", amount=4000))
    report(database, {"payment_id": payment})
    assert balances(database, payment) == {RECEIVABLE: 41000, "merchant": -45000, "refunds": 4000}


# ---- by our id ----

@pytest.mark.parametrize("order", itertools.permutations(range(3)))
def test_a_settlement_line_by_our_id_tells_of_the_reference_that_the_psp_gave(database, order):
    _, payment = paid(database)
    refund_id = ask(database, payment, 20000)
    said = [told(payment, "refund_requested", "cf_1", amount=20000, refund_id=refund_id),
            told(payment, "refund_succeeded", refund_id, amount=20000, refund_id=refund_id, source="settlement"),
            told(payment, "refund_failed", "cf_1", amount=20000, refund_id=refund_id)]
    for number in order:
        report(database, said[number])
    assert statuses(database, payment) == ("PAID", "SUCCESS", ["FAILED"])
    assert "refund_failed_after_success" in is_open(database, payment)
    assert len(database.query(f"SELECT DISTINCT psp_ref FROM facts WHERE refund_id = '{refund_id}'")) == 1


@pytest.mark.parametrize("refused_first", [True, False])
def test_a_call_that_was_refused_says_nothing_about_a_refund_that_is_named_by_our_id(database, refused_first):
    _, payment = paid(database)
    refund_id = ask(database, payment, 20000)
    said = [told(payment, "refund_failed", f"refused-{refund_id}", amount=0, refund_id=refund_id),
            told(payment, "refund_succeeded", refund_id, amount=20000, refund_id=refund_id)]
    for one in said if refused_first else said[::-1]:
        report(database, one)
    assert statuses(database, payment) == ("PARTIALLY_REFUNDED", "PARTIALLY_REFUNDED", ["SUCCESS"])
    assert is_open(database, payment) == []
