-- What a repository is called is kept once, by the forge's id of it: a repository without any issue is known, too. Who
-- waits for an agent takes any other that suits.
--
-- repository.repo     what it was called when it was seen last; `owner/name@2` where another one has its name by now.
-- alternative         the agents beside `lane.waits_for` of which an issue takes the first that gets free.
-- sweep.rules         the digest of the rules by which its issues were looked at last; empty when nobody knows.
CREATE TABLE repository (
    id   INTEGER PRIMARY KEY,
    repo TEXT    NOT NULL UNIQUE COLLATE NOCASE
) STRICT;
INSERT OR IGNORE INTO repository SELECT repo_id, min(repo) FROM lane WHERE repo_id IS NOT NULL GROUP BY repo_id;

ALTER TABLE sweep ADD COLUMN rules TEXT NOT NULL DEFAULT '';
UPDATE sweep SET rules = coalesce((SELECT value FROM fact WHERE name = 'rules of ' || lower(repo)), '');
DELETE FROM fact WHERE name LIKE 'rules of %';

CREATE TABLE alternative (
    agent TEXT    NOT NULL,
    lane  INTEGER NOT NULL REFERENCES lane (id),
    PRIMARY KEY (agent, lane)
) STRICT, WITHOUT ROWID;
CREATE INDEX alternative_lane ON alternative (lane);
