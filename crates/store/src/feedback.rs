//! Feedback: one judgement a message, the last one counts.
//!
//! Owns: the table `feedback`. The reason is sealed by the vault. Never judges.

use crate::statement::{Statement, execute, row, rows, value};
use crate::store::Store;
use chatward_types::{ConversationId, FeedbackId, MessageId, Result, Scope, Timestamp};

const MESSAGE_EXISTS: Statement = Statement::both(
    "SELECT CAST(COUNT(*) AS BIGINT) FROM messages WHERE owner_id = $1 AND conversation_id = $2 AND id = $3",
);
const UPSERT_FEEDBACK: Statement = Statement::both(
    "INSERT INTO feedback (owner_id, conversation_id, message_id, id, rating, reason_sealed, at)
     VALUES ($1, $2, $3, $4, $5, $6, $7)
     ON CONFLICT (owner_id, conversation_id, message_id)
     DO UPDATE SET id = excluded.id, rating = excluded.rating, reason_sealed = excluded.reason_sealed, at = excluded.at",
);
const LIST_FEEDBACK: Statement = Statement::both(
    "SELECT id, message_id, conversation_id, rating, reason_sealed, at FROM feedback
     WHERE owner_id = $1 AND conversation_id = $2 ORDER BY at, id LIMIT 1000",
);

/// A visitor's judgement of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FeedbackRow {
    /// Its id; the sealed reason is bound to it.
    pub id: FeedbackId,
    /// The answer.
    pub message: MessageId,
    /// The conversation that the answer must belong to.
    pub conversation: ConversationId,
    /// 1 for good, -1 for bad; nothing else is stored.
    pub rating: i16,
    /// Why, sealed by the vault.
    pub reason_sealed: Option<Vec<u8>>,
    /// When, in microseconds.
    pub at: Timestamp,
}
row!(FeedbackRow {
    id, message = "message_id", conversation = "conversation_id", rating, reason_sealed, at,
});

impl Store {
    /// Stores a judgement in place of any earlier one of that message. `false` when the message is not in that
    /// conversation (or not there at all).
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn upsert_feedback(&self, scope: &Scope, feedback: &FeedbackRow) -> Result<bool> {
        let owner = scope.owner();
        let mut tx = self.write(scope).await?;
        let exists = value!(i64, tx, MESSAGE_EXISTS, owner, feedback.conversation, feedback.message)?;
        if exists != Some(1) {
            return Ok(false);
        }
        execute!(
            tx,
            UPSERT_FEEDBACK,
            owner,
            feedback.conversation,
            feedback.message,
            feedback.id,
            feedback.rating,
            feedback.reason_sealed.as_deref(),
            feedback.at,
        )?;
        tx.commit().await?;
        Ok(true)
    }

    /// The judgements of a conversation, oldest first.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn list_feedback(&self, scope: &Scope, conversation: ConversationId) -> Result<Vec<FeedbackRow>> {
        let mut tx = self.read(scope).await?;
        let feedback = rows!(FeedbackRow, tx, LIST_FEEDBACK, scope.owner(), conversation)?;
        tx.commit().await?;
        Ok(feedback)
    }
}
