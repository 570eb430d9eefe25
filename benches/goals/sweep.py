"""G15: a full sweep, against bare listings of the same issues on a real Gitea."""

import json
import statistics
import time

import processes
import real_gitea
from bench import say
from row import Row, missing

GOALS = ["G15"]
ISSUES = 2000
# What the sweep has in flight, and the bare listing it is compared to.
AT_ONCE = 4


def measure(bench, goals):
    what = "full sweep of N issues: requests; wall to a bare listing, 4 in flight; to a sequential one; requests when nothing changed"
    must, stretch = "≤ ⌈N/50⌉ + 3; ≤ 1.10×; ≤ 0.8×", "unchanged: ≤ 3 requests"
    if not real_gitea.is_there():
        return [missing("G15", what, must, stretch, "no Gitea; set `GITEA_BIN`")]
    issues = 200 if bench.quick else ISSUES
    say(f"a Gitea with {issues:,} issues")
    gitea = real_gitea.RealGitea(bench)
    gitea.fill(issues)
    say("sweep")
    config = configure(bench, gitea)
    rounds = {"sweep": lambda: sweep(bench, config, "--dry-run", "--full"), "abreast": lambda: gitea.list_all(issues, AT_ONCE), "in turn": lambda: gitea.list_all(issues, 1)}
    took = bench.interleave(rounds)
    walls = [seconds for seconds, _ in took["sweep"]]
    requests = took["sweep"][-1][1]
    sweep(bench, config, "--enqueue")
    unchanged = sweep(bench, config, "--enqueue")[1]
    processes.stop(gitea.child)
    to = lambda other: statistics.median(a / b for a, b in zip(walls, took[other]))
    over = requests - -(-issues // real_gitea.PAGE)
    measured = f"⌈N/50⌉ {over:+d}; {to('abreast'):.2f}×; {to('in turn'):.2f}× ({issues:,} issues, {statistics.median(walls):.2f} s); {unchanged}"
    return [Row("G15", what, must, stretch, measured, over <= 3 and to("abreast") <= 1.1 and to("in turn") <= 0.8, unchanged <= 3)]


def configure(bench, gitea):
    home = bench.new_folder()
    (home / "config.toml").write_text(f"""
[gitea]
url = "http://127.0.0.1:{gitea.port}"
token = "{gitea.token}"
repos = ["bench/widgets"]
[webhook]
secrets = ["none-is-sent"]
[store]
url = "sqlite:{home}/sweep.db"
""")
    return home / "config.toml"


def sweep(bench, config, *how):
    """One round: its seconds, with the program's start, and its requests."""
    began = time.monotonic()
    printed = processes.run([bench.program, "--config", config, "sweep", "--once", "--json", *how], 300)
    return time.monotonic() - began, json.loads(printed.strip().splitlines()[-1])["requests"]
