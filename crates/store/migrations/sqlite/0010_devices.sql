-- Devices: programs of an owner that prove themselves by a token of their own. Its twin for PostgreSQL has the same tables and
-- columns; a test compares the two.

-- The allowed list: a device is on it as long as its row is there and not revoked. A name is one device's at a time.
CREATE TABLE devices (
    owner_id TEXT NOT NULL REFERENCES owners (owner_id) ON DELETE CASCADE,
    id TEXT NOT NULL,
    name TEXT NOT NULL,
    feeds TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    seen_at INTEGER,
    expires_at INTEGER,
    revoked_at INTEGER,
    PRIMARY KEY (owner_id, id)
) STRICT;
CREATE UNIQUE INDEX devices_name ON devices (owner_id, name) WHERE revoked_at IS NULL;
