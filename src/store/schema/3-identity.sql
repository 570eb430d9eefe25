-- Identity by the forge's ids: what an issue and a repository are called is only how they are addressed today.
--
-- lane.repo_id        the forge's ids of the repository and the issue; null until the forge has shown them. All lanes
-- lane.issue_id       of one name that have a `repo_id` have the same one. `owner/name@2` is the name of a repository
--                     that another one has by now.
-- former_name         what repositories were called before, and what they are called now: for links that people keep.
CREATE UNIQUE INDEX lane_issue ON lane (issue_id) WHERE issue_id IS NOT NULL;
CREATE INDEX lane_repository ON lane (repo_id) WHERE repo_id IS NOT NULL;
CREATE TABLE former_name (
    repo TEXT PRIMARY KEY COLLATE NOCASE,
    now  TEXT NOT NULL COLLATE NOCASE
) STRICT, WITHOUT ROWID;
CREATE INDEX former_name_now ON former_name (now);
