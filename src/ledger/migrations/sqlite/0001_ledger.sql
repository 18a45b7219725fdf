-- Who may ask. No name, no address: a resident is a random pseudonym with a plan.
CREATE TABLE residents (
    id           TEXT PRIMARY KEY,
    plan         TEXT NOT NULL,
    created_at   INTEGER NOT NULL,           -- microseconds since 1970, UTC, as every *_at
    suspended_at INTEGER
) STRICT;

CREATE TABLE api_keys (
    id          TEXT PRIMARY KEY,
    hash        BLOB NOT NULL UNIQUE,        -- SHA-256 of the key; the key itself is shown once and kept nowhere
    resident_id TEXT NOT NULL REFERENCES residents (id),
    created_at  INTEGER NOT NULL,
    revoked_at  INTEGER
) STRICT;

-- Money and questions held for calls in progress. A row leaves when its call is settled, or when its lease ends.
CREATE TABLE reservations (
    id          TEXT PRIMARY KEY,
    resident_id TEXT NOT NULL,
    day         TEXT NOT NULL,               -- windows in which it was admitted
    month       TEXT NOT NULL,
    year        TEXT NOT NULL,
    tokens      INTEGER NOT NULL,
    euro_nanos  INTEGER NOT NULL,
    expires_at  INTEGER NOT NULL,
    entry       TEXT NOT NULL                -- what the entry says if nobody settles it
) STRICT;
CREATE INDEX reservations_by_resident ON reservations (resident_id);
CREATE INDEX reservations_by_expiry ON reservations (expires_at);

-- The record of every attempt at a vendor. The body is the entry; the columns are read from it, so that neither can
-- say something else. Each hash covers the one before.
CREATE TABLE entries (
    seq           INTEGER PRIMARY KEY AUTOINCREMENT,
    body          TEXT NOT NULL,
    hash          BLOB NOT NULL,
    id            TEXT GENERATED ALWAYS AS (body ->> 'id') VIRTUAL,
    outcome       TEXT GENERATED ALWAYS AS (body ->> 'outcome') VIRTUAL,
    provider      TEXT GENERATED ALWAYS AS (body ->> 'provider') VIRTUAL,
    request_model TEXT GENERATED ALWAYS AS (body ->> 'request_model') VIRTUAL,
    day           TEXT GENERATED ALWAYS AS (body ->> 'day') VIRTUAL,
    currency      TEXT GENERATED ALWAYS AS (body ->> 'currency') VIRTUAL,
    cost_nanos    INTEGER GENERATED ALWAYS AS (body ->> 'cost_nanos') VIRTUAL
) STRICT;
CREATE TRIGGER entries_are_never_changed BEFORE UPDATE ON entries
BEGIN SELECT RAISE(ABORT, 'entries are append-only: correct them with an adjustment'); END;
CREATE TRIGGER entries_are_never_deleted BEFORE DELETE ON entries
BEGIN SELECT RAISE(ABORT, 'entries are append-only: correct them with an adjustment'); END;

-- What has been settled, per account ("town", or a resident) and window. Admission reads one row by key, never a scan.
CREATE TABLE counters (
    account    TEXT NOT NULL,
    window     TEXT NOT NULL,
    questions  INTEGER NOT NULL DEFAULT 0,
    tokens     INTEGER NOT NULL DEFAULT 0,
    euro_nanos INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (account, window)
) STRICT, WITHOUT ROWID;

-- Aggregates of the entries, for the report. They hold the entries up to `rollup_seq` in `meta`.
CREATE TABLE rollups (
    day      TEXT NOT NULL,
    provider TEXT NOT NULL,
    model    TEXT NOT NULL,
    body     BLOB NOT NULL,
    PRIMARY KEY (day, provider, model)
) STRICT, WITHOUT ROWID;

-- Questions that were refused before any vendor heard of them.
CREATE TABLE refusals (
    day    TEXT NOT NULL,
    reason TEXT NOT NULL,
    count  INTEGER NOT NULL,
    PRIMARY KEY (day, reason)
) STRICT, WITHOUT ROWID;

CREATE TABLE meta (
    key   TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO meta (key, value) VALUES ('rollup_seq', '0');
