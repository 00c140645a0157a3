"""A life of each payment (create, initiate, webhook, read) at growing rates until the p99 of all requests passes 50 ms: the knee."""
from bench import SECRET, Row, load

LIMIT_MS, FIRST, FACTOR = 50, 250, 1.4


def run(bench):
    tiffin = bench.tiffin()
    rate, good, steps = FIRST, None, []
    while True:
        report = load(tiffin.port, "mixed", connections=256, seconds=2 * bench.seconds, rate=rate, secret=SECRET)
        bad = report["failed"] + report["broken"] + report["unanswered"]
        p99 = report["latency_us"]["p99"] / 1000
        steps.append(f"{rate:.0f}/s {p99:.0f} ms")
        if bad or p99 > LIMIT_MS:
            break
        good, rate = (rate, report), rate * FACTOR
    tiffin.check()
    if good is None:
        return [Row("mixed", "the knee lies below", "/s", [FIRST], note=", ".join(steps))]
    by_step = ", ".join(f"{name} {h['p99'] / 1000:.1f}" for name, h in good[1]["steps"].items())
    return [Row("mixed", f"requests of whole lives with p99 under {LIMIT_MS} ms", "/s", [good[0]],
                note=f"p99 ms there: {by_step}; steps: {', '.join(steps[-3:])}")]
