"""G8 and G9: that an accepted delivery was flushed, and that a full database is no slower than an empty one."""

import contextlib
import sqlite3
import time

import machine
import servers
from bench import ratio, say
from row import Row, missing

GOALS = ["G8", "G9"]
FEW, MANY = 10_000, 1_000_000
LANES = 2_000


def measure(bench, goals):
    rows = []
    if "G8" in goals:
        rows.append(durability(bench))
    if "G9" in goals:
        rows.append(growth(bench))
    return rows


def durability(bench):
    what = "device flushes per 2xx: one by one; at c32"
    must, stretch = "≥ 1.0; kill -9 loses nothing", "c32 ≤ 0.25"
    disk = machine.disk_of(bench.folder)
    if disk is None or machine.flushes(disk) is None:
        return missing("G8", what, must, stretch, "this disk counts no flushes")
    say("flushes")
    per_answer = {}
    for name, server in (("ours", servers.Ours(bench)), ("reference", servers.reference(bench))):
        per_answer[name] = [flushes_each(bench, server, disk, *load) for load in (("c1", 200 if bench.quick else 1000), ("c32", 5000))]
        server.stop()
    (alone, grouped), (its_alone, its_grouped) = per_answer["ours"], per_answer["reference"]
    measured = f"{alone:.2f}; {grouped:.2f} (reference {its_alone:.2f}; {its_grouped:.2f}); kills: `cargo test --test faults killed`"
    # Other programs flush the same disk: what they do is taken off by estimate, and the kernel makes one of two flushes
    # that come together. So a little below one is one, and on a busy disk the reference says what one is.
    return Row("G8", what, must, stretch, measured, alone >= 0.95 * min(1, its_alone) and alone > 0.5, grouped <= 0.25)


def flushes_each(bench, server, disk, load, count):
    """Flushes per good answer, without those that the disk sees anyway."""
    idle = background(disk)
    before, began = machine.flushes(disk), time.monotonic()
    result = bench.drive(server, load, "--count", count, seconds=60, warmup=0)
    took, seen = time.monotonic() - began, machine.flushes(disk) - before
    idle = min(idle, background(disk))
    return (seen - idle * took) / max(result["ok"], 1)


def background(disk):
    before = machine.flushes(disk)
    time.sleep(1)
    return machine.flushes(disk) - before


def growth(bench):
    say(f"{MANY:,} deliveries")
    running = {name: servers.Ours(bench, filled(bench, rows)) for name, rows in (("few", FEW), ("many", MANY))}
    latency, rate = (bench.interleave({name: (lambda server=server: bench.drive(server, load)) for name, server in running.items()}) for load in ("o1000", "c32"))
    for server in running.values():
        server.stop()
    p50, p99, rps = ratio(latency, "many", "few", "p50_us"), ratio(latency, "many", "few", "p99_us"), ratio(rate, "many", "few", "rps")
    measured = f"{rps:.2f}×; {p50:.2f}× (p99 {p99:.2f}×)"
    what = "1e6 finished deliveries to 1e4: c32 rate; o1000 p50"
    return Row("G9", what, "≥ 0.85×; ≤ 1.15×", "p99 ≤ 1.5×", measured, rps >= 0.85 and p50 <= 1.15, p99 <= 1.5)


def filled(bench, rows):
    """A folder with a database of that many finished deliveries; made once in a run."""
    home = bench.folder / f"filled-{rows}"
    if not home.exists():
        home.mkdir()
        servers.Ours(bench, home).stop()
        fill(home / "goals.db", rows)
    return home


def fill(database, rows):
    """Writes them past the program, whose schema it is; indexes are made afterwards, which is much faster."""
    with contextlib.closing(sqlite3.connect(database, isolation_level=None)) as db:
        db.executescript("PRAGMA synchronous = OFF; PRAGMA cache_size = -400000; PRAGMA temp_store = MEMORY;")
        indexes = db.execute("SELECT name, sql FROM sqlite_master WHERE tbl_name = 'delivery' AND type = 'index' AND sql IS NOT NULL").fetchall()
        db.execute("BEGIN")
        for name, _ in indexes:
            db.execute(f'DROP INDEX "{name}"')
        db.execute(f"WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {LANES}) INSERT INTO lane (repo, number) SELECT 'acme/widgets', i FROM n")
        now = int(time.time() * 1000)
        db.execute(
            f"""WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {rows})
            INSERT INTO delivery (id, origin, received_at, event, state, lane, action, settled_at)
            SELECT randomblob(16), 'webhook', {now} - {rows} + i, 'issues', 'done', i % {LANES} + 1, 'issues/edited', {now} FROM n"""
        )
        db.execute("INSERT INTO delivery_id SELECT id, seq FROM delivery ORDER BY id")
        db.execute("INSERT INTO fact SELECT 'ids_upto', max(seq) FROM delivery")
        for _, sql in indexes:
            db.execute(sql)
        db.execute("COMMIT")
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
