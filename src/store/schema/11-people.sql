-- Logins can be given up: a command is held to the account that gave it, where that is known.
ALTER TABLE command ADD COLUMN given_by_id INTEGER;
-- What people have by `/triage claim`; one that has ended is kept.
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
CREATE UNIQUE INDEX person_claim_open ON person_claim (lane) WHERE ended_at IS NULL;
CREATE INDEX person_claim_due ON person_claim (due_at) WHERE due_at IS NOT NULL;
-- Who of a rotation is asked about an issue, or was.
CREATE TABLE duty (
    id       INTEGER PRIMARY KEY,
    lane     INTEGER NOT NULL REFERENCES lane (id),
    rotation TEXT    NOT NULL,
    login    TEXT    COLLATE NOCASE,
    at       INTEGER NOT NULL,
    duty     TEXT    NOT NULL,
    ended_at INTEGER
) STRICT;
CREATE UNIQUE INDEX duty_open ON duty (lane) WHERE ended_at IS NULL;
CREATE INDEX duty_lane ON duty (lane, id);
CREATE INDEX duty_rotation ON duty (rotation, id);
-- What each member of a rotation has in hand.
CREATE TABLE duty_share (
    rotation TEXT    NOT NULL,
    login    TEXT    NOT NULL,
    credit   INTEGER NOT NULL,
    PRIMARY KEY (rotation, login)
) STRICT, WITHOUT ROWID;
