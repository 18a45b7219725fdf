-- What is in `entries` beside attempts: adjustments (with the entry they correct) and changes of the terms. Made from
-- the entries, so that neither can be found only by a scan.
CREATE TABLE other_records (
    seq     INTEGER PRIMARY KEY REFERENCES entries (seq),
    kind    TEXT NOT NULL,                   -- 'adjustment' or 'change'
    corrects INTEGER                         -- number of the entry that an adjustment corrects
) STRICT;
CREATE INDEX other_records_by_corrected ON other_records (corrects) WHERE corrects IS NOT NULL;

-- What is stopped now. Who stopped it and when is in the changes.
CREATE TABLE stops (
    scope  TEXT NOT NULL,                    -- 'town', 'provider' or 'plan'
    name   TEXT NOT NULL,                    -- which provider or plan; empty for the town
    since  INTEGER NOT NULL,
    reason TEXT NOT NULL,
    PRIMARY KEY (scope, name)
) STRICT, WITHOUT ROWID;

-- Alerts, each raised once and kept until it was delivered.
CREATE TABLE alerts (
    id           TEXT PRIMARY KEY,           -- what it is about and the window, such as envelope/2026-11/80@1000.00
    raised_at    INTEGER NOT NULL,
    body         TEXT NOT NULL,
    attempts     INTEGER NOT NULL DEFAULT 0,
    delivered_at INTEGER
) STRICT;
CREATE INDEX alerts_undelivered ON alerts (raised_at) WHERE delivered_at IS NULL;

-- The town's spending by UTC hour, under the account "town" like the month and the year.
INSERT INTO counters (account, window, questions, tokens, euro_nanos)
SELECT 'town', strftime('%Y-%m-%dT%HZ', (body ->> 'ended_at') / 1000000, 'unixepoch') AS hour,
       sum(body ->> '$.charged.questions'), sum(body ->> '$.charged.tokens'), sum(body ->> '$.charged.euro_nanos')
FROM entries GROUP BY hour;
