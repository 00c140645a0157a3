"""What a tap costs: orders while one listens, while none does, and where none ever has."""
import subprocess

from bench import BIN, Row, Tiffin, must_succeed, ratios, total_cpu, wait_for


def run(bench):
    tapped, untouched = bench.tiffin(), Tiffin()

    def orders(side):
        return total_cpu(must_succeed(side.load("orders", seconds=bench.seconds)))

    def listening():
        tap = subprocess.Popen([BIN / "tiffin-tap", "--json"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                               env=tapped.stack.environment({"TAP_ADDR": tapped.stack.gateways[0].tap}))
        reader = subprocess.Popen(["cat"], stdin=tap.stdout, stdout=subprocess.DEVNULL)
        try:
            wait_for(lambda: tapped.stack.api.get("/healthz").status == 200, 5, "the gateway answers")
            return orders(tapped)
        finally:
            for child in (tap, reader):
                child.kill()
                child.wait()
    try:
        listens, none, never = bench.alternate(listening, lambda: orders(tapped), lambda: orders(untouched))
    finally:
        untouched.stack.destroy()
    return [Row("tap", "CPU per order: a tap listens / none", "×", ratios(listens, none), 1.15, 1.05, lower=True),
            Row("tap", "CPU per order: no tap / never one", "×", ratios(none, never), 1.05, 1.02, lower=True)]
