-- What a person approved of an issue whose author may not write: the digest of its text, empty where nobody knows which.
CREATE TABLE approval (
    lane        INTEGER PRIMARY KEY REFERENCES lane (id),
    approved_by TEXT    NOT NULL,
    at          INTEGER NOT NULL,
    way         TEXT    NOT NULL CHECK (way IN ('command', 'label', 'choice')),
    digest      TEXT    NOT NULL,
    edited_by   TEXT
) STRICT;
-- The digest of the text at the latest evaluation, where it matters who opened the issue.
ALTER TABLE lane ADD COLUMN text_digest TEXT;
