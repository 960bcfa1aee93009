//! Conversations as their site's owner sees them: listed, looked up, read page by page.
//!
//! Reads the tables `conversations`, `sessions`, `messages` and `feedback`; writes none. They are born by `append` and
//! erased with their session. Never sees a body's text.

use crate::messages::MessageRow;
use crate::statement::{Statement, first, row, rows};
use crate::store::Store;
use chatward_types::{ConversationId, MessageId, Result, Scope, SessionId, SiteId, Timestamp};

const LIST_CONVERSATIONS: Statement = Statement::both(
    "SELECT c.id, c.site_id, s.id AS session_id, c.created_at, s.last_activity_at,
       (SELECT CAST(COUNT(*) AS BIGINT) FROM messages m WHERE m.owner_id = c.owner_id AND m.conversation_id = c.id)
         AS messages,
       (SELECT CAST(COUNT(*) AS BIGINT) FROM feedback f
        WHERE f.owner_id = c.owner_id AND f.conversation_id = c.id AND f.rating > 0) AS up,
       (SELECT CAST(COUNT(*) AS BIGINT) FROM feedback f
        WHERE f.owner_id = c.owner_id AND f.conversation_id = c.id AND f.rating < 0) AS down
     FROM conversations c JOIN sessions s ON s.owner_id = c.owner_id AND s.conversation_id = c.id
     WHERE c.owner_id = $1 AND c.site_id = $2 AND c.id < $3 ORDER BY c.id DESC LIMIT $4",
);
const GET_CONVERSATION: Statement = Statement::both(
    "SELECT c.id, c.site_id, s.id AS session_id, c.created_at, s.last_activity_at,
       (SELECT CAST(COUNT(*) AS BIGINT) FROM messages m WHERE m.owner_id = c.owner_id AND m.conversation_id = c.id)
         AS messages,
       (SELECT CAST(COUNT(*) AS BIGINT) FROM feedback f
        WHERE f.owner_id = c.owner_id AND f.conversation_id = c.id AND f.rating > 0) AS up,
       (SELECT CAST(COUNT(*) AS BIGINT) FROM feedback f
        WHERE f.owner_id = c.owner_id AND f.conversation_id = c.id AND f.rating < 0) AS down
     FROM conversations c JOIN sessions s ON s.owner_id = c.owner_id AND s.conversation_id = c.id
     WHERE c.owner_id = $1 AND c.id = $2",
);
const MESSAGES_AFTER: Statement = Statement::both(
    "SELECT id, conversation_id, role, state, provider, sealed, created_at FROM messages
     WHERE owner_id = $1 AND conversation_id = $2 AND (created_at, id) > ($3, $4) ORDER BY created_at, id LIMIT $5",
);

/// A conversation without its words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConversationRow {
    /// Its id.
    pub id: ConversationId,
    /// The site that it is on.
    pub site: SiteId,
    /// The visitor's session.
    pub session: SessionId,
    /// When it began, in microseconds.
    pub created_at: Timestamp,
    /// When it was last used, in microseconds; up to a minute behind.
    pub last_activity_at: Timestamp,
    /// Its messages.
    pub messages: i64,
    /// Answers that the visitor found good.
    pub up: i64,
    /// Answers that the visitor found bad.
    pub down: i64,
}
row!(ConversationRow {
    id, site = "site_id", session = "session_id", created_at, last_activity_at, messages, up, down,
});

/// The last message of a page: the next one begins after it.
pub type MessageCursor = (Timestamp, MessageId);

impl Store {
    /// Up to `limit` conversations of a site, newest first, those that began before `before` alone.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn list_conversations(
        &self,
        scope: &Scope,
        site: SiteId,
        before: Option<ConversationId>,
        limit: u32,
    ) -> Result<Vec<ConversationRow>> {
        // Every id is smaller than this text, in every collation.
        let before = before.map_or_else(|| "zzzz".to_owned(), |id| id.to_string());
        let mut tx = self.read(scope).await?;
        let conversations = rows!(ConversationRow, tx, LIST_CONVERSATIONS, scope.owner(), site, before, limit)?;
        tx.commit().await?;
        Ok(conversations)
    }

    /// One conversation.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn get_conversation(&self, scope: &Scope, id: ConversationId) -> Result<Option<ConversationRow>> {
        let mut tx = self.read(scope).await?;
        let conversation = first!(ConversationRow, tx, GET_CONVERSATION, scope.owner(), id)?;
        tx.commit().await?;
        Ok(conversation)
    }

    /// Up to `limit` messages of a conversation, oldest first, those after `after` alone.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn messages_after(
        &self,
        scope: &Scope,
        conversation: ConversationId,
        after: Option<MessageCursor>,
        limit: u32,
    ) -> Result<Vec<MessageRow>> {
        let (at, id) = after.map_or((i64::MIN, String::new()), |(at, id)| (at, id.to_string()));
        let mut tx = self.read(scope).await?;
        let messages = rows!(MessageRow, tx, MESSAGES_AFTER, scope.owner(), conversation, at, id, limit)?;
        tx.commit().await?;
        Ok(messages)
    }
}
