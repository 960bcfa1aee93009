-- Users manage users: links by which somebody sets a password anew, and how many have registered. Its twin for PostgreSQL has
-- the same tables and columns; a test compares the two.

-- At most one a user: making another takes the place of the one before. `made_by` is NULL for the operator.
CREATE TABLE recoveries (
    owner_id TEXT NOT NULL,
    user_id TEXT NOT NULL,
    hash BLOB NOT NULL,
    made_by TEXT,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    PRIMARY KEY (owner_id, user_id),
    FOREIGN KEY (owner_id, user_id) REFERENCES users (owner_id, id) ON DELETE CASCADE,
    FOREIGN KEY (owner_id, made_by) REFERENCES users (owner_id, id) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;
CREATE INDEX recoveries_by ON recoveries (owner_id, made_by);

-- Global: registrations of the last days, counted before it is known whether they lead to an account.
CREATE TABLE registrations (
    day INTEGER NOT NULL PRIMARY KEY,
    number INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
