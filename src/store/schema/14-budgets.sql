-- What agents on runners used of each issue, by the day where the owner's days begin; money in millionths. NULL is unknown.
CREATE TABLE run_spending (
    day    TEXT    NOT NULL CHECK (day GLOB '[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]'),
    lane   INTEGER NOT NULL REFERENCES lane (id),
    agent  TEXT    NOT NULL,
    tokens INTEGER,
    money  INTEGER,
    PRIMARY KEY (day, lane, agent)
) STRICT, WITHOUT ROWID;
CREATE INDEX run_spending_lane ON run_spending (lane);
-- What each agent used in all: it only grows.
CREATE TABLE agent_spending (
    agent  TEXT    PRIMARY KEY,
    tokens INTEGER,
    money  INTEGER
) STRICT, WITHOUT ROWID;
INSERT INTO run_spending
    SELECT date(coalesce(event_at, created_at) / 1000, 'unixepoch'), lane, run.agent,
        CASE WHEN count(coalesce(tokens, past_tokens)) > 0 THEN sum(coalesce(tokens, 0) + coalesce(past_tokens, 0)) END,
        CASE WHEN count(coalesce(cost, past_cost)) > 0
            THEN CAST(round(sum(coalesce(cost, 0) + coalesce(past_cost, 0)) * 1000000) AS INTEGER) END
    FROM run JOIN dispatch ON dispatch.id = run.dispatch
    WHERE coalesce(tokens, past_tokens, cost, past_cost) IS NOT NULL GROUP BY 1, 2, 3;
INSERT INTO agent_spending SELECT agent, sum(tokens), sum(money) FROM run_spending GROUP BY agent;
-- The budget that stopped a run, and those of which people were warned in it.
ALTER TABLE run ADD COLUMN stopped TEXT;
ALTER TABLE run ADD COLUMN warned TEXT NOT NULL DEFAULT '[]';
-- When an issue that waits for a budget is looked at again.
ALTER TABLE lane ADD COLUMN budget_at INTEGER;
CREATE INDEX lane_budget ON lane (budget_at) WHERE budget_at IS NOT NULL;
-- What people answered to agents that asked for a permission, by the kind of tool; it holds for all runs on the issue.
CREATE TABLE run_permit (
    lane       INTEGER NOT NULL REFERENCES lane (id),
    kind       TEXT    NOT NULL CHECK (kind IN
               ('read', 'edit', 'delete', 'move', 'search', 'execute', 'think', 'fetch', 'switch_mode', 'other')),
    is_allowed INTEGER NOT NULL,
    given_by   TEXT    NOT NULL,
    at         INTEGER NOT NULL,
    PRIMARY KEY (lane, kind)
) STRICT, WITHOUT ROWID;
