"""What is kept for a time only: webhooks that were handled, and events. What is left still holds, and nothing happens twice."""
import pytest

from calls import connect, discrepancies, new_id, open_payment, open_payments, report
from stores import DatabaseError, broken_invariants

DAYS = 35


def forget(connection, at_most=1000):
    (forgotten,), = connection.query(f"SELECT history_forget({DAYS}, {DAYS}, {at_most})")
    return int(forgotten)


def age(database, days):
    """Moves everything that was told and stored so far into the past."""
    for sql in ("ALTER TABLE outbox DISABLE TRIGGER immutable",
                f"UPDATE inbox SET received_at = received_at - interval '{days} days', recorded_at = recorded_at - interval '{days} days'",
                f"UPDATE outbox SET created_at = created_at - interval '{days} days'", "ALTER TABLE outbox ENABLE TRIGGER immutable"):
        database.query(sql)


def events(connection, after, user="u"):
    return [(int(event), kind, payload) for event, kind, payload in connection.query(
        f"SELECT event_id, type, payload FROM events_of_user('{user}', NULL, {after}, 100)")]


@pytest.fixture
def told(database):
    """Of each case: webhooks of payments that were captured, 40 days ago, a dead letter, and one that came since."""
    forget(database)
    payments = open_payments(database, 5)
    old = [{"payment_id": payment, "event_id": new_id()} for payment in payments]
    assert [outcome for outcome, _ in report(database, *old)] == ["applied"] * 5
    dead = {"payment_id": new_id(), "event_id": new_id()}
    assert report(database, dead, park_for_s=0) == [("dead", "PAYMENT_NOT_FOUND")]
    age(database, DAYS + 5)
    _, (payment,) = open_payment(database)
    fresh = {"payment_id": payment, "event_id": new_id()}
    report(database, fresh)
    return old, dead, fresh


def handled(database, *reports):
    return [row for one in reports for row in database.query(
        f"SELECT outcome FROM inbox WHERE event_id = '{one['event_id']}' AND octet_length(body) > 0")]


def test_what_is_old_goes_and_all_else_stays(database, told):
    old, dead, fresh = told
    before = database.query("SELECT (SELECT count(*) FROM facts), (SELECT count(*) FROM ledger_entries)")
    (oldest,), = database.query("SELECT max(event_id) FROM outbox WHERE created_at < now() - interval '1 day'")
    assert forget(database) > 0
    assert handled(database, *old) == []
    assert handled(database, dead, fresh) == [["dead"], ["applied"]]
    assert database.query("SELECT min(event_id) FROM outbox") == [[str(int(oldest) + 1)]]
    assert database.query("SELECT (SELECT count(*) FROM facts), (SELECT count(*) FROM ledger_entries)") == before
    assert broken_invariants(database.query) == []
    assert forget(database) == 0


def test_what_comes_again_after_it_was_forgotten_changes_nothing(database, told):
    old, _, _ = told
    forget(database)
    (last,), = database.query("SELECT last_event_id FROM feed")
    assert report(database, *old) == [("duplicate", None)] * len(old)
    assert report(database, *old) == [("duplicate", None)] * len(old)
    assert database.query("SELECT last_event_id FROM feed") == [[last]]
    assert all(discrepancies(database, one["payment_id"]) == {} for one in old)
    assert broken_invariants(database.query) == []


def test_a_dead_letter_waits_for_its_decision_however_long(database, told):
    _, dead, _ = told
    forget(database)
    order, _ = open_payment(database)
    database.query(f"""SELECT count(*) FROM payments_begin(ARRAY['{dead["payment_id"]}'::uuid], ARRAY['{order}'::uuid], ARRAY['UPI'],
                       ARRAY[NULL::text], ARRAY[NULL::text], ARRAY['{new_id()}'::uuid], ARRAY['Razorpay'])""")
    assert report(database, dead) == [("applied", None)]
    forget(database)
    assert handled(database, dead) == [["applied"]]
    assert broken_invariants(database.query) == []


def test_it_goes_in_small_steps_from_the_oldest_on(database, told):
    steps = []
    while forgotten := forget(database, 2):
        steps.append(forgotten)
        assert broken_invariants(database.query) == []
    assert len(steps) > 2 and max(steps) == 2
    assert handled(database, *told[0]) == []


def test_who_asks_for_what_is_forgotten_is_told_of_the_gap_first(database, told):
    (kept,), = database.query("SELECT min(event_id) - 1 FROM outbox")
    assert {kind for _, kind, _ in events(database, kept)} == {"payment.confirmed"}
    forget(database)
    (first,), = database.query("SELECT min(event_id) FROM outbox")
    first = int(first)
    assert [(event, kind) for event, kind, _ in events(database, 0)] == [(first - 1, "gap"), (first, "payment.confirmed")]
    assert events(database, 0)[0][2] == f'{{"type":"gap","from":{first}}}'
    assert [kind for _, kind, _ in events(database, first - 1)] == ["payment.confirmed"]
    assert [kind for kind, in database.query("SELECT type FROM events_after(0, 1)")] == ["gap"]
    assert [kind for kind, in database.query(f"SELECT type FROM events_after({first - 2}, 2)")] == ["gap", "payment.confirmed"]
    assert events(database, first) == []


def test_where_all_is_forgotten_a_reader_starts_after_it(database, told):
    age(database, DAYS + 5)
    forget(database)
    assert database.query("SELECT count(*) FROM outbox") == [["0"]]
    assert database.query("SELECT last_event_before(0) = last_event_id FROM feed") == [["t"]]
    assert broken_invariants(database.query) == []


def test_two_at_once_share_the_work(database, told):
    first, second = connect(database), connect(database)
    first.query("BEGIN")
    assert forget(first) > 0
    assert forget(second) == 0
    first.query("ROLLBACK")
    assert forget(second) > 0
    for connection in (first, second):
        connection.close()


def test_nobody_takes_events_away_that_are_not_old(database, told):
    with pytest.raises(DatabaseError, match="is append-only"):
        database.query("DELETE FROM outbox WHERE event_id = (SELECT max(event_id) FROM outbox)")
