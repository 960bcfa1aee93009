//! Messages: bodies sealed by the vault, read by conversation.
//!
//! Owns: the table `messages`. They are written by `append` and erased with their session.
//! Never sees a body's text.

use crate::statement::{Statement, row, rows, value, words};
use crate::store::Store;
use chatward_types::{ConversationId, MessageId, Result, Scope, Timestamp};

const LIST_MESSAGES: Statement = Statement::both(
    "SELECT id, conversation_id, role, state, provider, sealed, created_at FROM messages
     WHERE owner_id = $1 AND conversation_id = $2 ORDER BY created_at DESC, id DESC LIMIT $3",
);
const COUNT_MESSAGES: Statement =
    Statement::both("SELECT CAST(COUNT(*) AS BIGINT) FROM messages WHERE owner_id = $1 AND conversation_id = $2");

/// Who wrote a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    /// The visitor.
    User,
    /// The answerer.
    Assistant,
}
words!(Role { User = "user", Assistant = "assistant" });

/// Whether a message is whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MessageState {
    /// It is.
    Complete,
    /// The visitor left or the provider failed while it was written.
    Interrupted,
}
words!(MessageState { Complete = "complete", Interrupted = "interrupted" });

/// A message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MessageRow {
    /// Its id.
    pub id: MessageId,
    /// The conversation that it belongs to.
    pub conversation: ConversationId,
    /// Who wrote it.
    pub role: Role,
    /// Whether it is whole.
    pub state: MessageState,
    /// Who answered; empty for a visitor's message.
    pub provider: String,
    /// The body as the vault sealed it; never empty.
    pub sealed: Vec<u8>,
    /// When, in microseconds; gives the order within a conversation.
    pub created_at: Timestamp,
}
row!(MessageRow { id, conversation = "conversation_id", role, state, provider, sealed, created_at });

impl Store {
    /// The newest `limit` messages of a conversation, returned oldest first.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn list_messages(
        &self,
        scope: &Scope,
        conversation: ConversationId,
        limit: u32,
    ) -> Result<Vec<MessageRow>> {
        let mut tx = self.read(scope).await?;
        let mut messages = rows!(MessageRow, tx, LIST_MESSAGES, scope.owner(), conversation, limit)?;
        tx.commit().await?;
        messages.reverse();
        Ok(messages)
    }

    /// How many messages a conversation has.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn count_messages(&self, scope: &Scope, conversation: ConversationId) -> Result<u64> {
        let mut tx = self.read(scope).await?;
        let count = value!(i64, tx, COUNT_MESSAGES, scope.owner(), conversation)?.unwrap_or(0);
        tx.commit().await?;
        Ok(u64::try_from(count).unwrap_or(0))
    }
}
