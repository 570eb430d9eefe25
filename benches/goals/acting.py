"""G16–G18: what acting on an issue costs beside the forge's own time."""

import real_acting
from bench import cargo_bench, say
from row import Row

GOALS = ["G16", "G17", "G18"]


def measure(bench, goals):
    say("acting on issues")
    measured = cargo_bench("acting", 20 if bench.quick else 200)
    rows = [row for goal in goals for row in ROWS[goal](measured)]
    if "G17" in goals:
        say("acting on issues of a real Gitea")
        rows.append(real_acting.measure(bench))
    return rows


def g16(m):
    writes, wall, abreast = m["writes"]["max"], m["wall_to_same_calls"]["p50"], m["abreast_to_in_turn"]
    measured = f"{writes:.0f} writes ({m['reads']['p50']:.0f} reads); {wall:.2f}×; {abreast:.2f}×"
    what = "acting: writes an issue; wall to the same calls in sequence; 4 in flight to one"
    yield Row("G16", what, "≤ 3; ≤ 1.15×; ≥ 1.3×", "–", measured, writes <= 3 and wall <= 1.15 and abreast >= 1.3)


def g17(m):
    own, bare, same = m["own_share_ms"], m["visible_to_bare_writes"]["p50"], m["visible_to_same_calls"]["p50"]
    measured = f"{own['p50']:.1f}, {own['p99']:.1f} ms"
    holds = own["p50"] <= 5 and own["p99"] <= 25
    yield Row("G17", "own share, received to first API call: p50, p99", "≤ 5, ≤ 25 ms", "p50 ≤ 2 ms", measured, holds, own["p50"] <= 2)
    measured = f"{bare:.2f}× ({m['visible_ms']['p50']:.0f} ms); {same:.2f}× had it read the issue and its blockers too"
    yield Row("G17", "event to label and comment visible, to a bare handler that writes the two", "≤ 1.15×", "–", measured, bare <= 1.15)


def g18(m):
    echoes, siblings = m["echo_calls"], m["siblings"]
    measured = f"{echoes} calls for {m['echoes']} echoes; {siblings['deliveries']} deliveries: {siblings['evaluations']} evaluation"
    holds = echoes == 0 and siblings["evaluations"] == 1 and siblings["deliveries"] >= 3
    yield Row("G18", "API calls for our own changes; evaluations of one new issue", "0; 1 for 3 deliveries", "–", measured, holds)


ROWS = {"G16": g16, "G17": g17, "G18": g18}
