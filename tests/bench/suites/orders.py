"""POST /orders with an Idempotency-Key each, against the peer and against pgbench with one insert per commit."""
from bench import Row, cpu_text, latency_text, load, must_succeed, ratios, total_cpu

import baselines

TARGETS = {64: (2.0, 2.8), 256: (2.3, 3.3)}


def run(bench):
    tiffin, peer = bench.tiffin(), bench.peer()
    rows = []
    for connections in TARGETS:
        ours, theirs = bench.alternate(
            lambda: must_succeed(tiffin.load("orders", connections=connections, seconds=bench.seconds)),
            lambda: must_succeed(peer.load("orders", connections=connections, seconds=bench.seconds)))
        case = f"POST /orders, c={connections}"
        rows += [Row("orders", f"{case}", "/s", [r["rate"] for r in ours], note=f"{latency_text(ours)}; CPU µs: {cpu_text(ours)}"),
                 Row("orders", f"{case}, peer", "/s", [r["rate"] for r in theirs],
                     note=f"{latency_text(theirs)}; CPU µs: {cpu_text(theirs)}"),
                 Row("orders", f"{case}: ours / peer", "×", ratios([r["rate"] for r in ours], [r["rate"] for r in theirs]),
                     *TARGETS[connections]),
                 Row("orders", f"{case}: CPU ours / peer", "×", ratios(map(total_cpu, ours), map(total_cpu, theirs)), 0.5, 0.35,
                     lower=True)]
    with baselines.HttpAlone() as http:
        ours, inserts, calls, alone = bench.alternate(
            lambda: must_succeed(tiffin.load("orders", connections=64, seconds=bench.seconds))["rate"],
            lambda: baselines.order_inserts(peer, bench.seconds), lambda: baselines.order_calls(tiffin, bench.seconds),
            lambda: must_succeed(load(http.port, "orders", connections=64, seconds=bench.seconds))["rate"])
    rows += [Row("orders", "the HTTP library alone, POST, c=64", "/s", alone),
             Row("orders", "orders_create() of one order per commit, pgbench c=32", "/s", calls),
             Row("orders", "one INSERT per commit, pgbench c=32", "/s", inserts),
             Row("orders", "POST /orders, c=64: ours / pgbench", "×", ratios(ours, inserts), 1.0, 1.5)]
    tiffin.check()
    return rows
