-- The work of runners on dispatches, one run a dispatch. `epoch` grows with each lease, `finished` is the last one whose
-- end was told; `leases` counts those of the present turn. `logged` is how many bytes the holder of the lease has sent of
-- its log. `past_tokens` and `past_cost` are what earlier leases used.
CREATE TABLE run (
    id           INTEGER PRIMARY KEY,
    dispatch     INTEGER NOT NULL UNIQUE REFERENCES dispatch (id),
    agent        TEXT    NOT NULL,
    state        TEXT    NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'leased', 'ended')),
    title        TEXT    NOT NULL,
    text_digest  TEXT    NOT NULL,
    prompt       BLOB,
    branch       TEXT    NOT NULL,
    created_at   INTEGER NOT NULL,
    turn         INTEGER NOT NULL DEFAULT 1 CHECK (turn > 0),
    runner       TEXT,
    request      TEXT,
    epoch        INTEGER NOT NULL DEFAULT 0,
    finished     INTEGER NOT NULL DEFAULT 0,
    leases       INTEGER NOT NULL DEFAULT 0,
    leased_until INTEGER,
    is_begun     INTEGER NOT NULL DEFAULT 0,
    pushed       TEXT    NOT NULL DEFAULT '[]',
    pull_request INTEGER,
    url          TEXT,
    tokens       INTEGER,
    cost         REAL,
    past_tokens  INTEGER,
    past_cost    REAL,
    event        TEXT,
    detail       TEXT,
    event_at     INTEGER,
    logged       INTEGER NOT NULL DEFAULT 0,
    left_out     INTEGER NOT NULL DEFAULT 0,
    outcome      TEXT CHECK (outcome IN ('done', 'no_change', 'failed', 'needs_person', 'cancelled')),
    message      TEXT,
    ended_at     INTEGER,
    CHECK ((state = 'leased') = (leased_until IS NOT NULL)),
    CHECK ((state = 'ended') = (ended_at IS NOT NULL)),
    CHECK (state <> 'ended' OR outcome IS NOT NULL)
) STRICT;
CREATE INDEX run_waiting ON run (agent, id) WHERE state = 'waiting';
CREATE INDEX run_leased ON run (leased_until) WHERE state = 'leased';
CREATE INDEX run_ended ON run (ended_at) WHERE prompt IS NOT NULL;
-- What was printed in a run, in pieces; those from its beginning are kept when it grows too long.
CREATE TABLE run_log (
    id      INTEGER PRIMARY KEY,
    run     INTEGER NOT NULL REFERENCES run (id),
    is_head INTEGER NOT NULL,
    bytes   INTEGER NOT NULL,
    text    BLOB    NOT NULL
) STRICT;
CREATE INDEX run_log_of ON run_log (run, id);
-- The runners that have called, as they said last.
CREATE TABLE runner (
    name    TEXT    PRIMARY KEY COLLATE NOCASE,
    version TEXT    NOT NULL,
    agents  TEXT    NOT NULL,
    places  INTEGER NOT NULL,
    seen_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
