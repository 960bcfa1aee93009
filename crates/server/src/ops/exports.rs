//! Everything that is stored of a visitor, for that visitor.
//!
//! Owns: the shape of an export and its completeness: what is stored with a session and is not in here is a mistake.
//! Never holds anything of another session, a token or a key.

use crate::app::App;
use crate::ops::identities::{self, Identity};
use crate::ops::lookup::Citation;
use crate::ops::receipts::{self, Receipt};
use crate::ops::sessions::Live;
use crate::ops::{chat, data_keys, feedback};
use chatward_types::{Error, FeedbackId, MessageId, Result, SECOND, Scope};
use serde::Serialize;
use std::collections::HashMap;
use utoipa::ToSchema;

/// Everything that is stored of a visitor.
#[derive(Debug, Serialize, ToSchema)]
pub struct Export {
    /// The session.
    pub session: String,
    /// The origin of the page that it began on.
    pub origin: String,
    /// The network that it began in; a whole address is not stored.
    pub network: String,
    /// When it began, in seconds since 1970 (UTC).
    pub created_at: i64,
    /// When it was last used, in seconds since 1970 (UTC).
    pub last_activity_at: i64,
    /// Who the visitor is by the word of the site's owner, where the page said so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub identity: Option<Identity>,
    /// The conversation, oldest first.
    pub messages: Vec<ExportedMessage>,
    /// Our signed word for this export, with a digest of all the rest of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(required, value_type = Receipt)]
    pub receipt: Option<Receipt>,
}

/// A message with everything that is stored of it.
#[derive(Debug, Serialize, ToSchema)]
pub struct ExportedMessage {
    /// Its id.
    #[schema(value_type = String)]
    pub id: MessageId,
    /// `user` or `assistant`.
    pub role: &'static str,
    /// `complete` or `interrupted`.
    pub state: &'static str,
    /// The text.
    pub text: String,
    /// The sources of an answer.
    pub citations: Vec<Citation>,
    /// Who answered.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub provider: String,
    /// When it was stored, in seconds since 1970 (UTC).
    pub created_at: i64,
    /// The visitor's judgement.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub feedback: Option<ExportedFeedback>,
}

/// A judgement with everything that is stored of it.
#[derive(Debug, Serialize, ToSchema)]
pub struct ExportedFeedback {
    /// Its id.
    #[schema(value_type = String)]
    pub id: FeedbackId,
    /// `up` or `down`.
    pub rating: &'static str,
    /// Why.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// When, in seconds since 1970 (UTC).
    pub at: i64,
}

/// Gathers what is stored of the session's visitor.
///
/// # Errors
/// When the store or the vault fails.
pub async fn of(app: &App, live: &Live) -> Result<Export> {
    let scope = Scope::of(live.row.owner);
    let keys = data_keys::of(app, &scope).await?;
    let mut judged = HashMap::new();
    for row in app.store.list_feedback(&scope, live.row.conversation).await? {
        let exported = ExportedFeedback {
            id: row.id,
            rating: if row.rating > 0 { "up" } else { "down" },
            reason: feedback::open_reason(&keys, &row)?,
            at: row.at / SECOND,
        };
        judged.insert(row.message, exported);
    }
    let most = u32::try_from(app.config.messages.max_conversation).unwrap_or(u32::MAX);
    let mut messages = Vec::new();
    for row in app.store.list_messages(&scope, live.row.conversation, most).await? {
        let content = chat::open_content(&keys, &row)?;
        messages.push(ExportedMessage {
            id: row.id,
            role: row.role.as_str(),
            state: row.state.as_str(),
            text: content.text,
            citations: content.citations,
            provider: row.provider,
            created_at: row.created_at / SECOND,
            feedback: judged.remove(&row.id),
        });
    }
    let mut export = Export {
        session: live.row.id.as_str().to_owned(),
        origin: live.row.origin.clone(),
        network: live.row.network.clone(),
        created_at: live.row.created_at / SECOND,
        last_activity_at: live.last_activity_at() / SECOND,
        identity: identities::of(app, &scope, &live.row.id).await?,
        receipt: None,
        messages,
    };
    let rest = serde_json::to_value(&export).map_err(Error::internal)?;
    export.receipt = Some(receipts::of_export(app, &live.row.id, export.messages.len(), &rest)?);
    Ok(export)
}
