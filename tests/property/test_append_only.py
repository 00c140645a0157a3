"""Who may change what: services nothing but through functions, and what was booked or told nobody."""
import pytest

from calls import connect, open_payment, report
from stores import DatabaseError, broken_invariants

ROLES = ("tiffin_order", "tiffin_router", "tiffin_webhook_processor", "tiffin_reconciler", "tiffin_notifier", "tiffin_audit")
APPEND_ONLY = ("ledger_transactions", "ledger_entries", "ledger_seals", "fact_observations", "applied_captures", "outbox")


@pytest.fixture(scope="module")
def booked(database):
    """A payment that was captured and sealed, so that there is something to change."""
    _, (payment,) = open_payment(database)
    assert report(database, {"payment_id": payment}) == [("applied", None)]
    assert database.query("SELECT ledger_seal(10)") == [["1"]]
    return database


def tables(booked):
    return [name for name, in booked.query("SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r'")]


def settable_column(database, table):
    (column,), = database.query(f"""SELECT attname FROM pg_attribute WHERE attrelid = '{table}'::regclass AND attnum > 0
                                    AND attidentity = '' AND attgenerated = '' ORDER BY attnum LIMIT 1""")
    return column


def refused(connection, sql, why):
    with pytest.raises(DatabaseError, match=why):
        connection.query(sql)


@pytest.mark.parametrize("role", ROLES)
def test_no_service_writes_or_reads_a_table_itself(booked, role):
    connection = connect(booked, role)
    for table in tables(booked):
        column = settable_column(booked, table)
        for sql in (f"INSERT INTO {table} DEFAULT VALUES", f"UPDATE {table} SET {column} = {column}", f"DELETE FROM {table}",
                    f"TRUNCATE {table} CASCADE", f"SELECT {column} FROM {table}", f"ALTER TABLE {table} DISABLE TRIGGER ALL"):
            refused(connection, sql, "permission denied|must be owner")
    refused(connection, "CREATE TABLE mine (n int)", "permission denied")
    refused(connection, "SET session_replication_role = replica", "permission denied")
    connection.close()


@pytest.mark.parametrize("table", APPEND_ONLY)
def test_what_was_booked_or_told_is_not_changed_by_its_owner_either(booked, table):
    column = settable_column(booked, table)
    before = booked.query(f"SELECT * FROM {table}")
    assert before
    for sql in (f"UPDATE {table} SET {column} = {column}", f"UPDATE {table} SET {column} = {column} WHERE false",
                f"DELETE FROM {table}", f"TRUNCATE {table} CASCADE"):
        refused(booked, sql, "is append-only")
    assert booked.query(f"SELECT * FROM {table}") == before


def test_what_a_fact_is_does_not_change(booked):
    for change in ("psp_ref = 'other'", "kind = 'failed'", "payment_id = gen_random_uuid()", "occurred_at = now() + interval '1 s'"):
        refused(booked, f"UPDATE facts SET {change}", "does not change")
    refused(booked, "DELETE FROM facts", "is append-only")


def test_the_books_take_nothing_that_is_not_whole_and_balanced(booked):
    (fact, payment), = booked.query("SELECT fact_id, payment_id FROM facts")
    (booked_before,), = booked.query("SELECT max(txn_id) FROM ledger_transactions")
    new = f"WITH t AS (INSERT INTO ledger_transactions (kind, fact_id, revision) VALUES ('x', {fact}, 2) RETURNING txn_id) "
    lines = "INSERT INTO ledger_entries (txn_id, line, account, currency, amount, payment_id) "
    refused(booked, f"{new} {lines} SELECT txn_id, 1, 'merchant', 'INR', 1, '{payment}' FROM t", "does not sum to zero")
    refused(booked, f"""{new} {lines} SELECT txn_id, n, 'merchant', c, a, '{payment}' FROM t,
                        (VALUES (1, 'INR', 1), (2, 'USD', -1)) AS l(n, c, a)""", "does not sum to zero")
    refused(booked, f"{lines} VALUES ({booked_before}, 8, 'merchant', 'INR', 5, '{payment}'), "
                    f"({booked_before}, 9, 'unapplied', 'INR', -5, '{payment}')", "complete once it is written")
    refused(booked, f"{new} {lines} SELECT txn_id, n, 'pocket', 'INR', a, '{payment}' FROM t, (VALUES (1, 1), (2, -1)) AS l(n, a)",
            "ledger_entries_account_check")
    assert broken_invariants(booked.query) == []


def test_each_function_that_acts_as_its_owner_is_one_roles_and_finds_our_tables_only(booked):
    for name, config, public, *may in booked.query(f"""
            SELECT p.proname, p.proconfig, has_function_privilege('pg_monitor', p.oid, 'EXECUTE'),
                   {', '.join(f"has_function_privilege('{role}', p.oid, 'EXECUTE')" for role in ROLES)}
              FROM pg_proc p WHERE p.pronamespace = 'public'::regnamespace AND p.prosecdef"""):
        assert public == "f" and may.count("t") <= 1, f"{name}: {may}"
        assert "search_path=public, pg_temp" in config, name


def test_no_role_is_another_or_owns_anything(booked):
    assert booked.query("SELECT roleid::regrole, member::regrole FROM pg_auth_members WHERE member::regrole::text LIKE 'tiffin_%'") == []
    assert booked.query("""SELECT c.oid::regclass FROM pg_class c JOIN pg_roles r ON r.oid = c.relowner
                           WHERE r.rolname LIKE 'tiffin_%'""") == []
