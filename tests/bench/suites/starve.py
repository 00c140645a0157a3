"""A newcomer's first answer while every HTTP thread is held by clients that keep their connections busy."""
import http.client
import subprocess
import time

from bench import BENCH_BIN, Row, Tiffin

THREADS = 50


def first_answer_ms(port):
    began = time.monotonic()
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    connection.request("GET", "/healthz")
    assert connection.getresponse().read()
    connection.close()
    return (time.monotonic() - began) * 1000


def run(bench):
    tiffin = Tiffin(env={"HTTP_THREADS": THREADS, "WS_MAX": 0})
    try:
        # As many busy clients as there are threads: none of them ever lets go by itself.
        holders = subprocess.Popen([BENCH_BIN / "bench-http", f"--port={tiffin.port}", "--kind=get", f"--connections={THREADS}",
                                    "--seconds=60"], stdout=subprocess.DEVNULL)
        try:
            time.sleep(0.5)  # until all of them are busy
            answers = [first_answer_ms(tiffin.port) for _ in range(50)]
        finally:
            holders.kill()
            holders.wait()
    finally:
        tiffin.stack.destroy()
    return [Row("starve", f"first answer while {THREADS} threads are held by {THREADS} busy clients, worst of {len(answers)}", "ms",
                [max(answers)], 50, 5, lower=True, note=f"median {sorted(answers)[len(answers) // 2]:.1f} ms")]
