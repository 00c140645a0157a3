"""SIGTERM under load: whatever was accepted is answered, and the process ends with 0."""
import pytest

from processes import wait_for
from traffic import Traffic


@pytest.mark.parametrize("name", ["gateway-2", "order-2", "router-2", "webhook-processor-2"])
def test_sigterm_under_load_leaves_nothing_unanswered(new_stack, name):
    service = name.rpartition("-")[0]
    stack = new_stack(scale={"gateway": 2, service: 2})
    draining = stack.gateways[1] if service == "gateway" else None
    with Traffic(stack, threads=6, resets=draining is not None) as traffic:
        wait_for(lambda: len(traffic.promised) > 20, 20, "load")
        assert stack.sigterm(name) == 0, f"{name} did not end with 0"
        if draining:
            stack.gateways.remove(draining)  # a load balancer would have seen it go
        seen = len(traffic.promised)
        wait_for(lambda: len(traffic.promised) > seen + 10, 20, "the others serve")
    if draining:
        # Connections that come after the end are refused: they are resets. One that was accepted is answered.
        assert not [answer for answer in traffic.wrong if "RemoteDisconnected" in answer], traffic.wrong[:5]
    else:
        assert set(traffic.counts) <= {"order 201", "initiate 201", "webhook 200"}, traffic.counts
    traffic.check()


def test_a_second_sigterm_ends_at_once(new_stack):
    stack = new_stack(env={"PSP_TIMEOUT_MS": 8000})
    stack.faults("razorpay", hang_ms=8000)
    with Traffic(stack, threads=1, resets=True) as traffic:
        wait_for(lambda: stack.psql("SELECT count(*) FROM attempts WHERE outcome IS NULL") != [["0"]], 10, "a call is in flight")
        router = stack.processes["router-1"]
        router.terminate()
        # It waits for the call; the second signal does not.
        wait_for(lambda: stack.api.get("/readyz").status == 503, 5, "the router has said that it drains")
        assert router.running()
        router.signal(15)
        assert router.wait(2) != f"no end within 2 s of SIGTERM"
        traffic.load.stopping.set()
