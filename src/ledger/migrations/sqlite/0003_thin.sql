-- Holds are found by number and known to the one process that serves; only /v1/usage asks for a resident's. Fewer trees
-- to write for each call.
CREATE TABLE holds (
    number      INTEGER PRIMARY KEY,
    id          TEXT NOT NULL,
    resident_id TEXT NOT NULL,
    day         TEXT NOT NULL,               -- windows in which it was admitted
    month       TEXT NOT NULL,
    year        TEXT NOT NULL,
    tokens      INTEGER NOT NULL,
    euro_nanos  INTEGER NOT NULL,
    expires_at  INTEGER NOT NULL,
    entry       TEXT NOT NULL                -- what the entry says if nobody settles it
) STRICT;
INSERT INTO holds (id, resident_id, day, month, year, tokens, euro_nanos, expires_at, entry)
SELECT id, resident_id, day, month, year, tokens, euro_nanos, expires_at, entry FROM reservations;
DROP TABLE reservations;
ALTER TABLE holds RENAME TO reservations;
CREATE INDEX reservations_by_resident ON reservations (resident_id);

-- What is read of a body is read when somebody asks, not at every insertion.
ALTER TABLE entries DROP COLUMN id;
ALTER TABLE entries DROP COLUMN outcome;
ALTER TABLE entries DROP COLUMN provider;
ALTER TABLE entries DROP COLUMN request_model;
ALTER TABLE entries DROP COLUMN day;
ALTER TABLE entries DROP COLUMN currency;
ALTER TABLE entries DROP COLUMN cost_nanos;
CREATE VIEW attempts AS
SELECT seq, body ->> 'id' AS id, body ->> 'outcome' AS outcome, body ->> 'provider' AS provider,
       body ->> 'request_model' AS request_model, body ->> 'day' AS day, body ->> 'currency' AS currency,
       body ->> 'cost_nanos' AS cost_nanos, body
FROM entries WHERE body NOT LIKE '{"kind":%';
