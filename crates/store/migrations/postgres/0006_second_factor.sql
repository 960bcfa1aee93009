-- Second factors: the sealed secret that makes a user's codes, and the codes for the day when it is lost. Its twin for SQLite
-- has the same tables and columns; a test compares the two.

-- One row a user: begun, and since `confirmed_at` asked for at each login. `last_step` is the last step of time whose code
-- was taken.
CREATE TABLE second_factors (
    owner_id TEXT NOT NULL,
    user_id TEXT NOT NULL,
    sealed BYTEA NOT NULL,
    begun_by TEXT NOT NULL,
    begun_at BIGINT NOT NULL,
    confirmed_at BIGINT,
    last_step BIGINT NOT NULL,
    PRIMARY KEY (owner_id, user_id),
    FOREIGN KEY (owner_id, user_id) REFERENCES users (owner_id, id) ON DELETE CASCADE
);

-- Keyed hashes of the codes that are left; the use of one removes it.
CREATE TABLE recovery_codes (
    owner_id TEXT NOT NULL,
    user_id TEXT NOT NULL,
    hash BYTEA NOT NULL,
    PRIMARY KEY (owner_id, user_id, hash),
    FOREIGN KEY (owner_id, user_id) REFERENCES users (owner_id, id) ON DELETE CASCADE
);

-- When the login's user proved the second factor that they have.
ALTER TABLE logins ADD COLUMN proven_at BIGINT;

-- Row-level security, as on every tenant table.

ALTER TABLE second_factors ENABLE ROW LEVEL SECURITY;
ALTER TABLE second_factors FORCE ROW LEVEL SECURITY;
CREATE POLICY second_factors_of_owner ON second_factors TO chatward_app
    USING (owner_id = NULLIF(current_setting('chatward.owner', true), ''))
    WITH CHECK (owner_id = NULLIF(current_setting('chatward.owner', true), ''));
CREATE POLICY second_factors_for_admin ON second_factors FOR SELECT TO chatward_admin USING (true);
GRANT SELECT, INSERT, UPDATE, DELETE ON second_factors TO chatward_app;
GRANT SELECT ON second_factors TO chatward_admin;

ALTER TABLE recovery_codes ENABLE ROW LEVEL SECURITY;
ALTER TABLE recovery_codes FORCE ROW LEVEL SECURITY;
CREATE POLICY recovery_codes_of_owner ON recovery_codes TO chatward_app
    USING (owner_id = NULLIF(current_setting('chatward.owner', true), ''))
    WITH CHECK (owner_id = NULLIF(current_setting('chatward.owner', true), ''));
CREATE POLICY recovery_codes_for_admin ON recovery_codes FOR SELECT TO chatward_admin USING (true);
GRANT SELECT, INSERT, DELETE ON recovery_codes TO chatward_app;
GRANT SELECT ON recovery_codes TO chatward_admin;
