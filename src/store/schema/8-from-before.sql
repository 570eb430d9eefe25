-- Whether the issue was open before its repository was first read, and nobody has touched it since: nobody is called for it.
ALTER TABLE lane ADD COLUMN from_before INTEGER NOT NULL DEFAULT 0;
CREATE INDEX lane_from_before ON lane (id) WHERE from_before = 1;
