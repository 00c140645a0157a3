"""At 1,000 a second each: the answer of POST /orders, of a webhook, and from webhook to WebSocket. Open loop: from when it was due."""
import json
import subprocess

from bench import BENCH_BIN, SECRET, Row, load, must_succeed

RATE = 1000


def p(report, name):
    return report["latency_us"][name] / 1000


def told(tiffin, seconds):
    """ms from when each webhook was due until a socket had its confirmation, sorted."""
    directory = tiffin.stack.directory
    payments = tiffin.open_payments(round(RATE * seconds))
    (directory / "subjects").write_text("".join(f"{order} {payment}\n" for order, payment in payments))
    watcher = subprocess.Popen([BENCH_BIN / "bench-ws", f"--port={tiffin.port}", "--sockets=500", "--users=500"],
                               stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert json.loads(watcher.stdout.readline())["connected"] == 500
        watcher.stdin.write(f"collect {len(payments)} {seconds + 20} {directory / 'told'}\n")
        watcher.stdin.flush()
        report = must_succeed(load(tiffin.port, "webhooks", rate=RATE, seconds=seconds, warm_up=0, requests=len(payments),
                                   subjects=directory / "subjects", log=directory / "sent", secret=SECRET))
        messages = json.loads(watcher.stdout.readline())["messages"]
        assert messages == report["succeeded"], f"{messages} confirmations of {report['succeeded']} webhooks"
    finally:
        watcher.kill()
        watcher.wait()
    sent = dict(line.split() for line in (directory / "sent").read_text().splitlines())
    got = dict(line.split() for line in (directory / "told").read_text().splitlines())
    return sorted((int(got[payment]) - int(due)) / 1000 for payment, due in sent.items()), report


def run(bench):
    tiffin = bench.tiffin()
    orders, webhooks, sockets = [], [], []
    for _ in range(bench.rounds):
        orders.append(must_succeed(load(tiffin.port, "orders", rate=RATE, seconds=2 * bench.seconds)))
        took, report = told(tiffin, 2 * bench.seconds)
        webhooks.append(report)
        sockets.append(took)

    def row(what, p50, p99, at_least, aim):
        return Row("latency", f"{what}, p99 at {RATE} a second", "ms", p99, at_least, aim, lower=True,
                   note=f"p50 {sorted(p50)[len(p50) // 2]:.2f} ms")
    tiffin.check()
    return [row("POST /orders", [p(r, "p50") for r in orders], [p(r, "p99") for r in orders], 10, 5),
            row("a webhook's answer", [p(r, "p50") for r in webhooks], [p(r, "p99") for r in webhooks], 5, 3),
            row("webhook to WebSocket", [took[len(took) // 2] for took in sockets],
                [took[len(took) * 99 // 100] for took in sockets], 25, 10)]
