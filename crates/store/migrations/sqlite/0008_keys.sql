-- Issued keys with several rights, bounds and successors; publishable keys with an end; the first sight of keys that come
-- from outside. Its twin for PostgreSQL has the same tables and columns; a test compares the two.

-- The column before held one word. It goes at once, so that a program of before cannot take a key without the right to
-- manage for one that has it.
ALTER TABLE issued_keys ADD COLUMN scopes TEXT NOT NULL DEFAULT 'manage;' CHECK (scopes <> '' AND REPLACE(REPLACE(REPLACE(
    REPLACE(REPLACE(scopes, 'chat;', ''), 'gateway;', ''), 'realtime;', ''), 'feed:publish;', ''), 'manage;', '') = '');
ALTER TABLE issued_keys DROP COLUMN scope;
-- Lists as JSON; an empty one means all. Sites are no foreign key: a key whose last site is removed must reach none, not all.
ALTER TABLE issued_keys ADD COLUMN models TEXT NOT NULL DEFAULT '[]';
ALTER TABLE issued_keys ADD COLUMN sites TEXT NOT NULL DEFAULT '[]';
-- Absent where there is no bound.
ALTER TABLE issued_keys ADD COLUMN per_minute INTEGER CHECK (per_minute > 0);
ALTER TABLE issued_keys ADD COLUMN per_hour INTEGER CHECK (per_hour > 0);
ALTER TABLE issued_keys ADD COLUMN daily_micro_usd INTEGER CHECK (daily_micro_usd >= 0);
ALTER TABLE issued_keys ADD COLUMN total_micro_usd INTEGER CHECK (total_micro_usd >= 0);
-- Absent for keys of before, whose text alone says it.
ALTER TABLE issued_keys ADD COLUMN environment TEXT CHECK (environment IN ('development', 'staging', 'production'));
ALTER TABLE issued_keys ADD COLUMN last_used_at INTEGER;
-- A rotated key has both: who comes after it, and until when it is honoured beside that one.
ALTER TABLE issued_keys ADD COLUMN successor TEXT;
ALTER TABLE issued_keys ADD COLUMN honoured_until INTEGER;
-- The first key of a chain of rotations; absent for the first itself. Bounds count by it.
ALTER TABLE issued_keys ADD COLUMN lineage TEXT;

-- Absent: honoured until it is rotated or revoked, and as old as its site.
ALTER TABLE site_directory ADD COLUMN honoured_until INTEGER;
ALTER TABLE site_directory ADD COLUMN made_at INTEGER;

-- Global: when a key that the configuration brings was seen first, by its keyed hash.
CREATE TABLE key_sightings (
    fingerprint TEXT NOT NULL PRIMARY KEY,
    first_seen_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
