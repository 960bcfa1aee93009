-- The audit trail, blocks of addresses, and the lockdown. All are the installation's, and global.
-- Its twin for PostgreSQL has the same tables and columns; a test compares the two.

-- Each record is chained to the one before it by a keyed hash. The numbers have no gaps; only a pruning takes records
-- away, from the beginning, and leaves a record of itself.
CREATE TABLE audit_trail (
    seq INTEGER NOT NULL PRIMARY KEY,
    name TEXT NOT NULL,
    at INTEGER NOT NULL,
    owner_id TEXT,
    actor TEXT NOT NULL,
    subject TEXT NOT NULL,
    detail TEXT NOT NULL,
    key_id TEXT NOT NULL,
    previous TEXT NOT NULL,
    hash TEXT NOT NULL
) STRICT;
CREATE INDEX audit_trail_time ON audit_trail (at);

-- A network in canonical text. It stays for a while after its end, so that the next one lasts longer.
CREATE TABLE blocks (
    network TEXT NOT NULL PRIMARY KEY,
    until_at INTEGER,
    reason TEXT NOT NULL,
    created_by TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    strikes INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- One row while the lockdown is on.
CREATE TABLE lockdown (
    name TEXT NOT NULL PRIMARY KEY,
    reason TEXT NOT NULL,
    created_by TEXT NOT NULL,
    created_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
