-- The widget: spent tickets, issued keys, refused origins, and what a site's identity secret and a visitor's identity
-- are kept in. Its twin for SQLite has the same tables and columns; a test compares the two.

-- Global: a ticket that was traded, until it would have run out anyway. A second trade finds the first.

CREATE TABLE spent_tickets (
    id TEXT NOT NULL PRIMARY KEY,
    expires_at BIGINT NOT NULL
);
CREATE INDEX spent_tickets_expiry ON spent_tickets (expires_at);

-- Tenant tables.

CREATE TABLE issued_keys (
    owner_id TEXT NOT NULL REFERENCES owners (owner_id) ON DELETE CASCADE,
    id TEXT NOT NULL,
    name TEXT NOT NULL,
    scope TEXT NOT NULL CHECK (scope IN ('manage')),
    hash BYTEA NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT,
    revoked_at BIGINT,
    PRIMARY KEY (owner_id, id)
);

CREATE TABLE refused_origins (
    owner_id TEXT NOT NULL,
    site_id TEXT NOT NULL,
    origin TEXT NOT NULL,
    count BIGINT NOT NULL,
    first_at BIGINT NOT NULL,
    last_at BIGINT NOT NULL,
    PRIMARY KEY (owner_id, site_id, origin),
    FOREIGN KEY (owner_id, site_id) REFERENCES sites (owner_id, id) ON DELETE CASCADE
);

-- Sealed by the vault; absent until there is one.
ALTER TABLE sites ADD COLUMN identity_secret BYTEA;
ALTER TABLE sessions ADD COLUMN identity BYTEA;

-- Global, after what it refers to: the way from a secret key's public id to the owner whose rows may be read.
CREATE TABLE issued_key_directory (
    id TEXT NOT NULL PRIMARY KEY,
    owner_id TEXT NOT NULL,
    FOREIGN KEY (owner_id, id) REFERENCES issued_keys (owner_id, id) ON DELETE CASCADE
);
CREATE INDEX issued_key_directory_key ON issued_key_directory (owner_id, id);

-- Row-level security, as on every tenant table.

ALTER TABLE issued_keys ENABLE ROW LEVEL SECURITY;
ALTER TABLE issued_keys FORCE ROW LEVEL SECURITY;
CREATE POLICY issued_keys_of_owner ON issued_keys TO chatward_app
    USING (owner_id = NULLIF(current_setting('chatward.owner', true), ''))
    WITH CHECK (owner_id = NULLIF(current_setting('chatward.owner', true), ''));
CREATE POLICY issued_keys_for_admin ON issued_keys FOR SELECT TO chatward_admin USING (true);
GRANT SELECT, INSERT, UPDATE, DELETE ON issued_keys TO chatward_app;
GRANT SELECT ON issued_keys TO chatward_admin;

ALTER TABLE refused_origins ENABLE ROW LEVEL SECURITY;
ALTER TABLE refused_origins FORCE ROW LEVEL SECURITY;
CREATE POLICY refused_origins_of_owner ON refused_origins TO chatward_app
    USING (owner_id = NULLIF(current_setting('chatward.owner', true), ''))
    WITH CHECK (owner_id = NULLIF(current_setting('chatward.owner', true), ''));
CREATE POLICY refused_origins_for_admin ON refused_origins FOR SELECT TO chatward_admin USING (true);
GRANT SELECT, INSERT, UPDATE, DELETE ON refused_origins TO chatward_app;
GRANT SELECT ON refused_origins TO chatward_admin;

GRANT SELECT, INSERT, DELETE ON spent_tickets TO chatward_app;
GRANT SELECT, INSERT, DELETE ON issued_key_directory TO chatward_app;
