"""Per payment: facts, sums, status, refunds and books do not depend on the order, the repetition or the batches in which reports
arrive; and the search for such a dependence finds one where there is one."""
import dataclasses
import pathlib
import random

import pytest

from generate import arrivals, life, life_with_refunds
from model import Event
from scenario import agrees, search, told
from world import CASES, SEED, World

CHAOS = pathlib.Path(__file__).resolve().parents[1] / "chaos"
SOURCES = ("webhook", "status_poll", "refund_call", "settlement")


@pytest.mark.parametrize("case", range(CASES))
def test_every_permutation_of_up_to_six_events_ends_in_the_same_state(world, case):
    agrees(world, arrivals(random.Random(f"{SEED} permutations {case}"), (6, 5, 4, 6, 3, 2)[case % 6]), SEED)


@pytest.mark.parametrize("case", range(CASES * 2))
def test_shuffles_with_repetitions_of_many_events_end_in_the_same_state(world, case):
    agrees(world, arrivals(random.Random(f"{SEED} shuffles {case}"), (8, 10, 14)[case % 3]), SEED)


@pytest.mark.parametrize("first", SOURCES)
@pytest.mark.parametrize("second", SOURCES)
def test_two_sources_that_disagree_have_one_effective_amount_and_one_discrepancy(world, first, second):
    scenarios = []
    for kind in ("captured", "refund_succeeded", "settled", "dispute_lost"):
        one = Event(kind, "a", source=first)
        for difference in ({"amount": 44000}, {"amount": 90000}, {"currency": "USD"}, {"fee": 450}):
            other = dataclasses.replace(one, source=second, **difference)
            for order in ([(one,), (other,)], [(other,), (one,)], [(one, other)], [(other, one)], [(one, other), (one,), (other, one)]):
                scenarios.append((1, [("report", tuple((0, event) for event in batch)) for batch in order]))
    agrees(world, scenarios, SEED)


def test_of_an_amount_what_arrived_weighs_more_than_an_answer_and_an_answer_more_than_a_webhook(world):
    """The rule itself, without the model."""
    rank = {"webhook": 1, "status_poll": 2, "refund_call": 2, "settlement": 3}
    pairs = [(low, high) for low in SOURCES for high in SOURCES if rank[low] < rank[high]]
    payments = world.payments(2 * len(pairs))
    for payment, (first, second) in zip(payments, pairs + [pair[::-1] for pair in pairs]):
        for source in (first, second):
            world.tell((payment, Event("settled", "a", 44000 + rank[source], source=source)))
    found = [sorted(facts) for facts in map(world.facts(payments).get, payments)]
    assert found == [[("settled", "a", 44000 + rank[high], "INR", 0, None)] for _, high in pairs * 2]


def test_the_invariants_hold_after_all_that(world):
    assert world.broken_invariants() == []


# ---- the search itself: it must find a mistake, and show it in a few events ----

MISTAKES = {
    "the last report assigns the status": (arrivals, CHAOS / "assign_status.sql"),
    "all sources weigh the same": (arrivals, """
        CREATE OR REPLACE FUNCTION source_rank(source text, in_own_currency boolean) RETURNS int IMMUTABLE LANGUAGE sql AS $$ SELECT 1 $$"""),
    "what is told twice counts twice": (arrivals, """
        CREATE FUNCTION wrong() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            NEW.captured_amount := (SELECT coalesce(sum(o.amount), 0) FROM fact_observations o JOIN facts f USING (fact_id)
                                     WHERE f.payment_id = NEW.payment_id AND f.kind = 'captured' AND o.currency = NEW.currency);
            RETURN NEW;
        END $$;
        CREATE TRIGGER wrong BEFORE UPDATE ON payments FOR EACH ROW EXECUTE FUNCTION wrong()"""),
    "a refund that failed under one reference has failed, whatever succeeded under others": (life_with_refunds, """
        CREATE OR REPLACE FUNCTION refund_status(success_count int, failure_count int, outcome_unknown boolean)
        RETURNS text IMMUTABLE LANGUAGE sql AS $$
            SELECT CASE WHEN failure_count > 0 THEN 'FAILED' WHEN success_count > 0 THEN 'SUCCESS'
                        WHEN outcome_unknown THEN 'UNKNOWN' ELSE 'PENDING' END $$"""),
    "a refund that failed after it had succeeded was made": (arrivals, """
        CREATE FUNCTION wrong() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.undone := false; RETURN NEW; END $$;
        CREATE TRIGGER wrong BEFORE UPDATE ON facts FOR EACH ROW EXECUTE FUNCTION wrong()"""),
    "a second capture is not given back": (life, """
        CREATE FUNCTION wrong() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$;
        CREATE TRIGGER wrong BEFORE INSERT ON refunds FOR EACH ROW WHEN (NEW.automatic) EXECUTE FUNCTION wrong()"""),
    "a refund that has ended is asked for again": (life_with_refunds, """
        CREATE FUNCTION wrong() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.next_call_at := now(); RETURN NEW; END $$;
        CREATE TRIGGER wrong BEFORE UPDATE ON refunds FOR EACH ROW WHEN (NEW.next_call_at IS NULL) EXECUTE FUNCTION wrong()"""),
    "each refund is granted by itself": (life_with_refunds, """
        CREATE OR REPLACE FUNCTION captures_refundable(of_payment_id uuid)
        RETURNS TABLE (fact_id bigint, psp text, currency text, applied boolean, left_amount bigint) STABLE LANGUAGE sql AS $$
            SELECT f.fact_id, f.psp, f.currency, true, f.amount FROM facts f
             WHERE f.payment_id = of_payment_id AND f.kind = 'captured' $$"""),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_product_with_a_mistake_is_found_and_the_case_is_small(mistake):
    draw, change = MISTAKES[mistake]
    broken, found = World(), None
    try:
        broken.query(change if isinstance(change, str) else change.read_text())
        for case in range(20):
            drawn = random.Random(f"{mistake} {case}")
            found = found or search(broken, arrivals(drawn, 4) if draw is arrivals else [draw(drawn) for _ in range(40)])
        assert found is not None, "nothing was found"
        (_, steps), _ = found
        assert sum(len(step[1]) for step in steps if step[0] == "report") <= 3, told(found, SEED)
        assert sum(step[0] != "report" for step in steps) <= 3, told(found, SEED)
    finally:
        broken.drop()
