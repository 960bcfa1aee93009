-- Accounts: users, their logins and invitations, and what slows guessing down. Its twin for PostgreSQL has the same tables and
-- columns; a test compares the two.

-- Global: attempts to log in by the keyed hash of the address that was tried, whether there is such an account or not, so
-- that both are slowed alike. Forgotten after a day.

CREATE TABLE login_attempts (
    lookup TEXT NOT NULL PRIMARY KEY,
    attempts INTEGER NOT NULL,
    held_until INTEGER NOT NULL,
    last_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX login_attempts_last ON login_attempts (last_at);

-- Tenant tables.

CREATE TABLE users (
    owner_id TEXT NOT NULL REFERENCES owners (owner_id) ON DELETE CASCADE,
    id TEXT NOT NULL,
    email TEXT NOT NULL,
    name TEXT NOT NULL,
    role TEXT NOT NULL CHECK (role IN ('viewer', 'member', 'admin', 'owner')),
    password TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('active', 'disabled')),
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    PRIMARY KEY (owner_id, id)
) STRICT;

-- One row a device: what proves its next refresh, as a hash.
CREATE TABLE logins (
    owner_id TEXT NOT NULL,
    id TEXT NOT NULL,
    user_id TEXT NOT NULL,
    hash BLOB NOT NULL,
    user_agent TEXT NOT NULL,
    network TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    last_used_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    ended_at INTEGER,
    PRIMARY KEY (owner_id, id),
    FOREIGN KEY (owner_id, user_id) REFERENCES users (owner_id, id) ON DELETE CASCADE
) STRICT;
CREATE INDEX logins_user ON logins (owner_id, user_id);

CREATE TABLE invitations (
    owner_id TEXT NOT NULL,
    id TEXT NOT NULL,
    hash BLOB NOT NULL,
    email TEXT NOT NULL,
    role TEXT NOT NULL CHECK (role IN ('viewer', 'member', 'admin', 'owner')),
    invited_by TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    PRIMARY KEY (owner_id, id),
    FOREIGN KEY (owner_id, invited_by) REFERENCES users (owner_id, id) ON DELETE CASCADE
) STRICT;
CREATE INDEX invitations_by ON invitations (owner_id, invited_by);

-- Global, after what it refers to: the way from the keyed hash of an address to the account. An address has one account.
CREATE TABLE user_directory (
    lookup TEXT NOT NULL PRIMARY KEY,
    owner_id TEXT NOT NULL,
    user_id TEXT NOT NULL,
    FOREIGN KEY (owner_id, user_id) REFERENCES users (owner_id, id) ON DELETE CASCADE
) STRICT;
CREATE INDEX user_directory_user ON user_directory (owner_id, user_id);
