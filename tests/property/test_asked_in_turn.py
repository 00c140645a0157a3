"""How often a PSP is asked because a customer came back, and that it is told one thing at a time about an authorisation."""
import pytest

from calls import begin, cancel, new_id, open_payment, report
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


# ---- capture and void ----

def authorized(database):
    """(order, payment): authorised, and asked to be captured."""
    order, payment = new_id(), new_id()
    database.query(f"SELECT * FROM orders_create(ARRAY['{order}']::uuid[], ARRAY['u'], ARRAY[45000::bigint], ARRAY['INR'], "
                   "ARRAY[NULL::text], ARRAY[NULL::text], ARRAY[NULL::text], ARRAY[900::bigint])")
    database.query(f"UPDATE orders SET manual_capture = true WHERE order_id = '{order}'")
    begin(database, {"payment_id": payment, "order_id": order})
    report(database, {"payment_id": payment, "kind": "authorized"})
    assert database.query(f"SELECT verdict FROM payment_capture('{payment}', 'capture', NULL, NULL, '{new_id()}')") == [["capturing"]]
    return order, payment


def claim(database, payment, lease_ms=60000):
    return [action for action, in database.query(
        f"SELECT capture_action FROM payments_capture_claim(1000, {lease_ms}) WHERE payment_id = '{payment}'")]


@pytest.mark.parametrize("how", ["cancelled", "expired"])
def test_an_order_that_ends_while_its_capture_is_told_is_voided_after_that_call(database, how):
    order, payment = authorized(database)
    assert claim(database, payment) == ["capture"]
    if how == "cancelled":
        assert cancel(database, {"order_id": order})[0][0] == "cancelled"
    else:
        database.query(f"UPDATE orders SET expires_at = now() WHERE order_id = '{order}'")
        assert database.query("SELECT count(*) FROM orders_expire(1000)") == [["1"]]
    assert claim(database, payment) == [], "a capture is on its way"
    database.query(f"UPDATE payments SET capture_next_at = now() WHERE payment_id = '{payment}'")  # the lease ends
    assert claim(database, payment) == ["void"]


def test_an_order_that_is_cancelled_before_its_capture_is_told_is_voided_at_once(database):
    order, payment = authorized(database)
    cancel(database, {"order_id": order})
    assert claim(database, payment) == ["void"]
    order, payment = authorized(database)
    assert claim(database, payment) == ["capture"]
    database.query(f"SELECT payment_capture_called('{payment}', 1, 'no answer', 0)")
    cancel(database, {"order_id": order})
    assert claim(database, payment) == ["void"], "no call is out"
