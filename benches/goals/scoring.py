"""G14: scoring, against plain Python on the same issues and against a bare walk of the same words."""

import json
import pathlib
import random
import subprocess
import sys

import processes
from bench import WORDS, cargo_bench, say
from row import Row

GOALS = ["G14"]
PLAIN = pathlib.Path(__file__).resolve().parent / "plain_scoring.py"
NOW = "2026-03-23T12:00:00Z"
POOR = "the importer loses its place when someone opens a page and goes back to it on two machines since yesterday".split(" ")
LABELS = ["bug", "feature", "refactor", "rfc", "spike", "p0", "loop-generated", "area/app"]


def measure(bench, _goals):
    count = 500 if bench.quick else 5000
    say(f"scoring {count} issues")
    corpus = write_issues(bench.folder / "issues.jsonl", count)
    plain = subprocess.run([sys.executable, PLAIN, corpus], check=True, capture_output=True, text=True, timeout=600)
    scored = processes.run([bench.program, "score", "--json", "--now", NOW, corpus], 600)
    different = compare(plain.stdout, scored)
    took, python_us = cargo_bench("corpus", corpus), float(plain.stderr)
    to_python, to_scan = python_us / took["verdict_us"], took["verdict_us"] / took["scan_us"]
    measured = f"{different} of {count} different; {to_python:.0f}×; {to_scan:.2f}× ({took['verdict_us']:.1f} µs an issue)"
    holds, best = not different and to_python >= 25 and to_scan <= 5, to_python >= 60 and to_scan <= 2.5
    what, must = "scoring: as plain Python does; faster than it; to the bare DFA scan", "identical; ≥ 25×; ≤ 5×"
    return [Row("G14", what, must, "≥ 60×; ≤ 2.5×", measured, holds, best)]


def compare(plain, scored):
    """How many issues were scored differently."""
    different = 0
    ours, others = ([json.loads(line) for line in text.splitlines()] for text in (scored, plain))
    assert len(ours) == len(others), "an issue was left out"
    for mine, other in zip(ours, others):
        different += any(mine[key] != value for key, value in other.items())
    return different


def write_issues(path, count):
    """Issues of 0.2 to 20 KB, 40 % poor in keywords, 40 % mixed, 20 % rich."""
    pick, rich = random.Random(7), WORDS.split(" ")
    mixed = POOR * 3 + rich
    with path.open("w") as file:
        for number in range(1, count + 1):
            words = pick.choices([POOR, mixed, rich], [40, 40, 20])[0]
            size, body = int(200 * 100 ** pick.random()), ""
            while len(body) < size:
                body += " ".join(pick.choices(words, k=12)) + "\n"
            title = pick.choice(["[Bug] ", "[Feature] ", "", "[P0][bug] ", "[rfc] "]) + " ".join(pick.choices(words, k=7))
            labels = [{"name": label} for label in pick.sample(LABELS, pick.randint(0, 2))]
            issue = {"number": number, "title": title, "body": body, "labels": labels, "assignees": None, "state": "open", "created_at": "2026-03-20T10:00:00Z"}
            file.write(json.dumps(issue) + "\n")
    return path
