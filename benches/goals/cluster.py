"""A PostgreSQL server of our own that flushes each commit; it goes with its folder."""

import os
import pathlib
import pwd
import shutil
import subprocess
import tempfile

import processes

USER = "triage"


def programs():
    """The folder of the newest PostgreSQL's programs, or None."""
    found = shutil.which("initdb")
    versions = sorted(pathlib.Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: float(path.parts[4]))
    return versions[-1].parent if versions else pathlib.Path(found).resolve().parent if found else None


def login():
    """Who the server runs as: it refuses to be root's."""
    if os.geteuid() != 0:
        return {}
    try:
        owner = pwd.getpwnam("postgres")
    except KeyError:
        return None
    return {"user": owner.pw_uid, "group": owner.pw_gid, "extra_groups": []}


class Cluster:
    """A running server, reached by a socket in its folder."""

    def __init__(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="gitea-triage-goals-server-"))
        owner = login()
        if owner:
            os.chown(self.folder, owner["user"], owner["group"])
        data = self.folder / "data"
        made = [programs() / "initdb", "-D", data, "-U", USER, "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8"]
        subprocess.run(made, check=True, cwd="/", stdout=subprocess.DEVNULL, **owner)
        self.child = processes.start([programs() / "postgres", "-D", data, "-k", self.folder, "-c", "listen_addresses="], cwd="/", **owner)
        ready = ["-h", self.folder, "-U", USER, "-d", "postgres", "-q", "-t", "30"]
        while subprocess.run([programs() / "pg_isready", *ready], check=False).returncode:
            if self.child.poll() is not None:
                raise SystemExit("PostgreSQL did not start")

    def url(self, name):
        """A new database there."""
        subprocess.run([programs() / "createdb", "-h", self.folder, "-U", USER, name], check=True)
        return f"postgres://{USER}@{str(self.folder).replace('/', '%2F')}/{name}"

    def stop(self):
        processes.stop(self.child)
        shutil.rmtree(self.folder, ignore_errors=True)
