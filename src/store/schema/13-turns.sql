-- What the further turns of a run were begun for, and the commit at the head of its pull request as it was last seen.
ALTER TABLE run ADD COLUMN answered TEXT NOT NULL DEFAULT '{}';
ALTER TABLE run ADD COLUMN head TEXT;
CREATE INDEX run_head ON run (head) WHERE head IS NOT NULL;
