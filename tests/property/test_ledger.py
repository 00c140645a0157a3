"""The ledger's chain: sealed in whatever order transactions commit, and proof of what was booked."""
import random
import threading

from generate import random_events
from model import Event
from processes import wait_for
from world import SEED, World


def capture():
    return Event("captured", "c")


def test_a_transaction_that_commits_late_is_sealed_all_the_same(world):
    late, early, other = world.payments(3)
    world.tell((other, capture()))
    world.query("SELECT ledger_seal(1000)")
    slow, fast = world.connect(), world.connect()
    slow.query("BEGIN")
    world.tell((late, capture()), connection=slow)
    world.tell((early, Event("settled", "s", fee=5)), connection=fast)  # an effect that tells nobody waits for nobody
    for _ in range(3):
        world.query("SELECT ledger_seal(1000)")
    slow.query("COMMIT")
    for _ in range(3):
        world.query("SELECT ledger_seal(1000)")
    assert world.query("SELECT * FROM ledger_chain_faults(ledger_head())") == []
    assert world.query("SELECT count(*) FROM ledger_transactions") == world.query("SELECT count(*) FROM ledger_seals")
    slow.close()
    fast.close()


def test_what_is_sealed_of_a_backlog_is_not_looked_at_again(world):
    world.tell(*[(payment, capture()) for payment in world.payments(60)])
    sealed = "SELECT count(*) FILTER (WHERE txn_id <= floor_txn_id), count(*) FROM ledger_seals CROSS JOIN ledger_seal_state"
    for _ in range(20):
        world.query("SELECT ledger_seal(1)")
    # Whatever else runs in this cluster has to end first.
    wait_for(lambda: world.query("SELECT ledger_seal(1)") == [["0"]] or int(world.query(sealed)[0][0]) > 0, 60, "the floor")
    (below, total), = world.query(sealed)
    assert 0 < int(below) and int(total) < 60
    while world.query("SELECT ledger_seal(7)") != [["0"]]:
        pass
    assert world.query("SELECT * FROM ledger_chain_faults(NULL)") == []


def test_sealed_from_two_sides_while_others_book_nothing_is_left_out():
    world = World()
    try:
        payments = world.payments(40)
        stop, errors = threading.Event(), []

        def seal():
            connection = world.connect()
            try:
                while not stop.is_set():
                    connection.query("SELECT ledger_seal(3)")
            except Exception as error:
                errors.append(error)
            connection.close()

        def book(number):
            connection, drawn = world.connect(), random.Random(f"{SEED} book {number}")
            try:
                for payment in payments[number::4]:
                    for event in random_events(drawn, 3):
                        world.tell((payment, event), connection=connection)
            except Exception as error:
                errors.append(error)
            connection.close()
        sealers = [threading.Thread(target=seal) for _ in range(2)]
        bookers = [threading.Thread(target=book, args=(number,)) for number in range(4)]
        for thread in sealers + bookers:
            thread.start()
        for thread in bookers:
            thread.join()
        stop.set()
        for thread in sealers:
            thread.join()
        while world.query("SELECT ledger_seal(1000)") != [["0"]]:
            pass
        assert not errors, errors[:2]
        assert world.query("SELECT * FROM ledger_chain_faults(NULL)") == []
    finally:
        world.drop()


def test_whatever_is_changed_by_force_is_found(world):
    payment, other = world.payments(2)
    world.tell((payment, capture()), (other, capture()))
    world.tell((payment, Event("settled", "s", fee=900)))
    while world.query("SELECT ledger_seal(1000)") != [["0"]]:
        pass
    (head,), = world.query("SELECT ledger_head()")
    assert world.query(f"SELECT * FROM ledger_chain_faults('{head}')") == []
    for change in ("UPDATE ledger_entries SET amount = amount * 2 WHERE txn_id = 2",
                   "UPDATE ledger_entries SET account = 'merchant' WHERE account = 'fees'",
                   "DELETE FROM ledger_entries WHERE txn_id = 1; DELETE FROM ledger_seals WHERE txn_id = 1; "
                   "DELETE FROM ledger_transactions WHERE txn_id = 1",
                   "UPDATE ledger_seals SET hash = sha256('x') WHERE position = 2",
                   "UPDATE ledger_transactions SET created_at = now() WHERE txn_id = 1",
                   "DELETE FROM ledger_seals WHERE position = (SELECT max(position) FROM ledger_seals)"):
        world.query(f"BEGIN; SET LOCAL session_replication_role = replica; {change}")
        found = world.query(f"SELECT * FROM ledger_chain_faults('{head}')")
        world.query("ROLLBACK")
        assert found, change


def test_a_chain_that_is_made_anew_after_a_change_does_not_hold_the_old_head(world):
    payment, = world.payments(1)
    world.tell((payment, capture()))
    while world.query("SELECT ledger_seal(1000)") != [["0"]]:
        pass
    (head,), = world.query("SELECT ledger_head()")
    world.query("""SET session_replication_role = replica; UPDATE ledger_entries SET amount = amount * 2;
                   DELETE FROM ledger_seals; UPDATE ledger_seal_state SET floor_txn_id = 0, next_floor_txn_id = 0;
                   SET session_replication_role = DEFAULT""")
    while world.query("SELECT ledger_seal(1000)") != [["0"]]:
        pass
    assert world.query("SELECT * FROM ledger_chain_faults(NULL)") == []
    faults = world.query(f"SELECT * FROM ledger_chain_faults('{head}')")
    assert faults == [[f"head {head} is not in the chain"]]
