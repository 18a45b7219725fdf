-- Counters by window first: what is counted today and this month stands together, and the past is never touched again.
-- By account first, each call changed a page of its own somewhere among all the days of all the years.
ALTER TABLE counters RENAME TO counters_by_account;
CREATE TABLE counters (
    account    TEXT NOT NULL,
    window     TEXT NOT NULL,
    questions  INTEGER NOT NULL DEFAULT 0,
    tokens     INTEGER NOT NULL DEFAULT 0,
    euro_nanos INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (window, account)
) STRICT, WITHOUT ROWID;
INSERT INTO counters (account, window, questions, tokens, euro_nanos)
SELECT account, window, questions, tokens, euro_nanos FROM counters_by_account ORDER BY window, account;
DROP TABLE counters_by_account;
