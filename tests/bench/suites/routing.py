"""Where our routing decision sends payments, against three other routers: regret over simulated time, ten seeds; a plot per scenario."""
import json
import subprocess

from bench import BENCH_BIN, ROOT, Row, say

SEEDS = range(1, 11)
COLOURS = {"ours": "#d62728", "fixed": "#7f7f7f", "rotating": "#1f77b4", "windowed": "#2ca02c"}
WIDTH, HEIGHT, LEFT, BOTTOM, TOP = 720, 400, 70, 40, 50


def simulate(seed):
    done = subprocess.run([BENCH_BIN / "bench-routing", "--seed", str(seed)], stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout)


def mean_curve(runs):
    return [sum(values) / len(runs) for values in zip(*(run["curve"] for run in runs))]


def plot(name, about, curves):
    """Mean regret over the scenario's time, a line for each router."""
    most = max(max(curve) for curve in curves.values()) or 1
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" font-size="13">',
             f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/><text x="{LEFT}" y="20" font-size="15">{name}: {about}</text>']
    for part in range(5):
        y = HEIGHT - BOTTOM - (HEIGHT - BOTTOM - TOP) * part / 4
        parts.append(f'<line x1="{LEFT}" x2="{WIDTH - 20}" y1="{y:.0f}" y2="{y:.0f}" stroke="#ddd"/>'
                     f'<text x="{LEFT - 8}" y="{y + 4:.0f}" text-anchor="end">{most * part / 4:.0f}</text>')
    for at, (router, curve) in enumerate(curves.items()):
        points = " ".join(f"{LEFT + (WIDTH - 20 - LEFT) * i / (len(curve) - 1):.1f},{HEIGHT - BOTTOM - (HEIGHT - BOTTOM - TOP) * value / most:.1f}"
                          for i, value in enumerate(curve))
        parts.append(f'<polyline points="{points}" fill="none" stroke="{COLOURS[router]}" stroke-width="2"/>'
                     f'<text x="{LEFT + 140 * at}" y="40" fill="{COLOURS[router]}">{router}</text>')
    parts.append(f'<text x="{WIDTH // 2}" y="{HEIGHT - 10}" text-anchor="middle">time; upwards: regret so far, in payments</text></svg>')
    return "\n".join(parts) + "\n"


def run(_bench):
    by_scenario = {}
    for seed in SEEDS:
        for row in simulate(seed):
            by_scenario.setdefault(row["scenario"], {}).setdefault(row["router"], []).append(row)
    plots = ROOT / ".local" / "bench"
    plots.mkdir(parents=True, exist_ok=True)
    rows = []
    for scenario, routers in by_scenario.items():
        ours = routers["ours"]
        (plots / f"routing-{scenario}.svg").write_text(plot(scenario, ours[0]["about"], {name: mean_curve(runs) for name, runs in routers.items()}))
        others = {name: sum(run["regret"] for run in runs) for name, runs in routers.items() if name != "ours"}
        best = min(others, key=others.get)
        ratios = [our["regret"] / their["regret"] for our, their in zip(ours, routers[best])]
        success = {name: sum(run["success"] for run in runs) / len(runs) for name, runs in routers.items()}
        bound = 1.1 if ours[0]["stationary"] else 1.0
        rows.append(Row("routing", f"{scenario}: regret", f"× {best}'s, the best of the others", ratios, at_least=bound, aim=0.7, lower=True,
                        note="regret " + ", ".join(f"{name} {sum(run['regret'] for run in runs) / len(runs):.0f}" for name, runs in routers.items()) +
                        "; success " + ", ".join(f"{name} {value:.2%}" for name, value in success.items())))
    say(f"plots: {plots}/routing-*.svg")
    return rows
