-- The first schema. Its twin for SQLite has the same tables and columns; a test compares the two.
-- It runs as chatward_owner in the schema `chatward`. The application's role owns nothing and cannot bypass row-level
-- security; the administrative role reads across tenants by a policy of its own and writes nothing.
-- Times are microseconds since 1970 (UTC). JSON is text. Every table of a tenant leads its key with owner_id.

-- Global tables: no tenant's content, looked at before or beside any owner.

CREATE TABLE settings (
    name TEXT NOT NULL PRIMARY KEY,
    value TEXT NOT NULL
);

CREATE TABLE signing_keys (
    kid TEXT NOT NULL PRIMARY KEY,
    purpose TEXT NOT NULL,
    state TEXT NOT NULL,
    sealed BYTEA NOT NULL,
    created_at BIGINT NOT NULL,
    until_at BIGINT
);

CREATE TABLE changes (
    seq BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    kind TEXT NOT NULL,
    owner_id TEXT,
    subject TEXT NOT NULL,
    at BIGINT NOT NULL
);
CREATE INDEX changes_at ON changes (at);

CREATE TABLE nodes (
    id TEXT NOT NULL PRIMARY KEY,
    registered_at BIGINT NOT NULL,
    seen_at BIGINT NOT NULL
);

CREATE TABLE jobs (
    id TEXT NOT NULL PRIMARY KEY,
    owner_id TEXT NOT NULL,
    kind TEXT NOT NULL,
    subject TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('queued', 'running', 'done', 'failed')),
    attempts BIGINT NOT NULL,
    node_id TEXT,
    lease_until BIGINT,
    progress TEXT NOT NULL,
    outcome TEXT,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);
-- One job at a time for the same subject: a second enqueue finds the first.
CREATE UNIQUE INDEX jobs_open ON jobs (kind, subject) WHERE state IN ('queued', 'running');
CREATE INDEX jobs_created ON jobs (created_at);

CREATE TABLE budget_days (
    name TEXT NOT NULL,
    day BIGINT NOT NULL,
    taken BIGINT NOT NULL CHECK (taken >= 0),
    PRIMARY KEY (name, day)
);

-- Tenant tables.

CREATE TABLE owners (
    owner_id TEXT NOT NULL PRIMARY KEY,
    name TEXT NOT NULL,
    created_at BIGINT NOT NULL
);

CREATE TABLE data_keys (
    owner_id TEXT NOT NULL REFERENCES owners (owner_id) ON DELETE CASCADE,
    version BIGINT NOT NULL,
    wrapped BYTEA NOT NULL,
    PRIMARY KEY (owner_id, version)
);

CREATE TABLE sites (
    owner_id TEXT NOT NULL REFERENCES owners (owner_id) ON DELETE CASCADE,
    id TEXT NOT NULL,
    publishable_key TEXT NOT NULL UNIQUE,
    url TEXT NOT NULL,
    name TEXT NOT NULL,
    origins TEXT NOT NULL,
    settings TEXT NOT NULL,
    index_generation BIGINT NOT NULL,
    latest_generation BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (owner_id, id)
);

CREATE TABLE pages (
    owner_id TEXT NOT NULL,
    site_id TEXT NOT NULL,
    generation BIGINT NOT NULL,
    id TEXT NOT NULL,
    url TEXT NOT NULL,
    title TEXT NOT NULL,
    status TEXT NOT NULL,
    reason TEXT NOT NULL,
    chunks BIGINT NOT NULL,
    bytes BIGINT NOT NULL,
    language TEXT NOT NULL,
    fetched_at BIGINT NOT NULL,
    PRIMARY KEY (owner_id, site_id, generation, id),
    FOREIGN KEY (owner_id, site_id) REFERENCES sites (owner_id, id) ON DELETE CASCADE
);

CREATE TABLE chunks (
    owner_id TEXT NOT NULL,
    site_id TEXT NOT NULL,
    generation BIGINT NOT NULL,
    ordinal BIGINT NOT NULL,
    page_id TEXT NOT NULL,
    heading TEXT NOT NULL,
    text TEXT NOT NULL,
    PRIMARY KEY (owner_id, site_id, generation, ordinal),
    FOREIGN KEY (owner_id, site_id, generation, page_id)
        REFERENCES pages (owner_id, site_id, generation, id) ON DELETE CASCADE
);

CREATE TABLE index_segments (
    owner_id TEXT NOT NULL,
    site_id TEXT NOT NULL,
    generation BIGINT NOT NULL,
    ordinal BIGINT NOT NULL,
    bytes BYTEA NOT NULL,
    PRIMARY KEY (owner_id, site_id, generation, ordinal),
    FOREIGN KEY (owner_id, site_id) REFERENCES sites (owner_id, id) ON DELETE CASCADE
);

CREATE TABLE conversations (
    owner_id TEXT NOT NULL,
    id TEXT NOT NULL,
    site_id TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (owner_id, id),
    FOREIGN KEY (owner_id, site_id) REFERENCES sites (owner_id, id) ON DELETE CASCADE
);
CREATE INDEX conversations_site ON conversations (owner_id, site_id);

CREATE TABLE sessions (
    owner_id TEXT NOT NULL,
    id TEXT NOT NULL,
    site_id TEXT NOT NULL,
    conversation_id TEXT NOT NULL,
    origin TEXT NOT NULL,
    network TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    last_activity_at BIGINT NOT NULL,
    PRIMARY KEY (owner_id, id),
    FOREIGN KEY (owner_id, site_id) REFERENCES sites (owner_id, id) ON DELETE CASCADE,
    FOREIGN KEY (owner_id, conversation_id) REFERENCES conversations (owner_id, id) ON DELETE CASCADE
);
CREATE INDEX sessions_site ON sessions (owner_id, site_id);
CREATE INDEX sessions_conversation ON sessions (owner_id, conversation_id);
CREATE INDEX sessions_activity ON sessions (last_activity_at);

CREATE TABLE messages (
    owner_id TEXT NOT NULL,
    conversation_id TEXT NOT NULL,
    id TEXT NOT NULL,
    role TEXT NOT NULL CHECK (role IN ('user', 'assistant')),
    state TEXT NOT NULL CHECK (state IN ('complete', 'interrupted')),
    provider TEXT NOT NULL,
    sealed BYTEA NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (owner_id, conversation_id, id),
    FOREIGN KEY (owner_id, conversation_id) REFERENCES conversations (owner_id, id) ON DELETE CASCADE
);

CREATE TABLE feedback (
    owner_id TEXT NOT NULL,
    conversation_id TEXT NOT NULL,
    message_id TEXT NOT NULL,
    id TEXT NOT NULL,
    rating BIGINT NOT NULL CHECK (rating IN (-1, 1)),
    reason_sealed BYTEA,
    at BIGINT NOT NULL,
    PRIMARY KEY (owner_id, conversation_id, message_id),
    FOREIGN KEY (owner_id, conversation_id, message_id)
        REFERENCES messages (owner_id, conversation_id, id) ON DELETE CASCADE
);

-- What answers cost. No conversation in it: it outlives erased ones and says nothing about them.
CREATE TABLE usage (
    owner_id TEXT NOT NULL,
    site_id TEXT NOT NULL,
    at BIGINT NOT NULL,
    id TEXT NOT NULL,
    provider TEXT NOT NULL,
    model TEXT NOT NULL,
    input_tokens BIGINT NOT NULL,
    output_tokens BIGINT NOT NULL,
    micro_usd BIGINT NOT NULL,
    PRIMARY KEY (owner_id, site_id, at, id),
    FOREIGN KEY (owner_id, site_id) REFERENCES sites (owner_id, id) ON DELETE CASCADE
);

-- Global again, after what it refers to: the way from a page's public key to the owner whose rows may be read.
CREATE TABLE site_directory (
    publishable_key TEXT NOT NULL PRIMARY KEY,
    owner_id TEXT NOT NULL,
    site_id TEXT NOT NULL,
    FOREIGN KEY (owner_id, site_id) REFERENCES sites (owner_id, id) ON DELETE CASCADE
);
CREATE INDEX site_directory_site ON site_directory (owner_id, site_id);

-- Row-level security, forced also on the tables' owner. An unset or empty setting is NULL and matches nothing.

ALTER TABLE owners ENABLE ROW LEVEL SECURITY;
ALTER TABLE owners FORCE ROW LEVEL SECURITY;
CREATE POLICY owners_of_owner ON owners TO chatward_app
    USING (owner_id = NULLIF(current_setting('chatward.owner', true), ''))
    WITH CHECK (owner_id = NULLIF(current_setting('chatward.owner', true), ''));
CREATE POLICY owners_for_admin ON owners FOR SELECT TO chatward_admin USING (true);
GRANT SELECT, INSERT ON owners TO chatward_app;
GRANT SELECT ON owners TO chatward_admin;

ALTER TABLE data_keys ENABLE ROW LEVEL SECURITY;
ALTER TABLE data_keys FORCE ROW LEVEL SECURITY;
CREATE POLICY data_keys_of_owner ON data_keys TO chatward_app
    USING (owner_id = NULLIF(current_setting('chatward.owner', true), ''))
    WITH CHECK (owner_id = NULLIF(current_setting('chatward.owner', true), ''));
CREATE POLICY data_keys_for_admin ON data_keys FOR SELECT TO chatward_admin USING (true);
GRANT SELECT, INSERT ON data_keys TO chatward_app;
GRANT SELECT ON data_keys TO chatward_admin;

ALTER TABLE sites ENABLE ROW LEVEL SECURITY;
ALTER TABLE sites FORCE ROW LEVEL SECURITY;
CREATE POLICY sites_of_owner ON sites TO chatward_app
    USING (owner_id = NULLIF(current_setting('chatward.owner', true), ''))
    WITH CHECK (owner_id = NULLIF(current_setting('chatward.owner', true), ''));
CREATE POLICY sites_for_admin ON sites FOR SELECT TO chatward_admin USING (true);
GRANT SELECT, INSERT, UPDATE, DELETE ON sites TO chatward_app;
GRANT SELECT ON sites TO chatward_admin;

ALTER TABLE pages ENABLE ROW LEVEL SECURITY;
ALTER TABLE pages FORCE ROW LEVEL SECURITY;
CREATE POLICY pages_of_owner ON pages TO chatward_app
    USING (owner_id = NULLIF(current_setting('chatward.owner', true), ''))
    WITH CHECK (owner_id = NULLIF(current_setting('chatward.owner', true), ''));
CREATE POLICY pages_for_admin ON pages FOR SELECT TO chatward_admin USING (true);
GRANT SELECT, INSERT, DELETE ON pages TO chatward_app;
GRANT SELECT ON pages TO chatward_admin;

ALTER TABLE chunks ENABLE ROW LEVEL SECURITY;
ALTER TABLE chunks FORCE ROW LEVEL SECURITY;
CREATE POLICY chunks_of_owner ON chunks TO chatward_app
    USING (owner_id = NULLIF(current_setting('chatward.owner', true), ''))
    WITH CHECK (owner_id = NULLIF(current_setting('chatward.owner', true), ''));
CREATE POLICY chunks_for_admin ON chunks FOR SELECT TO chatward_admin USING (true);
GRANT SELECT, INSERT, DELETE ON chunks TO chatward_app;
GRANT SELECT ON chunks TO chatward_admin;

ALTER TABLE index_segments ENABLE ROW LEVEL SECURITY;
ALTER TABLE index_segments FORCE ROW LEVEL SECURITY;
CREATE POLICY index_segments_of_owner ON index_segments TO chatward_app
    USING (owner_id = NULLIF(current_setting('chatward.owner', true), ''))
    WITH CHECK (owner_id = NULLIF(current_setting('chatward.owner', true), ''));
CREATE POLICY index_segments_for_admin ON index_segments FOR SELECT TO chatward_admin USING (true);
GRANT SELECT, INSERT, DELETE ON index_segments TO chatward_app;
GRANT SELECT ON index_segments TO chatward_admin;

ALTER TABLE conversations ENABLE ROW LEVEL SECURITY;
ALTER TABLE conversations FORCE ROW LEVEL SECURITY;
CREATE POLICY conversations_of_owner ON conversations TO chatward_app
    USING (owner_id = NULLIF(current_setting('chatward.owner', true), ''))
    WITH CHECK (owner_id = NULLIF(current_setting('chatward.owner', true), ''));
CREATE POLICY conversations_for_admin ON conversations FOR SELECT TO chatward_admin USING (true);
GRANT SELECT, INSERT, DELETE ON conversations TO chatward_app;
GRANT SELECT ON conversations TO chatward_admin;

ALTER TABLE sessions ENABLE ROW LEVEL SECURITY;
ALTER TABLE sessions FORCE ROW LEVEL SECURITY;
CREATE POLICY sessions_of_owner ON sessions TO chatward_app
    USING (owner_id = NULLIF(current_setting('chatward.owner', true), ''))
    WITH CHECK (owner_id = NULLIF(current_setting('chatward.owner', true), ''));
CREATE POLICY sessions_for_admin ON sessions FOR SELECT TO chatward_admin USING (true);
GRANT SELECT, INSERT, UPDATE, DELETE ON sessions TO chatward_app;
GRANT SELECT ON sessions TO chatward_admin;

ALTER TABLE messages ENABLE ROW LEVEL SECURITY;
ALTER TABLE messages FORCE ROW LEVEL SECURITY;
CREATE POLICY messages_of_owner ON messages TO chatward_app
    USING (owner_id = NULLIF(current_setting('chatward.owner', true), ''))
    WITH CHECK (owner_id = NULLIF(current_setting('chatward.owner', true), ''));
CREATE POLICY messages_for_admin ON messages FOR SELECT TO chatward_admin USING (true);
GRANT SELECT, INSERT, DELETE ON messages TO chatward_app;
GRANT SELECT ON messages TO chatward_admin;

ALTER TABLE feedback ENABLE ROW LEVEL SECURITY;
ALTER TABLE feedback FORCE ROW LEVEL SECURITY;
CREATE POLICY feedback_of_owner ON feedback TO chatward_app
    USING (owner_id = NULLIF(current_setting('chatward.owner', true), ''))
    WITH CHECK (owner_id = NULLIF(current_setting('chatward.owner', true), ''));
CREATE POLICY feedback_for_admin ON feedback FOR SELECT TO chatward_admin USING (true);
GRANT SELECT, INSERT, UPDATE, DELETE ON feedback TO chatward_app;
GRANT SELECT ON feedback TO chatward_admin;

ALTER TABLE usage ENABLE ROW LEVEL SECURITY;
ALTER TABLE usage FORCE ROW LEVEL SECURITY;
CREATE POLICY usage_of_owner ON usage TO chatward_app
    USING (owner_id = NULLIF(current_setting('chatward.owner', true), ''))
    WITH CHECK (owner_id = NULLIF(current_setting('chatward.owner', true), ''));
CREATE POLICY usage_for_admin ON usage FOR SELECT TO chatward_admin USING (true);
GRANT SELECT, INSERT, DELETE ON usage TO chatward_app;
GRANT SELECT ON usage TO chatward_admin;

-- Global tables: no policy; the catalogue test holds this list and a reason for each.

GRANT SELECT ON schema_migrations TO chatward_app, chatward_admin;
GRANT SELECT, INSERT ON settings TO chatward_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON signing_keys TO chatward_app;
GRANT SELECT, INSERT, DELETE ON site_directory TO chatward_app;
GRANT SELECT, INSERT, DELETE ON changes TO chatward_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON nodes TO chatward_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON jobs TO chatward_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON budget_days TO chatward_app;
