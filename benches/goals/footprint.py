"""G12 and G13: memory, idle and under load, and the way from nothing to the first answer."""

import hashlib
import hmac
import http.client
import json
import statistics
import threading
import time
import uuid

import disk
import machine
import processes
import servers
from bench import SECRET, say
from row import Row

GOALS = ["G12", "G13"]
SETTLE_S = 3
ANSWERS_WITHIN_S = 30


def measure(bench, goals):
    measured = {"G12": memory, "G13": start_up}
    return [measured[goal](bench) for goal in goals]


def memory(bench):
    seconds = 10 if bench.quick else 60
    say(f"memory, {seconds} s at c256")
    server = servers.Ours(bench)
    time.sleep(SETTLE_S)
    idle = machine.rss_mib(server.child.pid)
    seen, done = [], threading.Event()
    watcher = threading.Thread(target=watch, args=(server.child.pid, seen, done))
    watcher.start()
    bench.drive(server, "c256", seconds=seconds)
    done.set()
    watcher.join()
    server.stop()
    half = len(seen) // 2
    busy, growth = max(seen[half:]), max(seen[half:]) / max(seen[:half])
    peer = octokit_idle(bench)
    measured = f"{idle:.1f} MiB ({f'{idle / peer:.2f}× octokit' if peer else 'octokit not installed'}); {busy:.1f} MiB, {growth:.2f}× its first half"
    holds = idle <= 20 and busy <= 64 and growth <= 1.1 and (not peer or idle <= 0.5 * peer)
    what, must = f"memory: idle; after {seconds} s at c256", "≤ 20 MiB, ≤ 0.5× octokit; ≤ 64 MiB and flat"
    return Row("G12", what, must, "idle ≤ 12 MiB", measured, holds, idle <= 12)


def watch(pid, seen, done):
    while not done.wait(0.25):
        seen.append(machine.rss_mib(pid))


def octokit_idle(bench):
    start = servers.peer(bench, "octokit")
    if not start:
        return None
    server = start()
    time.sleep(SETTLE_S)
    idle = machine.rss_mib(server.child.pid)
    server.stop()
    return idle


def start_up(bench):
    say("start-up")
    turns = 3 if bench.quick else 9
    full = disk.filled(bench, disk.MANY)
    peer = servers.peer(bench, "octokit")
    runs = {
        "empty": lambda: first_answer(bench, lambda port: servers.ours(bench, bench.new_folder(), port)),
        "full": lambda: first_answer(bench, lambda port: servers.ours(bench, full, port)),
    }
    if peer:
        runs["octokit"] = lambda: first_answer(bench, lambda port: ["node", bench.folder / "octokit" / "octokit.mjs", port, SECRET])
    took = {name: statistics.median(times) for name, times in bench.interleave(runs, turns).items()}
    to_peer = f"{took['empty'] / took['octokit']:.2f}× octokit" if peer else "octokit not installed"
    measured = f"{took['empty']:.0f} ms; {took['full']:.0f} ms ({to_peer})"
    slowest = max(took["empty"], took["full"])
    holds = slowest <= 100 and (not peer or slowest <= 0.5 * took["octokit"])
    return Row("G13", "start to first 2xx: empty; with 1e6 deliveries", "≤ 100 ms, ≤ 0.5× octokit", "≤ 30 ms", measured, holds, slowest <= 30)


def first_answer(bench, argv):
    """ms from the start of the process to its first good answer to a delivery."""
    port = processes.free_port()
    body = json.loads(bench.payloads.open().readline()).encode()
    command = argv(port)
    began = time.monotonic()
    child = processes.start(command)
    while time.monotonic() - began < ANSWERS_WITHIN_S:
        try:
            if 200 <= post(port, body) < 300:
                break
        except OSError:
            time.sleep(0.001)
    took = (time.monotonic() - began) * 1000
    processes.stop(child)
    return took


def post(port, body):
    signature = hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()
    delivery = str(uuid.uuid4())
    headers = {"Content-Type": "application/json", "X-Gitea-Signature": signature, "X-Gitea-Event": "issues", "X-Gitea-Delivery": delivery}
    headers |= {"X-GitHub-Delivery": delivery, "X-GitHub-Event": "issues", "X-Hub-Signature-256": f"sha256={signature}"}
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("POST", "/webhook", body, headers)
        return connection.getresponse().status
    finally:
        connection.close()
