-- Second factors: the sealed secret that makes a user's codes, and the codes for the day when it is lost. Its twin for
-- PostgreSQL has the same tables and columns; a test compares the two.

-- One row a user: begun, and since `confirmed_at` asked for at each login. `last_step` is the last step of time whose code
-- was taken.
CREATE TABLE second_factors (
    owner_id TEXT NOT NULL,
    user_id TEXT NOT NULL,
    sealed BLOB NOT NULL,
    begun_by TEXT NOT NULL,
    begun_at INTEGER NOT NULL,
    confirmed_at INTEGER,
    last_step INTEGER NOT NULL,
    PRIMARY KEY (owner_id, user_id),
    FOREIGN KEY (owner_id, user_id) REFERENCES users (owner_id, id) ON DELETE CASCADE
) STRICT;

-- Keyed hashes of the codes that are left; the use of one removes it.
CREATE TABLE recovery_codes (
    owner_id TEXT NOT NULL,
    user_id TEXT NOT NULL,
    hash BLOB NOT NULL,
    PRIMARY KEY (owner_id, user_id, hash),
    FOREIGN KEY (owner_id, user_id) REFERENCES users (owner_id, id) ON DELETE CASCADE
) STRICT;

-- When the login's user proved the second factor that they have.
ALTER TABLE logins ADD COLUMN proven_at INTEGER;
