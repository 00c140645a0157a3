#!/usr/bin/python3
"""The crash harness: `deploy/local.sh chaos [--seed N] [--runs N] [--bug NAME]` builds and calls it.

Each run starts a whole Tiffin of its own, breaks it as its seed says, mends it, and checks what must hold. A seed repeats a run's
plan. Exit status 0 only if nothing was lost, doubled, broken, different or missing in any run."""
import argparse
import collections
import multiprocessing
import os
import pathlib
import queue
import shutil
import signal
import sys
import tempfile
import time
import traceback

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "e2e")]

COLUMNS = (("seed", 8), ("requests", 8), ("answers", 7), ("kills", 5), ("stops", 5), ("points", 6), ("stores", 6), ("events", 6),
           ("lost", 4), ("doubled", 7), ("broken", 6), ("differs", 7), ("missing", 7), ("seconds", 7))
BUGS = ("dedupe-first", "ack-first", "assign-status")


def one_run(seed, cluster):
    """A row of the table, and what went wrong in words."""
    from chaos import Run
    began = time.monotonic()
    run = Run(seed, cluster)
    row, words, kept = {"seed": seed}, [], None
    try:
        findings = run.carry_out()
        words = findings.all()
        for name in ("lost", "doubled", "broken", "differs", "missing"):
            row[name] = len(getattr(findings, name))
        row["events"] = run.events
    except Exception:
        words = ["the run itself failed: " + traceback.format_exc()]
        row |= {name: "?" for name in ("lost", "doubled", "differs", "missing", "events")} | {"broken": 1}
    kept = getattr(run, "kept", None)
    row |= {"requests": run.record.requests, "answers": len(run.record.answers), "kills": run.counts["kill"] + run.counts["term"],
            "stops": run.counts["stop"] + run.counts["freeze"], "points": len(run.points_hit), "stores": run.counts["redis"] + run.counts["postgres"],
            "seconds": f"{time.monotonic() - began:.1f}"}
    return row, words, run.points_hit, kept


def put_into_template(cluster, sql):
    """A template takes no connections, so that it can be copied."""
    from stores import Connection
    maintenance = Connection(cluster.url)
    maintenance.query("ALTER DATABASE tiffin_template ALLOW_CONNECTIONS true")
    template = Connection(cluster.url.rpartition("/")[0] + "/tiffin_template")
    template.query(sql)
    template.close()
    maintenance.query("ALTER DATABASE tiffin_template ALLOW_CONNECTIONS false")
    maintenance.close()


def next_row(rows, workers):
    while True:
        try:
            return rows.get(timeout=2)
        except queue.Empty:
            if not any(process.is_alive() for process in workers):
                raise SystemExit("all workers have ended: see above") from None


def worker(number, directory, bug, seeds, rows):
    """A process with a PostgreSQL of its own: runs seeds until there are none."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    os.environ["TIFFIN_E2E_DIR"] = directory
    from stores import Cluster
    cluster = Cluster(pathlib.Path(directory) / f"pg-{number}")
    try:
        os.environ["TIFFIN_TEST_DATABASE_URL"] = cluster.url
        if bug == "assign-status":
            put_into_template(cluster, (HERE / "assign_status.sql").read_text())
        while (seed := seeds.get()) is not None:
            rows.put(one_run(seed, cluster))
    finally:
        cluster.destroy()


def print_row(row):
    print("  ".join(str(row.get(name, "")).rjust(width) for name, width in COLUMNS), flush=True)


def summarise(rows, points_hit, expected_points):
    total = collections.Counter()
    for row in rows:
        for name in ("lost", "doubled", "broken", "differs", "missing"):
            total[name] += row[name] if isinstance(row[name], int) else 0
    print(f"\n{len(rows)} runs: lost {total['lost']}, doubled {total['doubled']}, invariants broken {total['broken']}, "
          f"ledger differs {total['differs']}, events missing {total['missing']}")
    print("died at " + ", ".join(f"{point} {points_hit[point]}" for point in expected_points))
    never = [point for point in expected_points if not points_hit[point]]
    if never and len(rows) >= 100:
        print("never died at " + ", ".join(never))
        return False
    return True


def arguments():
    parser = argparse.ArgumentParser(prog="local.sh chaos", description=__doc__.partition("\n\n")[0])
    parser.add_argument("--seed", type=int, default=1, help="of the first run; the others follow (default 1)")
    parser.add_argument("--runs", type=int, default=20, help="how many (default 20)")
    parser.add_argument("--bug", choices=BUGS, help="says what mistake the binaries hold; assign-status is put into the database")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="runs side by side (default: processors)")
    parser.add_argument("--keep", default=tempfile.gettempdir(), help="where to keep what a failed run leaves")
    return parser.parse_args()


def main():
    options = arguments()
    from plan import crash_points
    # PostgreSQL may run as another user, who must be able to reach its files.
    directory = tempfile.mkdtemp(prefix="tiffin-chaos-")
    os.chmod(directory, 0o755)
    seeds, rows_queue = multiprocessing.Queue(), multiprocessing.Queue()
    for seed in range(options.seed, options.seed + options.runs):
        seeds.put(seed)
    workers = [multiprocessing.Process(target=worker, args=(number, directory, options.bug, seeds, rows_queue))
               for number in range(min(options.workers, options.runs))]
    for process in workers:
        seeds.put(None)
        process.start()
    began, rows, points_hit, first_failure = time.monotonic(), [], collections.Counter(), None
    print("  ".join(name.rjust(width) for name, width in COLUMNS), flush=True)
    try:
        while len(rows) < options.runs:
            row, words, hit, kept = next_row(rows_queue, workers)
            rows.append(row)
            points_hit.update(hit)
            print_row(row)
            for word in words[:8]:
                print(f"    seed {row['seed']}: {word[:1000]}", flush=True)
            if words:
                kept = kept and shutil.move(kept, os.path.join(options.keep, f"seed-{row['seed']}-{os.getpid()}"))
                print(f"    seed {row['seed']}: {len(words)} findings; kept in {kept}", flush=True)
                first_failure = min(first_failure or row["seed"], row["seed"])
                if options.bug:
                    break  # it is found
    finally:
        for process in workers:
            if len(rows) < options.runs:
                process.terminate()
            process.join(30)
        shutil.rmtree(directory, ignore_errors=True)
    complete = summarise(rows, points_hit, [point for point, _ in crash_points()])
    if first_failure is not None:
        print(f"first failure: --seed {first_failure} --runs 1")
    print(f"{time.monotonic() - began:.0f} s")
    return 0 if first_failure is None and complete else 1


if __name__ == "__main__":
    sys.exit(main())
