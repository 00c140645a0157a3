"""Who uses Tiffin while it is broken: shoppers who retry with their Idempotency-Keys until they have an answer, subscribers whose
sockets are cut, pollers. Everything that was answered is recorded, to be held against what is there afterwards."""
import http.client
import json
import threading
import time
import uuid

from client import WebSocket, WebSocketRefused

import websocket  # deploy/websocket.py, which client.py finds

AMOUNT, CURRENCY = 45000, "INR"
ATTEMPT_TIMEOUT_S = 12
NO_ANSWER = (OSError, http.client.HTTPException)


class Answer:
    """The definite answer to a request with a key."""

    def __init__(self, path, body, status, text):
        self.path, self.body, self.status, self.text = path, body, status, text


class Record:
    """What was asked and answered; problems that a client has seen itself."""

    def __init__(self):
        self.lock = threading.Lock()
        self.answers = {}     # Idempotency-Key → Answer
        self.unanswered = []  # keys without a definite answer in time
        self.problems = []    # what no fault excuses
        self.requests = 0
        self.webhooks = {}    # event ids that were answered 200 → payment id

    def problem(self, text):
        with self.lock:
            self.problems.append(text)

    def of(self, path_end, status):
        return [answer for answer in self.answers.values() if answer.path.endswith(path_end) and answer.status == status]


def is_definite(response):
    if response.status >= 500 or response.status == 429:
        return False
    return not (response.status == 409 and response.json["code"] == "IDEMPOTENCY_KEY_IN_FLIGHT")


class Shopper(threading.Thread):
    def __init__(self, stack, record, plan, number, stopping):
        super().__init__(daemon=True, name=f"shopper-{number}")
        self.stack, self.record, self.stopping = stack, record, stopping
        self.drawn = plan.generator(f"shopper {number}")
        self.user = f"user-{number}"
        self.answer_until = None  # set when the load has ended: no request is retried after it

    def run(self):
        try:
            while not self.stopping.is_set():
                self.shop()
        except Exception as error:  # a thread must not end unseen
            self.record.problem(f"{self.name} ended: {error!r}")

    # ---- requests ----

    def gateway(self):
        return self.drawn.choice(self.stack.gateways).client

    def keyed(self, path, body):
        """POST until the answer is definite. None: there was none in time."""
        key = str(uuid.UUID(int=self.drawn.getrandbits(128)))
        answer = self._until_definite(path, body, key)
        if answer is None:
            with self.record.lock:
                self.record.unanswered.append(f"{path} {key}")
            return None
        with self.record.lock:
            self.record.answers[key] = Answer(path, body, answer.status, answer.body)
        if self.drawn.random() < 0.3:
            again = self._until_definite(path, body, key)
            if again is not None and (again.status, again.body) != (answer.status, answer.body):
                self.record.problem(f"{path} {key}: first {answer}, then {again}")
        return answer

    def _until_definite(self, path, body, key):
        while self.answer_until is None or time.monotonic() < self.answer_until:
            try:
                response = self.gateway().post(path, body, {"Idempotency-Key": key})
                self.record.requests += 1
                if is_definite(response):
                    return response
                if response.status not in (409, 503, 504):
                    self.record.problem(f"{path} {key}: {response}")
            except NO_ANSWER:
                pass
            time.sleep(self.drawn.uniform(0.01, 0.1))
        return None

    def at_the_simulator(self, payment_id, action, body=None):
        return self.stack.sim.post(f"/_sim/payments/{payment_id}/{action}", body)

    def send_again(self, payment_id):
        """The PSP's webhook once more under another event id, until it is taken."""
        event_id = f"again_{uuid.UUID(int=self.drawn.getrandbits(128)).hex}"
        book = [row for row in self.stack.sim.get(f"/_sim/book?payment_id={payment_id}").json if row["kind"] == "charge"]
        if not book:
            return
        charge = self.drawn.choice(book)
        order_id = self.payments[payment_id]
        body = self.stack.webhook_body(order_id, payment_id, event_id=event_id, gateway=charge["psp"], amount=charge["amount"],
                                       gateway_txn_id=charge["psp_ref"], signature=f"{charge['psp']}:dev-secret")
        try:
            if self.stack.webhook(body, charge["psp"], api=self.gateway()).status == 200:
                with self.record.lock:
                    self.record.webhooks[event_id] = payment_id
        except NO_ANSWER:
            pass

    # ---- what a shopper does ----

    def shop(self):
        drawn = self.drawn
        receipt = uuid.UUID(int=drawn.getrandbits(128)).hex
        by_hand = drawn.random() < 0.25
        order = self.keyed("/orders", {"user_id": self.user, "amount": AMOUNT, "currency": CURRENCY, "receipt": receipt}
                           | ({"capture": "manual"} if by_hand else {}))
        if order is None or order.status != 201:
            return
        order_id = order.json["order_id"]
        self.payments = {}
        for _ in range(drawn.choice((1, 1, 2))):
            opened = self.keyed("/payments/initiate", {"order_id": order_id, "payment_method": "UPI"})
            if opened is not None and opened.status == 201:
                self.payments[opened.json["payment_id"]] = order_id
        if drawn.random() < 0.1:
            self.keyed(f"/orders/{order_id}/cancel", {})
        for payment_id in self.payments:
            if drawn.random() < 0.2:
                self.at_the_simulator(payment_id, "fail")
            if drawn.random() < 0.85:
                self.at_the_simulator(payment_id, "pay")
                if by_hand:
                    self.capture_or_void(payment_id)
                if drawn.random() < 0.3:
                    self.send_again(payment_id)
        if drawn.random() < 0.1:
            self.keyed(f"/orders/{order_id}/cancel", {})
        self.after_sale(order_id)

    def capture_or_void(self, payment_id):
        """The merchant, once the payment is authorised; sometimes at once, sometimes not at all."""
        action = self.drawn.choice(("capture", "capture", "capture", "void", None))
        if self.drawn.random() < 0.8:
            self.watch(payment_id, lambda payment: payment["status"] == "AUTHORIZED")
        if action:
            self.keyed(f"/payments/{payment_id}/{action}", {})

    def after_sale(self, order_id):
        drawn = self.drawn
        if not self.payments or drawn.random() < 0.4:
            return
        payment_id = drawn.choice(list(self.payments))
        self.watch(payment_id, lambda payment: payment["captured_amount"] > 0)
        for _ in range(drawn.choice((1, 1, 2, 4))):
            body = drawn.choice(({"amount": 20000}, {"amount": 15000, "reason": "cold"}, {"amount": AMOUNT}, {"amount": 1}, {}))
            self.keyed(f"/payments/{payment_id}/refunds", body)
        if drawn.random() < 0.2:
            self.at_the_simulator(payment_id, "settle")
        if drawn.random() < 0.2:
            self.at_the_simulator(payment_id, "dispute", {"outcome": "opened"})
            self.at_the_simulator(payment_id, "dispute", {"outcome": drawn.choice(("won", "lost"))})

    def watch(self, payment_id, seen, at_most_s=1.5):
        end = time.monotonic() + at_most_s
        while time.monotonic() < end and not self.stopping.is_set():
            try:
                response = self.gateway().get(f"/payments/{payment_id}")
                if response.status == 200 and seen(response.json):
                    return
            except NO_ANSWER:
                pass
            time.sleep(0.03)


class Watcher(threading.Thread):
    """Looks at orders again and again: what was paid stays paid."""
    RANK = {"PENDING": 0, "CANCELLED": 1, "EXPIRED": 1, "PAID": 2, "PARTIALLY_REFUNDED": 3, "REFUNDED": 4}

    def __init__(self, stack, record, plan, stopping):
        super().__init__(daemon=True, name="watcher")
        self.stack, self.record, self.stopping = stack, record, stopping
        self.drawn = plan.generator("watcher")
        self.seen = {}

    def run(self):
        while not self.stopping.wait(0.02):
            with self.record.lock:
                orders = self.record.of("/orders", 201)
            if not orders:
                continue
            answer = self.drawn.choice(orders[-30:]).text
            try:
                self.look(json.loads(answer)["order_id"])
            except NO_ANSWER:
                continue

    def look(self, order_id):
        response = self.drawn.choice(self.stack.gateways).client.get(f"/orders/{order_id}")
        if response.status != 200:
            return
        status, before = response.json["status"], self.seen.get(order_id)
        if before is not None and self.RANK[status] < self.RANK[before]:
            self.record.problem(f"order {order_id} went back from {before} to {status}")
        self.seen[order_id] = status


class Subscriber(threading.Thread):
    """A screen whose connection is cut again and again, and that resumes where it was."""

    def __init__(self, stack, plan, user, stopping):
        super().__init__(daemon=True, name=f"subscriber of {user}")
        self.stack, self.user, self.stopping = stack, user, stopping
        self.drawn = plan.generator(f"subscriber {user}")
        self.events = []   # in the order of arrival, repeats dropped
        self.ids = set()
        self.last = 0
        self.disorder = []

    def run(self):
        while not self.stopping.is_set():
            gateway = self.drawn.randrange(len(self.stack.gateways))
            try:
                socket = WebSocket(self.stack.gateways[gateway].port, user_id=self.user, since=self.last)
            except (WebSocketRefused, websocket.WebSocketError, *NO_ANSWER):
                time.sleep(0.05)
                continue
            socket.closed.wait(self.drawn.uniform(0.1, 0.8))
            self.take(socket)

    def take(self, socket):
        socket.drop()
        for event in list(socket.events):
            event_id = event.get("event_id")
            if event_id is None or event_id in self.ids:
                continue
            if event_id < self.last:
                self.disorder.append((self.last, event_id))
            self.ids.add(event_id)
            self.events.append(event)
            self.last = max(self.last, event_id)
