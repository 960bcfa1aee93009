-- What an owner's pages list, and what blocks and the lockdown learned. Its twin for SQLite has the same tables and
-- columns; a test compares the two.

-- A site's conversations, newest first, page by page.
CREATE INDEX conversations_page ON conversations (owner_id, site_id, id);

-- 1 where an operator insisted on blocking a network that is otherwise never blocked.
ALTER TABLE blocks ADD COLUMN forced BIGINT NOT NULL DEFAULT 0;

-- 1 where people may log in during the lockdown; only administrators are served then.
ALTER TABLE lockdown ADD COLUMN allow_sign_in BIGINT NOT NULL DEFAULT 0;
GRANT UPDATE ON lockdown TO chatward_app;
