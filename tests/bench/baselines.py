"""Baselines by well-known tools: pgbench on one statement or one transaction per commit, redis-benchmark."""
import os
import pathlib
import re
import subprocess

from bench import BENCH_BIN, free_port

BASELINES = pathlib.Path(__file__).resolve().parent / "baselines"


def _prepare(url, script):
    """Makes what the script of the same name takes, anew."""
    subprocess.run(["psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", "-f", str(BASELINES / script), url], stdout=subprocess.DEVNULL, check=True,
                   timeout=60)


def _pgbench(url, script, seconds, clients=32):
    """Transactions per second, connecting left out."""
    program = next(iter(sorted(pathlib.Path("/usr/lib/postgresql").glob("*/bin/pgbench"), reverse=True)), "pgbench")
    argv = [str(program), "-n", "-M", "prepared", "-c", str(clients), "-j", "2", "-T", str(max(1, round(seconds))),
            "-f", str(BASELINES / script), url]
    done = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=seconds + 60,
                          env={**os.environ, "PGOPTIONS": "-c plan_cache_mode=force_generic_plan"})
    found = re.search(r"^tps = ([\d.]+)", done.stdout, re.M)
    assert done.returncode == 0 and found and "failed transactions: 0" in done.stdout.replace("number of ", ""), done.stdout
    return float(found.group(1))


class HttpAlone:
    """The HTTP library with a handler that reads a body and answers 201."""

    def __enter__(self):
        self.port = free_port()
        self.child = subprocess.Popen([BENCH_BIN / "bench-civetweb-post", str(self.port)], stdout=subprocess.PIPE)
        assert self.child.stdout.readline()
        return self

    def __exit__(self, *_):
        self.child.kill()
        self.child.wait()


def order_inserts(peer, seconds):
    """Orders a second: one plain INSERT into the peer's table per commit."""
    return _pgbench(peer.database.url(), "orders_insert.sql", seconds)


def order_calls(tiffin, seconds):
    """Orders a second: our own function for one order per commit."""
    return _pgbench(tiffin.stack.database.url("tiffin_order"), "orders_create.sql", seconds)


def webhook_calls(tiffin, seconds):
    """Events a second: our own function for one event of an open payment per commit."""
    _prepare(tiffin.stack.database.url(), "webhook_apply_prepare.sql")
    return _pgbench(tiffin.stack.database.url(), "webhook_apply.sql", seconds)


def webhook_statements(peer, seconds):
    """Events a second: lock, event, payment, order, two ledger lines and an outbox row as single statements of one transaction."""
    _prepare(peer.database.url(), "webhook_statements_prepare.sql")
    return _pgbench(peer.database.url(), "webhook_statements.sql", seconds)


def stream_appends(redis, seconds, size=900):
    """XADD a second from 50 clients, one command at a time each."""
    count = int(20000 * seconds)
    done = subprocess.run(["redis-benchmark", "-p", str(redis.port), "-c", "50", "-P", "1", "-n", str(count), "--csv",
                           "XADD", "bench", "*", "body", "x" * size], stdout=subprocess.PIPE, text=True, check=True, timeout=120)
    redis("DEL", "bench")
    return float(done.stdout.strip().splitlines()[-1].rsplit('","', 7)[1].strip('"'))
