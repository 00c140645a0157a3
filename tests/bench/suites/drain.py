"""From the durable queue to applied facts: events a second of a full stream, against the same statements for one event per commit."""
import time

import baselines
from bench import SECRET, Row, load, must_succeed, ratios, wait_for

EVENTS = 20000


def fill_stream(tiffin, path, payments):
    path.write_text("".join(f"{order} {payment}\n" for order, payment in payments))
    must_succeed(load(tiffin.port, "webhooks", connections=64, seconds=60, warm_up=0, requests=len(payments), subjects=path, secret=SECRET))


def drain(tiffin, payments):
    """Events a second, from the start of the processor to the last fact."""
    stack = tiffin.stack
    stack.sigterm("webhook-processor-1")
    fill_stream(tiffin, stack.directory / "drain", payments)
    before = int(stack.psql("SELECT count(*) FROM facts")[0][0])
    began = time.monotonic()
    stack.processes["webhook-processor-1"].start()
    wait_for(lambda: stack.stream_state() == (0, 0), 120, "the stream is empty", 0.005)
    took = time.monotonic() - began
    facts = int(stack.psql("SELECT count(*) FROM facts")[0][0]) - before
    assert facts == len(payments), f"{facts} facts of {len(payments)} webhooks"
    stack.wait_until_ready()
    return facts / took


def run(bench):
    tiffin = bench.tiffin()
    rounds = max(2, bench.rounds // 2)
    batched, single, statements = bench.alternate(
        lambda: drain(tiffin, tiffin.open_payments(EVENTS)), lambda: baselines.webhook_calls(tiffin, bench.seconds),
        lambda: baselines.webhook_statements(bench.peer(), bench.seconds), rounds=rounds)
    tiffin.stack.psql("DROP TABLE IF EXISTS bench_open")
    tiffin.check()
    return [Row("drain", "facts applied from a full stream", "/s", batched),
            Row("drain", "webhooks_apply() of one event per commit, pgbench c=32", "/s", single),
            Row("drain", "seven plain statements per commit, pgbench c=32", "/s", statements),
            Row("drain", "facts: stream / one event per commit", "×", ratios(batched, single), 4, 8),
            Row("drain", "facts: stream / seven statements", "×", ratios(batched, statements))]
