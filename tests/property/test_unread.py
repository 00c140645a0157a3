"""A process that is stopped while PostgreSQL answers it."""
import os

import pytest
from stores import Connection, Database


@pytest.fixture
def database():
    database = Database(os.environ["TIFFIN_TEST_DATABASE_URL"])
    yield database
    database.drop()


def test_a_client_that_does_not_read_its_answer_cannot_hold_up_the_others(database):
    """Its answer does not fit the socket, and is sent before the commit, under the lock of the feed."""
    cancel = "SELECT * FROM orders_cancel(ARRAY(SELECT order_id FROM orders WHERE user_id = '{}'))"
    database.query("""SELECT * FROM orders_create(ARRAY(SELECT gen_random_uuid() FROM generate_series(1, 201)),
        ARRAY(SELECT CASE WHEN i < 201 THEN 'many' ELSE 'one' END FROM generate_series(1, 201) i), array_fill(100::bigint, ARRAY[201]),
        array_fill('INR'::text, ARRAY[201]), array_fill(NULL::text, ARRAY[201]),
        array_fill(json_build_object('note', repeat('x', 8000))::text, ARRAY[201]), array_fill(NULL::text, ARRAY[201]),
        array_fill(900::bigint, ARRAY[201]))""")
    stopped, other = (Connection(database.url() + "?application_name=tiffin-order") for _ in range(2))
    other.query("SET lock_timeout = '10s'")
    stopped.send(cancel.format("many"))
    waits = "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'ClientWrite'"
    while not database.query(waits):
        pass
    assert database.query("SELECT sessions_end_unread(3600)") == [["0"]]
    assert database.query("SELECT sessions_end_unread(0)") == [["1"]]
    other.query(cancel.format("one"))
    assert database.query("SELECT user_id FROM orders WHERE status = 'CANCELLED'") == [["one"]], "what was not read is rolled back"
    stopped.close()
    other.close()
