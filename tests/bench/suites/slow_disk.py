"""The orders run with 2 ms more on each flush of the database's disk, on both sides, as network disks have."""
from bench import Row, latency_text, must_succeed, ratios

SLOWER_US = 2000


def run(bench):
    tiffin, peer = bench.tiffin(slow_fsync_us=SLOWER_US), bench.peer(slow_fsync_us=SLOWER_US)
    ours, theirs = bench.alternate(*(lambda side=side: must_succeed(side.load("orders", connections=256, seconds=bench.seconds))
                                     for side in (tiffin, peer)))
    return [Row("slow_disk", "POST /orders, c=256, each flush 2 ms slower", "/s", [r["rate"] for r in ours], note=latency_text(ours)),
            Row("slow_disk", "the same, peer", "/s", [r["rate"] for r in theirs], note=latency_text(theirs)),
            Row("slow_disk", "POST /orders, c=256, each flush 2 ms slower: ours / peer", "×", ratios([r["rate"] for r in ours], [r["rate"] for r in theirs]), 4, 7)]
