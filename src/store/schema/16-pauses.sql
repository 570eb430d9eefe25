-- Whom a person keeps from new work: an agent, or every agent for the issues of a repository.
CREATE TABLE paused_agent (
    agent TEXT    PRIMARY KEY,
    at    INTEGER NOT NULL,
    who   TEXT    NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE paused_repository (
    repo TEXT    PRIMARY KEY COLLATE NOCASE,
    at   INTEGER NOT NULL,
    who  TEXT    NOT NULL
) STRICT, WITHOUT ROWID;
-- What people did on the dashboard, and in which repository where it was in one.
CREATE TABLE act (
    id   INTEGER PRIMARY KEY,
    at   INTEGER NOT NULL,
    who  TEXT    NOT NULL,
    what TEXT    NOT NULL,
    repo TEXT    COLLATE NOCASE
) STRICT;
-- The labels and assignees of an issue after its latest evaluation.
ALTER TABLE lane ADD COLUMN carried TEXT;
