//! The only statements whose text differs between the engines, in named pairs: SQLite first, PostgreSQL second.
//!
//! Owns: row-level security's owner setting, lists and batches passed as JSON, row locks, the migration's lock and the
//! questions about an engine's own state. A batch is a JSON array of arrays; only the table function that unfolds it
//! differs, so the rest of such a text is written once. Never grows a statement that could be written for both.

use crate::statement::Statement;

/// A statement over the rows of a JSON array: `r.value` is a row, `r.value ->> 0` its first column as text.
macro_rules! over_rows {
    ($before:literal, $parameter:literal, $after:literal) => {
        Statement::pair(
            concat!($before, " json_each(", $parameter, ") AS r ", $after),
            concat!($before, " jsonb_array_elements(CAST(", $parameter, " AS JSONB)) AS r(value) ", $after),
        )
    };
}

/// A statement over a JSON array of texts, unfolded as a subquery.
macro_rules! over_texts {
    ($before:literal, $parameter:literal, $after:literal) => {
        Statement::pair(
            concat!($before, " (SELECT value FROM json_each(", $parameter, ")) ", $after),
            concat!($before, " (SELECT jsonb_array_elements_text(CAST(", $parameter, " AS JSONB))) ", $after),
        )
    };
}

// ---- transactions

/// How a transaction that writes begins. SQLite takes the write lock at once, so that it cannot fail half-way.
pub(crate) const BEGIN_WRITE: Statement = Statement::pair("BEGIN IMMEDIATE", "BEGIN");
/// How a transaction that only reads begins.
pub(crate) const BEGIN_READ: Statement = Statement::pair("BEGIN", "BEGIN READ ONLY");
/// Row-level security's owner, for this transaction only. SQLite has none: its queries name the owner, and nothing else holds.
pub(crate) const SET_OWNER: Statement = Statement::pair("SELECT $1", "SELECT set_config('chatward.owner', $1, true)");
/// Serialises writers of `changes`, so that a reader never sees a later number before an earlier one.
/// SQLite has one writer as it is. The key is an arbitrary constant of ours.
pub(crate) const LOCK_CHANGES: Statement =
    Statement::pair("SELECT ''", "SELECT CAST(pg_advisory_xact_lock(7233021894460911) AS TEXT)");

/// Serialises changes of users, so that two cannot each take the other for the last owner. SQLite has one writer.
pub(crate) const LOCK_USERS: Statement =
    Statement::pair("SELECT ''", "SELECT CAST(pg_advisory_xact_lock(7233021894460914) AS TEXT)");
/// Serialises what makes secret keys and what ends all of them, so that none is made past its end. Taken before
/// [`LOCK_CHANGES`], always. SQLite has one writer.
pub(crate) const LOCK_KEYS: Statement =
    Statement::pair("SELECT ''", "SELECT CAST(pg_advisory_xact_lock(7233021894460918) AS TEXT)");
/// Serialises writers of the audit trail, each of which follows the record before. Taken after [`LOCK_CHANGES`], always.
pub(crate) const LOCK_TRAIL: Statement =
    Statement::pair("SELECT ''", "SELECT CAST(pg_advisory_xact_lock(7233021894460913) AS TEXT)");

/// The master key that wraps, held until the transaction ends, so that it cannot be replaced by another meanwhile. SQLite
/// has one writer.
pub(crate) const HOLD_SETTING: Statement = Statement::pair(
    "SELECT value FROM settings WHERE name = $1",
    "SELECT value FROM settings WHERE name = $1 FOR SHARE",
);

// ---- durability

/// What is done before a commit returns: `FULL` is 2 in SQLite's words, `on` in PostgreSQL's.
pub(crate) const DURABILITY: Statement = Statement::pair(
    "SELECT CASE synchronous WHEN 2 THEN 'FULL' WHEN 3 THEN 'EXTRA' ELSE 'weak' END FROM pragma_synchronous",
    "SELECT CASE WHEN current_setting('fsync') = 'on' THEN current_setting('synchronous_commit') ELSE 'fsync is off' END",
);

/// Puts SQLite's log into the file and empties it; a reader that is in the way leaves it for the next time. PostgreSQL
/// recycles its log by itself.
pub(crate) const EMPTY_LOG: Statement = Statement::pair("PRAGMA wal_checkpoint(TRUNCATE)", "SELECT ''");

// ---- migrations

/// Held until the migration's transaction ends. `BEGIN IMMEDIATE` is SQLite's.
pub(crate) const LOCK_MIGRATIONS: Statement =
    Statement::pair("SELECT ''", "SELECT CAST(pg_advisory_xact_lock(7233021894460912) AS TEXT)");
/// Whether the table of applied migrations is there.
pub(crate) const MIGRATIONS_TABLE: Statement = Statement::pair(
    "SELECT CAST(COUNT(*) AS BIGINT) FROM sqlite_schema WHERE type = 'table' AND name = 'schema_migrations'",
    "SELECT COUNT(*) FROM pg_tables WHERE schemaname = current_schema() AND tablename = 'schema_migrations'",
);

// ---- batches of `append`: positions as written by append/batch.rs

/// `[owner, conversation, site, created_at, session, origin, network, last_activity_at]`
pub(crate) const APPEND_CONVERSATIONS: Statement = over_rows!(
    "INSERT INTO conversations (owner_id, id, site_id, created_at)
     SELECT r.value ->> 0, r.value ->> 1, r.value ->> 2, CAST(r.value ->> 3 AS BIGINT) FROM",
    "$1",
    ""
);
/// The same rows as [`APPEND_CONVERSATIONS`].
pub(crate) const APPEND_SESSIONS: Statement = over_rows!(
    "INSERT INTO sessions (owner_id, id, site_id, conversation_id, origin, network, created_at, last_activity_at)
     SELECT r.value ->> 0, r.value ->> 4, r.value ->> 2, r.value ->> 1, r.value ->> 5, r.value ->> 6,
            CAST(r.value ->> 3 AS BIGINT), CAST(r.value ->> 7 AS BIGINT) FROM",
    "$1",
    ""
);
/// `[owner, conversation, id, role, state, provider, offset, length, created_at]` and all bodies in one blob.
/// The join keeps a message out whose conversation is gone; the caller sees it by the count. CROSS JOIN keeps SQLite's
/// planner to this order.
pub(crate) const APPEND_MESSAGES: Statement = over_rows!(
    "INSERT INTO messages (owner_id, conversation_id, id, role, state, provider, sealed, created_at)
     SELECT c.owner_id, c.id, r.value ->> 2, r.value ->> 3, r.value ->> 4, r.value ->> 5,
            substr($2, CAST(r.value ->> 6 AS INTEGER), CAST(r.value ->> 7 AS INTEGER)),
            CAST(r.value ->> 8 AS BIGINT) FROM",
    "$1",
    "CROSS JOIN conversations c WHERE c.owner_id = r.value ->> 0 AND c.id = r.value ->> 1"
);
/// Which conversations of such a batch are not there.
pub(crate) const MISSING_CONVERSATIONS: Statement = over_rows!(
    "SELECT DISTINCT r.value ->> 0 AS owner_id, r.value ->> 1 AS id FROM",
    "$1",
    "WHERE NOT EXISTS (SELECT 1 FROM conversations c WHERE c.owner_id = r.value ->> 0 AND c.id = r.value ->> 1)"
);
/// `[owner, site, at, id, provider, model, input_tokens, output_tokens, micro_usd]`
pub(crate) const APPEND_USAGE: Statement = over_rows!(
    "INSERT INTO usage (owner_id, site_id, at, id, provider, model, input_tokens, output_tokens, micro_usd)
     SELECT r.value ->> 0, r.value ->> 1, CAST(r.value ->> 2 AS BIGINT), r.value ->> 3, r.value ->> 4, r.value ->> 5,
            CAST(r.value ->> 6 AS BIGINT), CAST(r.value ->> 7 AS BIGINT), CAST(r.value ->> 8 AS BIGINT) FROM",
    "$1",
    ""
);
/// `[owner, session, at]`, one row a session. Only forward, only where the session still is.
pub(crate) const APPEND_TOUCHES: Statement = over_rows!(
    "UPDATE sessions SET last_activity_at = CAST(r.value ->> 2 AS BIGINT) FROM",
    "$1",
    "WHERE sessions.owner_id = r.value ->> 0 AND sessions.id = r.value ->> 1
       AND sessions.last_activity_at < CAST(r.value ->> 2 AS BIGINT)"
);

// ---- rows of `append` on SQLite, one at a time: there a visit to the writer's thread carries the whole batch, and a
// prepared statement costs less than the JSON around its values. `$1` comes before `$2` and so on: to SQLite they are names,
// and the first one in a text has the first place.

pub(crate) const INSERT_CONVERSATION: Statement =
    Statement::both("INSERT INTO conversations (owner_id, id, site_id, created_at) VALUES ($1, $2, $3, $4)");
pub(crate) const INSERT_SESSION: Statement = Statement::both(
    "INSERT INTO sessions (owner_id, id, site_id, conversation_id, origin, network, created_at, last_activity_at)
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
);
/// A conversation that is gone is refused by the foreign key.
pub(crate) const INSERT_MESSAGE: Statement = Statement::both(
    "INSERT INTO messages (owner_id, conversation_id, id, role, state, provider, sealed, created_at)
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
);
pub(crate) const INSERT_USAGE: Statement = Statement::both(
    "INSERT INTO usage (owner_id, site_id, at, id, provider, model, input_tokens, output_tokens, micro_usd)
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
);
/// Only forward, only where the session still is. Bound by name, for `$3` comes first.
pub(crate) const TOUCH_SESSION: Statement = Statement::both(
    "UPDATE sessions SET last_activity_at = $3 WHERE owner_id = $1 AND id = $2 AND last_activity_at < $3",
);

// ---- sessions by list

/// Locks what it returns in PostgreSQL: a touch that comes meanwhile waits, and then finds nothing to touch.
pub(crate) const LOCK_IDLE_SESSIONS: Statement = Statement::pair(
    "SELECT id, conversation_id FROM sessions
     WHERE owner_id = $1 AND last_activity_at < $2 AND id IN (SELECT value FROM json_each($3))",
    "SELECT id, conversation_id FROM sessions
     WHERE owner_id = $1 AND last_activity_at < $2
       AND id IN (SELECT jsonb_array_elements_text(CAST($3 AS JSONB))) FOR UPDATE",
);
pub(crate) const LOCK_SESSION: Statement = Statement::pair(
    "SELECT id, conversation_id FROM sessions WHERE owner_id = $1 AND id = $2",
    "SELECT id, conversation_id FROM sessions WHERE owner_id = $1 AND id = $2 FOR UPDATE",
);
pub(crate) const DELETE_SESSIONS: Statement =
    over_texts!("DELETE FROM sessions WHERE owner_id = $1 AND id IN", "$2", "");
pub(crate) const DELETE_FEEDBACK_OF: Statement =
    over_texts!("DELETE FROM feedback WHERE owner_id = $1 AND conversation_id IN", "$2", "");
pub(crate) const DELETE_MESSAGES_OF: Statement =
    over_texts!("DELETE FROM messages WHERE owner_id = $1 AND conversation_id IN", "$2", "");
pub(crate) const DELETE_CONVERSATIONS: Statement =
    over_texts!("DELETE FROM conversations WHERE owner_id = $1 AND id IN", "$2", "");
/// One change a row: `[subject]`.
pub(crate) const RECORD_CHANGES: Statement =
    over_rows!("INSERT INTO changes (kind, owner_id, subject, at) SELECT $1, $2, r.value ->> 0, $3 FROM", "$4", "");

// ---- knowledge by batch

/// `[id, url, title, status, reason, chunks, bytes, language, fetched_at]`
pub(crate) const PUT_PAGES: Statement = over_rows!(
    "INSERT INTO pages (owner_id, site_id, generation, id, url, title, status, reason, chunks, bytes, language, fetched_at)
     SELECT $1, $2, $3, r.value ->> 0, r.value ->> 1, r.value ->> 2, r.value ->> 3, r.value ->> 4,
            CAST(r.value ->> 5 AS BIGINT), CAST(r.value ->> 6 AS BIGINT), r.value ->> 7, CAST(r.value ->> 8 AS BIGINT) FROM",
    "$4",
    ""
);
/// `[ordinal, page, heading, text]`
pub(crate) const PUT_CHUNKS: Statement = over_rows!(
    "INSERT INTO chunks (owner_id, site_id, generation, ordinal, page_id, heading, text)
     SELECT $1, $2, $3, CAST(r.value ->> 0 AS BIGINT), r.value ->> 1, r.value ->> 2, r.value ->> 3 FROM",
    "$4",
    ""
);
/// `[ordinal]`
pub(crate) const CHUNKS_BY_ORDINAL: Statement = over_rows!(
    "SELECT c.ordinal, c.page_id, c.heading, c.text, p.title, p.url FROM",
    "$4",
    "CROSS JOIN chunks c
     JOIN pages p ON p.owner_id = c.owner_id AND p.site_id = c.site_id AND p.generation = c.generation AND p.id = c.page_id
     WHERE c.owner_id = $1 AND c.site_id = $2 AND c.generation = $3 AND c.ordinal = CAST(r.value ->> 0 AS BIGINT)"
);

// ---- jobs

/// The oldest job that waits, or whose node stopped beating; nodes that claim at once get different ones.
pub(crate) const CLAIM_JOB: Statement = Statement::pair(
    "UPDATE jobs SET state = 'running', node_id = $1, lease_until = $3, attempts = attempts + 1, updated_at = $2
     WHERE id = (SELECT id FROM jobs
                 WHERE (state = 'queued' OR (state = 'running' AND lease_until < $2)) AND attempts < $4
                 ORDER BY created_at, id LIMIT 1)
     RETURNING id, owner_id, kind, subject, state, attempts, node_id, lease_until, progress, outcome, created_at, updated_at",
    "UPDATE jobs SET state = 'running', node_id = $1, lease_until = $3, attempts = attempts + 1, updated_at = $2
     WHERE id = (SELECT id FROM jobs
                 WHERE (state = 'queued' OR (state = 'running' AND lease_until < $2)) AND attempts < $4
                 ORDER BY created_at, id LIMIT 1 FOR UPDATE SKIP LOCKED)
     RETURNING id, owner_id, kind, subject, state, attempts, node_id, lease_until, progress, outcome, created_at, updated_at",
);
