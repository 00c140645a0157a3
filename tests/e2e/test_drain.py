"""SIGTERM under load: whatever was accepted is answered, and the process ends with 0."""
import concurrent.futures
import signal

import pytest

from processes import wait_for
from traffic import Traffic

STACK = {"scale": {"gateway": 2, "order": 2, "router": 2, "webhook-processor": 2}, "env": {"PSP_TIMEOUT_MS": 8000}}


@pytest.mark.parametrize("name", ["gateway-2", "order-2", "router-2", "webhook-processor-2"])
def test_sigterm_under_load_leaves_nothing_unanswered(stack, name):
    draining = stack.gateways[1] if name == "gateway-2" else None
    with Traffic(stack, threads=6, resets=draining is not None) as traffic:
        wait_for(lambda: len(traffic.promised) > 20, 20, "load")
        assert stack.sigterm(name) == 0, f"{name} did not end with 0"
        if draining:
            stack.gateways.remove(draining)  # a load balancer would have seen it go
        seen = len(traffic.promised)
        wait_for(lambda: len(traffic.promised) > seen + 10, 20, "the others serve")
    # Whoever connects to a gateway that has gone is refused: a reset. What it had accepted it has answered.
    assert not [error for error in traffic.resets_seen if draining is None or "RemoteDisconnected" in repr(error)]
    assert set(traffic.counts) <= {"order 201", "initiate 201", "webhook 200", "order reset", "initiate reset",
                                   "webhook reset"}, traffic.counts
    traffic.check()
    if draining:
        stack.gateways.append(draining)
    stack.processes[name].start()
    stack.wait_until_ready()


def test_a_second_sigterm_ends_at_once_and_the_next_router_resumes_what_was_in_hand(stack):
    assert stack.sigterm("router-2") == 0
    stack.faults("razorpay", hang_ms=8000)
    order_id = stack.create_order()
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        initiated = pool.submit(stack.initiate, order_id)
        wait_for(lambda: stack.psql("SELECT count(*) FROM attempts WHERE outcome IS NULL") == [["1"]], 10, "the PSP is called")
        router = stack.processes["router-1"]
        router.terminate()
        # It waits for the call; the second signal does not.
        wait_for(lambda: stack.api.get("/readyz").status == 503, 5, "the router has said that it drains")
        assert router.running()
        router.signal(signal.SIGTERM)
        router.wait(2)
        assert not router.running() and router.child.returncode != -signal.SIGKILL, "the second SIGTERM is not heeded"
        stack.faults("razorpay")
        router.start()
        payment_id = initiated.result()["payment_id"]
    assert [attempt["status"] for attempt in stack.get_payment(payment_id)["attempts"]] == ["OPEN"]
    stack.sim_pay(payment_id)
    stack.wait_for_order(order_id, "PAID")
    stack.verify()
