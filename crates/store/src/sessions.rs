//! Sessions and their erasure.
//!
//! Owns: the tables `sessions` and `conversations`. A session is born by `append` and dies here, with its conversation,
//! messages and feedback. Never decides when a session is idle; the caller's clock does.

use crate::changes::{change, record_change};
use crate::engine_sql::{
    DELETE_CONVERSATIONS, DELETE_FEEDBACK_OF, DELETE_MESSAGES_OF, DELETE_SESSIONS, LOCK_IDLE_SESSIONS, LOCK_SESSION,
};
use crate::statement::{Statement, execute, first, row, rows};
use crate::store::Store;
use crate::tx::Tx;
use chatward_types::{ConversationId, Error, OwnerId, Result, Scope, SessionId, SiteId, Timestamp};

const LOAD_SESSION: Statement = Statement::both(
    "SELECT id, owner_id, site_id, conversation_id, origin, network, created_at, last_activity_at
     FROM sessions WHERE owner_id = $1 AND id = $2",
);
const ADMIN_IDLE_SESSIONS: Statement = Statement::both(
    "SELECT owner_id, id FROM sessions WHERE last_activity_at < $1 ORDER BY last_activity_at, owner_id, id LIMIT $2",
);

/// A visitor's stay on one site.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionRow {
    /// Its id.
    pub id: SessionId,
    /// Whose site it is on.
    pub owner: OwnerId,
    /// The site.
    pub site: SiteId,
    /// Its messages.
    pub conversation: ConversationId,
    /// The origin that it was started from.
    pub origin: String,
    /// The network that it was started from, as the server cuts addresses.
    pub network: String,
    /// When, in microseconds.
    pub created_at: Timestamp,
    /// When it was last used, in microseconds.
    pub last_activity_at: Timestamp,
}
row!(SessionRow {
    id, owner = "owner_id", site = "site_id", conversation = "conversation_id", origin, network, created_at,
    last_activity_at,
});

/// What went with a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Erased {
    /// Messages erased.
    pub messages: u64,
    /// Judgements erased.
    pub feedback: u64,
}

/// What a sweep erased.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ErasedSessions {
    /// Sessions erased.
    pub sessions: u64,
    /// Messages erased.
    pub messages: u64,
    /// Judgements erased.
    pub feedback: u64,
}

struct Victim {
    id: SessionId,
    conversation: ConversationId,
}
row!(Victim { id, conversation = "conversation_id" });

struct IdleRow {
    owner: OwnerId,
    id: SessionId,
}
row!(IdleRow { owner = "owner_id", id });

impl Store {
    /// The session, if it is there.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn load_session(&self, scope: &Scope, session: &SessionId) -> Result<Option<SessionRow>> {
        let mut tx = self.read(scope).await?;
        let row = first!(SessionRow, tx, LOAD_SESSION, scope.owner(), session)?;
        tx.commit().await?;
        Ok(row)
    }

    /// Erases a session with its conversation, messages and feedback. `None` when it was not there.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn delete_session(&self, scope: &Scope, session: &SessionId, now: Timestamp) -> Result<Option<Erased>> {
        let mut tx = self.write(scope).await?;
        let Some(victim) = first!(Victim, tx, LOCK_SESSION, scope.owner(), session)? else {
            return Ok(None);
        };
        let erased = erase(&mut tx, scope, &[victim], now).await?;
        tx.commit().await?;
        Ok(Some(Erased { messages: erased.messages, feedback: erased.feedback }))
    }

    /// Up to `limit` sessions of any owner that were last used before `before`, longest idle first.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn admin_idle_sessions(&self, before: Timestamp, limit: u32) -> Result<Vec<(OwnerId, SessionId)>> {
        let mut tx = self.admin("admin_idle_sessions").await?;
        let idle = rows!(IdleRow, tx, ADMIN_IDLE_SESSIONS, before, limit)?;
        tx.commit().await?;
        Ok(idle.into_iter().map(|row| (row.owner, row.id)).collect())
    }

    /// Erases those of `sessions` that are still idle since `before`: one that was used meanwhile stays.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn delete_idle_sessions(
        &self,
        scope: &Scope,
        sessions: &[SessionId],
        before: Timestamp,
        now: Timestamp,
    ) -> Result<ErasedSessions> {
        let list = json_list(sessions.iter().map(SessionId::as_str))?;
        let mut tx = self.write(scope).await?;
        let victims = rows!(Victim, tx, LOCK_IDLE_SESSIONS, scope.owner(), before, list)?;
        if victims.is_empty() {
            return Ok(ErasedSessions::default());
        }
        let erased = erase(&mut tx, scope, &victims, now).await?;
        tx.commit().await?;
        Ok(erased)
    }
}

async fn erase(tx: &mut Tx, scope: &Scope, victims: &[Victim], now: Timestamp) -> Result<ErasedSessions> {
    let owner = scope.owner();
    let sessions = json_list(victims.iter().map(|victim| victim.id.as_str()))?;
    let conversations: Vec<String> = victims.iter().map(|victim| victim.conversation.to_string()).collect();
    let conversations = json_list(conversations.iter().map(String::as_str))?;
    let feedback = execute!(tx, DELETE_FEEDBACK_OF, owner, &conversations)?;
    let messages = execute!(tx, DELETE_MESSAGES_OF, owner, &conversations)?;
    let sessions = execute!(tx, DELETE_SESSIONS, owner, sessions)?;
    execute!(tx, DELETE_CONVERSATIONS, owner, conversations)?;
    let subjects: Vec<&str> = victims.iter().map(|victim| victim.id.as_str()).collect();
    record_change(tx, change::SESSION_ERASED, Some(owner), &subjects, now).await?;
    Ok(ErasedSessions { sessions, messages, feedback })
}

fn json_list<'a>(texts: impl Iterator<Item = &'a str>) -> Result<String> {
    serde_json::to_string(&texts.collect::<Vec<_>>()).map_err(Error::internal)
}
