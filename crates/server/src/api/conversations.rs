//! `GET /api/v1/sites/{id}/conversations`, `GET /api/v1/conversations/{conversation}/messages` and
//! `DELETE /api/v1/conversations/{conversation}`: an owner looks after what was said on its sites.
//!
//! The list holds no words. Whoever reads words leaves a record of the audit trail; see `ops/conversations.rs`.

use crate::app::App;
use crate::client::Client;
use crate::error::ApiResult;
use crate::ops::acting::Acting;
use crate::ops::conversations::{self, Opened};
use crate::ops::lookup::Citation;
use crate::paging;
use crate::path::Path;
use crate::query::Query;
use axum::Extension;
use axum::extract::State;
use chatward_store::MessageCursor;
use chatward_types::{ConversationId, Error, MessageId, SECOND, Scope, SiteId};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Characters of a session's id that are shown: as many as in the security log, too few to use one.
const SESSION: usize = 16;

/// A page of a list.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Page {
    #[serde(default)]
    cursor: Option<String>,
    #[serde(default)]
    limit: Option<u32>,
}

/// The conversations of a site, without a word of them.
#[derive(Debug, Serialize, ToSchema)]
pub struct ConversationList {
    /// Newest first.
    pub conversations: Vec<ConversationView>,
    /// Parameter `cursor` of the next page; absent on the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_cursor: Option<String>,
}

/// A conversation.
#[derive(Debug, Serialize, ToSchema)]
pub struct ConversationView {
    /// Its id.
    #[schema(value_type = String)]
    pub id: ConversationId,
    /// The beginning of its session's id, as the security log writes it.
    pub session: String,
    /// When it began, in seconds since 1970 (UTC).
    pub created_at: i64,
    /// When it was last used, in seconds since 1970 (UTC); up to a minute behind.
    pub last_activity_at: i64,
    /// Its messages, questions and answers.
    pub messages: i64,
    /// Answers that the visitor found good.
    pub up: i64,
    /// Answers that the visitor found bad.
    pub down: i64,
}

/// Messages of a conversation.
#[derive(Debug, Serialize, ToSchema)]
pub struct MessageList {
    /// Oldest first.
    pub messages: Vec<StoredMessage>,
    /// Parameter `cursor` of the next page; absent on the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_cursor: Option<String>,
}

/// A message of a conversation.
#[derive(Debug, Serialize, ToSchema)]
pub struct StoredMessage {
    /// Its id.
    #[schema(value_type = String)]
    pub id: MessageId,
    /// `user` (the visitor) or `assistant`.
    pub role: &'static str,
    /// `complete` or `interrupted`.
    pub state: &'static str,
    /// The text.
    pub text: String,
    /// The sources of an answer.
    pub citations: Vec<Citation>,
    /// Who answered.
    #[serde(skip_serializing_if = "String::is_empty")]
    #[schema(required = false)]
    pub provider: String,
    /// When it was stored, in seconds since 1970 (UTC).
    pub created_at: i64,
    /// The visitor's judgement: `up` or `down`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rating: Option<&'static str>,
    /// Why.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// Lists the conversations of a site, without their words.
#[utoipa::path(get, path = "/api/v1/sites/{id}/conversations", tag = "conversations", security(("key" = []), ("user" = [])),
    params(
        ("id" = String, Path, description = "The site's id."),
        ("cursor" = Option<String>, Query, description = "The `next_cursor` of the page before."),
        ("limit" = Option<u32>, Query, description = "Conversations of a page: 1 to 200; 50 where it is absent.")),
    responses(
        (status = 200, description = "A page of the conversations.", body = ConversationList),
        (status = 400, description = "Not an id, or a parameter is unknown or has another form.", body = crate::error::ErrorBody),
        (status = 401, description = "No key or access token that holds.", body = crate::error::ErrorBody),
        (status = 403, description = "A browser sent the key, or the key or the user may not do this.", body = crate::error::ErrorBody),
        (status = 404, description = "The owner has no such site.", body = crate::error::ErrorBody),
        (status = 422, description = "`limit` is out of bounds.", body = crate::error::ErrorBody),
        (status = 429, description = "Too many requests from this address.", body = crate::error::ErrorBody)))]
pub async fn list_conversations(
    State(app): State<App>,
    Extension(acting): Extension<Acting>,
    Path(id): Path<SiteId>,
    Query(page): Query<Page>,
) -> ApiResult<axum::Json<ConversationList>> {
    let scope = Scope::of(acting.owner);
    let limit = paging::size(page.limit)?;
    let before = paging::place::<ConversationId>(page.cursor.as_deref())?;
    app.store.get_site(&scope, id).await?.ok_or_else(Error::not_found)?;
    let mut rows = app.store.list_conversations(&scope, id, before, limit + 1).await?;
    let next_cursor = paging::next(&mut rows, limit, |row| row.id)?;
    let conversations = rows.into_iter().map(|row| ConversationView {
        id: row.id,
        session: row.session.as_str().chars().take(SESSION).collect(),
        created_at: row.created_at / SECOND,
        last_activity_at: row.last_activity_at / SECOND,
        messages: row.messages,
        up: row.up,
        down: row.down,
    });
    Ok(axum::Json(ConversationList { conversations: conversations.collect(), next_cursor }))
}

/// Returns the messages of a conversation. They are somebody's words: who reads which is recorded in the audit trail.
#[utoipa::path(get, path = "/api/v1/conversations/{conversation}/messages", tag = "conversations", security(("key" = []), ("user" = [])),
    params(
        ("conversation" = String, Path, description = "The conversation's id."),
        ("cursor" = Option<String>, Query, description = "The `next_cursor` of the page before."),
        ("limit" = Option<u32>, Query, description = "Messages of a page: 1 to 200; 50 where it is absent.")),
    responses(
        (status = 200, description = "A page of the messages.", body = MessageList),
        (status = 400, description = "Not an id, or a parameter is unknown or has another form.", body = crate::error::ErrorBody),
        (status = 401, description = "No key or access token that holds.", body = crate::error::ErrorBody),
        (status = 403, description = "A browser sent the key, or the key or the user may not do this.", body = crate::error::ErrorBody),
        (status = 404, description = "The owner has no such conversation.", body = crate::error::ErrorBody),
        (status = 422, description = "`limit` is out of bounds.", body = crate::error::ErrorBody),
        (status = 429, description = "Too many requests from this address.", body = crate::error::ErrorBody)))]
pub async fn list_messages(
    State(app): State<App>,
    Extension(client): Extension<Client>,
    Extension(acting): Extension<Acting>,
    Path(id): Path<ConversationId>,
    Query(page): Query<Page>,
) -> ApiResult<axum::Json<MessageList>> {
    let limit = paging::size(page.limit)?;
    let after = paging::place::<MessageCursor>(page.cursor.as_deref())?;
    let mut opened = conversations::read(&app, id, after, limit + 1, &acting, &client).await?;
    let next_cursor = paging::next(&mut opened, limit, |message| (message.row.created_at, message.row.id))?;
    Ok(axum::Json(MessageList { messages: opened.into_iter().map(view).collect(), next_cursor }))
}

/// Erases a conversation with its session, messages and judgements, as its visitor could.
#[utoipa::path(delete, path = "/api/v1/conversations/{conversation}", tag = "conversations", security(("key" = []), ("user" = [])),
    params(("conversation" = String, Path, description = "The conversation's id.")),
    responses(
        (status = 204, description = "It is gone."),
        (status = 400, description = "Not an id.", body = crate::error::ErrorBody),
        (status = 401, description = "No key or access token that holds.", body = crate::error::ErrorBody),
        (status = 403, description = "A browser sent the key, or the key or the user may not do this.", body = crate::error::ErrorBody),
        (status = 404, description = "The owner has no such conversation.", body = crate::error::ErrorBody),
        (status = 429, description = "Too many requests from this address.", body = crate::error::ErrorBody)))]
pub async fn delete_conversation(
    State(app): State<App>,
    Extension(client): Extension<Client>,
    Extension(acting): Extension<Acting>,
    Path(id): Path<ConversationId>,
) -> ApiResult<StatusCode> {
    conversations::erase(&app, id, &acting, &client).await?;
    Ok(StatusCode::NO_CONTENT)
}

fn view(opened: Opened) -> StoredMessage {
    let Opened { row, content, judged } = opened;
    let (rating, reason) = judged.unzip();
    StoredMessage {
        id: row.id,
        role: row.role.as_str(),
        state: row.state.as_str(),
        text: content.text,
        citations: content.citations,
        provider: row.provider,
        created_at: row.created_at / SECOND,
        rating: rating.map(|rating| if rating > 0 { "up" } else { "down" }),
        reason: reason.flatten(),
    }
}
