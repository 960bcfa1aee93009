-- Users manage users: links by which somebody sets a password anew, and how many have registered. Its twin for SQLite has the
-- same tables and columns; a test compares the two.

-- At most one a user: making another takes the place of the one before. `made_by` is NULL for the operator.
CREATE TABLE recoveries (
    owner_id TEXT NOT NULL,
    user_id TEXT NOT NULL,
    hash BYTEA NOT NULL,
    made_by TEXT,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    PRIMARY KEY (owner_id, user_id),
    FOREIGN KEY (owner_id, user_id) REFERENCES users (owner_id, id) ON DELETE CASCADE,
    FOREIGN KEY (owner_id, made_by) REFERENCES users (owner_id, id) ON DELETE CASCADE
);
CREATE INDEX recoveries_by ON recoveries (owner_id, made_by);

-- Global: registrations of the last days, counted before it is known whether they lead to an account.
CREATE TABLE registrations (
    day BIGINT NOT NULL PRIMARY KEY,
    number BIGINT NOT NULL
);

-- Row-level security, as on every tenant table.

ALTER TABLE recoveries ENABLE ROW LEVEL SECURITY;
ALTER TABLE recoveries FORCE ROW LEVEL SECURITY;
CREATE POLICY recoveries_of_owner ON recoveries TO chatward_app
    USING (owner_id = NULLIF(current_setting('chatward.owner', true), ''))
    WITH CHECK (owner_id = NULLIF(current_setting('chatward.owner', true), ''));
CREATE POLICY recoveries_for_admin ON recoveries FOR SELECT TO chatward_admin USING (true);
GRANT SELECT, INSERT, DELETE ON recoveries TO chatward_app;
GRANT SELECT ON recoveries TO chatward_admin;

GRANT SELECT, INSERT, UPDATE, DELETE ON registrations TO chatward_app;
-- Who leaves takes the account along; the way to it, logins and invitations go with it.
GRANT DELETE ON users TO chatward_app;
