"""Everything this starts, so that nothing of it outlives this."""

import atexit
import signal
import socket
import subprocess
import sys
import time

STARTED = []
LISTENS_WITHIN_S = 30


def start(argv, log=subprocess.DEVNULL, env=None, **more):
    child = subprocess.Popen([str(part) for part in argv], env=env, **more, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=log)
    STARTED.append(child)
    return child


def stop(child):
    """Lets it end in good order, and ends it where it does not."""
    if child.poll() is None:
        child.terminate()
        try:
            child.wait(10)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
    if child in STARTED:
        STARTED.remove(child)


def stop_all():
    """The last one first: it may need those before it."""
    for child in reversed(STARTED.copy()):
        stop(child)


def free_port():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


def wait_for_port(child, port, what):
    began = time.monotonic()
    while time.monotonic() - began < LISTENS_WITHIN_S:
        try:
            socket.create_connection(("127.0.0.1", port), 0.2).close()
            return
        except OSError:
            if child.poll() is not None:
                break
            time.sleep(0.002)
    sys.exit(f"`{what}` did not listen")


def run(argv, seconds, **more):
    """Runs a program to its end and gives what it printed."""
    child = subprocess.Popen([str(part) for part in argv], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **more)
    STARTED.append(child)
    try:
        out, err = child.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        sys.exit(f"`{argv[0]}` did not end within {seconds} s")
    finally:
        stop(child)
    if child.returncode:
        sys.exit(f"`{argv[0]}` failed: {err.strip()[-600:]}")
    return out


atexit.register(stop_all)
signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
