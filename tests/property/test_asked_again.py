"""A payment that was given up, and is asked for again under its key."""
import os
import uuid

import pytest
from calls import open_payment, report
from stores import Connection, Database

NIL = "NULL::text"


@pytest.fixture
def query():
    database = Database(os.environ["TIFFIN_TEST_DATABASE_URL"])
    yield database.query
    database.drop()


def claimed(query):
    """The payments whose PSP the reconciler asks in a run of now; their checks are then not due for a while."""
    ((run,),) = query("SELECT reconciliation_begin('r', false)")
    return [row[0] for row in query(f"SELECT payment_id FROM status_checks_claim({run}, 10, 300) WHERE psp IS NOT NULL")]


def test_its_psp_is_asked_again_too(query):
    """Its webhook may be lost: what no PSP is asked about any more would never be known."""
    order, key, body = (str(uuid.uuid4()) for _ in range(3))
    query(f"""SELECT * FROM orders_create(ARRAY['{order}']::uuid[], ARRAY['u'], ARRAY[45000::bigint], ARRAY['INR'], ARRAY[{NIL}],
                                          ARRAY[{NIL}], ARRAY[{NIL}], ARRAY[900::bigint])""")

    def begin():
        return query(f"""SELECT verdict, payment_id, attempt_id FROM payments_begin(ARRAY[gen_random_uuid()],
            ARRAY['{order}']::uuid[], ARRAY['UPI'], ARRAY[{NIL}], ARRAY[{NIL}], ARRAY[gen_random_uuid()], ARRAY['Razorpay'],
            ARRAY['{key}']::uuid[], ARRAY['{body}']::uuid[], ARRAY[gen_random_uuid()], 0)""")[0]

    def record(attempt, outcome, url, give_up):
        query(f"""SELECT * FROM attempts_record(ARRAY['{attempt}']::uuid[], ARRAY['{outcome}'], ARRAY[{NIL}], ARRAY[{NIL}], ARRAY[{NIL}],
            ARRAY[{url}], ARRAY[1], ARRAY[NULL::uuid], ARRAY[{NIL}], ARRAY[{give_up}])""")

    _, payment, attempt = begin()
    record(attempt, "REFUSED", NIL, "true")
    assert claimed(query) == [] and query("SELECT next_check_at FROM payments") == [[None]], "no PSP can know of it"
    verdict, again, attempt = begin()
    assert (verdict, again) == ("ok", payment)
    record(attempt, "OPEN", "'https://psp/pay'", "false")
    assert claimed(query) == [payment]


def test_what_a_psp_hints_at_is_asked_about_once_though_a_capture_is_known():
    """It may be a second capture, or tell that the first was undone."""
    database = Database(os.environ["TIFFIN_TEST_DATABASE_URL"])
    connection = Connection(database.url())

    def hinted():
        return [row[0] for row in connection.query("SELECT payment_id FROM status_checks_claim(NULL, 10, 300)")]

    try:
        _, (payment,) = open_payment(connection)
        report(connection, {"payment_id": payment, "ref": "a"})
        assert claimed(connection.query) == [] and hinted() == []
        report(connection, {"payment_id": payment, "kind": "hint", "ref": ""})
        assert hinted() == [payment]
        assert hinted() == [] and claimed(connection.query) == []
    finally:
        connection.close()
        database.drop()
