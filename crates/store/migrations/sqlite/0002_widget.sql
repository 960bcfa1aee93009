-- The widget: spent tickets, issued keys, refused origins, and what a site's identity secret and a visitor's identity
-- are kept in. Its twin for PostgreSQL has the same tables and columns; a test compares the two.

-- Global: a ticket that was traded, until it would have run out anyway. A second trade finds the first.

CREATE TABLE spent_tickets (
    id TEXT NOT NULL PRIMARY KEY,
    expires_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX spent_tickets_expiry ON spent_tickets (expires_at);

-- Tenant tables.

CREATE TABLE issued_keys (
    owner_id TEXT NOT NULL REFERENCES owners (owner_id) ON DELETE CASCADE,
    id TEXT NOT NULL,
    name TEXT NOT NULL,
    scope TEXT NOT NULL CHECK (scope IN ('manage')),
    hash BLOB NOT NULL,
    created_at INTEGER NOT NULL,
    expires_at INTEGER,
    revoked_at INTEGER,
    PRIMARY KEY (owner_id, id)
) STRICT;

CREATE TABLE refused_origins (
    owner_id TEXT NOT NULL,
    site_id TEXT NOT NULL,
    origin TEXT NOT NULL,
    count INTEGER NOT NULL,
    first_at INTEGER NOT NULL,
    last_at INTEGER NOT NULL,
    PRIMARY KEY (owner_id, site_id, origin),
    FOREIGN KEY (owner_id, site_id) REFERENCES sites (owner_id, id) ON DELETE CASCADE
) STRICT;

-- Sealed by the vault; absent until there is one.
ALTER TABLE sites ADD COLUMN identity_secret BLOB;
ALTER TABLE sessions ADD COLUMN identity BLOB;

-- Global, after what it refers to: the way from a secret key's public id to the owner whose rows may be read.
CREATE TABLE issued_key_directory (
    id TEXT NOT NULL PRIMARY KEY,
    owner_id TEXT NOT NULL,
    FOREIGN KEY (owner_id, id) REFERENCES issued_keys (owner_id, id) ON DELETE CASCADE
) STRICT;
CREATE INDEX issued_key_directory_key ON issued_key_directory (owner_id, id);
