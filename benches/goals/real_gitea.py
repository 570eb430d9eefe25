"""A real Gitea in a folder of its own, with one repository full of issues. It goes with this."""

import contextlib
import http.client
import json
import os
import random
import sqlite3
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import processes

REPO = "/api/v1/repos/bench/widgets"
# The largest page it gives by default.
PAGE = 50
STARTS_WITHIN_S = 120
ACTED_WITHIN_S = 30
WRITERS = 4

SETTINGS = """
RUN_MODE = prod
I_AM_BEING_UNSAFE_RUNNING_AS_ROOT = true
[server]
HTTP_ADDR = 127.0.0.1
HTTP_PORT = {port}
ROOT_URL = http://127.0.0.1:{port}/
OFFLINE_MODE = true
DISABLE_SSH = true
LFS_START_SERVER = false
{static}
[database]
DB_TYPE = sqlite3
PATH = {folder}/gitea.db
SQLITE_JOURNAL_MODE = WAL
SQLITE_TIMEOUT = 5000
[security]
INSTALL_LOCK = true
SECRET_KEY = not-a-secret
PASSWORD_HASH_ALGO = pbkdf2_v1
[service]
DISABLE_REGISTRATION = true
[indexer]
ISSUE_INDEXER_TYPE = db
[actions]
ENABLED = false
[cron]
ENABLED = false
[log]
MODE = console
LEVEL = warn
"""


def is_there():
    return bool(os.environ.get("GITEA_BIN"))


class RealGitea:
    """Started, with a token for its admin."""

    def __init__(self, bench):
        self.folder, self.port = bench.new_folder(), processes.free_port()
        root = os.environ.get("GITEA_STATIC_ROOT")
        static = f"STATIC_ROOT_PATH = {root}" if root else ""
        (self.folder / "app.ini").write_text(SETTINGS.format(port=self.port, folder=self.folder, static=static))
        self.child = processes.start(self.command("web"), env=self.environment())
        self.wait_until_healthy()
        admin = ["--username", "bench", "--password", "correct horse battery", "--email", "bench@example.com"]
        self.run("admin", "user", "create", "--admin", "--must-change-password=false", *admin)
        self.token = self.run("admin", "user", "generate-access-token", "--username", "bench", "--scopes", "all", "--raw").split()[-1]
        self.call("POST", "/api/v1/user/repos", {"name": "widgets"})

    def command(self, *arguments):
        return [os.environ["GITEA_BIN"], "--work-path", self.folder, "--config", self.folder / "app.ini", *arguments]

    def environment(self):
        return {**os.environ, "HOME": str(self.folder)}

    def run(self, *arguments):
        done = subprocess.run(self.command(*arguments), env=self.environment(), capture_output=True, text=True, timeout=60)
        if done.returncode:
            sys.exit(f"`gitea {' '.join(arguments[:3])}` failed: {done.stderr.strip()[-300:]}")
        return done.stdout

    def wait_until_healthy(self):
        began = time.monotonic()
        while time.monotonic() - began < STARTS_WITHIN_S and self.child.poll() is None:
            try:
                return self.call("GET", "/api/healthz")
            except (OSError, http.client.HTTPException):
                time.sleep(0.1)
        sys.exit("Gitea did not get healthy")

    def call(self, method, path, body=None):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        headers = {"Content-Type": "application/json", "Authorization": f"token {getattr(self, 'token', '')}"}
        connection.request(method, path, json.dumps(body) if body else None, headers if hasattr(self, "token") else {})
        answer = connection.getresponse()
        text = answer.read()
        connection.close()
        if answer.status >= 300:
            raise http.client.HTTPException(f"{method} {path}: {answer.status} {text[:200]}")
        return json.loads(text) if text else None

    def fill(self, issues):
        """Opens that many issues, with bodies of some 4 KB."""
        pick, words = random.Random(15), "router timeout agent test must expect src/agent.py retry schema problem".split()

        def one(number):
            body = " ".join(pick.choices(words, k=pick.randint(100, 1100)))
            self.call("POST", f"{REPO}/issues", {"title": f"[bug] case {number}", "body": body})

        with ThreadPoolExecutor(WRITERS) as writers:
            list(writers.map(one, range(issues)))
        # A day old, so that nothing counts as changed just now.
        with contextlib.closing(sqlite3.connect(self.folder / "gitea.db", timeout=30)) as db, db:
            db.execute("UPDATE issue SET created_unix = created_unix - 86400, updated_unix = updated_unix - 86400")

    def until_visible(self, issue, act):
        """Seconds from the beginning of `act` until the issue has a comment and a label, as Gitea's database says."""
        stand = "SELECT EXISTS (SELECT 1 FROM comment WHERE issue_id = ?1 AND type = 0) AND EXISTS (SELECT 1 FROM issue_label WHERE issue_id = ?1)"
        with contextlib.closing(sqlite3.connect(self.folder / "gitea.db", timeout=30)) as db, ThreadPoolExecutor(1) as actor:
            began = time.monotonic()
            done = actor.submit(act)
            while not db.execute(stand, [issue]).fetchone()[0]:
                if time.monotonic() - began > ACTED_WITHIN_S:
                    sys.exit(f"issue {issue} has no comment and label")
                time.sleep(0.0005)
            took = time.monotonic() - began
            done.result()
        return took

    def page(self, number):
        return len(self.call("GET", f"{REPO}/issues?state=open&type=issues&limit={PAGE}&page={number}"))

    def list_all(self, issues, at_once):
        """Seconds for reading every page; the count is checked."""
        began = time.monotonic()
        with ThreadPoolExecutor(at_once) as readers:
            seen = sum(readers.map(self.page, range(1, -(-issues // PAGE) + 1)))
        if seen != issues:
            sys.exit(f"Gitea listed {seen} of {issues} issues")
        return time.monotonic() - began
