"""GET /orders/{id}, and the HTTP server alone for comparison."""
from bench import Row, cpu_text, latency_text, must_succeed, ratios


def run(bench):
    tiffin = bench.tiffin()
    subjects = tiffin.stack.directory / "orders-to-read"
    subjects.write_text("".join(f"{order}\n" for order, _ in tiffin.open_payments(2000)))
    reads, bare = bench.alternate(lambda: must_succeed(tiffin.load("read", seconds=bench.seconds, subjects=subjects)),
                                  lambda: must_succeed(tiffin.load("get", seconds=bench.seconds, path="/healthz")))
    return [Row("read", "GET /orders/{id}, c=64", "/s", [r["rate"] for r in reads], note=f"{latency_text(reads)}; CPU µs: {cpu_text(reads)}"),
            Row("read", "GET /healthz, c=64: the HTTP server alone", "/s", [r["rate"] for r in bare]),
            Row("read", "read / HTTP server alone", "×", ratios([r["rate"] for r in reads], [r["rate"] for r in bare]))]
