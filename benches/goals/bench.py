"""One run of the goals: what was built, where files go, how long a measurement takes, and the calls of the driver."""

import json
import pathlib
import random
import shutil
import statistics
import subprocess
import sys
import tempfile

import processes

PROJECT = pathlib.Path(__file__).resolve().parents[2]
SECRET = "goals-secret"
CANARY = "canary-of-the-body"
WARMUP_S = 0.5
# A just-in-time compiler needs thousands of deliveries to get to its speed: a fresh octokit among busy neighbours cost
# 353, 256, 113, 95, 72 µs a delivery in its first five seconds. Measured cold, a peer makes us look four times better.
WARM_COUNT, WARM_S = 10_000, 10


class Bench:
    def __init__(self, asked):
        self.quick = asked.quick
        self.given = asked.program
        self.rounds = asked.rounds or (2 if asked.quick else 5)
        self.latency_rounds = asked.rounds or (2 if asked.quick else 9)
        self.seconds = asked.seconds or (1 if asked.quick else 3)
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="gitea-triage-goals-"))

    def prepare(self):
        """Builds everything, and copies it: another build must not change what is being measured."""
        say("building")
        bins = self.folder / "bin"
        bins.mkdir()
        self.program = shutil.copy2(self.given or build(PROJECT) / "gitea-triage", bins)
        load = build(PROJECT / "benches" / "load")
        self.driver = shutil.copy2(load / "driver", bins)
        self.reference = shutil.copy2(load / "reference", bins)
        self.payloads = write_payloads(self.folder)

    def clean_up(self):
        shutil.rmtree(self.folder, ignore_errors=True)

    def new_folder(self):
        return pathlib.Path(tempfile.mkdtemp(dir=self.folder))

    def drive(self, server, load, *more, seconds=None, warmup=WARMUP_S):
        """Runs one load against a server: `c32`, `o1000`."""
        seconds = seconds or self.seconds
        how = ["--connections", load[1:]] if load[0] == "c" else ["--rate", load[1:], "--connections", 256]
        argv = [self.driver, "--addr", f"127.0.0.1:{server.port}", "--path", server.path, "--secret", SECRET]
        argv += ["--payloads", self.payloads, "--pid", server.child.pid, "--seconds", seconds, "--warmup", warmup]
        return json.loads(processes.run([*argv, *how, *more], seconds + 60))

    def warm(self, name, server):
        say(f"warming {name}")
        self.drive(server, "c32", "--count", WARM_COUNT, seconds=WARM_S, warmup=0)

    def interleave(self, measurements, rounds=None):
        """Runs named measurements in turning order; name -> one result a round."""
        results = {name: [] for name in measurements}
        for turn in range(rounds or self.rounds):
            names = list(measurements)[:: 1 if turn % 2 == 0 else -1]
            for name in names:
                results[name].append(measurements[name]())
        return results


def build(project):
    """Builds a project for release; the folder with its programs."""
    manifest = ["--manifest-path", project / "Cargo.toml"]
    subprocess.run(["cargo", "build", "--release", "--locked", "--quiet", *manifest], check=True)
    about = subprocess.run(["cargo", "metadata", "--no-deps", "--format-version", "1", *manifest], check=True, capture_output=True)
    return pathlib.Path(json.loads(about.stdout)["target_directory"]) / "release"


def cargo_bench(name, *arguments):
    """Runs a benchmark of the project that prints JSON on its last line."""
    argv = ["cargo", "bench", "--locked", "--quiet", "--manifest-path", PROJECT / "Cargo.toml", "--bench", name, "--", *arguments]
    return json.loads(processes.run(argv, 1800).strip().splitlines()[-1])


def ratio(results, ours, other, key):
    """The median of the ratios paired within a round."""
    return statistics.median(a[key] / max(b[key], 1e-9) for a, b in zip(results[ours], results[other]))


def median(results, name, key):
    return statistics.median(result[key] for result in results[name])


def say(what):
    print(f"… {what}", file=sys.stderr, flush=True)


def write_payloads(folder):
    """256 bodies of 9-12 KB in the shape of a recorded delivery, one JSON string a line."""
    recorded = (PROJECT / "fixtures" / "02-issues-opened-bug.http").read_bytes()
    body = recorded.replace(b"\r\n", b"\n").partition(b"\n\n")[2]
    pick, words = random.Random(7), WORDS.split(" ")
    path = folder / "payloads.jsonl"
    with path.open("w") as file:
        for number in range(1, 257):
            payload = json.loads(body)
            issue = payload["issue"]
            payload["number"] = issue["number"] = number
            issue["title"] = pick.choice(["[Bug] ", "[Feature] ", "", "[P0] "]) + " ".join(pick.choices(words, k=7))
            issue["body"], size = CANARY + "\n", pick.randint(9000, 12000)
            while len(text := json.dumps(payload, indent=2)) < size:
                issue["body"] += " ".join(pick.choices(words, k=12)) + "\n"
            file.write(json.dumps(text) + "\n")
    return path


WORDS = 'router timeout agent test must should expect src/agent.py def run(self) config retry memory session schema the of and to ## Problem assert pytest café <b>x</b> & "q"'
