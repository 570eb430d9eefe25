"""P6: accepting into PostgreSQL, against the plainest grouped insert into the same server."""

import cluster
import servers
from bench import median, ratio, say
from row import Row, missing

GOALS = ["P6"]
LOADS = ["c32", "c256", "o1000"]


def measure(bench, goals):
    what, must = "PostgreSQL: durable accept at c32 to a grouped insert of the same bytes into the same server", "≥ 0.8×"
    if cluster.programs() is None or cluster.login() is None:
        return [missing("P6", what, must, "–", "not installed (Debian package `postgresql`)")]
    say("starting PostgreSQL")
    server = cluster.Cluster()
    try:
        return [Row("P6", what, must, "–", *against_reference(bench, server))]
    finally:
        server.stop()


def against_reference(bench, server):
    running = {
        "ours": servers.Ours(bench, url=server.url("ours")),
        "reference": servers.reference(bench, server.url("packed"), "--packed"),
        "raw": servers.reference(bench, server.url("raw")),
    }
    try:
        for name, one in running.items():
            bench.warm(name, one)
        results = {load: compare(bench, running, load) for load in LOADS}
    finally:
        for one in running.values():
            one.stop()
    rates = {load: ratio(results[load], "ours", "reference", "rps") for load in ("c32", "c256")}
    p50, p99 = (ratio(results["o1000"], "ours", "reference", key) for key in ("p50_us", "p99_us"))
    raw = ratio(results["c32"], "ours", "raw", "rps")
    each = " to ".join(f"{median(results['c32'], name, 'rps'):,.0f}/s" for name in ("ours", "reference"))
    errors = sum(run["errors"] for runs in results.values() for run in runs["ours"])
    measured = f"{rates['c32']:.2f}× ({each}), {raw:.2f}× where it does not pack; c256 {rates['c256']:.2f}×; o1000 p50 {p50:.2f}×, p99 {p99:.2f}×; {errors} errors"
    return measured, rates["c32"] >= 0.8 and not errors


def compare(bench, running, load):
    say(f"{load}, on PostgreSQL")
    return bench.interleave({name: (lambda one=one: bench.drive(one, load)) for name, one in running.items()})
