"""How often a PSP is asked because a customer came back."""
import pytest

from calls import open_payment
from stores import broken_invariants


@pytest.fixture(autouse=True)
def nothing_is_broken_afterwards(database):
    yield
    assert broken_invariants(database.query) == []


# ---- the customer comes back ----

@pytest.fixture
def payment(database):
    """One whose PSP was asked a moment ago."""
    _, (payment,) = open_payment(database)
    database.query(f"UPDATE payments SET next_check_at = now() + interval '270 s' WHERE payment_id = '{payment}'")
    return payment


def come_back(database, payment, query=""):
    """Whether the PSP is asked at once for it."""
    database.query(f"SELECT payment_returned('{payment}', '{query}')")
    return [payment] in database.query("SELECT payment_id FROM status_checks_claim(NULL, 1000, 300)")


def pass_time(database, payment, seconds):
    database.query(f"UPDATE payments SET returned_at = returned_at - interval '{seconds} s' WHERE payment_id = '{payment}'")


def test_however_often_a_customer_comes_back_the_psp_is_asked_once_in_five_seconds(database, payment):
    assert [come_back(database, payment, query) for query in ("", "", "a=1", "a=2", "a=1", "")] == [True] + [False] * 5
    pass_time(database, payment, 4)
    assert not come_back(database, payment, "a=3")
    pass_time(database, payment, 2)
    assert [come_back(database, payment), come_back(database, payment)] == [True, False]


def test_who_comes_back_too_soon_is_asked_about_in_the_next_run(database, payment):
    """With what the PSP has sent along, and it comes once only."""
    come_back(database, payment)
    come_back(database, payment, "result=1")
    come_back(database, payment, "result=2")
    assert database.query(f"""SELECT returned, next_check_at <= now() + interval '5 s' FROM payments
                               WHERE payment_id = '{payment}'""") == [["result=1", "t"]]
