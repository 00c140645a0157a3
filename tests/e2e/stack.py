"""A whole Tiffin: Redis, a database, the PSP simulator, gateways and services on free ports, driven and looked at from outside."""
import collections
import http.client
import os
import pathlib
import random
import re
import shutil
import socket
import subprocess
import tempfile
import threading
import uuid

from client import Client, WebSocket
from processes import Process, Supervisor, wait_for
from stores import ROOT, Cluster, Database, Redis, broken_invariants

BIN = pathlib.Path(os.environ.get("TIFFIN_BIN") or ROOT / "build-dev" / "bin").resolve()
SERVICES = ("order", "router", "webhook-processor", "reconciler", "notifier")
ROLES = {service: "tiffin_" + service.replace("-", "_") for service in SERVICES}
PSPS = ("razorpay", "cashfree", "juspay", "stripe", "payu", "phonepe", "adyen")


def sanitized():
    """Whether the binaries are instrumented: then they are several times slower and much larger."""
    return b"__asan_init" in (BIN / "tiffin-gateway").read_bytes()


def free_port():
    """Below the ports that the kernel hands out by itself, so that no outgoing connection takes it before its server does."""
    while True:
        port = random.randrange(10000, 32000)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
                return port
            except OSError:
                continue


class Gateway:
    def __init__(self, number):
        self.instance = f"gateway-{number}"
        self.port, self.hub_port, self.tap_port = free_port(), free_port(), free_port()
        self.hub = f"tcp://127.0.0.1:{self.hub_port}"
        self.tap = f"tcp://127.0.0.1:{self.tap_port}"
        self.client = Client(self.port)


class Stack:
    """scale: instances by service, e.g. {"order": 3, "gateway": 2}; env: settings of every process; private_pg: a PostgreSQL
    that may be stopped; a function that makes it in a directory, or True."""

    def __init__(self, scale=None, supervise=False, private_pg=False, env=None):
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="stack-", dir=os.environ.get("TIFFIN_E2E_DIR")))
        self.directory.chmod(0o755)
        self.scale = {"gateway": 1, **{service: 1 for service in SERVICES}, **(scale or {})}
        # A gateway has a thread for each WebSocket that it may hold, and sanitizers make threads slow to begin and end.
        self.env = {"WS_MAX": 40, "HTTP_THREADS": 64, **(env or {})}
        self.processes = {}
        self.finished_logs = []
        self.sockets = []
        self.supervisor = Supervisor(restart=supervise)
        self.supervise = supervise
        self.cluster = self.database = self.redis = None
        self.allow_parked = False
        self.started = False
        try:
            self._start(private_pg)
            self.started = True
        except BaseException:
            self.print_logs()
            self.destroy()
            raise

    # ---- start ----

    def _start(self, private_pg):
        if private_pg:
            self.cluster = (private_pg if callable(private_pg) else Cluster)(self.directory / "pg")
        self.database = Database(self.cluster.url if self.cluster else os.environ["TIFFIN_TEST_DATABASE_URL"])
        self.redis = Redis(self.directory, free_port())
        self.gateways = [Gateway(number) for number in range(1, self.scale["gateway"] + 1)]
        self.sim = Client(free_port())
        self.hubs_file = self.directory / "hubs"
        self.hubs_file.write_text("".join(gateway.hub + "\n" for gateway in self.gateways))
        self._spawn("psp-sim", "tiffin-psp-sim", {
            "PSP_SIM_ADDR": f"127.0.0.1:{self.sim.port}", "PSP_SIM_DATA_FILE": str(self.directory / "psp-sim.journal"),
            "PSP_SIM_WEBHOOK_URL": f"http://127.0.0.1:{self.gateways[0].port}/webhooks"})
        for gateway in self.gateways:
            self._spawn(gateway.instance, "tiffin-gateway", {
                "API_ADDR": f"127.0.0.1:{gateway.port}", "HUB_BIND": gateway.hub, "TAP_BIND": gateway.tap})
        for service in SERVICES:
            for number in range(1, self.scale[service] + 1):
                self._spawn(f"{service}-{number}", f"tiffin-{service}", {"DATABASE_URL": self.database.url(ROLES[service])})
        self.wait_until_ready()

    def environment(self, extra):
        """Nothing is inherited but what programs need to run."""
        hubs = self.gateways[0].hub if len(self.gateways) == 1 else f"@{self.hubs_file}"
        env = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR") if name in os.environ}
        env |= {"TIFFIN_ENV": "dev", "REDIS_URL": self.redis.url, "HUB_ADDR": hubs,
                "PUBLIC_URL": f"http://127.0.0.1:{self.gateways[0].port}",
                "LOG_LEVEL": os.environ.get("E2E_LOG_LEVEL", "info"),
                "ASAN_OPTIONS": "detect_leaks=1:exitcode=99", "UBSAN_OPTIONS": "print_stacktrace=1"}
        env |= {f"{psp.upper()}_BASE_URL": f"http://127.0.0.1:{self.sim.port}/{psp}" for psp in PSPS}
        return env | extra | {name: str(value) for name, value in self.env.items()}

    def _spawn(self, name, program, extra):
        process = Process(name, [str(BIN / program)], self.environment({"INSTANCE": name, **extra}),
                          self.directory / f"{name}.log")
        process.start()
        self.processes[name] = process
        self.supervisor.watch(process)

    def wait_until_ready(self, deadline_s=20):
        """Every gateway sees PostgreSQL, Redis and all instances that are started; the simulator answers."""
        wait_for(self._sim_answers, deadline_s, "the simulator answers")
        for gateway in self.gateways:
            wait_for(lambda gateway=gateway: self._ready(gateway), deadline_s, f"{gateway.instance} is ready", 0.03)

    def _sim_answers(self):
        try:
            return self.sim.get("/_sim/book").status == 200
        except (OSError, http.client.HTTPException):
            return False

    def _ready(self, gateway):
        for name, process in self.processes.items():
            if not process.running() and not self.supervise:
                raise AssertionError(f"{name} ended with {process.child.returncode} at start")
        try:
            response = gateway.client.get("/readyz")
        except (OSError, http.client.HTTPException):
            return False
        expected = collections.Counter(name.rpartition("-")[0] for name, process in self.processes.items()
                                       if process.expected_to_run)
        return response.status == 200 and all(response.json["services"][service] >= expected[service] for service in SERVICES)

    # ---- what a client does ----

    @property
    def api(self):
        return self.gateways[0].client

    def create_order(self, user_id="u1", amount=45000, currency="INR", api=None, **optional):
        response = (api or self.api).post("/orders", {"user_id": user_id, "amount": amount, "currency": currency, **optional})
        assert response.status == 201, response
        return response.json["order_id"]

    def initiate(self, order_id, method="UPI", api=None, **optional):
        response = (api or self.api).post("/payments/initiate", {"order_id": order_id, "payment_method": method, **optional})
        assert response.status == 201, response
        return response.json

    def pay_for(self, user_id="u1", amount=45000, **optional):
        """A new order with an open checkout: (order id, payment id)."""
        order_id = self.create_order(user_id, amount)
        return order_id, self.initiate(order_id, **optional)["payment_id"]

    @staticmethod
    def webhook_body(order_id, payment_id, **fields):
        """The prototype's webhook; a field that is None is left out."""
        unique = uuid.uuid4().hex
        body = {"event_id": f"evt_{unique}", "gateway": "Razorpay", "order_id": order_id, "payment_id": payment_id,
                "gateway_txn_id": f"txn_{unique}", "status": "SUCCESS", "amount": 45000,
                "signature": "Razorpay:dev-secret", "occurred_at": "2026-02-21T00:00:00Z"} | fields
        return {name: value for name, value in body.items() if value is not None}

    def webhook(self, body, gateway="Razorpay", api=None):
        return (api or self.api).post(f"/webhooks/{gateway}", body)

    def sim_pay(self, payment_id, action="pay"):
        response = self.sim.post(f"/_sim/payments/{payment_id}/{action}")
        assert response.status // 100 == 2, response

    def faults(self, psp, **faults):
        response = self.sim.request("PUT", f"/_sim/{psp}/faults", faults)
        assert response.status // 100 == 2, response

    def get_order(self, order_id):
        response = self.api.get(f"/orders/{order_id}")
        assert response.status == 200, response
        return response.json

    def get_payment(self, payment_id):
        response = self.api.get(f"/payments/{payment_id}")
        assert response.status == 200, response
        return response.json

    def wait_for_order(self, order_id, status, deadline_s=10):
        return wait_for(lambda: (order := self.get_order(order_id))["status"] == status and order, deadline_s,
                        f"order {order_id} is {status}")

    def wait_for_payment(self, payment_id, status, deadline_s=10):
        return wait_for(lambda: (payment := self.get_payment(payment_id))["status"] == status and payment, deadline_s,
                        f"payment {payment_id} is {status}")

    def websocket(self, user_id, gateway=0, **query):
        opened = WebSocket(self.gateways[gateway].port, user_id=user_id, **query)
        self.sockets.append(opened)
        return opened

    def tap(self, *arguments, gateway=0):
        """tiffin-tap, running; the caller waits for it."""
        env = self.environment({"TAP_ADDR": self.gateways[gateway].tap})
        name = f"tap-{len(self.finished_logs)}"
        log_path = self.directory / f"{name}.log"
        with open(log_path, "wb") as log:
            child = subprocess.Popen(["setpriv", "--pdeathsig", "KILL", "--", BIN / "tiffin-tap", *arguments], env=env,
                                     stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log, text=True)
        self.finished_logs.append(log_path)
        return child

    # ---- what an operator sees ----

    def psql(self, sql):
        return self.database.query(sql)

    def metrics(self, gateway=0):
        """tiffin_requests_total of a gateway as {(service, instance, message, outcome): count}."""
        response = self.gateways[gateway].client.get("/metrics")
        assert response.status == 200, response
        found = {}
        for labels, count in re.findall(r"^tiffin_requests_total\{(.*)\} (\S+)$", response.body.decode(), re.M):
            names = dict(re.findall(r'(\w+)="([^"]*)"', labels))
            found[tuple(names[name] for name in ("service", "instance", "message", "outcome"))] = float(count)
        return found

    def events(self, order_id):
        """Types of the order's events, in order."""
        return [row[0] for row in self.psql(f"SELECT type FROM audit_outbox WHERE order_id = '{order_id}' ORDER BY seq")]

    def inbox(self, payment_id):
        return [row[0] for row in self.psql(f"SELECT outcome FROM inbox WHERE payment_ref = '{payment_id}' ORDER BY inbox_id")]

    # ---- processes ----

    def kill(self, name):
        self.processes[name].kill()

    def restart(self, name, **env):
        """Ends a process in order and starts it with other settings."""
        process = self.processes[name]
        assert self.sigterm(name) == 0, f"{name} did not end with 0"
        process.env = process.env | {setting: str(value) for setting, value in env.items()}
        process.start()
        if not name.startswith("psp-sim"):
            self.wait_until_ready()

    def sigterm(self, name, deadline_s=15):
        """The exit status after SIGTERM."""
        self.processes[name].terminate()
        return self.processes[name].wait(deadline_s)

    # ---- what must always hold ----

    def stream_state(self):
        """(entries in the stream, entries pending in its group)."""
        if not self.redis("EXISTS", "stream:webhooks"):
            return 0, 0
        groups = self.redis("XINFO", "GROUPS", "stream:webhooks")
        pending = sum(dict(zip(group[::2], group[1::2]))["pending"] for group in groups)
        return self.redis("XLEN", "stream:webhooks"), pending

    def wait_until_quiet(self, deadline_s=20):
        wait_for(lambda: self.stream_state() == (0, 0), deadline_s, "the webhook stream is empty")

    def verify(self, deadline_s=20):
        """The stream is done, nothing is parked (unless allowed), and db/invariants.sql holds."""
        self.wait_until_quiet(deadline_s)
        if not self.allow_parked:
            wait_for(lambda: self.psql("SELECT count(*) FROM inbox WHERE outcome = 'parked'") == [["0"]], deadline_s,
                     "nothing is parked")
        broken = broken_invariants(self.psql)
        assert not broken, "\n".join(broken)

    # ---- end ----

    def logs(self):
        return [path for path in sorted(self.directory.glob("*.log")) if path.name != "redis.log"]

    def print_logs(self, lines=25):
        for path in self.logs():
            tail = path.read_text(errors="replace").splitlines()[-lines:]
            if tail:
                print(f"---- {path.name}", *tail, sep="\n")

    def close(self):
        """Ends everything in order and fails when a process did not end with 0, crashed on its way or has a sanitizer report."""
        problems = []
        try:
            for opened in self.sockets:
                opened.close()
            ours = list(self.processes.values())
            running = [process for process in ours if process.expected_to_run]
            for process in running:
                process.terminate()
            for process in running:
                status = process.wait()
                if status != 0:
                    problems.append(f"{process.name} ended with {status} after SIGTERM")
            for process in ours:
                if process.unexpected_ends:
                    problems.append(f"{process.name} ended unasked: {process.unexpected_ends}")
                if report := process.sanitizer_report():
                    problems.append(f"{process.name}: {report}")
            for path in self.finished_logs:
                if "Sanitizer" in (text := path.read_text(errors="replace")):
                    problems.append(text[:5000])
        finally:
            if problems:
                self.print_logs()
            self.destroy()
        assert not problems, "\n".join(problems)

    def destroy(self):
        """Whatever happened: nothing of the stack is left."""
        for process in self.processes.values():
            process.end()
        self.supervisor.stop()
        for end in (self.redis and self.redis.kill, self.cluster and self.cluster.destroy,
                    self.database and not self.cluster and self.database.drop):
            try:
                if end:
                    end()
            except Exception as error:  # the rest must be ended too
                print(f"while ending the stack: {error}")
        shutil.rmtree(self.directory, ignore_errors=True)


class Load:
    """Threads that call step(thread number, turn) until stopped, and count what came of it by name."""

    def __init__(self, step, threads=8):
        self.step = step
        self.stopping = threading.Event()
        self.lock = threading.Lock()
        self.counts = {}
        self.errors = []
        self.threads = [threading.Thread(target=self._run, args=(number,), daemon=True) for number in range(threads)]

    def count(self, what):
        with self.lock:
            self.counts[what] = self.counts.get(what, 0) + 1

    def total(self, prefix=""):
        with self.lock:
            return sum(count for what, count in self.counts.items() if str(what).startswith(prefix))

    def _run(self, number):
        turn = 0
        while not self.stopping.is_set():
            try:
                self.step(number, turn)
            except Exception as error:  # shown by stop(): a thread must not end unseen
                with self.lock:
                    self.errors.append(error)
                return
            turn += 1

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, kind, value, traceback):
        self.stopping.set()
        for thread in self.threads:
            thread.join(30)
        if kind is None:
            assert not self.errors, self.errors[:3]
            assert not any(thread.is_alive() for thread in self.threads), "a request was never answered"
