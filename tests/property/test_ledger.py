"""The ledger's chain: sealed in whatever order transactions commit, and proof of what was booked."""
import random
import threading

from model import Event
from world import SEED, World, connect, random_events


def capture():
    return Event("captured", "c", 45000, "INR")


def test_a_transaction_that_commits_late_is_sealed_all_the_same(world):
    (_, (late,)), (_, (early,)), (_, (other,)) = world.orders(3)
    world.apply([(other, capture())])
    world.query("SELECT ledger_seal(1000)")
    slow, fast = connect(world), connect(world)
    slow.query("BEGIN")
    world.apply([(late, capture())], slow)
    world.apply([(early, Event("settled", "s", 45000, "INR", fee=5))], fast)  # an effect that tells nobody waits for nobody
    for _ in range(3):
        world.query("SELECT ledger_seal(1000)")
    slow.query("COMMIT")
    for _ in range(3):
        world.query("SELECT ledger_seal(1000)")
    assert world.query("SELECT * FROM ledger_chain_faults(ledger_head())") == []
    assert world.query("SELECT count(*) FROM ledger_transactions") == world.query("SELECT count(*) FROM ledger_seals")
    slow.close()
    fast.close()


def test_sealed_from_two_sides_while_others_book_nothing_is_left_out():
    world = World()
    try:
        payments = [ids[0] for _, ids in world.orders(40)]
        stop, errors = threading.Event(), []

        def seal():
            connection = connect(world)
            try:
                while not stop.is_set():
                    connection.query("SELECT ledger_seal(3)")
            except Exception as error:
                errors.append(error)
            connection.close()

        def book(number):
            connection, drawn = connect(world), random.Random(f"{SEED} book {number}")
            try:
                for payment in payments[number::4]:
                    for event in random_events(drawn, 3):
                        world.apply([(payment, event)], connection)
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


def test_whatever_is_changed_by_force_is_found():
    for change in ("UPDATE ledger_entries SET amount = amount * 2 WHERE txn_id = 2",
                   "UPDATE ledger_entries SET account = 'merchant' WHERE account = 'fees'",
                   "DELETE FROM ledger_entries WHERE txn_id = 1; DELETE FROM ledger_seals WHERE txn_id = 1; "
                   "DELETE FROM ledger_transactions WHERE txn_id = 1",
                   "UPDATE ledger_seals SET hash = sha256('x') WHERE position = 2",
                   "UPDATE ledger_transactions SET created_at = now() WHERE txn_id = 1",
                   "DELETE FROM ledger_seals WHERE position = (SELECT max(position) FROM ledger_seals)"):
        world = World()
        try:
            (_, (payment,)), (_, (other,)) = world.orders(2)
            world.apply([(payment, capture()), (other, capture())])
            world.apply([(payment, Event("settled", "s", 45000, "INR", fee=900))])
            world.query("SELECT ledger_seal(1000)")
            (head,), = world.query("SELECT ledger_head()")
            assert world.query(f"SELECT * FROM ledger_chain_faults('{head}')") == []
            world.query(f"SET session_replication_role = replica; {change}; SET session_replication_role = DEFAULT")
            assert world.query(f"SELECT * FROM ledger_chain_faults('{head}')"), change
        finally:
            world.drop()


def test_a_chain_that_is_made_anew_after_a_change_does_not_hold_the_old_head(world):
    (_, (payment,)), = world.orders(1)
    world.apply([(payment, capture())])
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
