-- Aggregates by kind of call, host, kind of evidence and stratum, with a part for each group of residents. They are made
-- again from the entries, in the background, by the process that serves.
DROP TABLE rollups;
CREATE TABLE rollups (
    day       TEXT NOT NULL,
    provider  TEXT NOT NULL,
    model     TEXT NOT NULL,
    host      TEXT NOT NULL,
    operation TEXT NOT NULL,
    evidence  TEXT NOT NULL,                 -- 'chosen', 'conversation', 'block', 'probe' or 'duel'
    stratum   INTEGER NOT NULL,              -- length of the question, local passages, time of the day
    body      BLOB NOT NULL,
    PRIMARY KEY (day, provider, model, host, operation, evidence, stratum)
) STRICT, WITHOUT ROWID;
UPDATE meta SET value = '0' WHERE key = 'rollup_seq';

-- Probes and judged duels are found by their day.
ALTER TABLE other_records ADD COLUMN day TEXT;
CREATE INDEX other_records_by_day ON other_records (kind, day) WHERE day IS NOT NULL;

-- Duels that wait for somebody's judgement.
CREATE TABLE duels (
    id          TEXT PRIMARY KEY,
    resident_id TEXT NOT NULL,
    expires_at  INTEGER NOT NULL,
    body        TEXT NOT NULL
) STRICT;
CREATE INDEX duels_by_expiry ON duels (expires_at);
