"""What must hold when a run has become quiet: what was answered is there once, the bank's book and our ledger agree to the unit,
every invariant, every event was told."""
import collections
import json

from processes import wait_for
from stores import broken_invariants

from clients import AMOUNT, CURRENCY


# An authorisation that its PSP is told to capture or to void, and has not yet said what became of it.
BEING_TOLD = """manual_capture AND authorization_count > 0 AND capture_count = 0 AND void_count = 0
    AND capture_next_at IS NOT NULL AND (capture_action IS NOT NULL OR capture_next_at <= now())"""


class Findings:
    def __init__(self):
        self.lost, self.doubled, self.broken, self.differs, self.missing = [], [], [], [], []

    def all(self):
        return [f"{name}: {text}" for name in ("lost", "doubled", "broken", "differs", "missing") for text in getattr(self, name)]


def book_difference(stack):
    """Payments whose money at the bank is not what our ledger says the PSP owes us: {(psp, payment): (bank, ledger)}."""
    bank, ledger = collections.Counter(), collections.Counter()
    for row in stack.sim.get("/_sim/book").json:
        bank[row["psp"], row["payment_id"]] += row["amount"] if row["kind"] == "charge" else -row["amount"]
    # What a settlement or a lost dispute took is not a charge or a refund of the bank's book.
    for account, payment_id, amount in stack.psql("""
            SELECT l.account, l.payment_id, sum(l.amount) FROM audit_ledger l
             WHERE l.txn_id NOT IN (SELECT txn_id FROM audit_ledger WHERE account IN ('settlement', 'disputes'))
               AND l.account LIKE 'psp_receivable:%' GROUP BY 1, 2"""):
        ledger[account.partition(":")[2], payment_id] += int(amount)
    keys = set(bank) | set(ledger)
    return {key: (bank[key], ledger[key]) for key in keys if bank[key] != ledger[key]}


def answered(stack, record, findings):
    """Every answer's effect is there, exactly once."""
    for key in record.unanswered:
        findings.lost.append(f"no answer to {key}")
    orders = {row[0]: row[1:] for row in stack.psql("SELECT order_id, user_id, amount, receipt FROM orders")}
    receipts = collections.Counter(row[2] for row in orders.values())
    for answer in record.of("/orders", 201):
        order = json.loads(answer.text)
        if order["order_id"] not in orders:
            findings.lost.append(f"order {order['order_id']}")
        if receipts[answer.body["receipt"]] != 1:
            findings.doubled.append(f"{receipts[answer.body['receipt']]} orders of receipt {answer.body['receipt']}")
    expected = collections.Counter()
    payments = {row[0]: row[1:] for row in stack.psql("SELECT payment_id, order_id, checkout_url FROM payments")}
    for answer in record.of("/payments/initiate", 201):
        payment = json.loads(answer.text)
        expected[payment["order_id"]] += 1
        if payments.get(payment["payment_id"]) != [payment["order_id"], payment["checkout_url"]]:
            findings.lost.append(f"payment {payment['payment_id']}: {payments.get(payment['payment_id'])}")
    opened = collections.Counter(order_id for order_id, url in payments.values() if url is not None)
    for order_id in set(opened) | set(expected):
        if opened[order_id] != expected[order_id]:
            findings.doubled.append(f"order {order_id}: {expected[order_id]} checkouts answered, {opened[order_id]} opened")
    cancelled = {row[0] for row in stack.psql("SELECT order_id FROM orders WHERE cancelled_at IS NOT NULL")}
    for answer in record.of("/cancel", 200):
        if json.loads(answer.text)["order_id"] not in cancelled:
            findings.lost.append(f"cancellation of {answer.path}")
    refunds = {row[0]: int(row[1]) for row in stack.psql("SELECT refund_id, amount FROM audit_refunds WHERE NOT automatic")}
    answered_refunds = {json.loads(answer.text)["refund_id"]: json.loads(answer.text) for answer in record.of("/refunds", 202)}
    for refund_id, refund in answered_refunds.items():
        if refunds.get(refund_id) != refund["amount"]:
            findings.lost.append(f"refund {refund_id}")
    for refund_id in set(refunds) - set(answered_refunds):
        findings.doubled.append(f"refund {refund_id} that no answer told of")
    inbox = dict(stack.psql("SELECT event_id, outcome FROM inbox"))
    for event_id in record.webhooks:
        if inbox.get(event_id) not in ("applied", "duplicate"):
            findings.lost.append(f"webhook {event_id} was answered 200: {inbox.get(event_id)}")


def by_hand(stack, record, findings):
    """What a merchant captured is captured, or voided where its order ended before; what was voided was never charged."""
    for payment_id, action in stack.psql(f"SELECT payment_id, capture_action FROM payments WHERE {BEING_TOLD}"):
        findings.lost.append(f"{action} of payment {payment_id}: nothing became of it")
    stands = {row[0]: row[1:] for row in stack.psql("SELECT payment_id, capture_count, capture_action FROM payments WHERE manual_capture")}
    charged = {row["payment_id"] for row in stack.sim.get("/_sim/book").json if row["kind"] == "charge"}
    for answer in record.of("/capture", 202):
        payment_id = answer.path.split("/")[2]
        if stands[payment_id][0] == "0" and stands[payment_id][1] != "void":
            findings.lost.append(f"capture of payment {payment_id}: {stands[payment_id]}")
    for answer in record.of("/void", 202):
        if answer.path.split("/")[2] in charged:
            findings.doubled.append(f"payment {answer.path.split('/')[2]} was voided, and charged")
    for payment_id in charged & set(stands):
        if stands[payment_id][1] is None:
            findings.doubled.append(f"payment {payment_id} was charged, and nobody captured it")


def money(stack, findings):
    """The bank's book against ours, payment by payment and capture by capture."""
    for (psp, payment_id), (bank, ledger) in sorted(book_difference(stack).items()):
        findings.differs.append(f"{psp} payment {payment_id}: bank {bank}, ledger {ledger}")
    book = stack.sim.get("/_sim/book").json
    charges = {(row["psp"], row["psp_ref"]): row for row in book if row["kind"] == "charge"}
    facts = stack.psql("SELECT psp, psp_ref, payment_id, order_id, amount, applied FROM audit_facts WHERE kind = 'captured'")
    told = collections.Counter((row[0], row[1]) for row in facts)
    for key, charge in charges.items():
        if told[key] != 1:
            (findings.lost if told[key] == 0 else findings.doubled).append(f"charge {key} of {charge['payment_id']}: {told[key]} facts")
    for key in set(told) - set(charges):
        findings.doubled.append(f"capture {key} that the bank has not made")
    refunded = collections.Counter()
    for row in book:
        if row["kind"] == "refund":
            refunded[row["payment_id"]] += row["amount"]
    ours = {row[0]: int(row[1]) for row in stack.psql(
        "SELECT payment_id, sum(amount) FROM audit_refunds WHERE status = 'SUCCESS' GROUP BY 1")}
    for payment_id in set(refunded) | set(ours):
        if refunded[payment_id] != ours.get(payment_id, 0):
            findings.differs.append(f"payment {payment_id}: the bank refunded {refunded[payment_id]}, we say {ours.get(payment_id, 0)}")
    orders(stack, facts, findings)


def orders(stack, facts, findings):
    """One right capture pays its order, every other is refunded automatically, once; a wrong one waits."""
    status = dict(stack.psql("SELECT order_id, status FROM orders"))
    automatic = collections.Counter(row[0] for row in stack.psql("""
        SELECT f.psp || ' ' || f.psp_ref FROM refunds r JOIN facts f ON f.fact_id = r.capture_fact_id WHERE r.automatic"""))
    applied, right = collections.Counter(), collections.Counter()
    for psp, ref, payment_id, order_id, amount, is_applied in facts:
        applied[order_id] += is_applied == "t"
        matches = int(amount) == AMOUNT
        right[order_id] += matches
        expected = 1 if matches and is_applied != "t" else 0
        if automatic[f"{psp} {ref}"] != expected:
            findings.differs.append(f"capture {psp} {ref} of {payment_id}: {automatic[f'{psp} {ref}']} automatic refunds, not {expected}")
    for order_id, count in applied.items():
        if count > 1:
            findings.doubled.append(f"order {order_id} is paid by {count} captures")
        paid = status[order_id] in ("PAID", "PARTIALLY_REFUNDED", "REFUNDED")
        if paid != (count == 1):
            findings.differs.append(f"order {order_id} is {status[order_id]} with {count} applied captures")
        if right[order_id] > 0 and count == 0 and status[order_id] == "PENDING":
            findings.lost.append(f"order {order_id} is PENDING, and was paid")


def model_status(facts, amount):
    """A captured, authorised or failed payment's status from its facts: the public rules, the first line that holds. None: not decided here."""
    kinds = collections.Counter(kind for kind, _, _ in facts)
    captured = sum(money for kind, money, _ in facts if kind == "captured")
    refunded = sum(money for kind, money, _ in facts if kind == "refund_succeeded")
    if any(kind == "captured" and (money, currency) != (amount, CURRENCY) for kind, money, currency in facts):
        return "MISMATCH"
    if kinds["captured"]:
        return "REFUNDED" if refunded >= captured else "PARTIALLY_REFUNDED" if refunded else "SUCCESS"
    if kinds["authorized"] and not kinds["voided"]:
        return "AUTHORIZED"
    return "FAILED" if kinds["failed"] or kinds["voided"] else None


def statuses(stack, findings):
    facts = collections.defaultdict(list)
    for payment_id, kind, amount, currency in stack.psql("SELECT payment_id, kind, amount, currency FROM audit_facts WHERE NOT undone"):
        facts[payment_id].append((kind, int(amount), currency))
    for payment_id, status in stack.psql("SELECT payment_id, status FROM payments"):
        expected = model_status(facts[payment_id], AMOUNT)
        if expected is not None and status != expected:
            findings.broken.append(f"payment {payment_id} is {status}, its facts say {expected}")


def invariants(stack, findings):
    findings.broken += broken_invariants(stack.psql)
    while stack.psql("SELECT ledger_seal(1000)") != [["0"]]:
        pass
    for row in stack.psql("SELECT * FROM ledger_chain_faults(ledger_head())"):
        findings.broken.append(f"ledger: {row[0]}")


def read(stack, path, within_s=15):
    """The JSON of a GET that may be told for a while that nobody is there to answer it."""
    def answer():
        response = stack.api.get(path)
        return response.json if response.status == 200 else None
    return wait_for(answer, within_s, f"GET {path} is answered")


def events(stack, subscribers, findings):
    """Every subscriber has every event of its user, once, in order, and the feed over REST says the same."""
    told = collections.defaultdict(list)
    seqs = collections.defaultdict(list)
    for event_id, user_id, order_id, seq in stack.psql("SELECT event_id, user_id, order_id, seq FROM outbox ORDER BY event_id"):
        told[user_id].append(int(event_id))
        seqs[order_id].append(int(seq))
    for order_id, numbers in seqs.items():
        if numbers != list(range(1, len(numbers) + 1)):
            findings.broken.append(f"events of order {order_id}: {numbers}")
    for subscriber in subscribers:
        got = [event["event_id"] for event in subscriber.events]
        lost = set(told[subscriber.user]) - set(got)
        if lost:
            findings.missing.append(f"{subscriber.name}: {len(lost)} of {len(told[subscriber.user])} events: {sorted(lost)[:5]}")
        if set(got) - set(told[subscriber.user]):
            findings.broken.append(f"{subscriber.name} has events of others")
        if subscriber.disorder:
            findings.broken.append(f"{subscriber.name} out of order: {subscriber.disorder[:3]}")
    listed, since, more = [], 0, True
    while more:
        page = read(stack, f"/events?since={since}&limit=100")
        listed += [event["event_id"] for event in page["data"]]
        since, more = page["next_since"], page["more"]
    everything = sorted(event_id for ids in told.values() for event_id in ids)
    if listed != everything:
        findings.missing.append(f"GET /events lists {len(listed)} of {len(everything)} events")


def check(stack, record, subscribers):
    findings = Findings()
    findings.broken += record.problems
    answered(stack, record, findings)
    by_hand(stack, record, findings)
    money(stack, findings)
    statuses(stack, findings)
    invariants(stack, findings)
    events(stack, subscribers, findings)
    return findings
