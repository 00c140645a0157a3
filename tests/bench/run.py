"""deploy/local.sh bench: runs the suites that are named, or the default ones; a table at the end, as text, Markdown and JSON."""
import argparse
import datetime
import importlib
import json
import os
import pathlib
import platform
import re
import subprocess
import sys
import tempfile
import time

sys.path.append(str(pathlib.Path(__file__).resolve().parent / "suites"))
from bench import ROOT, Bench, say  # noqa: E402

DEFAULT = ("memory", "orders", "webhooks", "drain", "latency", "initiate", "read", "mixed", "ws", "starve", "tap", "slow_disk", "micro")
WHEN_NAMED = ("scale", "routing")


def first_line(*command):
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    return (done.stdout.splitlines() or ["?"])[0].strip()


def flush_us(directory):
    """Median of a write and fdatasync of 8 KiB where the databases are."""
    took = []
    with tempfile.NamedTemporaryFile(dir=directory) as file:
        for _ in range(200):
            os.write(file.fileno(), b"x" * 8192)
            began = time.monotonic()
            os.fdatasync(file.fileno())
            took.append((time.monotonic() - began) * 1e6)
    return sorted(took)[len(took) // 2]


def machine(directory):
    cpu = re.search(r"^model name\s*: (.*)$", pathlib.Path("/proc/cpuinfo").read_text(), re.M)
    memory = re.search(r"^MemTotal: +(\d+)", pathlib.Path("/proc/meminfo").read_text(), re.M)
    return {"cpu": cpu.group(1) if cpu else platform.machine(), "processors": os.cpu_count(), "memory_gib": int(memory.group(1)) // 2**20,
            "kernel": platform.release(), "fdatasync_us": round(flush_us(directory)),
            "postgresql": first_line("psql", "--version").rpartition("PostgreSQL) ")[2], "redis": first_line("redis-server", "--version"),
            "node": first_line("node", "--version"), "commit": first_line("git", "-C", str(ROOT), "rev-parse", "--short", "HEAD"),
            "at": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds")}


def figure(value):
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def cells(row):
    from bench import spread
    median, least, most = spread(row.values)
    target = "" if row.at_least is None else f"{'≤' if row.lower else '≥'} {row.at_least:g} ({row.aim:g})"
    between = f"{figure(least)} – {figure(most)}" if len(row.values) > 1 else ""
    return [row.suite, row.what, f"{figure(median)} {row.unit}", between, target, row.verdict, row.note]


HEAD = ["suite", "what", "median", "least – most", "at least (aim)", "", "with"]


def as_markdown(rows):
    lines = [HEAD, ["---"] * len(HEAD), *map(cells, rows)]
    return "".join("| " + " | ".join(line) + " |\n" for line in lines)


def as_text(rows):
    table = [line[:-1] for line in ([HEAD] + [cells(row) for row in rows])]
    widths = [max(len(line[i]) for line in table) for i in range(len(HEAD) - 1)]
    return "\n".join("  ".join(text.ljust(width) for text, width in zip(line, widths)).rstrip() for line in table)


def main():
    parser = argparse.ArgumentParser(prog="deploy/local.sh bench", formatter_class=argparse.RawDescriptionHelpFormatter,
                                     description="Ratios against baselines that alternate with what is measured, on servers of its own.",
                                     epilog=f"suites: {', '.join(DEFAULT)}; only when named: {', '.join(WHEN_NAMED)}")
    parser.add_argument("suites", nargs="*", metavar="SUITE")
    parser.add_argument("--rounds", type=int, default=5, help="of each comparison (default 5)")
    parser.add_argument("--seconds", type=float, default=2, help="of each load (default 2)")
    parser.add_argument("--home", type=pathlib.Path, default=ROOT / ".local", help=argparse.SUPPRESS)
    options = parser.parse_args()
    unknown = [name for name in options.suites if name not in DEFAULT + WHEN_NAMED]
    if unknown:
        parser.error(f"there is no suite {unknown[0]}")
    options.home.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="bench-", dir=options.home) as directory:
        os.chmod(directory, 0o755)
        os.environ["TIFFIN_E2E_DIR"] = directory
        described, rows, failed = machine(directory), [], []
        bench = Bench(options.rounds, options.seconds)
        try:
            for name in options.suites or DEFAULT:
                began = time.monotonic()
                try:
                    found = importlib.import_module(name).run(bench)
                except Exception as error:  # the other suites are worth having
                    failed.append(name)
                    say(f"==> {name}: {type(error).__name__}: {error}")
                    continue
                rows += found
                say(f"==> {name}: {time.monotonic() - began:.0f} s")
                for row in found:
                    say("    " + "  ".join(text for text in cells(row)[1:] if text))
        finally:
            bench.end()
    report(options.home, described, rows, failed)
    return 1 if failed else 0


def report(home, described, rows, failed):
    line = ", ".join(f"{name} {value}" for name, value in described.items())
    (home / "bench.json").write_text(json.dumps({"machine": described, "failed": failed, "rows": [row.as_json() for row in rows]}, indent=1))
    (home / "bench.md").write_text(f"{line}\n\n{as_markdown(rows)}")
    say(f"\n{as_text(rows)}\n\n{line}\n{home / 'bench.md'}, {home / 'bench.json'}")
    below = [row for row in rows if row.verdict == "BELOW"]
    say(f"{sum(row.verdict == 'aim' for row in rows)} at the aim, {sum(row.verdict == 'ok' for row in rows)} at least, {len(below)} below"
        + (f"; suites that failed: {', '.join(failed)}" if failed else ""))


if __name__ == "__main__":
    sys.exit(main())
