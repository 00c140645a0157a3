"""What the code on the hot paths costs, piece by piece: ns, and instructions under callgrind."""
import json
import re
import subprocess

from bench import BENCH_BIN, ROOT, Row


def run(bench):
    instructions = json.loads((ROOT / "tests" / "bench" / "micro" / "instructions.json").read_text())
    done = subprocess.run([BENCH_BIN / "bench-micro"], stdout=subprocess.PIPE, text=True, check=True)
    return [Row("micro", name, "ns", [float(ns)], note=f"{instructions.get(name, '?')} instructions")
            for ns, name in re.findall(r"^ *(\d+) ns  (.*)$", done.stdout, re.M)]
