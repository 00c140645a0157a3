"""Load as clients make it, with a record of every promise: what was answered 201 or 200 must be found afterwards."""
import http.client
import itertools
import threading

from stack import Load

# What a client may be told while parts of the system are down: nothing ran (503), or the outcome is not known (504).
EXCUSED = {503, 504}


class Traffic:
    """Threads that create orders, open a payment for each and send its webhook, through the gateways in turn.

    resets: a connection that breaks without an answer is no fault (a gateway was killed)."""

    def __init__(self, stack, threads=6, resets=False, webhooks=True, pause=None):
        self.stack, self.resets, self.webhooks, self.pause = stack, resets, webhooks, pause
        self.lock = threading.Lock()
        self.orders = []     # ids answered 201
        self.payments = []   # ids answered 201
        self.promised = {}   # webhooks answered 200: event id → payment id
        self.wrong = []      # answers that nothing excuses
        self.resets_seen = []
        self.load = Load(self._step, threads)
        self.numbers = itertools.count()

    def _call(self, name, path, body, good):
        """The response when it is `good`, else None."""
        gateways = self.stack.gateways
        client = gateways[next(self.numbers) % len(gateways)].client
        try:
            response = client.post(path, body)
        except (OSError, http.client.HTTPException) as error:
            self.load.count(f"{name} reset")
            with self.lock:
                self.resets_seen.append(error)
                if not self.resets:
                    self.wrong.append(f"{name}: no answer: {error!r}")
            return None
        self.load.count(f"{name} {response.status}")
        if response.status == good:
            return response
        if response.status not in EXCUSED:
            with self.lock:
                self.wrong.append(f"{name}: {response}")
        return None

    def _step(self, number, turn):
        if self.pause:
            self.load.stopping.wait(self.pause)
        response = self._call("order", "/orders", {"user_id": f"load-{number}", "amount": 45000, "currency": "INR"}, 201)
        if response is None:
            return
        order_id = response.json["order_id"]
        with self.lock:
            self.orders.append(order_id)
        if not self.webhooks:
            return
        response = self._call("initiate", "/payments/initiate", {"order_id": order_id, "payment_method": "UPI"}, 201)
        if response is None:
            return
        payment_id = response.json["payment_id"]
        with self.lock:
            self.payments.append(payment_id)
        gateway = response.json["gateway"]
        body = self.stack.webhook_body(order_id, payment_id, gateway=gateway, signature=f"{gateway}:dev-secret")
        if self._call("webhook", f"/webhooks/{gateway}", body, 200) is not None:
            with self.lock:
                self.promised[body["event_id"]] = payment_id

    def __enter__(self):
        self.load.__enter__()
        return self

    def __exit__(self, *exception):
        self.load.__exit__(*exception)

    @property
    def counts(self):
        return dict(sorted(self.load.counts.items()))

    def check(self):
        """No answer was wrong, and every promise is kept."""
        assert not self.wrong, f"{len(self.wrong)} wrong answers: {self.wrong[:5]} of {self.counts}"
        assert self.orders, f"nothing was served: {self.counts}"
        self._all_there("order", "SELECT order_id FROM orders", self.orders)
        self._all_there("payment", "SELECT payment_id FROM payments", self.payments)
        self.stack.verify()
        inbox = {event: outcome for event, outcome in self.stack.psql("SELECT event_id, outcome FROM inbox")}
        lost = {event: inbox.get(event) for event in self.promised if inbox.get(event) not in ("applied", "duplicate")}
        assert not lost, f"{len(lost)} webhooks answered 200 have no effect: {dict(list(lost.items())[:5])}"
        effects = dict(self.stack.psql("SELECT payment_id, count(*) FROM audit_facts WHERE kind = 'captured' GROUP BY 1"))
        doubled = {payment: effects.get(payment) for payment in self.promised.values() if effects.get(payment) != "1"}
        assert not doubled, f"captures that are not there exactly once: {dict(list(doubled.items())[:5])}"

    def _all_there(self, what, sql, promised):
        stored = {row[0] for row in self.stack.psql(sql)}
        lost = [thing for thing in promised if thing not in stored]
        assert len(set(promised)) == len(promised), f"an {what} id was given twice"
        assert not lost, f"{len(lost)} {what}s answered 201 are not there: {lost[:5]}"
