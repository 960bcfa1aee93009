-- Signing keys of more than one algorithm, and users whom an outside issuer speaks for. Its twin for SQLite has the same
-- tables and columns; a test compares the two.

ALTER TABLE signing_keys ADD COLUMN algorithm TEXT NOT NULL DEFAULT 'HS256' CHECK (algorithm IN ('HS256', 'EdDSA'));

-- A tenant table: whom an issuer means by a subject. The look-up is a keyed hash of both.
CREATE TABLE user_links (
    owner_id TEXT NOT NULL,
    lookup TEXT NOT NULL,
    user_id TEXT NOT NULL,
    issuer TEXT NOT NULL,
    subject TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (owner_id, lookup),
    FOREIGN KEY (owner_id, user_id) REFERENCES users (owner_id, id) ON DELETE CASCADE
);
CREATE INDEX user_links_user ON user_links (owner_id, user_id);

-- Global, after what it refers to: the way from the look-up to the user. A subject of an issuer is one user.
CREATE TABLE user_link_directory (
    lookup TEXT NOT NULL PRIMARY KEY,
    owner_id TEXT NOT NULL,
    user_id TEXT NOT NULL,
    FOREIGN KEY (owner_id, lookup) REFERENCES user_links (owner_id, lookup) ON DELETE CASCADE
);
CREATE INDEX user_link_directory_link ON user_link_directory (owner_id, lookup);

-- Row-level security, as on every tenant table.

ALTER TABLE user_links ENABLE ROW LEVEL SECURITY;
ALTER TABLE user_links FORCE ROW LEVEL SECURITY;
CREATE POLICY user_links_of_owner ON user_links TO chatward_app
    USING (owner_id = NULLIF(current_setting('chatward.owner', true), ''))
    WITH CHECK (owner_id = NULLIF(current_setting('chatward.owner', true), ''));
CREATE POLICY user_links_for_admin ON user_links FOR SELECT TO chatward_admin USING (true);
GRANT SELECT, INSERT, DELETE ON user_links TO chatward_app;
GRANT SELECT ON user_links TO chatward_admin;

GRANT SELECT, INSERT ON user_link_directory TO chatward_app;
