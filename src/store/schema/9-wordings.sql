-- What issues say, each word as a number that cannot be read back. Known by the forge's ids of a repository, so that
-- no rename touches it.
-- wording.words   four bytes a word; the first ones are those that `word` has, by which the issue is found
CREATE TABLE wording (
    repo_id   INTEGER NOT NULL,
    number    INTEGER NOT NULL,
    closed_at INTEGER,
    words     BLOB    NOT NULL,
    PRIMARY KEY (repo_id, number)
) STRICT, WITHOUT ROWID;
CREATE INDEX wording_closed ON wording (closed_at) WHERE closed_at IS NOT NULL;
CREATE TABLE word (
    repo_id INTEGER NOT NULL,
    word    INTEGER NOT NULL,
    number  INTEGER NOT NULL,
    PRIMARY KEY (repo_id, word, number)
) STRICT, WITHOUT ROWID;
-- A person said that the issue is no duplicate.
ALTER TABLE lane ADD COLUMN no_duplicate INTEGER NOT NULL DEFAULT 0;
