"""What PSPs say of refunds, in whatever order and by whatever name: whose a refund is."""
import itertools

import pytest

from calls import balances, discrepancies, new_id, open_payment, refund, report
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
