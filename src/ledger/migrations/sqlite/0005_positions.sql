-- Attempts are stored as arrays from here on, their values in a fixed order (src/ledger/stored.rs); those from before stay
-- the objects that they are. Numbers are positions: 0 is the form, then come the values. 1 is the one form there is.
DROP VIEW attempts;
CREATE VIEW attempts AS
SELECT seq, body ->> 1 AS id, body ->> 4 AS outcome, body ->> 13 AS provider, body ->> 16 AS request_model,
       body ->> 27 AS day, body ->> 18 AS currency, body ->> 44 AS cost_nanos, body
FROM entries WHERE body LIKE '[%'
UNION ALL
SELECT seq, body ->> 'id', body ->> 'outcome', body ->> 'provider', body ->> 'request_model',
       body ->> 'day', body ->> 'currency', body ->> 'cost_nanos', body
FROM entries WHERE body LIKE '{%' AND body NOT LIKE '{"kind":%';
