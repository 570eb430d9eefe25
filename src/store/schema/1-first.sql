-- One row for each delivery ever accepted: what it was, and how it ended. Bodies are apart, so that
-- walking the inbox does not walk the payloads.
CREATE TABLE delivery (
    seq         INTEGER PRIMARY KEY,
    id          BLOB    NOT NULL,
    origin      TEXT    NOT NULL CHECK (origin IN ('webhook', 'sweep', 'manual', 'wake', 'agent')),
    received_at INTEGER NOT NULL,
    event       TEXT    NOT NULL,
    scope       TEXT,
    state       TEXT    NOT NULL DEFAULT 'received'
                CHECK (state IN ('received', 'pending', 'claimed', 'done', 'ignored', 'dead')),
    lane        INTEGER REFERENCES lane (id),
    action      TEXT,
    evaluation  INTEGER REFERENCES evaluation (id),
    settled_at  INTEGER,
    reason      TEXT,
    repeats     INTEGER NOT NULL DEFAULT 0,
    repeated_at INTEGER,
    CHECK ((state IN ('done', 'ignored', 'dead')) = (settled_at IS NOT NULL)),
    CHECK (state NOT IN ('ignored', 'dead') OR reason IS NOT NULL),
    CHECK (state NOT IN ('pending', 'claimed', 'done') OR lane IS NOT NULL)
) STRICT;
CREATE INDEX delivery_received ON delivery (seq) WHERE state = 'received';
-- SQLite takes a partial index only for a query that repeats its condition, so every query for one of the two states
-- names both first.
CREATE INDEX delivery_open ON delivery (lane, seq) WHERE state IN ('pending', 'claimed');
CREATE INDEX delivery_evaluation ON delivery (evaluation) WHERE evaluation IS NOT NULL;
CREATE INDEX delivery_dead ON delivery (settled_at) WHERE state = 'dead';
CREATE INDEX delivery_dead_lane ON delivery (lane, settled_at) WHERE state = 'dead';
CREATE INDEX delivery_sweep ON delivery (received_at) WHERE origin = 'sweep';
-- For pages that list what came to an end, by how it ended and by issue; they say `settled_at IS NOT NULL`.
CREATE INDEX delivery_ended ON delivery (state, seq) WHERE settled_at IS NOT NULL;
CREATE INDEX delivery_ended_lane ON delivery (lane, seq) WHERE settled_at IS NOT NULL;

-- Where the delivery with an id is, up to the place that the fact `ids_upto` names; the ids after it stand in
-- `delivery` only (ids.rs).
CREATE TABLE delivery_id (
    id  BLOB    PRIMARY KEY,
    seq INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- The signed bytes of a delivery, packed (packing.rs); gone once it is older than `store.keep`.
CREATE TABLE body (
    seq   INTEGER PRIMARY KEY REFERENCES delivery (seq) ON DELETE CASCADE,
    bytes BLOB NOT NULL
) STRICT;

-- One row for each issue ever looked at. `seen` is what the last evaluation saw and its writes left: a digest, empty
-- when that is not known, and null when the issue was gone or never evaluated. A claimed lane is in exactly one worker's hands; `epoch` fences
-- a hand that comes back late. Dispatches up to `fresh_from` no longer count as tries: a person said to begin anew.
CREATE TABLE lane (
    id           INTEGER PRIMARY KEY,
    repo         TEXT    NOT NULL COLLATE NOCASE,
    number       INTEGER NOT NULL CHECK (number > 0),
    state        TEXT    NOT NULL DEFAULT 'idle' CHECK (state IN ('idle', 'due', 'claimed')),
    due_at       INTEGER,
    claimed_at   INTEGER,
    epoch        INTEGER NOT NULL DEFAULT 0,
    attempts     INTEGER NOT NULL DEFAULT 0,
    last_error   TEXT,
    priority     INTEGER NOT NULL DEFAULT 1,
    evaluated_at INTEGER,
    waits_for    TEXT,
    wait_p0      INTEGER NOT NULL DEFAULT 0,
    wait_score   INTEGER NOT NULL DEFAULT 0,
    wait_since   INTEGER NOT NULL DEFAULT 0,
    held         TEXT,
    fresh_from   INTEGER NOT NULL DEFAULT 0,
    chosen       TEXT,
    chosen_task  TEXT,
    seen         TEXT,
    seen_comments INTEGER NOT NULL DEFAULT 0,
    seen_open    INTEGER NOT NULL DEFAULT 0,
    CHECK ((state = 'due') = (due_at IS NOT NULL)),
    CHECK ((state = 'claimed') = (claimed_at IS NOT NULL)),
    UNIQUE (repo, number)
) STRICT;
CREATE INDEX lane_due ON lane (priority, due_at) WHERE state = 'due';
CREATE INDEX lane_claimed ON lane (id) WHERE state = 'claimed';
CREATE INDEX lane_waiting ON lane (waits_for) WHERE waits_for IS NOT NULL;
CREATE INDEX lane_held ON lane (id) WHERE held IS NOT NULL;

-- The ledger: what was concluded, what was written, who has what.
CREATE TABLE evaluation (
    id      INTEGER PRIMARY KEY,
    lane    INTEGER NOT NULL REFERENCES lane (id),
    at      INTEGER NOT NULL,
    action  TEXT    NOT NULL CHECK (action IN ('dispatch', 'flag', 'wait', 'skip', 'finish')),
    agent   TEXT,
    reason  TEXT    NOT NULL,
    verdict TEXT,
    signals TEXT    NOT NULL DEFAULT '[]'
) STRICT;
CREATE INDEX evaluation_lane ON evaluation (lane, id);
CREATE INDEX evaluation_at ON evaluation (at, action);

-- The newest evaluation of each issue, so that a page over many issues reads one narrow row of each. The trigger keeps
-- it, whoever writes an evaluation. An issue that is gone has no verdict; it keeps the title it had.
CREATE TABLE latest (
    lane       INTEGER PRIMARY KEY REFERENCES lane (id),
    evaluation INTEGER NOT NULL,
    at         INTEGER NOT NULL,
    action     TEXT    NOT NULL,
    agent      TEXT,
    reason     TEXT    NOT NULL,
    title      TEXT    NOT NULL,
    score      INTEGER
) STRICT;
CREATE UNIQUE INDEX latest_evaluation ON latest (evaluation);
CREATE INDEX latest_action ON latest (action, evaluation);
CREATE TRIGGER evaluation_latest AFTER INSERT ON evaluation BEGIN
    INSERT INTO latest VALUES (NEW.lane, NEW.id, NEW.at, NEW.action, NEW.agent, NEW.reason,
        coalesce(json_extract(NEW.verdict, '$.title'), ''), json_extract(NEW.verdict, '$.score'))
    ON CONFLICT (lane) DO UPDATE SET evaluation = excluded.evaluation, at = excluded.at, action = excluded.action,
        agent = excluded.agent, reason = excluded.reason, score = excluded.score,
        title = CASE excluded.title WHEN '' THEN latest.title ELSE excluded.title END;
END;

CREATE TABLE effect (
    id          INTEGER PRIMARY KEY,
    evaluation  INTEGER NOT NULL REFERENCES evaluation (id),
    lane        INTEGER NOT NULL REFERENCES lane (id),
    dispatch    INTEGER REFERENCES dispatch (id),
    kind        TEXT    NOT NULL CHECK (kind IN
                ('comment', 'edit', 'label', 'assignee', 'hand_off', 'reaction', 'unlabel', 'unassign', 'reopen')),
    value       TEXT    NOT NULL,
    digest      TEXT,
    state       TEXT    NOT NULL DEFAULT 'intended' CHECK (state IN ('intended', 'done', 'failed', 'withheld')),
    intended_at INTEGER NOT NULL,
    settled_at  INTEGER,
    forge_id    INTEGER,
    detail      TEXT,
    CHECK ((state = 'intended') = (settled_at IS NULL))
) STRICT;
CREATE INDEX effect_lane ON effect (lane, id);

-- `due_at` is when the dispatch has to be looked at although nothing may come: the next hand-off, the reminder, the
-- deadline. `counts` says that its end is one of the tries after which a person is asked.
CREATE TABLE dispatch (
    id          INTEGER PRIMARY KEY,
    key         TEXT    NOT NULL UNIQUE,
    lane        INTEGER NOT NULL REFERENCES lane (id),
    evaluation  INTEGER REFERENCES evaluation (id),
    agent       TEXT    NOT NULL,
    task_type   TEXT    NOT NULL,
    state       TEXT    NOT NULL CHECK (state IN
                ('pending', 'assigned', 'in_progress', 'completed', 'failed', 'escalated', 'timed_out')),
    opened_at   INTEGER NOT NULL,
    deadline_at INTEGER NOT NULL,
    ended_at    INTEGER,
    detail      TEXT,
    by_person   INTEGER NOT NULL DEFAULT 0,
    failures    INTEGER NOT NULL DEFAULT 0,
    counts      INTEGER NOT NULL DEFAULT 0,
    due_at      INTEGER,
    reminded_at INTEGER,
    CHECK ((state IN ('pending', 'assigned', 'in_progress')) = (ended_at IS NULL)),
    CHECK (ended_at IS NULL OR due_at IS NULL)
) STRICT;
CREATE UNIQUE INDEX dispatch_open ON dispatch (lane) WHERE ended_at IS NULL;
CREATE INDEX dispatch_load ON dispatch (agent) WHERE ended_at IS NULL;
CREATE INDEX dispatch_agent ON dispatch (agent, state);
CREATE INDEX dispatch_lane ON dispatch (lane, id);
CREATE INDEX dispatch_escalated ON dispatch (lane) WHERE state = 'escalated';
CREATE INDEX dispatch_due ON dispatch (due_at) WHERE due_at IS NOT NULL;

-- Each change of a dispatch's state, with what it came from.
CREATE TABLE transition (
    id         INTEGER PRIMARY KEY,
    dispatch   INTEGER NOT NULL REFERENCES dispatch (id),
    at         INTEGER NOT NULL,
    state      TEXT    NOT NULL,
    cause      TEXT    NOT NULL,
    evaluation INTEGER REFERENCES evaluation (id)
) STRICT;
CREATE INDEX transition_dispatch ON transition (dispatch, id);

-- The issues that an issue waits for, so that it is looked at again when one of them closes.
CREATE TABLE blocker (
    lane   INTEGER NOT NULL REFERENCES lane (id),
    repo   TEXT    NOT NULL COLLATE NOCASE,
    number INTEGER NOT NULL,
    PRIMARY KEY (lane, repo, number)
) STRICT, WITHOUT ROWID;
CREATE INDEX blocker_of ON blocker (repo, number);

-- What a person took off an issue; it is not put back until a person says so.
CREATE TABLE removed (
    lane  INTEGER NOT NULL REFERENCES lane (id),
    kind  TEXT    NOT NULL,
    value TEXT    NOT NULL,
    at    INTEGER NOT NULL,
    PRIMARY KEY (lane, kind, value)
) STRICT, WITHOUT ROWID;

-- The comments whose commands were answered, and, as negative numbers, the entries of the inbox that held an order:
-- one answer each, however often they come.
CREATE TABLE command (
    comment INTEGER PRIMARY KEY,
    lane    INTEGER NOT NULL REFERENCES lane (id),
    at      INTEGER NOT NULL
) STRICT;

-- How far the sweep has come in each repository: when its last pass and its last full pass began, and from when on
-- (on the forge's clock) the next one has to ask for changes.
CREATE TABLE sweep (
    repo      TEXT    PRIMARY KEY,
    passed_at INTEGER NOT NULL,
    full_at   INTEGER NOT NULL,
    since     INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- One row for each daily summary that was ever begun: written down before its request leaves, so that one repository
-- and day has one hand at a time and, in the end, one issue. `again_at` is when another hand may take it up;
-- `until` is the moment up to which it tells what happened.
CREATE TABLE summary (
    repo      TEXT    NOT NULL COLLATE NOCASE,
    day       TEXT    NOT NULL CHECK (day GLOB '[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]'),
    state     TEXT    NOT NULL CHECK (state IN ('intended', 'posted', 'failed', 'withheld')),
    until     INTEGER NOT NULL,
    attempts  INTEGER NOT NULL DEFAULT 0 CHECK (attempts >= 0),
    again_at  INTEGER,
    number    INTEGER CHECK (number > 0),
    tidied_at INTEGER,
    closed_at INTEGER,
    detail    TEXT,
    CHECK ((state = 'posted') = (number IS NOT NULL)),
    CHECK (state = 'posted' OR (tidied_at IS NULL AND closed_at IS NULL)),
    CHECK (state <> 'intended' OR again_at IS NOT NULL),
    PRIMARY KEY (repo, day)
) STRICT, WITHOUT ROWID;

-- What the service must remember about itself, such as which account it writes as.
CREATE TABLE fact (
    name  TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- What the local agent noted about a repository; a note of the same topic replaces the one before.
CREATE TABLE note (
    repo  TEXT    NOT NULL COLLATE NOCASE,
    topic TEXT    NOT NULL,
    text  TEXT    NOT NULL,
    at    INTEGER NOT NULL,
    PRIMARY KEY (repo, topic)
) STRICT, WITHOUT ROWID;

-- What the local agent spent on an issue in a day, in milliseconds and tokens; `told` when a person was told that a
-- budget was used up.
CREATE TABLE spending (
    day    TEXT    NOT NULL CHECK (day GLOB '[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]'),
    repo   TEXT    NOT NULL COLLATE NOCASE,
    number INTEGER NOT NULL CHECK (number > 0),
    rounds INTEGER NOT NULL DEFAULT 0,
    tokens INTEGER NOT NULL DEFAULT 0,
    ms     INTEGER NOT NULL DEFAULT 0,
    told   INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (day, repo, number)
) STRICT, WITHOUT ROWID;

-- The parts into which the local agent would split an issue, until a person agrees and they are opened.
CREATE TABLE proposal (
    repo   TEXT    NOT NULL COLLATE NOCASE,
    number INTEGER NOT NULL CHECK (number > 0),
    parts  TEXT    NOT NULL,
    at     INTEGER NOT NULL,
    PRIMARY KEY (repo, number)
) STRICT, WITHOUT ROWID;
