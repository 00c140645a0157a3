"""METRICS_ADDR: what each service tells of itself, and the gateway of what they have in common."""
import re
import time

import pytest

from client import Client
from processes import wait_for
from stack import SERVICES, free_port

PORTS = {f"{service}-1": free_port() for service in SERVICES}


@pytest.fixture(scope="module")
def told(stack):
    """Every service serves its metrics."""
    for name, port in PORTS.items():
        stack.restart(name, METRICS_ADDR=f"127.0.0.1:{port}")
    return stack


def scrape(name):
    """{sample: value}; every line is read."""
    response = Client(PORTS[name]).get("/metrics")
    assert response.status == 200 and response.headers["Content-Type"].startswith("text/plain; version=0.0.4"), response
    samples, family = {}, None
    for line in response.body.decode().splitlines():
        if line.startswith("# TYPE "):
            family = line.split()[2]
        elif not line.startswith("#"):
            sample, value = re.fullmatch(r'([a-z_]+(?:\{(?:[a-z]+="[^"\\]*",?)+\})?) ([0-9.]+)', line).groups()
            assert sample.startswith(family) and sample not in samples, line
            samples[sample] = float(value)
    return samples


@pytest.mark.parametrize("name", PORTS)
def test_a_service_tells_how_it_is(told, name):
    samples = scrape(name)
    assert samples['tiffin_build_info{version="0.1.0"}'] == 1
    assert 1e6 < samples["process_resident_memory_bytes"] < 4e9
    assert 0 <= time.time() - samples["process_start_time_seconds"] < 600
    assert samples["tiffin_service_gateways"] == 1 and samples["tiffin_service_requests_in_flight"] >= 0
    health = Client(PORTS[name]).get("/healthz")
    assert (health.status, health.body) == (200, b"ok\n")
    assert Client(PORTS[name]).get("/orders").status == 404


def test_requests_are_counted_by_message_and_outcome_with_the_time_they_took(told):
    def of(outcome, message="order.create"):
        return scrape("order-1").get(f'tiffin_service_requests_total{{service="order",message="{message}",outcome="{outcome}"}}', 0)
    created, missed = of("ok"), of("order_not_found", "order.get")
    told.create_order()
    told.create_order()
    assert told.api.get("/orders/01920000-0000-7000-8000-000000000001").status == 404
    assert of("ok") == created + 2 and of("order_not_found", "order.get") == missed + 1
    samples = scrape("order-1")
    family = 'tiffin_service_request_duration_seconds_{}{{service="order",message="order.create"{}}}'
    assert samples[family.format("count", "")] == samples[family.format("bucket", ',le="+Inf"')] == created + 2
    assert 0 < samples[family.format("sum", "")] < 60
    assert samples["tiffin_service_requests_in_flight"] == 0


def test_calls_to_psps_are_counted_by_psp_and_outcome(told):
    def calls(psp, outcome):
        return scrape("router-1")[f'tiffin_psp_calls_total{{psp="{psp}",outcome="{outcome}"}}']
    ok, failed, stripe = calls("Razorpay", "ok"), calls("Razorpay", "failed"), calls("Stripe", "ok")
    told.pay_for("u", gateway="Razorpay")
    assert (calls("Razorpay", "ok"), calls("Stripe", "ok")) == (ok + 1, stripe)
    told.faults("Razorpay", error_rate=1)
    order_id = told.create_order()
    assert told.api.post("/payments/initiate", {"order_id": order_id, "payment_method": "UPI",
                                                "gateway": "Razorpay"}).status in (201, 503)
    told.faults("Razorpay")
    assert calls("Razorpay", "failed") > failed
    assert 'tiffin_psp_calls_total{psp="Razorpay",outcome="ok"}' in scrape("reconciler-1")


def test_webhooks_are_counted_and_those_that_wait_are_shown(told):
    def applied():
        return scrape("webhook-processor-1")['tiffin_webhook_items_total{outcome="applied"}']
    before = applied()
    order_id, payment_id = told.pay_for("w")
    told.sim_pay(payment_id)
    told.wait_for_order(order_id, "PAID", 10)
    wait_for(lambda: applied() > before, 5, "the webhook is counted")
    told.wait_until_quiet()
    samples = scrape("webhook-processor-1")
    assert samples["tiffin_webhook_batches_total"] >= 1
    assert samples["tiffin_webhook_stream_entries"] == samples["tiffin_webhook_stream_pending"] == 0


def test_without_redis_the_backlog_is_left_out_and_the_rest_is_told(told):
    stopped = told.redis("CLIENT", "PAUSE", "3000", "ALL")
    assert stopped == "OK"
    samples = scrape("webhook-processor-1")
    assert "tiffin_webhook_stream_entries" not in samples and "tiffin_webhook_batches_total" in samples
    wait_for(lambda: scrape("webhook-processor-1").get("tiffin_webhook_stream_entries") == 0, 15, "Redis is asked again")


def test_the_gateway_tells_the_same_of_its_process(told):
    text = told.api.get("/metrics").body.decode()
    assert "\nprocess_start_time_seconds 1" in text and "\nprocess_resident_memory_bytes " in text


def test_a_service_that_starts_again_is_served_at_the_same_address(told):
    told.restart("order-1")
    assert scrape("order-1")["tiffin_service_gateways"] == 1
