"""What our own processes take when nothing happens, as they start: the gateway with all its threads, and every service once."""
from bench import Row, Tiffin, resident_bytes


def run(bench):
    tiffin = Tiffin()
    try:
        sizes = {name: resident_bytes(process.pid) for name, process in tiffin.stack.processes.items() if not name.startswith("psp-sim")}
    finally:
        tiffin.stack.destroy()
    note = ", ".join(f"{name.rpartition('-')[0]} {pss / 2**20:.0f}" for name, (pss, _) in sizes.items())
    return [Row("memory", "our six processes idle (proportional set size)", "MB", [sum(pss for pss, _ in sizes.values()) / 1e6], 100, 50,
                lower=True, note=note),
            Row("memory", "the same with each library counted in every process (RSS)", "MB", [sum(rss for _, rss in sizes.values()) / 1e6])]
