"""Across the payments of an order, against cancellation and expiry, with refunds and a person's decisions: one capture pays the order,
every other right one is given back once, no more is promised back than came in."""
import random

import pytest

from generate import life, life_with_refunds
from scenario import agrees
from world import CASES, SEED

LIVES = 60  # side by side


@pytest.mark.parametrize("case", range(CASES))
def test_one_capture_pays_the_order_and_every_other_right_one_is_given_back_once(world, case):
    drawn = random.Random(f"{SEED} lives {case}")
    agrees(world, [life(drawn) for _ in range(LIVES)], SEED)


@pytest.mark.parametrize("case", range(CASES))
def test_refunds_in_any_interleaving_never_promise_more_than_came_in_and_each_is_called_until_it_has_ended(world, case):
    drawn = random.Random(f"{SEED} refunds {case}")
    agrees(world, [life_with_refunds(drawn) for _ in range(LIVES)], SEED)


def test_the_invariants_hold_after_all_that(world):
    assert world.broken_invariants() == []
