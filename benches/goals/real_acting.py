"""G17 on a real Gitea: a delivery until label and comment stand, against the same two calls by a handler that knows
beforehand what to write."""

import contextlib
import hashlib
import hmac
import http.client
import json
import sqlite3
import statistics
import time

import processes
import real_gitea
from bench import SECRET
from row import Row, missing

WHAT = "the second on a real Gitea"
MUST = "≤ 1.15×"
PATIENCE_S = 30
LABEL = "claude-ready"
BUG = {
    "title": "[bug] Login crashes on an empty password",
    "body": "## Problem\nThe handler `login()` in src/auth/login.py should return 400.\n\n- [ ] pytest passes",
}


def measure(bench):
    if not real_gitea.is_there():
        return missing("G17", WHAT, MUST, "–", "no Gitea; set `GITEA_BIN`")
    gitea = real_gitea.RealGitea(bench)
    claude = {"username": "claude", "email": "claude@example.com", "password": "correct horse battery", "must_change_password": False}
    gitea.call("POST", "/api/v1/admin/users", claude)
    gitea.call("PUT", f"{real_gitea.REPO}/collaborators/claude", {"permission": "write"})
    ours, bare = Ours(bench, gitea), Bare(gitea)
    # The first of each makes the label, and opens connections.
    ours.act()
    bare.find_label()
    ways = {"ours": ours.act, "bare": bare.act, "reading": lambda: bare.act(reads=True)}
    took = bench.interleave(ways, 5 if bench.quick else 40)
    ours.stop()
    processes.stop(gitea.child)
    over = lambda other: statistics.median(a / b for a, b in zip(took["ours"], took[other]))
    measured = f"{over('bare'):.2f}× ({statistics.median(took['ours']) * 1e3:.0f} ms); {over('reading'):.2f}× had it read the issue and its blockers too"
    return Row("G17", WHAT, MUST, "–", measured, over("bare") <= 1.15)


class Client:
    """Calls over one connection that stays open."""

    def __init__(self, port, token=None):
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE_S)
        self.headers = {"Content-Type": "application/json"} | ({"Authorization": f"token {token}"} if token else {})

    def call(self, method, path, body=None, headers=None):
        self.connection.request(method, path, body, self.headers | (headers or {}))
        answer = self.connection.getresponse()
        text = answer.read()
        if answer.status >= 300:
            raise http.client.HTTPException(f"{method} {path}: {answer.status} {text[:200]}")
        return text


class Ours:
    """The program as it is used, but that the deliveries come from here: Gitea's queue takes up to two seconds."""

    def __init__(self, bench, gitea):
        self.gitea, self.home, port = gitea, bench.new_folder(), processes.free_port()
        (self.home / "config.toml").write_text(f"""
[gitea]
url = "http://127.0.0.1:{gitea.port}"
token = "{gitea.token}"
repos = ["bench/widgets"]
[server]
listen = "127.0.0.1:{port}"
[webhook]
secrets = ["{SECRET}"]
[store]
url = "sqlite:{self.home}/acting.db"
[sweep]
at_start = false
[[agent]]
id = "claude"
max_concurrent = 10000
""")
        self.child = processes.start([bench.program, "serve", "--config", self.home / "config.toml"])
        processes.wait_for_port(self.child, port, "serve")
        self.client = Client(port)

    def act(self):
        """Seconds from a delivery's being sent until label and comment stand."""
        issue = self.gitea.call("POST", f"{real_gitea.REPO}/issues", BUG)
        repo = self.gitea.call("GET", real_gitea.REPO)
        delivery = {"action": "opened", "number": issue["number"], "issue": issue, "repository": repo, "sender": issue["user"]}
        body = json.dumps(delivery).encode()
        headers = {
            "X-Gitea-Event": "issues",
            "X-Gitea-Delivery": f"00000000-0000-4000-8000-{issue['number']:012}",
            "X-Gitea-Signature": hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest(),
        }
        took = self.gitea.until_visible(issue["id"], lambda: self.client.call("POST", "/webhook", body, headers))
        self.wait_until_done()
        return took

    def wait_until_done(self):
        """What comes after label and comment must not meet the next measurement."""
        began = time.monotonic()
        with contextlib.closing(sqlite3.connect(self.home / "acting.db", timeout=PATIENCE_S)) as db:
            while db.execute("SELECT EXISTS (SELECT 1 FROM delivery WHERE settled_at IS NULL)").fetchone()[0]:
                if time.monotonic() - began > PATIENCE_S:
                    raise TimeoutError("an issue was not decided")
                time.sleep(0.01)

    def stop(self):
        processes.stop(self.child)


class Bare:
    """A handler that has its delivery already."""

    def __init__(self, gitea):
        self.gitea, self.client, self.label = gitea, Client(gitea.port, gitea.token), 0

    def find_label(self):
        labels = json.loads(self.client.call("GET", f"{real_gitea.REPO}/labels"))
        self.label = next(label["id"] for label in labels if label["name"] == LABEL)

    def act(self, reads=False):
        """Seconds for a comment and a label, after reading what blocks the issue where that is asked for."""
        issue = self.gitea.call("POST", f"{real_gitea.REPO}/issues", BUG)
        return self.gitea.until_visible(issue["id"], lambda: self.handle(issue["number"], reads))

    def handle(self, number, reads):
        at = f"{real_gitea.REPO}/issues/{number}"
        for path in [at, f"{at}/dependencies"] if reads else []:
            self.client.call("GET", path)
        self.client.call("POST", f"{at}/comments", json.dumps({"body": "triage: ready"}))
        self.client.call("POST", f"{at}/labels", json.dumps({"labels": [self.label]}))
