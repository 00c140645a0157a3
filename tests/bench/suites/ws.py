"""WebSockets: what each takes, one message to all of a user's, one confirmation among all."""
import json
import subprocess

from bench import BENCH_BIN, SECRET, Row, Tiffin, resident_bytes, wait_for

SIZES = (1000, 10000)


class Crowd:
    """bench-ws with its sockets open."""

    def __init__(self, tiffin, count, users):
        self.child = subprocess.Popen([BENCH_BIN / "bench-ws", f"--port={tiffin.port}", f"--sockets={count}", f"--users={users}"],
                                      stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        report = json.loads(self.child.stdout.readline() or "{}")
        assert report.get("connected") == count, report
        wait_for(lambda: open_sockets(tiffin) == count, 30, "all sockets are open")

    def confirm(self, tiffin, count, user):
        """A webhook of a new order of that user; what `count` sockets were told, and when, since it was sent."""
        stack = tiffin.stack
        order_id, payment_id = stack.pay_for(user_id=user)
        body = json.dumps(stack.webhook_body(order_id, payment_id, signature=f"Razorpay:{SECRET}"))
        self.child.stdin.write(f"post {tiffin.port} /webhooks/Razorpay {count} 10 {body}\n")
        self.child.stdin.flush()
        report = json.loads(self.child.stdout.readline())
        assert report["told"] == count, report
        return report

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.child.kill()
        self.child.wait()


def open_sockets(tiffin):
    text = tiffin.stack.api.get("/metrics").body.decode()
    return next(int(float(line.split()[1])) for line in text.splitlines() if line.startswith("tiffin_websockets "))


def run(bench):
    rows = []
    for count in SIZES:
        tiffin = Tiffin(env={"WS_MAX": count + 100})
        try:
            gateway = tiffin.stack.processes["gateway-1"].pid
            before = resident_bytes(gateway)[1]
            with Crowd(tiffin, count, 1) as crowd:
                each = (resident_bytes(gateway)[1] - before) / count / 1024
                all_told = [crowd.confirm(tiffin, count, "u0") for _ in range(bench.rounds)]
            wait_for(lambda tiffin=tiffin: open_sockets(tiffin) == 0, 30, "all sockets are closed")
            with Crowd(tiffin, count, count) as crowd:
                one_told = [crowd.confirm(tiffin, 1, f"u{turn * 37}") for turn in range(bench.rounds)]
        finally:
            tiffin.stack.destroy()
        many = count == SIZES[-1]
        rows += [Row("ws", f"{count} sockets: resident memory each", "KiB", [each], *((60, 40) if many else ()), lower=True),
                 Row("ws", f"{count} sockets of one user: from the first told to the last", "ms",
                     [(r["last_us"] - r["first_us"]) / 1000 for r in all_told], *((120, 60) if many else ()), lower=True,
                     note=f"since the webhook was sent: {sorted(r['last_us'] for r in all_told)[len(all_told) // 2] / 1000:.0f} ms"),
                 Row("ws", f"{count} sockets: one confirmation, since its webhook was sent", "ms",
                     [r["last_us"] / 1000 for r in one_told], lower=True)]
    return rows
