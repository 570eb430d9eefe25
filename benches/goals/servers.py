"""The servers that are compared: ours, the durable reference, and peers where they are installed."""

import importlib.util
import json
import os
import pathlib
import shutil
import subprocess
import sys
import time

import processes
from bench import SECRET, say

HERE = pathlib.Path(__file__).resolve().parent
SETTLE_S = 0.5


class Server:
    """A running server."""

    def __init__(self, argv, path="/webhook", env=None, log=None, port=None):
        self.port = port or processes.free_port()
        self.path = path
        self.log = log
        command = argv(self.port)
        stderr = log.open("ab") if log else subprocess.DEVNULL
        self.child = processes.start(command, stderr, {**os.environ, **(env or {})})
        processes.wait_for_port(self.child, self.port, command[0])
        time.sleep(SETTLE_S)

    def stop(self):
        processes.stop(self.child)


class Ours(Server):
    """The program, over a database of its own; it takes deliveries and works nothing off."""

    def __init__(self, bench, home=None, url=None):
        self.home = home or bench.new_folder()
        self.database = self.home / "goals.db"
        port = processes.free_port()
        super().__init__(lambda port: ours(bench, self.home, port, url or f"sqlite:{self.database}"), log=self.home / "log", port=port)


def ours(bench, home, port, url):
    """The command that starts the program."""
    (home / "config.toml").write_text(f"""
[gitea]
url = "http://127.0.0.1:9"
token = "none"
repos = ["acme/widgets"]
[server]
listen = "127.0.0.1:{port}"
[webhook]
secrets = ["{SECRET}"]
[store]
url = "{url}"
[worker]
concurrency = 0
[sweep]
at_start = false
""")
    return [bench.program, "serve", "--config", home / "config.toml"]


def reference(bench, url=None, *more):
    database = url or bench.new_folder() / "reference.db"
    return Server(lambda port: [bench.reference, "--port", port, "--database", database, "--secret", SECRET, *more])


def peer(bench, name):
    """A peer's way to start, or None where it is not installed."""
    return {"webhook": webhook_idle, "webhook, spawning": webhook_spawning, "octokit": octokit, "fastapi": fastapi}[name](bench)


def webhook_spawning(bench):
    """adnanh/webhook (Debian package `webhook`) that runs /bin/true for each delivery."""
    rule = {"match": {"type": "payload-hmac-sha256", "secret": SECRET, "parameter": {"source": "header", "name": "X-Gitea-Signature"}}}
    return webhook(bench, rule)


def webhook_idle(bench):
    """The same with a rule that never fits once the signature does, so that it runs nothing."""
    signed = {"match": {"type": "payload-hmac-sha256", "secret": SECRET, "parameter": {"source": "header", "name": "X-Gitea-Signature"}}}
    never = {"match": {"type": "value", "value": "never", "parameter": {"source": "payload", "name": "action"}}}
    return webhook(bench, {"and": [signed, never]})


def webhook(bench, rule):
    if not shutil.which("webhook"):
        return None
    hooks = bench.new_folder() / "hooks.json"
    hook = {"id": "hook", "execute-command": "/bin/true", "http-methods": ["POST"], "trigger-rule-mismatch-http-response-code": 200, "trigger-rule": rule}
    hooks.write_text(json.dumps([hook]))
    return lambda: Server(lambda port: ["webhook", "-ip", "127.0.0.1", "-port", port, "-hooks", hooks], "/hooks/hook")


def octokit(bench):
    """@octokit/webhooks 14 with a handler that does nothing."""
    if not (shutil.which("node") and shutil.which("npm")):
        return None
    home = bench.folder / "octokit"
    if not home.exists():
        say("installing @octokit/webhooks")
        home.mkdir()
        shutil.copy(HERE / "octokit.mjs", home)
        install = ["npm", "install", "--silent", "--no-audit", "--no-fund", "--prefix", home, "@octokit/webhooks@14"]
        subprocess.run(install, check=False, timeout=120, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    if not (home / "node_modules" / "@octokit" / "webhooks").exists():
        return None
    return lambda: Server(lambda port: ["node", home / "octokit.mjs", port, SECRET], env={"NODE_ENV": "production"})


def fastapi(bench):
    """FastAPI on uvicorn that verifies and scores as the loop this program replaces did."""
    python = sys.executable
    if not (importlib.util.find_spec("fastapi") and importlib.util.find_spec("uvicorn")):
        python = with_packages(bench, "fastapi", "uvicorn")
    return python and (lambda: Server(lambda port: [python, HERE / "fastapi_peer.py", port, SECRET]))


def with_packages(bench, *packages):
    """A Python that has these packages, in a folder that goes with this; None where they cannot be had."""
    home = bench.folder / "python"
    if not home.exists():
        say(f"installing {', '.join(packages)}")
        for command in (["-m", "venv", home], ["-m", "pip", "install", "--quiet", *packages]):
            python = home / "bin" / "python" if command[1] == "pip" else sys.executable
            done = subprocess.run([python, *command], check=False, timeout=180, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            if done.returncode:
                return None
    return home / "bin" / "python"
