"""What a PSP says of an amount, and takes back; what it refunds other than it was asked for."""
import itertools
import os
import uuid

import pytest
from stores import Database, broken_invariants


@pytest.fixture
def query():
    database = Database(os.environ["TIFFIN_TEST_DATABASE_URL"])
    yield database.query
    database.drop()


@pytest.fixture
def payment(query):
    order, payment = str(uuid.uuid4()), str(uuid.uuid4())
    query(f"""SELECT * FROM orders_create(ARRAY['{order}']::uuid[], ARRAY['u'], ARRAY[45000::bigint], ARRAY['INR'],
                                          ARRAY[NULL::text], ARRAY[NULL::text], ARRAY[NULL::text], ARRAY[900::bigint])""")
    query(f"""SELECT * FROM payments_begin(ARRAY['{payment}']::uuid[], ARRAY['{order}']::uuid[], ARRAY['UPI'], ARRAY[NULL::text],
                                           ARRAY[NULL::text], ARRAY[gen_random_uuid()], ARRAY['Razorpay'])""")
    return payment


def tell(query, payment, kind, amount, source="webhook", currency="INR", refund=None):
    refund = f"'{refund}'" if refund else "NULL"
    (row,) = query(f"""
        SELECT outcome FROM webhooks_apply(ARRAY[NULL::bigint], ARRAY['Razorpay'], ARRAY['{uuid.uuid4()}'], ARRAY['{source}'],
            ARRAY['{payment}']::uuid[], ARRAY[NULL::uuid], ARRAY[{refund}]::uuid[], ARRAY['{kind}'], ARRAY['{kind}_1'], ARRAY[true],
            ARRAY[{amount}::bigint], ARRAY[0::bigint], ARRAY['{currency}'], ARRAY[1700000000000000], ARRAY[NULL::text],
            ARRAY['x'::bytea], ARRAY[NULL::text], ARRAY[0], ARRAY[1700000000000000], ARRAY[NULL::text], 300)
         WHERE position > 0""")
    return row[0]


def ask_refund(query, payment, amount, verdict="ok"):
    refund = str(uuid.uuid4())
    (row,) = query(f"""SELECT verdict FROM refunds_create(ARRAY['{refund}']::uuid[], ARRAY['{payment}']::uuid[],
                                                          ARRAY[{amount}::bigint], ARRAY[NULL::text])""")
    assert row == [verdict]
    return refund


def discrepancies(query, payment, kind):
    return query(f"""SELECT discrepancy_id, settled_at IS NULL, coalesce(decision, ''), detail FROM discrepancies
                      WHERE payment_id = '{payment}' AND kind = '{kind}'""")


def test_a_mismatch_that_was_corrected_and_comes_back_waits_for_a_person_again(query, payment):
    tell(query, payment, "captured", 44000)
    tell(query, payment, "captured", 45000, "status_poll")
    ((number, is_open, decision, _),) = discrepancies(query, payment, "amount_mismatch")
    assert (is_open, decision) == ("f", "corrected by the PSP")
    tell(query, payment, "captured", 43000, "settlement")
    ((_, is_open, decision, detail),) = discrepancies(query, payment, "amount_mismatch")
    assert (is_open, decision) == ("t", "") and "captured 43000 INR" in detail
    assert query(f"SELECT verdict FROM discrepancy_settle({number}, 'accept', NULL, 'ann')") == [["ok"]]
    tell(query, payment, "captured", 42000, "settlement")
    ((_, is_open, decision, _),) = discrepancies(query, payment, "amount_mismatch")
    assert (is_open, decision) == ("f", "accept"), "what a person has decided stays"
    assert not broken_invariants(query)


def test_what_a_decided_refund_left_of_a_capture_that_was_more_waits_for_a_person_again(query, payment):
    tell(query, payment, "captured", 44000)
    ((number, _, _, _),) = discrepancies(query, payment, "amount_mismatch")
    refunds = [str(uuid.uuid4()), str(uuid.uuid4())]
    settle = "SELECT verdict FROM discrepancy_settle({}, 'refund', '{}', 'ann')"
    assert query(settle.format(number, refunds[0])) == [["ok"]]
    tell(query, payment, "captured", 45000, "settlement")
    ((_, is_open, decision, detail),) = discrepancies(query, payment, "amount_mismatch")
    assert (is_open, decision) == ("t", "") and "captured 45000 INR" in detail
    assert query(settle.format(number, refunds[1])) == [["ok"]]
    assert query("SELECT amount FROM refunds ORDER BY amount") == [["1000"], ["44000"]]
    tell(query, payment, "captured", 45000, "webhook")
    assert [row[1:3] for row in discrepancies(query, payment, "amount_mismatch")] == [["f", "refund"]], "nothing is left"
    assert not broken_invariants(query)


@pytest.mark.parametrize("amount, currency, differs", [(20000, "INR", False), (19999, "INR", True), (30000, "INR", True),
                                                       (20000, "USD", True)])
def test_a_refund_that_comes_to_something_else_is_a_discrepancy(query, payment, amount, currency, differs):
    tell(query, payment, "captured", 45000)
    refund = ask_refund(query, payment, 20000)
    tell(query, payment, "refund_succeeded", amount, currency=currency, refund=refund)
    found = discrepancies(query, payment, "refund_mismatch")
    assert [row[1] for row in found] == (["t"] if differs else [])
    assert not broken_invariants(query)


@pytest.mark.parametrize("given, left", [(30000, 15000), (10000, 35000), (9000, 35000)])
def test_what_is_left_to_refund_is_less_what_the_psp_gave_back(query, payment, given, left):
    tell(query, payment, "captured", 45000)
    tell(query, payment, "refund_succeeded", given, refund=ask_refund(query, payment, 10000))
    ask_refund(query, payment, left + 1, "exceeds_capture")
    ask_refund(query, payment, left)
    ask_refund(query, payment, 1, "exceeds_capture")
    assert not broken_invariants(query)


@pytest.mark.parametrize("kinds", itertools.permutations(["dispute_opened", "dispute_lost"]))
def test_a_lost_dispute_waits_for_a_person_and_ends_the_wait_for_the_psp(query, payment, kinds):
    tell(query, payment, "captured", 45000)
    for kind in kinds:
        tell(query, payment, kind, 45000)
    ((_, is_open, _, detail),) = discrepancies(query, payment, "dispute_lost")
    assert is_open == "t" and detail == "Razorpay took 45000 INR back"
    ((_, is_open, decision, _),) = discrepancies(query, payment, "dispute_opened")
    assert (is_open, decision) == ("f", "lost")


def test_a_dispute_that_was_lost_after_it_was_won_waits_for_a_person(query, payment):
    for kind, amount in (("captured", 45000), ("dispute_opened", 45000), ("dispute_won", 45000), ("dispute_lost", 45000)):
        tell(query, payment, kind, amount)
    assert [row[2] for row in discrepancies(query, payment, "dispute_opened")] == ["won"]
    assert [row[1] for row in discrepancies(query, payment, "dispute_lost")] == ["t"]


@pytest.mark.parametrize("sources", itertools.permutations(["webhook", "settlement"]))
def test_a_settlement_in_another_currency_does_not_outweigh_what_fits(query, payment, sources):
    """A PSP that is paid out in its own currency settles what it took in another."""
    for source in sources:
        tell(query, payment, "captured", *((45000, source) if source == "webhook" else (3700000, source, "JPY")))
    assert query(f"SELECT amount, currency, matches FROM facts WHERE payment_id = '{payment}'") == [["45000", "INR", "t"]]
    assert query(f"""SELECT o.status, p.status FROM payments p JOIN orders o USING (order_id)
                      WHERE p.payment_id = '{payment}'""") == [["PAID", "SUCCESS"]]
    ((_, is_open, _, _),) = discrepancies(query, payment, "observation_conflict")
    assert is_open == "f", "it is noted"
    tell(query, payment, "captured", 44000, "settlement")
    assert query(f"SELECT amount FROM facts WHERE payment_id = '{payment}'") == [["44000"]], "in its own currency it does"
    assert not broken_invariants(query)
