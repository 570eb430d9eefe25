"""Measures the performance goals and prints them as one Markdown table.

Ratios of one interleaved run are what counts: every round runs every server under the same load in turning order, and
the table shows medians of ratios paired within a round. c32 is a closed loop of 32 connections, o1000 an open loop of
1,000 deliveries a second, with latencies from the planned time. Peers take part where they can be had: adnanh/webhook
where it is installed (Debian package `webhook`), @octokit/webhooks from npm, FastAPI from PyPI. G15 needs a real
Gitea, whose executable `GITEA_BIN` names (and `GITEA_STATIC_ROOT` the folder of its options and templates). P6 needs
PostgreSQL's own programs, and starts a server with them.

Needs Rust, python3, and up to 10 GB on the disk of the temporary folder (`TMPDIR`). Loopback only; bounded in time; leaves nothing behind.
"""

import argparse
import sys
import time

import abuse
import acting
import disk
import footprint
import machine
import postgres
import processes
import scoring
import speed
import sweep
from bench import Bench
from row import table

GROUPS = [speed, disk, abuse, footprint, scoring, sweep, acting, postgres]


def options():
    parser = argparse.ArgumentParser(prog="benches/goals.sh", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="few short rounds: shows that all works, decides nothing")
    parser.add_argument("--only", metavar="G1,G5", help="these goals only")
    parser.add_argument("--rounds", type=int, help="rounds of a throughput comparison [default: 5; latency: 9]")
    parser.add_argument("--seconds", type=float, help="seconds each server is measured for in a round [default: 3]")
    parser.add_argument("--program", help="measure this program instead of one that is built from here")
    return parser.parse_args()


def chosen(only):
    known = [goal for group in GROUPS for goal in group.GOALS]
    if not only:
        return known
    goals = [goal.strip().upper() for goal in only.split(",")]
    unknown = [goal for goal in goals if goal not in known]
    if unknown:
        sys.exit(f"there is no goal `{unknown[0]}`; take some of {', '.join(known)}")
    return goals


def main():
    asked = options()
    goals = chosen(asked.only)
    began, stolen = time.monotonic(), machine.steal_s()
    bench = Bench(asked)
    rows = []
    try:
        bench.prepare()
        for group in GROUPS:
            mine = [goal for goal in group.GOALS if goal in goals]
            if mine:
                rows += group.measure(bench, mine)
    finally:
        processes.stop_all()
        bench.clean_up()
    took = time.monotonic() - began
    steal = (machine.steal_s() - stolen) / took / machine.cpus()
    print(table(rows))
    mode = "quick run, too short to decide by; " if asked.quick else ""
    print(f"\n{mode}{machine.describe()}; {took:.0f} s with the build, {steal:.1%} of the CPU time stolen by the host.")
    broken = [row for row in rows if row.holds is False]
    sys.exit(1 if broken and not asked.quick else 0)


main()
