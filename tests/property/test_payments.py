"""Per payment: facts, sums, status and books do not depend on the order, the repetition or the batches in which reports arrive."""
import pathlib
import random

import pytest

import search
from model import Event, Payment
from world import CASES, SEED, World

CHAOS = pathlib.Path(__file__).resolve().parents[1] / "chaos"


def report(found):
    return f"PROPERTY_SEED={SEED}: {len(found[0])} events: {found[0]}\n{found[1]}"


def test_every_permutation_of_up_to_six_events_ends_in_the_same_state(world):
    found = search.search(world, f"{SEED} small", CASES, (2, 3, 4, 5, 6, 6))
    assert found is None, report(found)


def test_shuffles_with_repetitions_of_many_events_end_in_the_same_state(world):
    found = search.search(world, f"{SEED} large", CASES * 2, (8, 10, 14))
    assert found is None, report(found)


@pytest.mark.parametrize("first", ("webhook", "status_poll", "refund_call", "settlement"))
@pytest.mark.parametrize("second", ("webhook", "status_poll", "refund_call", "settlement"))
@pytest.mark.parametrize("kind", ("captured", "refund_succeeded", "settled"))
def test_two_sources_that_disagree_have_one_effective_amount_and_one_discrepancy(world, first, second, kind):
    full = Payment()
    events = [Event(kind, "a", full.amount, full.currency, first), Event(kind, "a", 44000, full.currency, second)]
    assert search.disagreement(world, events, random.Random(SEED)) is None
    (_, (payment,)), = world.orders(1)
    world.apply([(payment, events[0])])
    world.apply([(payment, events[1])])
    world.apply([(payment, events[0]), (payment, events[1])])
    rows = world.query(f"SELECT count(*) FROM discrepancies WHERE payment_id = '{payment}' AND kind = 'observation_conflict'")
    assert rows == [["1"]]
    assert world.query(f"SELECT count(*) FROM facts WHERE payment_id = '{payment}'") == [["1"]]


def test_the_invariants_hold_after_all_that(world):
    assert world.broken_invariants() == []


def test_a_product_that_assigns_statuses_is_found_and_the_case_is_small():
    """The search itself: it must find a mistake, and show it in a few events."""
    broken = World()
    try:
        broken.query((CHAOS / "assign_status.sql").read_text())
        found = search.search(broken, "assigned", 30, (5, 6))
        assert found is not None, "nothing was found"
        assert len(found[0]) <= 3, report(found)
    finally:
        broken.drop()


def test_a_product_that_believes_the_last_report_is_found():
    broken = World()
    try:
        broken.query("""CREATE OR REPLACE FUNCTION source_rank(source text) RETURNS int IMMUTABLE PARALLEL SAFE LANGUAGE sql AS
                        $$ SELECT 1 $$""")
        found = search.search(broken, "believed", 60, (4, 5, 6))
        assert found is not None and len(found[0]) <= 3, found
    finally:
        broken.drop()
