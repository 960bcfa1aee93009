-- Devices: programs of an owner that prove themselves by a token of their own. Its twin for SQLite has the same tables and
-- columns; a test compares the two.

-- The allowed list: a device is on it as long as its row is there and not revoked. A name is one device's at a time.
CREATE TABLE devices (
    owner_id TEXT NOT NULL REFERENCES owners (owner_id) ON DELETE CASCADE,
    id TEXT NOT NULL,
    name TEXT NOT NULL,
    feeds TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    seen_at BIGINT,
    expires_at BIGINT,
    revoked_at BIGINT,
    PRIMARY KEY (owner_id, id)
);
CREATE UNIQUE INDEX devices_name ON devices (owner_id, name) WHERE revoked_at IS NULL;

ALTER TABLE devices ENABLE ROW LEVEL SECURITY;
ALTER TABLE devices FORCE ROW LEVEL SECURITY;
CREATE POLICY devices_of_owner ON devices TO chatward_app
    USING (owner_id = NULLIF(current_setting('chatward.owner', true), ''))
    WITH CHECK (owner_id = NULLIF(current_setting('chatward.owner', true), ''));
CREATE POLICY devices_for_admin ON devices FOR SELECT TO chatward_admin USING (true);
GRANT SELECT, INSERT, UPDATE, DELETE ON devices TO chatward_app;
GRANT SELECT ON devices TO chatward_admin;
