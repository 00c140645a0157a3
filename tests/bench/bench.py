"""What the suites share: a Tiffin with durable stores, the peer, load, CPU and memory by process, and comparisons that alternate."""
import contextlib
import json
import os
import pathlib
import re
import statistics
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.append(str(ROOT / "tests" / "e2e"))
import answers  # noqa: E402
from processes import Process, children_of, wait_for  # noqa: E402
from stack import BIN, SERVICES, Stack, free_port  # noqa: E402
from stores import Cluster, Database, Redis, broken_invariants  # noqa: E402

BENCH_BIN = pathlib.Path(os.environ.get("TIFFIN_BENCH_BIN") or BIN)
SECRET = "bench-webhook-secret"
TICK_US = 1_000_000 / os.sysconf("SC_CLK_TCK")


def say(text):
    print(text, flush=True)


# ---- stores, as deploy/local.sh sets them up ----

def postgres_settings():
    """deploy/postgresql.conf, with what deploy/lib/postgres.sh adds to it."""
    lines = re.findall(r"^(\w+) *= *([^#\n]*[^#\s])", (ROOT / "deploy" / "postgresql.conf").read_text(), re.M)
    return dict(lines) | {"wal_level": "minimal", "max_wal_senders": "0"}


def durable_cluster(directory, slow_fsync_us=0):
    """A PostgreSQL that has on disk what it has committed. slow_fsync_us: each flush takes that much longer."""
    env = {"LD_PRELOAD": str(BENCH_BIN / "slow_fsync.so"), "SLOW_FSYNC_US": str(slow_fsync_us)} if slow_fsync_us else {}
    return Cluster(directory, postgres_settings(), env)


# ---- figures of processes ----

def cpu_ticks(pid):
    """User and system time of a process, of the children that it has waited for, and of those that live."""
    total = 0
    for one in [pid, *children_of(pid)]:
        with contextlib.suppress(OSError):
            fields = pathlib.Path(f"/proc/{one}/stat").read_text(errors="replace").rpartition(")")[2].split()
            total += int(fields[11]) + int(fields[12]) + (int(fields[13]) + int(fields[14]) if one == pid else 0)
    return total


def resident_bytes(pid):
    """What the process has for itself and its share of what it has with others (PSS), and all that it has mapped in (RSS)."""
    text = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text()
    return tuple(int(re.search(rf"^{name}: +(\d+) kB", text, re.M).group(1)) * 1024 for name in ("Pss", "Rss"))


# ---- results ----

def spread(values):
    """Median, least and greatest."""
    return statistics.median(values), min(values), max(values)


class Row:
    """One figure: values of its rounds, and what it should reach. at_least, aim: bounds of the median; `lower`: lower is better."""

    def __init__(self, suite, what, unit, values, at_least=None, aim=None, lower=False, note=""):
        self.suite, self.what, self.unit, self.values = suite, what, unit, [float(value) for value in values]
        self.at_least, self.aim, self.lower, self.note = at_least, aim, lower, note

    @property
    def median(self):
        return statistics.median(self.values)

    def reaches(self, bound):
        return self.median <= bound if self.lower else self.median >= bound

    @property
    def verdict(self):
        if self.at_least is None:
            return ""
        return "aim" if self.reaches(self.aim) else "ok" if self.reaches(self.at_least) else "BELOW"

    def as_json(self):
        median, least, most = spread(self.values)
        return {"suite": self.suite, "what": self.what, "unit": self.unit, "median": median, "min": least, "max": most,
                "at_least": self.at_least, "aim": self.aim, "lower_is_better": self.lower, "verdict": self.verdict, "note": self.note}


def ratios(ours, theirs):
    """Of each round, one of ours over one of theirs."""
    return [one / other for one, other in zip(ours, theirs)]


# ---- load ----

def load(port, kind, connections=64, seconds=2.0, **options):
    """bench-http; its report. options: of bench-http, with _ for -."""
    argv = [str(BENCH_BIN / "bench-http"), f"--port={port}", f"--kind={kind}", f"--connections={connections}", f"--seconds={seconds}",
            *(f"--{name.replace('_', '-')}={value}" for name, value in options.items() if value is not None)]
    done = subprocess.run(argv, stdout=subprocess.PIPE, check=True, timeout=seconds + 60)
    report = json.loads(done.stdout)
    report["rate"] = report["succeeded"] / report["seconds"] if report["seconds"] > 0 else 0.0
    return report


def must_succeed(report):
    bad = report["failed"] + report["broken"] + report["unanswered"]
    assert report["succeeded"] > 0 and bad == 0, f"{bad} of {bad + report['succeeded']} requests failed: {report['status']}"
    return report


class Side:
    """Somebody who is measured: a port, and the processes that are to be charged for it, by name."""

    def __init__(self, name, port, processes):
        self.name, self.port, self.processes = name, port, processes

    def load(self, kind, **options):
        """Load, with "cpu_us": CPU per request by process, the warm-up's left out as it is of the requests."""
        warm_up = options.pop("warm_up", 0.3)
        if warm_up:
            load(self.port, kind, seconds=warm_up, warm_up=0, **{k: v for k, v in options.items() if k in WARM_UP_OPTIONS})
        before = {name: sum(map(cpu_ticks, pids())) for name, pids in self.processes.items()}
        report = load(self.port, kind, warm_up=0, **options)
        report["cpu_us"] = {name: (sum(map(cpu_ticks, pids())) - before[name]) * TICK_US / max(1, report["succeeded"])
                            for name, pids in self.processes.items()}
        return report


WARM_UP_OPTIONS = ("connections", "subjects", "secret", "users", "path")


class Tiffin(Side):
    """A whole Tiffin of the benchmark's own, set as a user's is."""

    def __init__(self, slow_fsync_us=0, env=None, scale=None):
        # The defaults of the product, not the small figures of the tests.
        settings = {"WS_MAX": "", "HTTP_THREADS": "", "RAZORPAY_WEBHOOK_SECRET": SECRET, "ORDER_TTL_S": 86400, **(env or {})}
        self.stack = Stack(scale=scale, private_pg=lambda directory: durable_cluster(directory, slow_fsync_us), env=settings)
        stack = self.stack
        charged = {"gateway": lambda: [p.pid for n, p in stack.processes.items() if n.startswith("gateway")],
                   "postgres": lambda: [stack.cluster.process.pid], "redis": lambda: [stack.redis.process.pid]}
        for service in SERVICES:
            charged[service] = lambda service=service: [p.pid for n, p in stack.processes.items() if n.rpartition("-")[0] == service]
        super().__init__("tiffin", stack.gateways[0].port, charged)

    def open_payments(self, count):
        """Orders with an open payment each, made in the database as the services make them: lines for bench-http's --subjects."""
        lines = []
        while len(lines) < count:
            lines += self.stack.psql(f"""
                WITH given AS MATERIALIZED (SELECT uuid7() AS order_id, uuid7() AS payment_id, 'u' || n AS user_id
                                              FROM generate_series(0, {min(500, count - len(lines)) - 1}) n),
                     orders AS MATERIALIZED (
                SELECT count(*) FROM (SELECT array_agg(order_id) AS ids, array_agg(user_id) AS users, array_agg(NULL::text) AS none,
                                             array_agg(45000::bigint) AS amounts, array_agg('INR'::text) AS currencies,
                                             array_agg(86400::bigint) AS lifetimes FROM given) a,
                     LATERAL orders_create(a.ids, a.users, a.amounts, a.currencies, a.none, a.none, a.none, a.lifetimes) o)
                SELECT given.order_id, given.payment_id FROM given, orders""")
        for first in range(0, len(lines), 500):
            part = lines[first:first + 500]
            orders = ",".join(f"'{order}'" for order, _ in part)
            payments = ",".join(f"'{payment}'" for _, payment in part)
            nulls = f"array_fill(NULL::text, ARRAY[{len(part)}])"
            self.stack.psql(f"""SELECT count(*) FROM payments_begin(ARRAY[{payments}]::uuid[], ARRAY[{orders}]::uuid[],
                array_fill('UPI'::text, ARRAY[{len(part)}]), {nulls}, {nulls},
                ARRAY(SELECT uuid7() FROM generate_series(1, {len(part)})), array_fill('Razorpay'::text, ARRAY[{len(part)}]))""")
        return lines

    def check(self):
        """Nothing that was promised is broken by what was measured."""
        broken = broken_invariants(self.stack.psql)
        assert not broken, "\n".join(broken)


class Peer(Side):
    """tests/bench/peer: the same job in Node, on stores that are set up alike."""

    def __init__(self, slow_fsync_us=0, workers=1):
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="peer-", dir=os.environ.get("TIFFIN_E2E_DIR")))
        self.directory.chmod(0o755)
        self.cluster = durable_cluster(self.directory / "pg", slow_fsync_us)
        self.database = Database(self.cluster.url, "template1")
        self.database.query((ROOT / "tests" / "bench" / "peer" / "schema.sql").read_text())
        self.redis = Redis(self.directory, free_port())
        port = free_port()
        env = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
        env |= {"PORT": str(port), "DATABASE_URL": self.database.url(), "REDIS_URL": self.redis.url, "WEBHOOK_SECRET": SECRET,
                "WORKERS": str(workers), "NODE_ENV": "production"}
        self.process = Process("peer", ["node", str(ROOT / "tests" / "bench" / "peer" / "server.js")], env, self.directory / "peer.log")
        self.process.start()
        wait_for(lambda: "listening" in self.process.log() or not self.process.running(), 20, "the peer listens")
        assert self.process.running(), self.process.log()
        super().__init__("peer", port, {"node": lambda: [self.process.pid], "postgres": lambda: [self.cluster.process.pid],
                                        "redis": lambda: [self.redis.process.pid]})

    def destroy(self):
        self.process.end()
        self.redis.kill()
        self.cluster.destroy()
        subprocess.run(["rm", "-rf", str(self.directory)], check=True)


class Bench:
    """What a suite is given. The sides are started when the first suite asks for them, and kept."""

    def __init__(self, rounds, seconds):
        self.rounds, self.seconds = rounds, seconds
        self.sides = {}

    def _side(self, key, make):
        if key not in self.sides:
            self.sides[key] = make()
            answers.check(self.sides[key].port, SECRET)  # only who does the same job is compared
        return self.sides[key]

    def tiffin(self, **options):
        return self._side(("tiffin", tuple(sorted(options.items()))), lambda: Tiffin(**options))

    def peer(self, **options):
        return self._side(("peer", tuple(sorted(options.items()))), lambda: Peer(**options))

    def alternate(self, *works, rounds=None):
        """Each of `works` in turn, as many rounds; a list of results for each."""
        results = [[] for _ in works]
        for turn in range(rounds or self.rounds):
            order = range(len(works)) if turn % 2 == 0 else reversed(range(len(works)))
            for index in order:
                results[index].append(works[index]())
        return results

    def end(self):
        for side in self.sides.values():
            side.stack.destroy() if isinstance(side, Tiffin) else side.destroy()
        self.sides = {}


def total_cpu(report):
    return sum(report["cpu_us"].values())


def cpu_text(reports):
    """CPU per request by process, those that matter."""
    names = reports[0]["cpu_us"]
    medians = {name: statistics.median(report["cpu_us"][name] for report in reports) for name in names}
    return ", ".join(f"{name} {us:.0f}" for name, us in sorted(medians.items(), key=lambda item: -item[1]) if us >= 1)


def latency_text(reports):
    """p50 and p99 in ms, medians of the rounds."""
    p50, p99 = (statistics.median(report["latency_us"][name] for report in reports) / 1000 for name in ("p50", "p99"))
    return f"p50 {p50:.1f} ms, p99 {p99:.1f} ms"
