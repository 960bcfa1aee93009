-- What tells two tabs that refresh one login at once from the reuse of a spent token. Its twin for PostgreSQL has the same
-- columns; a test compares the two.

-- A digest of the token that was traded last and of who traded it; NULL before the first trade.
ALTER TABLE logins ADD COLUMN spent BLOB;
