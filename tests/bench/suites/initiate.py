"""POST /payments/initiate with a key each; the simulated PSP answers at once, and shares the processors."""
from bench import Row, cpu_text, latency_text, must_succeed


def run(bench):
    tiffin = bench.tiffin()
    subjects = tiffin.stack.directory / "orders-to-pay"
    subjects.write_text("".join(f"{order}\n" for order, _ in tiffin.open_payments(20000)))
    reports = [must_succeed(tiffin.load("initiate", seconds=bench.seconds, subjects=subjects)) for _ in range(bench.rounds)]
    tiffin.check()
    return [Row("initiate", "POST /payments/initiate, c=64", "/s", [r["rate"] for r in reports],
                note=f"{latency_text(reports)}; CPU µs: {cpu_text(reports)}")]
