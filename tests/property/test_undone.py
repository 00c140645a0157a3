"""What a PSP says of a charge after it has said that it took it."""
import itertools

import pytest

from calls import discrepancies, open_payment, report, settle
from stores import broken_invariants

CAPTURED_AT_US = 1700000000000000


@pytest.fixture(autouse=True)
def nothing_is_broken_afterwards(database):
    yield
    assert broken_invariants(database.query) == []


def tell(database, kinds, after_us, ref="a"):
    """A payment of which these are told, in this order; what is no capture happened so much after it."""
    _, (payment,) = open_payment(database)
    for kind in kinds:
        report(database, {"payment_id": payment, "kind": kind, **({} if kind == "captured" else {
            "ref": ref, "reason": "by the bank", "occurred_at_us": CAPTURED_AT_US + after_us})})
    return payment


@pytest.mark.parametrize("kinds", [order for kind in ("voided", "failed") for order in itertools.permutations(("captured", kind))])
def test_a_charge_that_is_undone_after_it_was_captured_waits_for_a_person(database, kinds):
    payment = tell(database, kinds, 1)
    number, decision = discrepancies(database, payment)["capture_undone"]
    assert decision is None and list(discrepancies(database, payment)) == ["capture_undone"]
    assert database.query(f"SELECT status FROM payments WHERE payment_id = '{payment}'") == [["SUCCESS"]]
    assert settle(database, number, "refund") == "not_possible" and settle(database, number, "accept") == "ok"
    report(database, {"payment_id": payment, "kind": "captured", "source": "status_poll"})
    assert discrepancies(database, payment) == {"capture_undone": (number, "accept")}


@pytest.mark.parametrize("kinds", itertools.permutations(("captured", "failed")))
@pytest.mark.parametrize("before_us", [1, 0])
def test_a_charge_that_failed_first_and_was_captured_then_counts(database, kinds, before_us):
    payment = tell(database, kinds, -before_us)
    assert {kind: decision for kind, (_, decision) in discrepancies(database, payment).items()} == {"success_after_failure": ""}


@pytest.mark.parametrize("kinds", itertools.permutations(("captured", "failed")))
def test_another_try_that_failed_later_says_nothing_about_the_capture(database, kinds):
    assert discrepancies(database, tell(database, kinds, 1, "b")) == {}
