#!/usr/bin/python3
"""One payment, from the order to the confirmation on the customer's screen, each step with its time.

    demo.py http://127.0.0.1:8080 http://127.0.0.1:8081      the API, the PSP simulator

Exit status 0 only when all of it happened.
"""
import http.client
import json
import sys
import time
import uuid
from urllib.parse import urlsplit

from websocket import WebSocket, WebSocketError

AMOUNT = 45000  # INR 450.00
DEADLINE_S = 10


class Failure(Exception):
    """A step did not do what it should; the text says what happened instead."""


class Steps:
    """Prints steps as they are done, with the time each took."""

    def __init__(self):
        self.began = self.last = time.monotonic()

    def done(self, text):
        now = time.monotonic()
        print(f"  {(now - self.last) * 1000:7.1f} ms  {text}", flush=True)
        self.last = now

    def total_ms(self):
        return (self.last - self.began) * 1000


class Api:
    """One kept-alive connection to an HTTP server that speaks JSON."""

    def __init__(self, base_url):
        url = urlsplit(base_url)
        self.connection = http.client.HTTPConnection(url.hostname, url.port or 80, timeout=DEADLINE_S)

    def call(self, method, path, body=None, expected=200):
        headers = {"Content-Type": "application/json"} if body is not None else {}
        self.connection.request(method, path, None if body is None else json.dumps(body), headers)
        response = self.connection.getresponse()
        text = response.read().decode("utf-8", "replace")
        if response.status != expected:
            raise Failure(f"{method} {path} was answered {response.status}, not {expected}: {text}")
        return json.loads(text)


def confirmation(socket, order_id):
    """The payment.confirmed event of this order."""
    end = time.monotonic() + DEADLINE_S
    while time.monotonic() < end:
        event = socket.receive_json(max(0.01, end - time.monotonic()))
        if event and event.get("type") == "payment.confirmed" and event.get("order_id") == order_id:
            return event
    raise Failure(f"no confirmation on the WebSocket within {DEADLINE_S} s")


def run(api_url, sim_url):
    api, sim, steps = Api(api_url), Api(sim_url), Steps()
    user_id = f"demo-{uuid.uuid4().hex[:8]}"
    print(f"demo: {user_id} pays an order of INR {AMOUNT / 100:.2f}")

    socket = WebSocket(api_url, f"/ws?user_id={user_id}", DEADLINE_S)
    steps.done(f"WebSocket open: {user_id} is watching")
    order = api.call("POST", "/orders", {"user_id": user_id, "amount": AMOUNT, "currency": "INR"}, 201)
    order_id = order["order_id"]
    steps.done(f"order      {order_id} is {order['status']}")
    payment = api.call("POST", "/payments/initiate", {"order_id": order_id, "payment_method": "UPI"}, 201)
    payment_id = payment["payment_id"]
    steps.done(f"payment    {payment_id} at {payment['gateway']}: {payment['checkout_url']}")
    paid = sim.call("POST", f"/_sim/payments/{payment_id}/pay", {})
    steps.done(f"customer   paid at {payment['gateway']}: transaction {paid['gateway_txn_id']}")
    event = confirmation(socket, order_id)
    steps.done(f"WebSocket  {event['type']} #{event['event_id']}: webhook taken in, applied and told")
    order = api.call("GET", f"/orders/{order_id}")
    if (order["status"], order["paid_amount"]) != ("PAID", AMOUNT):
        raise Failure(f"the order is {order['status']} with {order['paid_amount']} paid")
    steps.done(f"order      {order_id} is {order['status']}")
    socket.close()
    print(f"demo: done in {steps.total_ms():.0f} ms")


def main():
    if len(sys.argv) != 3:
        print(__doc__, file=sys.stderr)
        return 2
    try:
        run(sys.argv[1], sys.argv[2])
    except (Failure, WebSocketError, OSError, http.client.HTTPException, ValueError, KeyError) as error:
        print(f"demo: FAILED: {error or repr(error)}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
