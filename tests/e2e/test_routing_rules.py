"""Where payments go by a merchant's rules and by what is learnt; that routers share it, and that each decision is kept, shown and can be
made again."""
import pathlib
import subprocess

import pytest

from processes import wait_for
from stack import BIN, ROLES

RULES = pathlib.Path(__file__).resolve().with_name("routing_rules.json")
STACK = {"env": {"ROUTING_RULES_FILE": str(RULES), "PSP_TIMEOUT_MS": 700}, "scale": {"router": 2}}
BREAKS_AFTER = 5


@pytest.fixture(autouse=True)
def no_faults_afterwards(stack):
    yield
    for psp in ("razorpay", "cashfree", "juspay"):
        stack.faults(psp)


def initiate(stack, method, amount=45000, **optional):
    return stack.initiate(stack.create_order(amount=amount), method, **optional)


def health(stack, gateway, method, currency="INR"):
    """What the routers know of one; None: nothing."""
    rows = {row["gateway"]: row["health"] for row in stack.api.get("/admin/gateways").json["data"]}
    found = [row for row in rows[gateway] or [] if (row["method"], row["currency"]) == (method, currency)]
    return found[0] if found else None


def replay(stack, payment_id):
    environment = stack.environment({"DATABASE_URL": stack.database.url(ROLES["router"])})
    return subprocess.run([str(BIN / "tiffin-router"), "--replay", payment_id], env=environment, text=True, timeout=30,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


def test_a_rule_decides_and_is_named(stack):
    initiated = initiate(stack, "WALLET", amount=10000)
    assert initiated["gateway"] == "Juspay"
    routing = stack.get_payment(initiated["payment_id"])["routing"]
    assert (routing["policy"], routing["tried"]) == ("order", ["Juspay"])
    (entry,) = routing["decisions"]
    decision = entry["decision"]
    assert (decision["rule"], decision["reason"], decision["order"]) == ("small wallets", "listed", ["Juspay", "Cashfree"])
    assert (decision["method"], decision["currency"], decision["amount"]) == ("WALLET", "INR", 10000)
    assert [candidate["gateway"] for candidate in decision["candidates"]] == ["Juspay", "Cashfree"]
    assert isinstance(decision["seed"], int) and entry["decided_at"]


def test_a_list_without_others_is_all_that_is_tried(stack):
    for psp in ("juspay", "cashfree"):
        stack.faults(psp, refuse=True)
    order_id = stack.create_order(amount=9000)
    answer = stack.api.post("/payments/initiate", {"order_id": order_id, "payment_method": "WALLET"})
    assert (answer.status, answer.json["code"]) == (503, "NO_PSP_AVAILABLE"), answer
    (payment,) = stack.get_order(order_id)["payments"]
    attempts = stack.get_payment(payment["payment_id"])
    assert [attempt["gateway"] for attempt in attempts["attempts"]] == ["Juspay", "Cashfree"]
    assert [entry["decision"]["order"] for entry in attempts["routing"]["decisions"]] == [["Juspay", "Cashfree"], ["Cashfree"]]


def test_a_split_shares_and_every_decision_can_be_made_again(stack):
    chosen = {}
    for _ in range(30):
        initiated = initiate(stack, "CARD")
        chosen.setdefault(initiated["gateway"], initiated["payment_id"])
    assert set(chosen) == {"Cashfree", "Juspay"}
    for gateway, payment_id in chosen.items():
        again = replay(stack, payment_id)
        assert again.returncode == 0, again.stdout
        assert "policy split, rule card trial" in again.stdout and "the same" in again.stdout
        # Of one that comes out otherwise it says so.
        stack.psql(f"""UPDATE routing_decisions d SET decision = replace(decision::text, '"share":50', '"share":0')::json
                         FROM attempts a WHERE a.attempt_id = d.attempt_id AND a.payment_id = '{payment_id}'""")
    # Nobody has a share then: the one of which more is known to be good is the first, for both.
    assert sorted(replay(stack, payment_id).returncode for payment_id in chosen.values()) == [0, 1]
    stack.psql("UPDATE routing_decisions SET decision = '{}'")
    assert replay(stack, chosen["Juspay"]).returncode == 1
    stack.psql("DELETE FROM routing_decisions")
    assert replay(stack, chosen["Juspay"]).returncode == 2
    assert replay(stack, "00000000-0000-7000-8000-000000000000").returncode == 2
    assert replay(stack, "nonsense").returncode == 78


def test_how_payments_end_moves_the_next_ones(stack):
    for _ in range(8):
        stack.sim_pay(initiate(stack, "NETBANKING", gateway="Cashfree")["payment_id"])
        order_id = stack.create_order()
        payment_id = stack.initiate(order_id, "NETBANKING", gateway="Razorpay")["payment_id"]
        stack.webhook(stack.webhook_body(order_id, payment_id, status="FAILED", error="the bank is away"))
    wait_for(lambda: all((health(stack, gateway, "NETBANKING") or {"outcomes": 0})["outcomes"] >= 8
                         for gateway in ("Cashfree", "Razorpay")), 10, "the routers know how they ended")
    assert health(stack, "Cashfree", "NETBANKING")["success_rate"] > 0.9
    assert health(stack, "Razorpay", "NETBANKING")["success_rate"] < 0.3
    chosen = [initiate(stack, "NETBANKING") for _ in range(20)]
    assert sum(payment["gateway"] == "Cashfree" for payment in chosen) >= 12
    routing = stack.get_payment(chosen[0]["payment_id"])["routing"]
    assert routing["policy"] == "value"
    assert routing["decisions"][0]["decision"]["reason"] in ("worth_most", "explored")


def test_what_a_customer_did_wrong_does_not_count(stack):
    for error in ("Payment cancelled by user", "Insufficient funds", "INCORRECT_PIN"):
        order_id = stack.create_order()
        payment_id = stack.initiate(order_id, "UPI", gateway="Juspay")["payment_id"]
        stack.webhook(stack.webhook_body(order_id, payment_id, status="FAILED", error=error,
                                         signature="Juspay:dev-secret"), gateway="Juspay")
        stack.wait_for_payment(payment_id, "FAILED")
    order_id, payment_id = stack.pay_for()
    gateway = stack.get_payment(payment_id)["gateway"]
    stack.webhook(stack.webhook_body(order_id, payment_id, status="FAILED", error="issuer unavailable",
                                     signature=f"{gateway}:dev-secret"), gateway=gateway)
    wait_for(lambda: (health(stack, gateway, "UPI") or {"outcomes": 0})["outcomes"] >= 1, 10, "the failure is learnt")
    if gateway != "Juspay":
        assert (health(stack, "Juspay", "UPI") or {"outcomes": 0})["outcomes"] == 0
    assert stack.psql("SELECT count(*) FROM facts WHERE fault = 'customer'") == [["3"]]


def test_routers_tell_each_other_who_is_down(stack):
    def opened():
        return ["to=open" in "".join(line for line in (stack.directory / f"router-{number}.log").read_text().splitlines(True)
                                     if "breaker moved" in line and "psp=Stripe" in line) for number in (1, 2)]

    stack.faults("stripe", refuse=True)
    for _ in range(BREAKS_AFTER):
        order_id = stack.create_order()
        answer = stack.api.post("/payments/initiate", {"order_id": order_id, "payment_method": "UPI", "gateway": "Stripe"})
        assert answer.status == 503, answer
    wait_for(lambda: all(opened()), 10, "both routers know that it is down")
    assert health(stack, "Stripe", "UPI")["breaker"] in ("open", "half_open")
    stack.faults("stripe")
    initiate(stack, "UPI", gateway="Stripe")
    wait_for(lambda: health(stack, "Stripe", "UPI")["breaker"] == "closed", 10, "it is known to be back")


def test_old_decisions_are_forgotten(stack):
    payment_id = initiate(stack, "UPI")["payment_id"]
    stack.psql("UPDATE routing_decisions SET decided_at = decided_at - interval '36 days'")
    newer = initiate(stack, "UPI")["payment_id"]
    wait_for(lambda: stack.get_payment(payment_id)["routing"]["decisions"] == [], 20, "the old decision is forgotten")
    assert len(stack.get_payment(newer)["routing"]["decisions"]) == 1
    assert stack.get_payment(payment_id)["routing"]["tried"]
    stack.verify()
