-- The services that share a store on a server, which of them has an issue, and which works on a dispatch. A file has one
-- service, and no row here.
CREATE TABLE replica (
    id      INTEGER PRIMARY KEY,
    name    TEXT    NOT NULL,
    version TEXT    NOT NULL,
    works   INTEGER NOT NULL,
    since   INTEGER NOT NULL,
    beat_at INTEGER NOT NULL
) STRICT;
-- Who of them does something that only one may do at a time.
CREATE TABLE turn (
    name   TEXT    PRIMARY KEY,
    holder INTEGER NOT NULL,
    until  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
ALTER TABLE lane ADD COLUMN claimed_by INTEGER;
ALTER TABLE dispatch ADD COLUMN worked_by INTEGER;
