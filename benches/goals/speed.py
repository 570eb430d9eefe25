"""G1–G7: throughput, CPU and latency of accepting, against the reference and the peers."""

import servers
from bench import median, ratio, say
from row import Row, missing

GOALS = ["G1", "G2", "G3", "G4", "G5", "G6", "G7"]
# Which loads a goal needs, and who takes part beside us.
LOADS = {"G1": {"c32", "c256"}, "G2": {"c32"}, "G3": {"c32"}, "G4": {"c32"}, "G5": {"c32"}, "G6": {"o1000"}, "G7": {"o1000"}}
PEERS = {
    "G1": {"reference"},
    "G2": {"webhook", "webhook, spawning"},
    "G3": {"octokit"},
    "G4": {"fastapi"},
    "G5": {"reference"},
    "G6": {"reference", "octokit"},
    "G7": {"webhook, spawning", "fastapi"},
}


def measure(bench, goals):
    running = {"ours": servers.Ours(bench)}
    for name in sorted(set().union(*(PEERS[goal] for goal in goals))):
        start = (lambda: servers.reference(bench)) if name == "reference" else servers.peer(bench, name)
        if start:
            running[name] = start()
    for name, server in running.items():
        bench.warm(name, server)
    results = {load: compare(bench, goals, running, load) for load in sorted(set().union(*(LOADS[goal] for goal in goals)))}
    for server in running.values():
        server.stop()
    return [row for goal in goals for row in ROWS[goal](results)]


def compare(bench, goals, running, load):
    wanted = {"ours"}.union(*(PEERS[goal] for goal in goals if load in LOADS[goal]))
    if load == "c256":
        wanted = {"ours", "reference"}
    say(f"{load}: {', '.join(name for name in running if name in wanted)}")
    runs = {name: (lambda server=server: bench.drive(server, load)) for name, server in running.items() if name in wanted}
    return bench.interleave(runs, bench.latency_rounds if load[0] == "o" else bench.rounds)


def g1(results):
    at32, at256 = (ratio(results[load], "ours", "reference", "rps") for load in ("c32", "c256"))
    rates = ", ".join(f"{median(results[load], 'ours', 'rps'):,.0f}/s" for load in ("c32", "c256"))
    errors = sum(run["errors"] for load in ("c32", "c256") for run in results[load]["ours"])
    measured = f"{at32:.2f}×, {at256:.2f}× ({rates}; {errors} errors)"
    holds, best = min(at32, at256) >= 0.85 and not errors, min(at32, at256) >= 1.1
    yield Row("G1", "durable accept at c32, c256 to the reference", "≥ 0.85×", "≥ 1.1×", measured, holds, best)


def g2(results):
    what, must, stretch = "accept at c32 to adnanh/webhook: idle, spawning; CPU to idle", "≥ 1.3×, ≥ 5×; ≤ 0.5×", "≥ 2×, ≥ 8×"
    runs = results["c32"]
    if "webhook" not in runs:
        yield missing("G2", what, must, stretch, "not installed (Debian package `webhook`)")
        return
    idle, spawning = (ratio(runs, "ours", name, "rps") for name in ("webhook", "webhook, spawning"))
    cpu = ratio(runs, "ours", "webhook", "cpu_us")
    holds, best = idle >= 1.3 and spawning >= 5 and cpu <= 0.5, idle >= 2 and spawning >= 8
    yield Row("G2", what, must, stretch, f"{idle:.2f}×, {spawning:.2f}×; {cpu:.2f}×", holds, best)


def g3(results):
    what, must, stretch = "accept at c32 to @octokit/webhooks 14; CPU", "≥ 1.1×; ≤ 0.85×", "≥ 2×"
    runs = results["c32"]
    if "octokit" not in runs:
        yield missing("G3", what, must, stretch, "not installed (npm package `@octokit/webhooks`)")
        return
    rate, cpu = (ratio(runs, "ours", "octokit", key) for key in ("rps", "cpu_us"))
    yield Row("G3", what, must, stretch, f"{rate:.2f}×; {cpu:.2f}×", rate >= 1.1 and cpu <= 0.85, rate >= 2)


def g4(results):
    what, must, stretch = "accept at c32 to FastAPI that verifies and scores", "≥ 6×", "≥ 10×"
    runs = results["c32"]
    if "fastapi" not in runs:
        yield missing("G4", what, must, stretch, "not installed (Python packages `fastapi`, `uvicorn`)")
        return
    rate = ratio(runs, "ours", "fastapi", "rps")
    yield Row("G4", what, must, stretch, f"{rate:.2f}×", rate >= 6, rate >= 10)


def g5(results):
    runs = results["c32"]
    cpu = ratio(runs, "ours", "reference", "cpu_us")
    each = " to ".join(f"{median(runs, name, 'cpu_us'):.0f} µs" for name in ("ours", "reference"))
    yield Row("G5", "CPU of an accepted delivery at c32 to the reference", "≤ 1.15×", "≤ 0.9×", f"{cpu:.2f}× ({each})", cpu <= 1.15, cpu <= 0.9)


def g6(results):
    runs = results["o1000"]
    p50, p99 = (ratio(runs, "ours", "reference", key) for key in ("p50_us", "p99_us"))
    own = "/".join(f"{median(runs, 'ours', key) / 1000:.2f}" for key in ("p50_us", "p99_us"))
    measured, best = f"{p50:.2f}×, {p99:.2f}× ({own} ms)", p99 <= 0.7
    if "octokit" in runs:
        peer = [ratio(runs, "ours", "octokit", key) for key in ("p50_us", "p99_us")]
        measured += f"; {peer[0]:.2f}×, {peer[1]:.2f}× octokit"
        best = best and max(peer) <= 1.5
    yield Row("G6", "p50, p99 at o1000 to the reference", "≤ 1.25×, ≤ 1.5×", "p99 ≤ 0.7×, both ≤ 1.5× octokit", measured, p50 <= 1.25 and p99 <= 1.5, best)


def g7(results):
    runs = results["o1000"]
    for name, most in (("webhook, spawning", 0.1), ("fastapi", 0.05)):
        what = f"p99 at o1000 to {name}"
        if name not in runs:
            yield missing("G7", what, f"≤ {most}×", "–", "not installed")
            continue
        p99 = ratio(runs, "ours", name, "p99_us")
        yield Row("G7", what, f"≤ {most}×", "–", f"{p99:.3f}×", p99 <= most)


ROWS = {"G1": g1, "G2": g2, "G3": g3, "G4": g4, "G5": g5, "G6": g6, "G7": g7}
