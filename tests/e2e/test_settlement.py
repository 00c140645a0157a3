"""Settlement reports, as the PSPs' own APIs tell them: what was paid out becomes facts, and what differs is seen."""
import base64
import csv
import datetime
import hashlib
import http.server
import io
import threading
import urllib.parse
import uuid

import pytest

from processes import wait_for
from test_psps import HINTING, RUPEES_ALONE, begun, fetch, pays, posted_form

STACK = {"env": {"RECONCILE_INTERVAL_S": 3600, "PARK_FOR_S": 1, "PSP_SIM_SETTLE_AFTER_S": 0}}

REPORTING = ("Razorpay", "Stripe", "Cashfree", "PayU", "Adyen")
CASES = [(psp, currency, amount) for psp in REPORTING for currency, amount in (("INR", 45001), ("JPY", 1234), ("KWD", 12340))
         if currency == "INR" or psp not in RUPEES_ALONE]


def basic():
    return {"Authorization": "Basic " + base64.b64encode(b"rzp_test_key:dev-secret").decode()}


def payu_command(stack, name, var1, **more):
    """As PayU's library sends it."""
    hashed = hashlib.sha512(f"payu_test_key|{name}|{var1}|dev-secret".encode()).hexdigest()
    form = {"key": "payu_test_key", "command": name, "var1": var1, **more, "hash": hashed}
    return stack.sim.request("POST", "/payu/merchant/postservice.php?form=2", urllib.parse.urlencode(form),
                             {"Content-Type": "application/x-www-form-urlencoded"})


def announce(stack, **more):
    """Adyen's report of what was paid out since the last one; its URL."""
    answer = stack.sim.post("/_sim/adyen/report", more)
    assert answer.status == 200, answer
    url = answer.json["url"]
    wait_for(lambda: stack.psql(f"SELECT 1 FROM settlement_reports WHERE url = '{url}'"), 10, "the announcement is taken in")
    return url


def read_reports(stack):
    announce(stack)
    answer = stack.api.post("/admin/reconciliations")
    assert answer.status // 100 == 2, answer


def facts(stack, payment_id):
    return stack.psql("SELECT kind, amount, currency, source, fee, applied FROM audit_facts "
                      f"WHERE payment_id = '{payment_id}' ORDER BY kind")


def wait_for_facts(stack, payment_id, expected):
    wait_for(lambda: facts(stack, payment_id) == expected, 15, f"the facts are {expected}")


def discrepancies(stack, payment_id):
    answer = stack.api.get(f"/admin/discrepancies?payment_id={payment_id}")
    assert answer.status == 200, answer
    return answer.json["data"]


def told_by(psp):
    """Who tells first of what is paid."""
    return "status_poll" if psp in HINTING else "webhook"


def begun_at(stack, psp, currency="INR", amount=45000):
    """Open at the PSP itself, though no customer has come yet."""
    order_id, payment = begun(stack, psp, currency, amount)
    if psp == "PayU":
        posted_form(fetch(payment["checkout_url"]).body.decode())
    return order_id, payment


def webhooks(stack, payment_id):
    return int(stack.psql(f"SELECT count(*) FROM inbox WHERE payment_ref = '{payment_id}' AND source = 'webhook'")[0][0])


def moved(stack, payment_id, kind):
    return sum(row["amount"] for row in stack.sim.get(f"/_sim/book?payment_id={payment_id}").json if row["kind"] == kind)


def accounts(stack, payment_id):
    rows = stack.psql(f"SELECT account, sum(amount) FROM audit_ledger WHERE payment_id = '{payment_id}' GROUP BY 1 HAVING sum(amount) <> 0")
    return {account: int(amount) for account, amount in rows}


@pytest.mark.parametrize("psp,currency,amount", CASES)
def test_what_is_paid_out_is_a_fact_with_its_fee(stack, psp, currency, amount):
    order_id, payment = begun(stack, psp, currency, amount)
    payment_id = payment["payment_id"]
    pays(stack, payment)
    stack.wait_for_order(order_id, "PAID")
    fee = amount * 2 // 100
    expected = [["captured", str(amount), currency, told_by(psp), "0", "t"], ["settled", str(amount), currency, "settlement", str(fee), "f"]]
    read_reports(stack)
    wait_for_facts(stack, payment_id, expected)
    assert accounts(stack, payment_id) == {"merchant": -amount, "settlement": amount - fee, "fees": fee}
    assert stack.events(order_id) == ["payment.confirmed"]
    # Read again, nothing is told twice.
    told = stack.inbox(payment_id)
    read = stack.psql("SELECT max(read_at) FROM settlement_reports")
    read_reports(stack)
    wait_for(lambda: stack.psql("SELECT max(read_at) FROM settlement_reports") != read, 15, "the reports are read again")
    stack.wait_until_quiet()
    assert stack.inbox(payment_id) == told
    assert discrepancies(stack, payment_id) == []
    stack.verify()


@pytest.mark.parametrize("psp", REPORTING)
def test_money_that_arrived_pays_the_order_though_nothing_else_told(stack, psp):
    """Its webhook is lost, and nobody asks any more."""
    stack.faults(psp, webhook="none")
    try:
        order_id, payment = begun_at(stack, psp)
        payment_id = payment["payment_id"]
        stack.psql(f"UPDATE payments SET next_check_at = NULL WHERE payment_id = '{payment_id}'")  # nobody asks any more
        stack.sim_pay(payment_id)
        read_reports(stack)
        stack.wait_for_order(order_id, "PAID", 15)
        wait_for_facts(stack, payment_id, [["captured", "45000", "INR", "settlement", "0", "t"],
                                           ["settled", "45000", "INR", "settlement", "900", "f"]])
        assert stack.events(order_id) == ["payment.confirmed"]
        stack.verify()
    finally:
        stack.faults(psp)


@pytest.mark.parametrize("psp,currency,amount", CASES)
def test_a_refund_that_is_taken_back_from_us_has_ended_though_nothing_else_told(stack, psp, currency, amount):
    """The PSP has taken it. Its webhook is late, and nobody asks any more."""
    order_id, payment = begun(stack, psp, currency, amount)
    payment_id, part = payment["payment_id"], amount // 3
    pays(stack, payment)
    stack.wait_for_order(order_id, "PAID")
    before = webhooks(stack, payment_id)
    stack.faults(psp, webhook="late", webhook_delay_ms=5000, refund="pending", refund_delay_ms=2000)
    try:
        answer = stack.api.post(f"/payments/{payment_id}/refunds", {"amount": part})
        assert answer.status == 202, answer
        refund_id = answer.json["refund_id"]
        wait_for(lambda: "refund_requested" in [row[0] for row in facts(stack, payment_id)], 10, "the PSP has taken it")
        stack.psql(f"UPDATE refunds SET next_call_at = now() + interval '1 day' WHERE refund_id = '{refund_id}'")
        wait_for(lambda: moved(stack, payment_id, "refund") == part, 10, "it is carried out")
        assert stack.api.get(f"/refunds/{refund_id}").json["status"] == "PENDING"
        read_reports(stack)
        wait_for(lambda: ["refund_succeeded", str(part), currency, "settlement", "0", "f"] in facts(stack, payment_id), 15, "it is known")
        assert webhooks(stack, payment_id) == before
        stack.wait_for_order(order_id, "PARTIALLY_REFUNDED", 15)
        assert stack.api.get(f"/refunds/{refund_id}").json["status"] == "SUCCESS"
        ended = ["refund_succeeded", str(part), currency, "settlement", "0", "f"]
        assert ended in facts(stack, payment_id)
        # The webhook comes after all, and tells of the same.
        wait_for(lambda: webhooks(stack, payment_id) > before, 15, "the webhook has come")
        stack.wait_until_quiet()
        assert [row for row in facts(stack, payment_id) if row[0] == "refund_succeeded"] == [ended]
        assert discrepancies(stack, payment_id) == []
        assert stack.get_payment(payment_id)["refunded_amount"] == part
        stack.verify()
    finally:
        stack.faults(psp)


@pytest.mark.parametrize("psp", REPORTING)
def test_a_refund_that_was_told_of_before_is_the_same_in_a_report(stack, psp):
    order_id, payment = begun(stack, psp, "INR", 45000)
    payment_id = payment["payment_id"]
    pays(stack, payment)
    stack.wait_for_order(order_id, "PAID")
    refund_id = stack.api.post(f"/payments/{payment_id}/refunds", {"amount": 15000}).json["refund_id"]
    wait_for(lambda: stack.api.get(f"/refunds/{refund_id}").json["status"] == "SUCCESS", 15, "it is refunded")
    stack.wait_until_quiet()
    before = [row for row in facts(stack, payment_id) if row[0].startswith("refund")]
    read_reports(stack)
    wait_for(lambda: "settled" in [row[0] for row in facts(stack, payment_id)], 15, "the report is read")
    line = f"SELECT 1 FROM inbox WHERE payment_ref = '{payment_id}' AND encode(body, 'escape') LIKE '{{\"tells\":\"refund_succeeded\"%'"
    wait_for(lambda: stack.psql(line), 15, "the refund's line is taken in")
    stack.wait_until_quiet()
    assert [row for row in facts(stack, payment_id) if row[0].startswith("refund")] == before
    assert stack.get_payment(payment_id)["refunded_amount"] == 15000
    assert discrepancies(stack, payment_id) == []
    stack.verify()


def test_a_refund_that_nobody_asked_for_is_seen_in_a_report(stack):
    """Somebody made it at the PSP itself."""
    order_id, payment = begun(stack, "PayU", "INR", 45000)
    payment_id = payment["payment_id"]
    pays(stack, payment)
    stack.wait_for_order(order_id, "PAID")
    stack.faults("PayU", webhook="none")
    try:
        reference = stack.psql(f"SELECT psp_ref FROM audit_facts WHERE payment_id = '{payment_id}' AND kind = 'captured'")[0][0]
        answer = payu_command(stack, "cancel_refund_transaction", reference, var2="at-the-dashboard", var3="120.50")
        assert answer.json["status"] == 1, answer
        read_reports(stack)
        wait_for(lambda: ["refund_succeeded", "12050", "INR", "settlement", "0", "f"] in facts(stack, payment_id), 15, "it is known")
        assert [row["kind"] for row in discrepancies(stack, payment_id)] == ["refund_unknown"]
        stack.wait_for_order(order_id, "PARTIALLY_REFUNDED")
        stack.verify()
    finally:
        stack.faults("PayU")


@pytest.mark.parametrize("psp", REPORTING)
def test_a_report_that_says_another_amount_wins_and_is_seen(stack, psp):
    order_id, payment = begun(stack, psp, "INR", 45000)
    payment_id = payment["payment_id"]
    pays(stack, payment)
    stack.wait_for_order(order_id, "PAID")
    stack.faults(psp, settlement_delta=-1000)
    try:
        read_reports(stack)
        wait_for_facts(stack, payment_id, [["captured", "44000", "INR", told_by(psp), "0", "t"],
                                           ["settled", "44000", "INR", "settlement", "880", "f"]])
        found = {row["kind"]: row for row in discrepancies(stack, payment_id)}
        assert set(found) == {"amount_mismatch", "observation_conflict"}
        assert found["amount_mismatch"]["state"] == "open"
        assert "44000 INR by settlement" in found["observation_conflict"]["detail"]
        assert f"45000 INR by {told_by(psp)}" in found["observation_conflict"]["detail"]
        assert stack.get_payment(payment_id)["status"] == "MISMATCH"
        stack.verify()
    finally:
        stack.faults(psp)


def test_a_settled_charge_that_nobody_knows_is_a_dead_letter(stack):
    """Somebody charged with our keys, at the PSP itself."""
    unknown = str(uuid.uuid4())
    order = {"amount": 45000, "currency": "INR", "receipt": unknown, "notes": {"payment_id": unknown}}
    answer = stack.sim.post("/razorpay/v1/orders", order, basic())
    assert answer.status == 200, answer
    stack.sim_pay(unknown)
    read_reports(stack)
    row = wait_for(lambda: next(iter(stack.psql(
        f"SELECT outcome, reason, source FROM inbox WHERE payment_ref = '{unknown}' AND outcome = 'dead' AND source = 'settlement'")), None),
        20, "the line is a dead letter")
    assert row == ["dead", "PAYMENT_NOT_FOUND", "settlement"]
    seen = stack.api.get("/admin/discrepancies?kind=unknown_reference&limit=100").json["data"]
    assert any(unknown in entry["detail"] for entry in seen)


@pytest.mark.parametrize("psp", REPORTING)
def test_a_report_of_several_pages_is_read_to_its_end(stack, psp):
    stack.faults(psp, webhook="none")
    try:
        paid = []
        for _ in range(105):
            order_id, payment = begun_at(stack, psp)
            stack.sim_pay(payment["payment_id"])
            paid.append(payment["payment_id"])
        read_reports(stack)
        ids = ", ".join(f"'{payment_id}'" for payment_id in paid)
        wait_for(lambda: stack.psql(f"SELECT count(*) FROM audit_facts WHERE payment_id IN ({ids}) AND kind = 'settled' "
                                    "AND source = 'settlement'") == [["105"]], 30, "all are settled")
        stack.verify()
    finally:
        stack.faults(psp)


def test_a_psp_that_answers_nonsense_is_asked_again_and_nothing_is_lost(stack):
    order_id, payment = begun(stack, "Stripe", "INR", 45000)
    payment_id = payment["payment_id"]
    failed = "SELECT count(*) FROM settlement_reports WHERE psp = 'Stripe' AND next_read_at > now() + interval '1 s' " \
             "AND next_read_at <= now() + interval '61 s'"
    stack.faults("Stripe", answer="garbage")  # before there is a line, which an earlier test's reading could bring
    try:
        pays(stack, payment)
        stack.wait_for_order(order_id, "PAID")
        read_reports(stack)
        wait_for(lambda: stack.psql(failed) == [["2"]], 15, "they are put off")
        assert [row[0] for row in facts(stack, payment_id)] == ["captured"]
    finally:
        stack.faults("Stripe")
    read_reports(stack)
    wait_for(lambda: [row[0] for row in facts(stack, payment_id)] == ["captured", "settled"], 15, "it is settled")
    stack.verify()


def test_a_report_that_is_announced_elsewhere_is_not_fetched(stack):
    """The announcement's signature does not cover the address: our key goes nowhere but to Adyen."""
    asked = []

    class Stranger(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.headers)
            self.send_response(200)
            self.end_headers()

        def log_message(self, *ignored):
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Stranger) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            base = f"http://127.0.0.1:{stack.sim.port}/adyen"
            stranger = f"http://127.0.0.1:{server.server_port}"
            for at in (stranger, f"{base}.evil", f"{base}@127.0.0.1:{server.server_port}", f"{base}/../../x", f"{stranger}/adyen",
                       "https://evil.example/.adyen.com", "https://ca-live.adyen.com.evil.example", "http://ca-live.adyen.com"):
                url = announce(stack, at=at)
                wait_for(lambda url=url: stack.psql(f"SELECT 1 FROM settlement_reports WHERE url = '{url}' AND next_read_at IS NULL"),
                         15, "it is refused for good")
                assert stack.psql(f"SELECT lines FROM settlement_reports WHERE url = '{url}'") == [["0"]]
            assert asked == []
        finally:
            server.shutdown()
            thread.join()
    stack.verify()


def test_the_simulator_reports_as_adyen_does(stack):
    """A batch has what was paid out since the last one; whoever has no key, or asks for another, gets none."""
    order_id, payment = begun(stack, "Adyen", "KWD", 12340)
    payment_id = payment["payment_id"]
    pays(stack, payment)
    stack.wait_for_order(order_id, "PAID")
    path = urllib.parse.urlsplit(announce(stack)).path
    key = {"X-API-Key": "dev-secret"}
    answer = stack.sim.get(path, key)
    assert answer.status == 200 and answer.headers["Content-Type"].startswith("text/csv"), answer
    rows = list(csv.DictReader(io.StringIO(answer.body.decode())))
    [row] = [row for row in rows if row["Merchant Reference"] == payment_id]
    assert (row["Type"], row["Gross Currency"], row["Gross Debit (GC)"], row["Gross Credit (GC)"]) == ("Settled", "KWD", "", "12.340")
    assert (row["Net Currency"], row["Net Credit (NC)"], row["Markup (NC)"]) == ("KWD", "12.094", "0.246")
    assert [row["Type"] for row in rows][-2:] == ["Fee", "MerchantPayout"]
    later = urllib.parse.urlsplit(announce(stack)).path
    assert payment_id not in stack.sim.get(later, key).body.decode()
    assert stack.sim.get(path).status == 401
    assert stack.sim.get(path.replace("batch_", "batch_9"), key).status == 404
    assert stack.sim.get(path.replace("TiffinDev", "Another"), key).status == 404


def test_the_simulator_reports_as_razorpay_does(stack):
    """As its library asks: a page of 10 lines unless more are asked for, charges and refunds, and what makes no sense is refused."""
    order_id, payment = begun(stack, "Razorpay", "INR", 45000)
    payment_id = payment["payment_id"]
    pays(stack, payment)
    stack.wait_for_order(order_id, "PAID")
    refund = stack.api.post(f"/payments/{payment_id}/refunds", {"amount": 1000}).json["refund_id"]
    wait_for(lambda: stack.api.get(f"/refunds/{refund}").json["status"] == "SUCCESS", 10, "it is refunded")
    today = datetime.datetime.now(datetime.timezone.utc)
    path = f"/razorpay/v1/settlements/recon/combined?year={today.year}&month={today.month}"
    lines = stack.sim.get(f"{path}&count=1000", basic()).json["items"]
    charge, back = [line for line in lines if payment_id in line["notes"]]
    assert (charge["type"], charge["debit"], charge["credit"], charge["amount"], charge["fee"]) == ("payment", 0, 44100, 45000, 900)
    assert (back["type"], back["debit"], back["credit"], back["amount"], back["fee"]) == ("refund", 1000, 0, 1000, 0)
    assert back["payment_id"] == charge["entity_id"] and charge["settlement_id"] and charge["settlement_utr"]
    assert len(stack.sim.get(path, basic()).json["items"]) <= 10
    assert stack.sim.get(f"{path}&skip={len(lines)}", basic()).json == {"entity": "collection", "count": 0, "items": []}
    assert stack.sim.get(path).status == 401
    for wrong in ("", "?year=2026", "?year=2026&month=13", "?year=2026&month=2&day=30", "?year=2026&month=2&count=0",
                  "?year=2026&month=2&count=1001", "?year=2026&month=2&skip=-1", "?year=x&month=2"):
        answer = stack.sim.get("/razorpay/v1/settlements/recon/combined" + wrong, basic())
        assert answer.status == 400, (wrong, answer)


def test_the_simulator_lists_what_stripe_and_cashfree_list(stack):
    """As their libraries ask: nothing but a payout, or a limit of 10."""
    key = {"Authorization": "Bearer dev-secret"}
    assert stack.sim.get("/stripe/v1/balance_transactions?payout=po_1&limit=100", key).json["data"] == []
    assert len(stack.sim.get("/stripe/v1/balance_transactions", key).json["data"]) <= 10
    for wrong in ("limit=0", "limit=101", "limit=", "created[gte]=x", "starting_after=txn_nobody"):
        assert stack.sim.get(f"/stripe/v1/balance_transactions?{wrong}", key).status == 400, wrong
    keys = {"x-client-id": "cf_test_key", "x-client-secret": "dev-secret", "x-api-version": "2026-01-01"}
    filters = {"start_date": "2025-10-01T00:00:00Z", "end_date": "2025-10-09T00:00:00Z"}
    for path in ("/pg/settlements", "/pg/recon", "/pg/settlement/recon"):
        answer = stack.sim.post(f"/cashfree{path}", {"pagination": {"limit": 10}, "filters": filters}, keys)
        assert answer.json == {"cursor": None, "limit": 10, "data": []}, answer
        for wrong in ({"pagination": {"limit": 0}}, {"pagination": {"limit": "10"}}, {"pagination": {"limit": 10, "cursor": "x"}},
                      {"pagination": {"limit": 10}, "filters": {"start_date": "yesterday"}}):
            assert stack.sim.post(f"/cashfree{path}", wrong, keys).status == 400, (path, wrong)
