"""POST /webhooks with a real signature, acknowledged when it is on Redis' disk, against the peer and redis-benchmark."""
import baselines
from bench import SECRET, Row, cpu_text, latency_text, must_succeed, ratios

TARGETS = {64: (1.25, 1.55), 256: (1.5, 1.8)}


def intake(side, connections, seconds):
    """Webhooks of payments that nobody knows: the answer is the same, and nothing else runs meanwhile."""
    return must_succeed(side.load("webhooks", connections=connections, seconds=seconds, secret=SECRET))


def run(bench):
    tiffin, peer = bench.tiffin(), bench.peer()
    stack = tiffin.stack
    stack.sigterm("webhook-processor-1")  # what is measured is the acknowledgement; `drain` has the rest
    rows = []
    for connections, targets in TARGETS.items():
        ours, theirs = bench.alternate(lambda: intake(tiffin, connections, bench.seconds), lambda: intake(peer, connections, bench.seconds))
        case = f"POST /webhooks, c={connections}"
        rows += [Row("webhooks", case, "/s", [r["rate"] for r in ours], note=f"{latency_text(ours)}; CPU µs: {cpu_text(ours)}"),
                 Row("webhooks", f"{case}, peer", "/s", [r["rate"] for r in theirs],
                     note=f"{latency_text(theirs)}; CPU µs: {cpu_text(theirs)}"),
                 Row("webhooks", f"{case}: ours / peer", "×", ratios([r["rate"] for r in ours], [r["rate"] for r in theirs]), *targets)]
        stack.redis("DEL", "stream:webhooks")
    rows.append(Row("webhooks", "redis-benchmark XADD, c=50", "/s",
                    [baselines.stream_appends(stack.redis, bench.seconds) for _ in range(bench.rounds)]))
    stack.processes["webhook-processor-1"].start()
    stack.wait_until_ready()
    return rows
