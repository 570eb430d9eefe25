-- A command has a life of its own: kept until what it does is known and whoever gave it was told.
--
-- command.command     what stands behind `/triage`; empty for `/triage` alone, and where an earlier version kept none.
-- command.state       received: read, and not evaluated yet. applied: in effect in the ledger, its writes are on their
--                     way. carried_out and refused are its ends; answered is either, of an earlier version.
-- command.why         why it was refused, as it is told.
-- command.told_at     when whoever gave it was told, or it ended where nobody waits for an answer; until then it is open.
-- sweep.first_at      from when on (on the forge's clock) what happens in the repository concerns us.

CREATE TABLE command_with_life (
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
    told_at        INTEGER,
    CHECK ((source_comment IS NULL) <> (source_entry IS NULL)),
    CHECK ((state = 'refused') = (why IS NOT NULL)),
    CHECK (told_at IS NULL OR state IN ('carried_out', 'refused', 'answered'))
) STRICT;
INSERT INTO command_with_life (id, lane, source_comment, source_entry, part, state, at, told_at)
    SELECT id, lane, source_comment, source_entry, part, 'answered', at, at FROM command;
DROP TABLE command;
ALTER TABLE command_with_life RENAME TO command;
CREATE UNIQUE INDEX command_comment ON command (source_comment, part) WHERE source_comment IS NOT NULL;
CREATE UNIQUE INDEX command_entry ON command (source_entry, part) WHERE source_entry IS NOT NULL;
CREATE INDEX command_lane ON command (lane, id);

ALTER TABLE sweep ADD COLUMN first_at INTEGER;
UPDATE sweep SET first_at = since;

CREATE INDEX effect_withheld ON effect (lane, evaluation) WHERE state = 'withheld';
