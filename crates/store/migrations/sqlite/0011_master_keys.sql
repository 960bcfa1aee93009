-- Rotation of the master key: every node says which keys it holds, by their names, so that none wraps before all can
-- unwrap. Its twin for PostgreSQL has the same columns; a test compares the two.

ALTER TABLE nodes ADD COLUMN master_keys TEXT NOT NULL DEFAULT '';
