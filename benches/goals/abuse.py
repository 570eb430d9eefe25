"""G10 and G11: forged deliveries and repeated ones."""

import contextlib
import sqlite3

import servers
from bench import CANARY, ratio, say
from row import Row

GOALS = ["G10", "G11"]


def measure(bench, goals):
    measured = {"G10": forged, "G11": repeated}
    return [measured[goal](bench) for goal in goals]


def forged(bench):
    say("forged deliveries")
    running = {"ours": servers.Ours(bench), "reference": servers.reference(bench)}
    before = deliveries(running["ours"])
    runs = {name: (lambda server=server: bench.drive(server, "c32", "--forged")) for name, server in running.items()}
    results = bench.interleave(runs)
    for server in running.values():
        server.stop()
    rate = ratio(results, "ours", "reference", "rps")
    written = deliveries(running["ours"]) - before
    others = sum(count for run in results["ours"] for status, count in run["statuses"].items() if status != "401")
    told = CANARY in running["ours"].log.read_text(errors="replace")
    measured = f"{rate:.2f}×; {others} other answers, {written} rows written, {'the body is' if told else 'nothing of the body'} in the log"
    what = "forged: 401 rate to the reference's at c32; only 401, no row, no body in the log"
    return Row("G10", what, "≥ 0.85×", "–", measured, rate >= 0.85 and not others and not written and not told)


def repeated(bench):
    say("repeated deliveries")
    server = servers.Ours(bench)
    runs = {
        "fresh": lambda: bench.drive(server, "c32"),
        "repeated": lambda: bench.drive(server, "c32", "--duplicates", 0.9),
    }
    results = bench.interleave(runs)
    rows = deliveries(server)
    server.stop()
    rate = ratio(results, "repeated", "fresh", "rps")
    everything = [run for name in runs for run in results[name]]
    bad = sum(count for run in everything for status, count in run["statuses"].items() if not status.startswith("2"))
    new = sum(run["statuses"].get("202", 0) for run in everything)
    measured = f"{rate:.2f}×; {bad} not 2xx, {rows - new} jobs more than new ids"
    return Row("G11", "90 % repeats: rate to fresh at c32; 2xx, no new job", "≥ 1.8×", "–", measured, rate >= 1.8 and not bad and rows == new)


def deliveries(server):
    with contextlib.closing(sqlite3.connect(f"file:{server.database}?mode=ro", uri=True, timeout=10)) as db:
        return db.execute("SELECT count(*) FROM delivery").fetchone()[0]
