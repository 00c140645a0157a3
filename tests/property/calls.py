"""The database's functions as calls: a batch is a list of dicts, each argument an array with an element per request."""
import time
import uuid

from stores import Connection

NIL = "00000000-0000-0000-0000-000000000000"


def new_id():
    return str(uuid.uuid4())


def connect(database, role=None):
    return Connection(database.url(role))


def literal(value):
    if value is None:
        return "NULL"
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, int) else "'" + value.replace("'", "''") + "'"


def array(kind, values):
    return f"ARRAY[{','.join(literal(value) for value in values)}]::{kind}[]"


def call(connection, function, columns, rows, wanted, *rest):
    """SELECT wanted FROM function(one array per column, rest …). columns: [(name, type, default)]; a default may be a function."""
    arrays = [array(kind, [row.get(name, default() if callable(default) else default) for row in rows])
              for name, kind, default in columns]
    return connection.query(f"SELECT {wanted} FROM {function}({', '.join(arrays + [literal(value) for value in rest])})")


def now_us():
    return time.time_ns() // 1000


REPORT = [("inbox_id", "bigint", None), ("psp", "text", "Razorpay"), ("event_id", "text", new_id), ("source", "text", "webhook"),
          ("payment_id", "uuid", None), ("order_id", "uuid", None), ("refund_id", "uuid", None), ("kind", "text", "captured"),
          ("ref", "text", "a"), ("ref_per_payment", "bool", True), ("amount", "bigint", 45000), ("fee", "bigint", 0),
          ("currency", "text", "INR"), ("occurred_at_us", "bigint", 1700000000000000), ("reason", "text", None),
          ("body", "bytea", "x"), ("headers", "text", None), ("http_status", "int", 0), ("received_at_us", "bigint", now_us),
          ("request_id", "text", None)]


def report(connection, *reports, park_for_s=300):
    """What webhooks_apply says became of each: [(outcome, reason)]."""
    rows = call(connection, "webhooks_apply", REPORT, reports, "position, outcome, reason", park_for_s)
    return [(outcome, reason) for position, outcome, reason in rows if position != "0"]


ORDER = [("order_id", "uuid", new_id), ("user_id", "text", "u"), ("amount", "bigint", 45000), ("currency", "text", "INR"),
         ("receipt", "text", None), ("metadata", "text", None), ("customer", "text", None), ("lifetime_s", "bigint", 900),
         ("key", "uuid", None), ("body", "uuid", NIL)]


def create(connection, *orders):
    """[(order id, verdict)]"""
    return [tuple(row) for row in call(connection, "orders_create", ORDER, orders, "order_id, verdict")]


def open_payment(connection, count=1, of=None):
    """(order, [payment …]): a new order, or `of`, with so many payments that are begun."""
    order, payments = of or new_id(), [new_id() for _ in range(count)]
    if of is None:
        create(connection, {"order_id": order})
    begun = begin(connection, *[{"payment_id": payment, "order_id": order} for payment in payments])
    assert [verdict for _, verdict, _, _ in begun] == ["ok"] * count
    return order, payments


def open_payments(connection, count):
    """As many orders with one payment each; the payments."""
    orders = [{"order_id": new_id(), "payment_id": new_id()} for _ in range(count)]
    create(connection, *orders)
    begin(connection, *orders)
    return [order["payment_id"] for order in orders]


CANCEL = [("order_id", "uuid", None), ("key", "uuid", None), ("body", "uuid", NIL), ("request_id", "uuid", new_id)]


def cancel(connection, *requests):
    """[(verdict, replayed, document)]"""
    return [tuple(row) for row in call(connection, "orders_cancel", CANCEL, requests, "verdict, replayed, document")]


BEGIN = [("payment_id", "uuid", new_id), ("order_id", "uuid", None), ("method", "text", "UPI"), ("requested_psp", "text", None),
         ("return_url", "text", None), ("attempt_id", "uuid", new_id), ("psp", "text", "Razorpay"), ("key", "uuid", None),
         ("body", "uuid", NIL), ("holder", "uuid", new_id)]


def begin(connection, *payments, lease_ms=60000):
    """[(payment id, verdict, newest attempt's id, replayed)]"""
    return [tuple(row) for row in call(connection, "payments_begin", BEGIN, payments,
                                       "payment_id, verdict, attempt_id, replayed", lease_ms)]


ATTEMPT = [("attempt_id", "uuid", None), ("outcome", "text", None), ("error", "text", None), ("psp_ref", "text", None),
           ("checkout_url", "text", None), ("page_data", "text", None), ("took_ms", "int", 1),
           ("next_attempt_id", "uuid", None), ("next_psp", "text", None), ("give_up", "bool", False)]


def record(connection, *attempts):
    """[(verdict, given up, newest attempt's number, checkout's URL)]"""
    return [tuple(row) for row in call(connection, "attempts_record", ATTEMPT, attempts,
                                       "verdict, given_up, attempt_number, checkout_url")]


REFUND = [("refund_id", "uuid", new_id), ("payment_id", "uuid", None), ("amount", "bigint", 0), ("reason", "text", None),
          ("key", "uuid", None), ("body", "uuid", NIL), ("request_id", "uuid", new_id)]


def refund(connection, *refunds):
    """[(refund id, verdict, replayed)]"""
    return [tuple(row) for row in call(connection, "refunds_create", REFUND, refunds, "refund_id, verdict, replayed")]


def settle(connection, discrepancy, decision, refund_id=None, by="ann"):
    (verdict,), = connection.query(f"""SELECT verdict FROM discrepancy_settle({discrepancy}, {literal(decision)},
                                       {literal(refund_id or new_id())}, {literal(by)})""")
    return verdict


def discrepancies(connection, payment):
    """{kind: (id, decision)} of a payment; decision None: open, '' settled without one."""
    return {kind: (int(number), decision or "" if settled == "t" else None) for number, kind, settled, decision in connection.query(
        f"""SELECT discrepancy_id, kind, settled_at IS NOT NULL, decision FROM discrepancies WHERE payment_id = {literal(payment)}""")}


def balances(connection, payment):
    """{account: balance} of a payment, without what is zero."""
    return {account: int(amount) for account, amount in connection.query(
        f"""SELECT account, sum(amount) FROM ledger_entries WHERE payment_id = {literal(payment)} GROUP BY account
            HAVING sum(amount) <> 0""")}
