-- Who is signed in to the dashboard. The key is the digest of what the cookie holds; account 0 is the dashboard's own
-- token. `mark` tells the token or application that let them in from any other, and `tokens` is what the forge gave for
-- asking what they may see, sealed.
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
CREATE INDEX session_account ON session (account, since);
