-- Accounts: users, their logins and invitations, and what slows guessing down. Its twin for SQLite has the same tables and
-- columns; a test compares the two.

-- Global: attempts to log in by the keyed hash of the address that was tried, whether there is such an account or not, so
-- that both are slowed alike. Forgotten after a day.

CREATE TABLE login_attempts (
    lookup TEXT NOT NULL PRIMARY KEY,
    attempts BIGINT NOT NULL,
    held_until BIGINT NOT NULL,
    last_at BIGINT NOT NULL
);
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
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (owner_id, id)
);

-- One row a device: what proves its next refresh, as a hash.
CREATE TABLE logins (
    owner_id TEXT NOT NULL,
    id TEXT NOT NULL,
    user_id TEXT NOT NULL,
    hash BYTEA NOT NULL,
    user_agent TEXT NOT NULL,
    network TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    last_used_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    ended_at BIGINT,
    PRIMARY KEY (owner_id, id),
    FOREIGN KEY (owner_id, user_id) REFERENCES users (owner_id, id) ON DELETE CASCADE
);
CREATE INDEX logins_user ON logins (owner_id, user_id);

CREATE TABLE invitations (
    owner_id TEXT NOT NULL,
    id TEXT NOT NULL,
    hash BYTEA NOT NULL,
    email TEXT NOT NULL,
    role TEXT NOT NULL CHECK (role IN ('viewer', 'member', 'admin', 'owner')),
    invited_by TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    PRIMARY KEY (owner_id, id),
    FOREIGN KEY (owner_id, invited_by) REFERENCES users (owner_id, id) ON DELETE CASCADE
);
CREATE INDEX invitations_by ON invitations (owner_id, invited_by);

-- Global, after what it refers to: the way from the keyed hash of an address to the account. An address has one account.
CREATE TABLE user_directory (
    lookup TEXT NOT NULL PRIMARY KEY,
    owner_id TEXT NOT NULL,
    user_id TEXT NOT NULL,
    FOREIGN KEY (owner_id, user_id) REFERENCES users (owner_id, id) ON DELETE CASCADE
);
CREATE INDEX user_directory_user ON user_directory (owner_id, user_id);

-- Row-level security, as on every tenant table.

ALTER TABLE users ENABLE ROW LEVEL SECURITY;
ALTER TABLE users FORCE ROW LEVEL SECURITY;
CREATE POLICY users_of_owner ON users TO chatward_app
    USING (owner_id = NULLIF(current_setting('chatward.owner', true), ''))
    WITH CHECK (owner_id = NULLIF(current_setting('chatward.owner', true), ''));
CREATE POLICY users_for_admin ON users FOR SELECT TO chatward_admin USING (true);
GRANT SELECT, INSERT, UPDATE ON users TO chatward_app;
GRANT SELECT ON users TO chatward_admin;

ALTER TABLE logins ENABLE ROW LEVEL SECURITY;
ALTER TABLE logins FORCE ROW LEVEL SECURITY;
CREATE POLICY logins_of_owner ON logins TO chatward_app
    USING (owner_id = NULLIF(current_setting('chatward.owner', true), ''))
    WITH CHECK (owner_id = NULLIF(current_setting('chatward.owner', true), ''));
CREATE POLICY logins_for_admin ON logins FOR SELECT TO chatward_admin USING (true);
GRANT SELECT, INSERT, UPDATE, DELETE ON logins TO chatward_app;
GRANT SELECT ON logins TO chatward_admin;

ALTER TABLE invitations ENABLE ROW LEVEL SECURITY;
ALTER TABLE invitations FORCE ROW LEVEL SECURITY;
CREATE POLICY invitations_of_owner ON invitations TO chatward_app
    USING (owner_id = NULLIF(current_setting('chatward.owner', true), ''))
    WITH CHECK (owner_id = NULLIF(current_setting('chatward.owner', true), ''));
CREATE POLICY invitations_for_admin ON invitations FOR SELECT TO chatward_admin USING (true);
GRANT SELECT, INSERT, DELETE ON invitations TO chatward_app;
GRANT SELECT ON invitations TO chatward_admin;

GRANT SELECT, INSERT, UPDATE, DELETE ON login_attempts TO chatward_app;
GRANT SELECT, INSERT ON user_directory TO chatward_app;
-- The set-up token's hash is replaced at a start and removed by its use.
GRANT UPDATE, DELETE ON settings TO chatward_app;
