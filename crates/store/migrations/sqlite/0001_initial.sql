-- The first schema. Its twin for PostgreSQL has the same tables and columns; a test compares the two.
-- Times are microseconds since 1970 (UTC). JSON is text. Every table of a tenant leads its key with owner_id.

-- Global tables: no tenant's content, looked at before or beside any owner.

CREATE TABLE settings (
    name TEXT NOT NULL PRIMARY KEY,
    value TEXT NOT NULL
) STRICT;

CREATE TABLE signing_keys (
    kid TEXT NOT NULL PRIMARY KEY,
    purpose TEXT NOT NULL,
    state TEXT NOT NULL,
    sealed BLOB NOT NULL,
    created_at INTEGER NOT NULL,
    until_at INTEGER
) STRICT;

CREATE TABLE changes (
    seq INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    kind TEXT NOT NULL,
    owner_id TEXT,
    subject TEXT NOT NULL,
    at INTEGER NOT NULL
) STRICT;
CREATE INDEX changes_at ON changes (at);

CREATE TABLE nodes (
    id TEXT NOT NULL PRIMARY KEY,
    registered_at INTEGER NOT NULL,
    seen_at INTEGER NOT NULL
) STRICT;

CREATE TABLE jobs (
    id TEXT NOT NULL PRIMARY KEY,
    owner_id TEXT NOT NULL,
    kind TEXT NOT NULL,
    subject TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('queued', 'running', 'done', 'failed')),
    attempts INTEGER NOT NULL,
    node_id TEXT,
    lease_until INTEGER,
    progress TEXT NOT NULL,
    outcome TEXT,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
) STRICT;
-- One job at a time for the same subject: a second enqueue finds the first.
CREATE UNIQUE INDEX jobs_open ON jobs (kind, subject) WHERE state IN ('queued', 'running');
CREATE INDEX jobs_created ON jobs (created_at);

CREATE TABLE budget_days (
    name TEXT NOT NULL,
    day INTEGER NOT NULL,
    taken INTEGER NOT NULL CHECK (taken >= 0),
    PRIMARY KEY (name, day)
) STRICT, WITHOUT ROWID;

-- Tenant tables.

CREATE TABLE owners (
    owner_id TEXT NOT NULL PRIMARY KEY,
    name TEXT NOT NULL,
    created_at INTEGER NOT NULL
) STRICT;

CREATE TABLE data_keys (
    owner_id TEXT NOT NULL REFERENCES owners (owner_id) ON DELETE CASCADE,
    version INTEGER NOT NULL,
    wrapped BLOB NOT NULL,
    PRIMARY KEY (owner_id, version)
) STRICT;

CREATE TABLE sites (
    owner_id TEXT NOT NULL REFERENCES owners (owner_id) ON DELETE CASCADE,
    id TEXT NOT NULL,
    publishable_key TEXT NOT NULL UNIQUE,
    url TEXT NOT NULL,
    name TEXT NOT NULL,
    origins TEXT NOT NULL,
    settings TEXT NOT NULL,
    index_generation INTEGER NOT NULL,
    latest_generation INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    PRIMARY KEY (owner_id, id)
) STRICT;

CREATE TABLE pages (
    owner_id TEXT NOT NULL,
    site_id TEXT NOT NULL,
    generation INTEGER NOT NULL,
    id TEXT NOT NULL,
    url TEXT NOT NULL,
    title TEXT NOT NULL,
    status TEXT NOT NULL,
    reason TEXT NOT NULL,
    chunks INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
    language TEXT NOT NULL,
    fetched_at INTEGER NOT NULL,
    PRIMARY KEY (owner_id, site_id, generation, id),
    FOREIGN KEY (owner_id, site_id) REFERENCES sites (owner_id, id) ON DELETE CASCADE
) STRICT;

CREATE TABLE chunks (
    owner_id TEXT NOT NULL,
    site_id TEXT NOT NULL,
    generation INTEGER NOT NULL,
    ordinal INTEGER NOT NULL,
    page_id TEXT NOT NULL,
    heading TEXT NOT NULL,
    text TEXT NOT NULL,
    PRIMARY KEY (owner_id, site_id, generation, ordinal),
    FOREIGN KEY (owner_id, site_id, generation, page_id)
        REFERENCES pages (owner_id, site_id, generation, id) ON DELETE CASCADE
) STRICT;

CREATE TABLE index_segments (
    owner_id TEXT NOT NULL,
    site_id TEXT NOT NULL,
    generation INTEGER NOT NULL,
    ordinal INTEGER NOT NULL,
    bytes BLOB NOT NULL,
    PRIMARY KEY (owner_id, site_id, generation, ordinal),
    FOREIGN KEY (owner_id, site_id) REFERENCES sites (owner_id, id) ON DELETE CASCADE
) STRICT;

CREATE TABLE conversations (
    owner_id TEXT NOT NULL,
    id TEXT NOT NULL,
    site_id TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    PRIMARY KEY (owner_id, id),
    FOREIGN KEY (owner_id, site_id) REFERENCES sites (owner_id, id) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;
CREATE INDEX conversations_site ON conversations (owner_id, site_id);

CREATE TABLE sessions (
    owner_id TEXT NOT NULL,
    id TEXT NOT NULL,
    site_id TEXT NOT NULL,
    conversation_id TEXT NOT NULL,
    origin TEXT NOT NULL,
    network TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    last_activity_at INTEGER NOT NULL,
    PRIMARY KEY (owner_id, id),
    FOREIGN KEY (owner_id, site_id) REFERENCES sites (owner_id, id) ON DELETE CASCADE,
    FOREIGN KEY (owner_id, conversation_id) REFERENCES conversations (owner_id, id) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;
CREATE INDEX sessions_site ON sessions (owner_id, site_id);
CREATE INDEX sessions_conversation ON sessions (owner_id, conversation_id);
CREATE INDEX sessions_activity ON sessions (last_activity_at);

-- In the order of arrival (with a rowid), not clustered by conversation: a batch of many conversations then dirties few
-- pages, which in long conversations halves the cost of a commit.
CREATE TABLE messages (
    owner_id TEXT NOT NULL,
    conversation_id TEXT NOT NULL,
    id TEXT NOT NULL,
    role TEXT NOT NULL CHECK (role IN ('user', 'assistant')),
    state TEXT NOT NULL CHECK (state IN ('complete', 'interrupted')),
    provider TEXT NOT NULL,
    sealed BLOB NOT NULL,
    created_at INTEGER NOT NULL,
    PRIMARY KEY (owner_id, conversation_id, id),
    FOREIGN KEY (owner_id, conversation_id) REFERENCES conversations (owner_id, id) ON DELETE CASCADE
) STRICT;

CREATE TABLE feedback (
    owner_id TEXT NOT NULL,
    conversation_id TEXT NOT NULL,
    message_id TEXT NOT NULL,
    id TEXT NOT NULL,
    rating INTEGER NOT NULL CHECK (rating IN (-1, 1)),
    reason_sealed BLOB,
    at INTEGER NOT NULL,
    PRIMARY KEY (owner_id, conversation_id, message_id),
    FOREIGN KEY (owner_id, conversation_id, message_id)
        REFERENCES messages (owner_id, conversation_id, id) ON DELETE CASCADE
) STRICT;

-- What answers cost. No conversation in it: it outlives erased ones and says nothing about them.
CREATE TABLE usage (
    owner_id TEXT NOT NULL,
    site_id TEXT NOT NULL,
    at INTEGER NOT NULL,
    id TEXT NOT NULL,
    provider TEXT NOT NULL,
    model TEXT NOT NULL,
    input_tokens INTEGER NOT NULL,
    output_tokens INTEGER NOT NULL,
    micro_usd INTEGER NOT NULL,
    PRIMARY KEY (owner_id, site_id, at, id),
    FOREIGN KEY (owner_id, site_id) REFERENCES sites (owner_id, id) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;

-- Global again, after what it refers to: the way from a page's public key to the owner whose rows may be read.
CREATE TABLE site_directory (
    publishable_key TEXT NOT NULL PRIMARY KEY,
    owner_id TEXT NOT NULL,
    site_id TEXT NOT NULL,
    FOREIGN KEY (owner_id, site_id) REFERENCES sites (owner_id, id) ON DELETE CASCADE
) STRICT;
CREATE INDEX site_directory_site ON site_directory (owner_id, site_id);
