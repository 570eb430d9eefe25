-- The schema of an empty store. Made of the numbered steps: `NEWEST_SCHEMA=write cargo test newest`.
CREATE TABLE act (
    id   INTEGER PRIMARY KEY,
    at   INTEGER NOT NULL,
    who  TEXT    NOT NULL,
    what TEXT    NOT NULL,
    repo TEXT    COLLATE NOCASE
) STRICT;
CREATE TABLE agent_spending (
    agent  TEXT    PRIMARY KEY,
    tokens INTEGER,
    money  INTEGER
) STRICT, WITHOUT ROWID;
CREATE TABLE alternative (
    agent TEXT    NOT NULL,
    lane  INTEGER NOT NULL REFERENCES lane (id),
    PRIMARY KEY (agent, lane)
) STRICT, WITHOUT ROWID;
CREATE TABLE approval (
    lane        INTEGER PRIMARY KEY REFERENCES lane (id),
    approved_by TEXT    NOT NULL,
    at          INTEGER NOT NULL,
    way         TEXT    NOT NULL CHECK (way IN ('command', 'label', 'choice')),
    digest      TEXT    NOT NULL,
    edited_by   TEXT
) STRICT;
CREATE TABLE blocker (
    lane   INTEGER NOT NULL REFERENCES lane (id),
    repo   TEXT    NOT NULL COLLATE NOCASE,
    number INTEGER NOT NULL,
    PRIMARY KEY (lane, repo, number)
) STRICT, WITHOUT ROWID;
CREATE TABLE body (
    seq   INTEGER PRIMARY KEY REFERENCES delivery (seq) ON DELETE CASCADE,
    bytes BLOB NOT NULL
) STRICT;
CREATE TABLE "command" (
    id             INTEGER PRIMARY KEY,
    lane           INTEGER NOT NULL REFERENCES lane (id),
    source_comment INTEGER,
    source_entry   INTEGER,
    part           INTEGER NOT NULL DEFAULT 0,
    given_by       TEXT    NOT NULL DEFAULT '',
    command        TEXT    NOT NULL DEFAULT '',
    task_type      TEXT,
    state          TEXT    NOT NULL DEFAULT 'received'
                   CHECK (state IN ('received', 'applied', 'carried_out', 'refused', 'answered')),
    why            TEXT,
    at             INTEGER NOT NULL,
    told_at        INTEGER, given_by_id INTEGER,
    CHECK ((source_comment IS NULL) <> (source_entry IS NULL)),
    CHECK ((state = 'refused') = (why IS NOT NULL)),
    CHECK (told_at IS NULL OR state IN ('carried_out', 'refused', 'answered'))
) STRICT;
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
    repeated_at INTEGER, same_as BLOB,
    CHECK ((state IN ('done', 'ignored', 'dead')) = (settled_at IS NOT NULL)),
    CHECK (state NOT IN ('ignored', 'dead') OR reason IS NOT NULL),
    CHECK (state NOT IN ('pending', 'claimed', 'done') OR lane IS NOT NULL)
) STRICT;
CREATE TABLE delivery_id (
    id  BLOB    PRIMARY KEY,
    seq INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
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
    cause      TEXT,
    by_person   INTEGER NOT NULL DEFAULT 0,
    failures    INTEGER NOT NULL DEFAULT 0,
    counts      INTEGER NOT NULL DEFAULT 0,
    due_at      INTEGER,
    reminded_at INTEGER, worked_by INTEGER,
    CHECK ((state IN ('pending', 'assigned', 'in_progress')) = (ended_at IS NULL)),
    CHECK (ended_at IS NULL OR due_at IS NULL)
) STRICT;
CREATE TABLE duty (
    id       INTEGER PRIMARY KEY,
    lane     INTEGER NOT NULL REFERENCES lane (id),
    rotation TEXT    NOT NULL,
    login    TEXT    COLLATE NOCASE,
    at       INTEGER NOT NULL,
    duty     TEXT    NOT NULL,
    ended_at INTEGER
) STRICT;
CREATE TABLE duty_share (
    rotation TEXT    NOT NULL,
    login    TEXT    NOT NULL,
    credit   INTEGER NOT NULL,
    PRIMARY KEY (rotation, login)
) STRICT, WITHOUT ROWID;
CREATE TABLE "effect" (
    id          INTEGER PRIMARY KEY,
    evaluation  INTEGER NOT NULL REFERENCES evaluation (id),
    lane        INTEGER NOT NULL REFERENCES lane (id),
    dispatch    INTEGER REFERENCES dispatch (id),
    origin      TEXT    NOT NULL DEFAULT 'plan' CHECK (origin IN ('plan', 'agent')),
    kind        TEXT    NOT NULL CHECK (kind IN
                ('comment', 'edit', 'label', 'assignee', 'hand_off', 'reaction', 'unlabel', 'unassign', 'reopen')),
    value       TEXT    NOT NULL,
    subject     TEXT    CHECK (subject IN ('audit', 'answer', 'notice')),
    comment     INTEGER,
    digest      TEXT,
    body        TEXT,
    state       TEXT    NOT NULL DEFAULT 'intended' CHECK (state IN ('intended', 'done', 'failed', 'withheld')),
    intended_at INTEGER NOT NULL,
    settled_at  INTEGER,
    forge_id    INTEGER,
    recovery    TEXT    CHECK (recovery IN ('found', 'not_written', 'unknown')),
    note        TEXT,
    CHECK ((state = 'intended') = (settled_at IS NULL)),
    CHECK ((kind IN ('comment', 'edit')) = (subject IS NOT NULL)),
    CHECK (body IS NULL OR kind IN ('comment', 'edit')),
    CHECK (comment IS NULL OR kind = 'reaction'),
    CHECK (recovery IS NULL OR state IN ('done', 'failed'))
) STRICT;
CREATE TABLE evaluation (
    id      INTEGER PRIMARY KEY,
    lane    INTEGER NOT NULL REFERENCES lane (id),
    at      INTEGER NOT NULL,
    action  TEXT    NOT NULL CHECK (action IN ('dispatch', 'flag', 'wait', 'skip', 'finish')),
    agent   TEXT,
    reason  TEXT    NOT NULL,
    verdict TEXT,
    signals TEXT    NOT NULL DEFAULT '[]'
, reason_code TEXT) STRICT;
CREATE TABLE fact (
    name  TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE former_name (
    repo TEXT PRIMARY KEY COLLATE NOCASE,
    now  TEXT NOT NULL COLLATE NOCASE
) STRICT, WITHOUT ROWID;
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
    hold         TEXT,
    fresh_from   INTEGER NOT NULL DEFAULT 0,
    chosen       TEXT,
    chosen_task  TEXT,
    fingerprint         TEXT,
    fingerprint_comments INTEGER NOT NULL DEFAULT 0,
    fingerprint_open    INTEGER NOT NULL DEFAULT 0, repo_id INTEGER, issue_id INTEGER, from_before INTEGER NOT NULL DEFAULT 0, no_duplicate INTEGER NOT NULL DEFAULT 0, text_digest TEXT, budget_at INTEGER, claimed_by INTEGER, carried TEXT,
    CHECK ((state = 'due') = (due_at IS NOT NULL)),
    CHECK ((state = 'claimed') = (claimed_at IS NOT NULL)),
    UNIQUE (repo, number)
) STRICT;
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
CREATE TABLE note (
    repo  TEXT    NOT NULL COLLATE NOCASE,
    topic TEXT    NOT NULL,
    text  TEXT    NOT NULL,
    at    INTEGER NOT NULL,
    PRIMARY KEY (repo, topic)
) STRICT, WITHOUT ROWID;
CREATE TABLE paused_agent (
    agent TEXT    PRIMARY KEY,
    at    INTEGER NOT NULL,
    who   TEXT    NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE paused_repository (
    repo TEXT    PRIMARY KEY COLLATE NOCASE,
    at   INTEGER NOT NULL,
    who  TEXT    NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE person_claim (
    id          INTEGER PRIMARY KEY,
    lane        INTEGER NOT NULL REFERENCES lane (id),
    command     INTEGER NOT NULL REFERENCES command (id),
    login       TEXT    NOT NULL COLLATE NOCASE,
    account     INTEGER,
    since       INTEGER NOT NULL,
    remind_at   INTEGER NOT NULL,
    until       INTEGER NOT NULL,
    is_reminded INTEGER NOT NULL DEFAULT 0,
    due_at      INTEGER,
    ended_at    INTEGER,
    CHECK ((ended_at IS NULL) = (due_at IS NOT NULL))
) STRICT;
CREATE TABLE proposal (
    repo   TEXT    NOT NULL COLLATE NOCASE,
    number INTEGER NOT NULL CHECK (number > 0),
    parts  TEXT    NOT NULL,
    at     INTEGER NOT NULL,
    PRIMARY KEY (repo, number)
) STRICT, WITHOUT ROWID;
CREATE TABLE removed (
    lane  INTEGER NOT NULL REFERENCES lane (id),
    kind  TEXT    NOT NULL,
    value TEXT    NOT NULL,
    at    INTEGER NOT NULL,
    PRIMARY KEY (lane, kind, value)
) STRICT, WITHOUT ROWID;
CREATE TABLE replica (
    id      INTEGER PRIMARY KEY,
    name    TEXT    NOT NULL,
    version TEXT    NOT NULL,
    works   INTEGER NOT NULL,
    since   INTEGER NOT NULL,
    beat_at INTEGER NOT NULL
) STRICT;
CREATE TABLE repository (
    id   INTEGER PRIMARY KEY,
    repo TEXT    NOT NULL UNIQUE COLLATE NOCASE
) STRICT;
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
    ended_at     INTEGER, answered TEXT NOT NULL DEFAULT '{}', head TEXT, stopped TEXT, warned TEXT NOT NULL DEFAULT '[]',
    CHECK ((state = 'leased') = (leased_until IS NOT NULL)),
    CHECK ((state = 'ended') = (ended_at IS NOT NULL)),
    CHECK (state <> 'ended' OR outcome IS NOT NULL)
) STRICT;
CREATE TABLE run_log (
    id      INTEGER PRIMARY KEY,
    run     INTEGER NOT NULL REFERENCES run (id),
    is_head INTEGER NOT NULL,
    bytes   INTEGER NOT NULL,
    text    BLOB    NOT NULL
) STRICT;
CREATE TABLE run_permit (
    lane       INTEGER NOT NULL REFERENCES lane (id),
    kind       TEXT    NOT NULL CHECK (kind IN
               ('read', 'edit', 'delete', 'move', 'search', 'execute', 'think', 'fetch', 'switch_mode', 'other')),
    is_allowed INTEGER NOT NULL,
    given_by   TEXT    NOT NULL,
    at         INTEGER NOT NULL,
    PRIMARY KEY (lane, kind)
) STRICT, WITHOUT ROWID;
CREATE TABLE run_spending (
    day    TEXT    NOT NULL CHECK (day GLOB '[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]'),
    lane   INTEGER NOT NULL REFERENCES lane (id),
    agent  TEXT    NOT NULL,
    tokens INTEGER,
    money  INTEGER,
    PRIMARY KEY (day, lane, agent)
) STRICT, WITHOUT ROWID;
CREATE TABLE runner (
    name    TEXT    PRIMARY KEY COLLATE NOCASE,
    version TEXT    NOT NULL,
    agents  TEXT    NOT NULL,
    places  INTEGER NOT NULL,
    seen_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE session (
    key     TEXT    PRIMARY KEY,
    account INTEGER NOT NULL,
    login   TEXT    NOT NULL,
    browser TEXT    NOT NULL,
    mark    TEXT    NOT NULL,
    since   INTEGER NOT NULL,
    seen    INTEGER NOT NULL,
    tokens  TEXT    NOT NULL
) STRICT, WITHOUT ROWID;
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
CREATE TABLE sweep (
    repo      TEXT    PRIMARY KEY,
    passed_at INTEGER NOT NULL,
    full_at   INTEGER NOT NULL,
    since     INTEGER NOT NULL
, first_at INTEGER, rules TEXT NOT NULL DEFAULT '') STRICT, WITHOUT ROWID;
CREATE TABLE transition (
    id         INTEGER PRIMARY KEY,
    dispatch   INTEGER NOT NULL REFERENCES dispatch (id),
    at         INTEGER NOT NULL,
    state      TEXT    NOT NULL,
    cause      TEXT    NOT NULL,
    evaluation INTEGER REFERENCES evaluation (id)
) STRICT;
CREATE TABLE turn (
    name   TEXT    PRIMARY KEY,
    holder INTEGER NOT NULL,
    until  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE word (
    repo_id INTEGER NOT NULL,
    word    INTEGER NOT NULL,
    number  INTEGER NOT NULL,
    PRIMARY KEY (repo_id, word, number)
) STRICT, WITHOUT ROWID;
CREATE TABLE wording (
    repo_id   INTEGER NOT NULL,
    number    INTEGER NOT NULL,
    closed_at INTEGER,
    words     BLOB    NOT NULL,
    PRIMARY KEY (repo_id, number)
) STRICT, WITHOUT ROWID;
CREATE INDEX alternative_lane ON alternative (lane);
CREATE INDEX blocker_of ON blocker (repo, number);
CREATE INDEX command_author ON command (given_by, at) WHERE state = 'refused';
CREATE UNIQUE INDEX command_comment ON command (source_comment, part) WHERE source_comment IS NOT NULL;
CREATE UNIQUE INDEX command_entry ON command (source_entry, part) WHERE source_entry IS NOT NULL;
CREATE INDEX command_lane ON command (lane, id);
CREATE INDEX delivery_dead ON delivery (settled_at) WHERE state = 'dead';
CREATE INDEX delivery_dead_lane ON delivery (lane, settled_at) WHERE state = 'dead';
CREATE INDEX delivery_ended ON delivery (state, seq) WHERE settled_at IS NOT NULL;
CREATE INDEX delivery_ended_lane ON delivery (lane, seq) WHERE settled_at IS NOT NULL;
CREATE INDEX delivery_evaluation ON delivery (evaluation) WHERE evaluation IS NOT NULL;
CREATE INDEX delivery_open ON delivery (lane, seq) WHERE state IN ('pending', 'claimed');
CREATE INDEX delivery_received ON delivery (seq) WHERE state = 'received';
CREATE INDEX delivery_sweep ON delivery (received_at) WHERE origin = 'sweep';
CREATE INDEX dispatch_agent ON dispatch (agent, state);
CREATE INDEX dispatch_due ON dispatch (due_at) WHERE due_at IS NOT NULL;
CREATE INDEX dispatch_escalated ON dispatch (lane) WHERE state = 'escalated';
CREATE INDEX dispatch_lane ON dispatch (lane, id);
CREATE INDEX dispatch_load ON dispatch (agent) WHERE ended_at IS NULL;
CREATE UNIQUE INDEX dispatch_open ON dispatch (lane) WHERE ended_at IS NULL;
CREATE INDEX duty_lane ON duty (lane, id);
CREATE UNIQUE INDEX duty_open ON duty (lane) WHERE ended_at IS NULL;
CREATE INDEX duty_rotation ON duty (rotation, id);
CREATE INDEX effect_lane ON effect (lane, id);
CREATE INDEX effect_withheld ON effect (lane, evaluation) WHERE state = 'withheld';
CREATE INDEX evaluation_at ON evaluation (at, action);
CREATE INDEX evaluation_lane ON evaluation (lane, id);
CREATE TRIGGER evaluation_latest AFTER INSERT ON evaluation BEGIN
    INSERT INTO latest VALUES (NEW.lane, NEW.id, NEW.at, NEW.action, NEW.agent, NEW.reason,
        coalesce(json_extract(NEW.verdict, '$.title'), ''), json_extract(NEW.verdict, '$.score'))
    ON CONFLICT (lane) DO UPDATE SET evaluation = excluded.evaluation, at = excluded.at, action = excluded.action,
        agent = excluded.agent, reason = excluded.reason, score = excluded.score,
        title = CASE excluded.title WHEN '' THEN latest.title ELSE excluded.title END;
END;
CREATE INDEX former_name_now ON former_name (now);
CREATE INDEX lane_budget ON lane (budget_at) WHERE budget_at IS NOT NULL;
CREATE INDEX lane_claimed ON lane (id) WHERE state = 'claimed';
CREATE INDEX lane_due ON lane (priority, due_at) WHERE state = 'due';
CREATE INDEX lane_from_before ON lane (id) WHERE from_before = 1;
CREATE INDEX lane_held ON lane (id) WHERE hold IS NOT NULL;
CREATE UNIQUE INDEX lane_issue ON lane (issue_id) WHERE issue_id IS NOT NULL;
CREATE INDEX lane_repository ON lane (repo_id) WHERE repo_id IS NOT NULL;
CREATE INDEX lane_waiting ON lane (waits_for) WHERE waits_for IS NOT NULL;
CREATE INDEX latest_action ON latest (action, evaluation);
CREATE UNIQUE INDEX latest_evaluation ON latest (evaluation);
CREATE INDEX person_claim_due ON person_claim (due_at) WHERE due_at IS NOT NULL;
CREATE UNIQUE INDEX person_claim_open ON person_claim (lane) WHERE ended_at IS NULL;
CREATE INDEX run_ended ON run (ended_at) WHERE prompt IS NOT NULL;
CREATE INDEX run_head ON run (head) WHERE head IS NOT NULL;
CREATE INDEX run_leased ON run (leased_until) WHERE state = 'leased';
CREATE INDEX run_log_of ON run_log (run, id);
CREATE INDEX run_spending_lane ON run_spending (lane);
CREATE INDEX run_waiting ON run (agent, id) WHERE state = 'waiting';
CREATE INDEX session_account ON session (account, since);
CREATE INDEX transition_dispatch ON transition (dispatch, id);
CREATE INDEX wording_closed ON wording (closed_at) WHERE closed_at IS NOT NULL;
