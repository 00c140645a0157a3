"""Captures by hand at bad moments: a router that dies with the PSP's answer in its hands, an answer that is lost while the order
expires, an authorisation that is told of when its order has ended. Money moves once, or goes back."""
import pytest

from processes import wait_for
from test_manual_capture import PSPS, VOIDING, ask, authorized, book, noted
from test_psps import CUSTOMER

STACK = {"supervise": True, "env": {"RECONCILE_INTERVAL_S": 600, "PSP_TIMEOUT_MS": 1000}}  # nobody asks without a reason
DEATHS = [(psp, action, point) for psp in PSPS for action in ("capture", "void") if action == "capture" or psp in VOIDING
          for point in ("router_capture_claimed", "router_capture_answered")]


@pytest.fixture(autouse=True)
def faultless(stack):
    for psp in PSPS:
        stack.faults(psp)


def dies_at(stack, point):
    """The router is started anew, and will die there once. The process that will."""
    process = stack.processes["router-1"]
    with process.lock:
        process.kill()
        plain = process.env
        process.env = plain | {"TIFFIN_CRASH_AT": point}
        process.start()
        process.env = plain
    return process


def has_died(stack, process, payment_id):
    wait_for(lambda: process.unexpected_ends, 15, "the router has died")
    assert process.unexpected_ends == [-9]
    process.unexpected_ends.clear()
    wait_for(lambda: stack.api.get(f"/payments/{payment_id}").status == 200, 15, "the next router answers")
    stack.psql("UPDATE payments SET capture_next_at = now() WHERE capture_next_at > now()")  # the lease of the dead ends


def facts(stack, payment_id):
    return {row[0] for row in stack.psql(f"SELECT kind FROM facts WHERE payment_id = '{payment_id}'")}


@pytest.mark.parametrize("psp,action,point", DEATHS)
def test_a_router_that_dies_captures_or_voids_once(stack, psp, action, point):
    order_id, payment_id = authorized(stack, psp)
    if psp != "Adyen":  # which tells nobody who asks
        stack.faults(psp, webhook="none")
    process = dies_at(stack, point)
    wait_for(lambda: ask(stack, payment_id, action).status == 202, 15, "the router that will die has taken it")
    has_died(stack, process, payment_id)
    if action == "capture":
        stack.wait_for_order(order_id, "PAID", 20)
        assert book(stack, payment_id) == [("charge", 45000)]
    else:
        stack.wait_for_payment(payment_id, "FAILED", 20)
        assert book(stack, payment_id) == [] and stack.get_order(order_id)["status"] == "PENDING"
    assert facts(stack, payment_id) == {"authorized", "captured" if action == "capture" else "voided"}
    stack.verify()


@pytest.mark.parametrize("psp", PSPS)
def test_what_was_captured_too_late_is_refunded_once_whatever_was_told_afterwards(stack, psp):
    """The PSP captures and its answer is lost; the order expires, and its authorisation is voided: the PSP's word decides."""
    order_id, payment_id = authorized(stack, psp, expires_in_s=4)
    told = {"webhook": "late", "webhook_delay_ms": 9000} if psp == "Adyen" else {"webhook": "none"}
    stack.faults(psp, hang_ms=30000, **told)
    assert ask(stack, payment_id, "capture").status == 202
    wait_for(lambda: book(stack, payment_id) == [("charge", 45000)], 10, "the bank has captured")
    stack.wait_for_order(order_id, "EXPIRED", 15)
    assert stack.get_payment(payment_id)["status"] == "AUTHORIZED"
    wait_for(lambda: stack.psql(f"SELECT capture_action FROM payments WHERE payment_id = '{payment_id}'") == [["void"]], 15,
             "it is to be voided")
    stack.faults(psp)
    wait_for(lambda: stack.get_payment(payment_id)["status"] == "REFUNDED", 40, "what was captured too late has gone back")
    assert book(stack, payment_id) == [("charge", 45000), ("refund", 45000)]
    assert stack.psql(f"SELECT count(*), bool_and(automatic) FROM refunds WHERE payment_id = '{payment_id}'") == [["1", "t"]]
    assert stack.get_order(order_id)["status"] == "EXPIRED"
    stack.verify()


@pytest.mark.parametrize("ends", ["expires", "cancelled"])
@pytest.mark.parametrize("psp", PSPS)
def test_an_authorisation_that_is_told_of_after_its_order_ended_is_never_captured(stack, psp, ends):
    stack.faults(psp, webhook="late", webhook_delay_ms=5000 if ends == "expires" else 1500)
    order_id = stack.create_order(capture="manual", customer=CUSTOMER, **({"expires_in_s": 2} if ends == "expires" else {}))
    payment_id = stack.initiate(order_id, method="CARD", gateway=psp)["payment_id"]
    stack.sim_pay(payment_id)  # and does not come back
    if ends == "cancelled":
        assert stack.api.post(f"/orders/{order_id}/cancel").status == 200
    stack.wait_for_order(order_id, "EXPIRED" if ends == "expires" else "CANCELLED", 10)
    assert facts(stack, payment_id) == set()
    stack.faults(psp)
    if psp in VOIDING:
        stack.wait_for_payment(payment_id, "FAILED", 20)
    else:
        noted(stack, payment_id, "the PSP has no void: it releases it by itself")
        assert stack.sim.post(f"/_sim/payments/{payment_id}/release").status == 200
        stack.wait_for_payment(payment_id, "FAILED", 20)
    assert facts(stack, payment_id) == {"authorized", "voided"} and book(stack, payment_id) == []
    stack.verify()
