-- Facts as data: each column has one meaning, and nothing has to be told from the words of a sentence.
--
-- What the columns mean from here on:
--
-- effect.subject      what a comment is: our audit comment, the answer to a person, or a notice told once.
-- effect.origin       who asked for the write: the plan of an evaluation, or the local agent.
-- effect.comment      the forge's id of the comment that a reaction is for.
-- effect.body         the text of a comment, where it cannot be concluded again or read elsewhere: of an answer or a
--                     notice until it is known to be written, and of what a dry run withheld.
-- effect.recovery     how a write was settled that an interruption had left open; null for all others.
-- effect.note         what there is to say for people about how the write ended, such as the forge's refusal.
-- evaluation.reason   why, as it was told to people; `reason_code` is the stable name of the rule, null where it has
--                     none or where the row is older than the names.
-- dispatch.cause      what its latest change came from, as JSON with a `kind`: the decision it was opened for, the
--                     failure of a hand-off, or its end. Its latest transition has the sentence for it.
-- lane.hold           why an issue is out of automatic hands, as JSON with a `kind`; `earlier` carries the words of a
--                     hold that was written before the kinds, in `text`.
-- lane.repo_id        the forge's ids of the repository and the issue, which outlive a rename and a transfer; null
-- lane.issue_id       until they are seen. Not used yet.
-- delivery.same_as    the id of an earlier delivery that had the same bytes.
-- delivery.reason     why it was ignored or could not be processed; nothing else.
-- command             one row for each command that was given: in a comment (`source_comment`, the forge's id), or as
--                     an entry of the inbox (`source_entry`, its place); `part` counts the commands of one source.
--                     `answered`: it was applied or refused, and is not applied again. `open` is for commands with a
--                     life of their own, which are not written yet: `command` as JSON, who gave it, for which task.

CREATE TABLE effect_with_facts (
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

INSERT INTO effect_with_facts
SELECT id, evaluation, lane, dispatch,
    iif(detail IN ('by the local agent', 'interrupted; not known whether it was written')
            OR kind = 'comment' AND value LIKE 'answer:local-%', 'agent', 'plan'),
    kind, value,
    CASE WHEN kind NOT IN ('comment', 'edit') THEN NULL
         WHEN value LIKE 'answer:%' THEN 'answer'
         WHEN value LIKE 'notice:%' THEN 'notice'
         ELSE 'audit' END,
    CASE WHEN kind = 'reaction' AND state = 'intended' THEN CAST(detail AS INTEGER) END,
    digest,
    CASE WHEN kind IN ('comment', 'edit') AND state IN ('intended', 'withheld') THEN detail END,
    state, intended_at, settled_at, forge_id,
    CASE WHEN state NOT IN ('done', 'failed') THEN NULL ELSE CASE detail
         WHEN 'found on the issue after an interruption' THEN 'found'
         WHEN 'interrupted before it was written' THEN 'not_written'
         WHEN 'interrupted; not known whether it was written' THEN 'unknown' END END,
    CASE WHEN state = 'intended' OR state = 'withheld' AND kind IN ('comment', 'edit') THEN NULL
         WHEN detail IN ('by the local agent', 'found on the issue after an interruption',
             'interrupted before it was written', 'interrupted; not known whether it was written') THEN NULL
         ELSE detail END
FROM effect;
DROP TABLE effect;
ALTER TABLE effect_with_facts RENAME TO effect;
CREATE INDEX effect_lane ON effect (lane, id);

ALTER TABLE evaluation ADD COLUMN reason_code TEXT;
UPDATE evaluation SET reason_code = CASE reason
    WHEN 'our own daily summary' THEN 'own_summary'
    WHEN 'the local agent was run by hand' THEN 'run_by_hand' END
WHERE action = 'skip' AND reason IN ('our own daily summary', 'the local agent was run by hand');

ALTER TABLE dispatch RENAME COLUMN detail TO cause;
UPDATE dispatch SET cause = json_object('kind', 'earlier', 'text', cause) WHERE cause IS NOT NULL;

ALTER TABLE lane RENAME COLUMN held TO hold;
ALTER TABLE lane ADD COLUMN repo_id INTEGER;
ALTER TABLE lane ADD COLUMN issue_id INTEGER;
UPDATE lane SET hold = iif(
    hold = 'timed out, and could not be looked at; `/triage retry` hands it over again',
    json_object('kind', 'not_evaluated'), json_object('kind', 'earlier', 'text', hold))
WHERE hold IS NOT NULL;

-- An id that is no UUID stands behind one zero, and behind two where it would be as long as a UUID (ids.rs).
ALTER TABLE delivery ADD COLUMN same_as BLOB;
UPDATE delivery SET reason = NULL, same_as = (
    SELECT coalesce(iif(id LIKE '________-____-____-____-____________', unhex(id, '-'), NULL),
        CAST(iif(length(id) = 15, char(0, 0), char(0)) || id AS BLOB))
    FROM (SELECT substr(reason, 20, length(reason) - 20) AS id))
WHERE reason LIKE 'the same bytes as `%`' AND state NOT IN ('ignored', 'dead');

CREATE TABLE command_with_source (
    id             INTEGER PRIMARY KEY,
    lane           INTEGER NOT NULL REFERENCES lane (id),
    source_comment INTEGER,
    source_entry   INTEGER,
    part           INTEGER NOT NULL DEFAULT 0,
    given_by       TEXT,
    command        TEXT,
    task_type      TEXT,
    state          TEXT    NOT NULL DEFAULT 'answered' CHECK (state IN ('open', 'answered')),
    at             INTEGER NOT NULL,
    CHECK ((source_comment IS NULL) <> (source_entry IS NULL))
) STRICT;
INSERT INTO command_with_source (lane, source_comment, source_entry, at)
    SELECT lane, iif(comment > 0, comment, NULL), iif(comment > 0, NULL, -comment), at FROM command ORDER BY at;
DROP TABLE command;
ALTER TABLE command_with_source RENAME TO command;
CREATE UNIQUE INDEX command_comment ON command (source_comment, part) WHERE source_comment IS NOT NULL;
CREATE UNIQUE INDEX command_entry ON command (source_entry, part) WHERE source_entry IS NOT NULL;

-- What the last evaluation read of the issue and its writes left: a digest, how many comments there were, and whether
-- it still asked for something.
ALTER TABLE lane RENAME COLUMN seen TO fingerprint;
ALTER TABLE lane RENAME COLUMN seen_comments TO fingerprint_comments;
ALTER TABLE lane RENAME COLUMN seen_open TO fingerprint_open;
