//! A visitor's session: `POST /api/v1/widget/sessions`, and `GET` and `DELETE /api/v1/widget/session`.

use crate::app::App;
use crate::client::Client;
use crate::error::{ApiError, ApiResult};
use crate::json::Json;
use crate::middleware::cors::{self, Origin};
use crate::middleware::guard::{FromOrigin, refuse_session};
use crate::ops::chat;
use crate::ops::lookup::Citation;
use crate::ops::sites::Site;
use crate::ops::tokens::Visitor;
use crate::ops::{data_keys, sessions, sites};
use axum::Extension;
use axum::extract::State;
use chatward_store::Role;
use chatward_types::{Error, EventName, Kind, MessageId, Outcome, SECOND, Scope, Severity};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use utoipa::ToSchema;

/// Which site's chat to open.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateSession {
    /// The site's publishable key.
    #[schema(example = "cw_pk_live_…")]
    pub site: String,
}

/// A session of a visitor.
#[derive(Debug, Serialize, ToSchema)]
pub struct SessionCreated {
    /// The session's id. It names the session and proves nothing.
    pub session: String,
    /// The bearer token for every further call. Keep it in the frame; it is worth one conversation.
    pub token: String,
    /// When the token ends, in seconds since 1970 (UTC).
    pub expires_at: i64,
    /// How the chat presents itself.
    pub look: Look,
}

/// How the chat presents itself; set by the site's owner.
#[derive(Debug, Serialize, ToSchema)]
pub struct Look {
    /// The heading.
    pub title: String,
    /// What the chat says first.
    pub greeting: String,
    /// Questions to offer before the first message.
    pub starters: Vec<String>,
    /// The site's language as a BCP 47 tag.
    pub language: String,
    /// What to tell a visitor whose question the site does not answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub contact: Option<String>,
    /// Origins to which links in answers may be live; all others are shown as text.
    pub link_origins: Vec<String>,
    /// The most characters (Unicode scalar values) that a message may have.
    pub max_characters: usize,
}

/// The state of a session.
#[derive(Debug, Serialize, ToSchema)]
pub struct SessionState {
    /// The session's id.
    pub session: String,
    /// A fresh token; the old one holds until its own end.
    pub token: String,
    /// When the fresh token ends, in seconds since 1970 (UTC).
    pub expires_at: i64,
    /// How the chat presents itself.
    pub look: Look,
    /// The conversation, oldest first.
    pub messages: Vec<MessageView>,
}

/// One message of a conversation.
#[derive(Debug, Serialize, ToSchema)]
pub struct MessageView {
    /// Its id.
    #[schema(value_type = String)]
    pub id: MessageId,
    /// `user` or `assistant`.
    pub role: &'static str,
    /// The text. It is data: show it as text nodes, never as markup.
    pub text: String,
    /// The sources of an answer.
    pub citations: Vec<Citation>,
    /// When it was stored, in seconds since 1970 (UTC).
    pub created_at: i64,
}

/// Begins a session. The `Origin` of the page must be one of the site's, or ours.
#[utoipa::path(post, path = "/api/v1/widget/sessions", tag = "widget", request_body = CreateSession,
    responses(
        (status = 201, description = "The session stands.", body = SessionCreated),
        (status = 400, description = "Not JSON.", body = crate::error::ErrorBody),
        (status = 403, description = "The page's origin is not allowed.", body = crate::error::ErrorBody),
        (status = 404, description = "No such site.", body = crate::error::ErrorBody),
        (status = 422, description = "A field is missing, unknown or wrong.", body = crate::error::ErrorBody),
        (status = 429, description = "Too many requests from this address.", body = crate::error::ErrorBody)))]
pub async fn create_session(
    State(app): State<App>,
    Extension(client): Extension<Client>,
    Extension(FromOrigin(origin)): Extension<FromOrigin>,
    Json(body): Json<CreateSession>,
) -> ApiResult<(StatusCode, axum::Json<SessionCreated>)> {
    let Some(site) = sites::by_key(&app, &body.site, &client).await? else {
        return Err(no_such_site());
    };
    app.event(EventName::ApiKeyValidation, Severity::Info, Outcome::Success).of(&client).site(site.id).emit();
    let origin = match &origin {
        Origin::Named(origin) if site.has_origin(origin) || app.origins.is_ours(origin) => origin,
        _ => return Err(cors::refuse(&app, &client).into()),
    };
    let begun = sessions::begin(&app, &site, origin, &client).await?;
    Ok((
        StatusCode::CREATED,
        axum::Json(SessionCreated {
            session: begun.visitor.session.as_str().to_owned(),
            token: begun.token,
            expires_at: begun.visitor.expires_at / SECOND,
            look: look(&app, &site),
        }),
    ))
}

/// Returns the session with its conversation and a fresh token.
#[utoipa::path(get, path = "/api/v1/widget/session", tag = "widget", security(("visitor" = [])),
    responses(
        (status = 200, description = "The session.", body = SessionState),
        (status = 401, description = "No such session, or no such token.", body = crate::error::ErrorBody),
        (status = 403, description = "The page's origin is not the token's.", body = crate::error::ErrorBody),
        (status = 429, description = "Too many requests from this address.", body = crate::error::ErrorBody)))]
pub async fn get_session(
    State(app): State<App>,
    Extension(client): Extension<Client>,
    Extension(visitor): Extension<Arc<Visitor>>,
) -> ApiResult<axum::Json<SessionState>> {
    let scope = Scope::of(visitor.owner);
    let live = sessions::find(&app, &visitor, &client).await?;
    let site = sites::by_id(&app, &scope, visitor.site).await?;
    let (Some(live), Some(site)) = (live, site) else {
        return Err(refuse_session(&app, &client).into());
    };
    let keys = data_keys::of(&app, &scope).await?;
    let most = u32::try_from(app.config.messages.max_conversation).unwrap_or(u32::MAX);
    let mut messages = Vec::new();
    for row in app.store.list_messages(&scope, live.row.conversation, most).await? {
        let content = chat::open_content(&keys, &row)?;
        messages.push(MessageView {
            id: row.id,
            role: match row.role {
                Role::User => "user",
                Role::Assistant => "assistant",
            },
            text: content.text,
            citations: content.citations,
            created_at: row.created_at / SECOND,
        });
    }
    let renewed = sessions::renew(&app, &visitor)?;
    Ok(axum::Json(SessionState {
        session: renewed.visitor.session.as_str().to_owned(),
        token: renewed.token,
        expires_at: renewed.visitor.expires_at / SECOND,
        look: look(&app, &site),
        messages,
    }))
}

/// Ends the session and erases its conversation.
#[utoipa::path(delete, path = "/api/v1/widget/session", tag = "widget", security(("visitor" = [])),
    responses(
        (status = 204, description = "The session and its messages are gone."),
        (status = 401, description = "No such session, or no such token.", body = crate::error::ErrorBody),
        (status = 403, description = "The page's origin is not the token's.", body = crate::error::ErrorBody),
        (status = 429, description = "Too many requests from this address.", body = crate::error::ErrorBody)))]
pub async fn delete_session(
    State(app): State<App>,
    Extension(client): Extension<Client>,
    Extension(visitor): Extension<Arc<Visitor>>,
) -> ApiResult<StatusCode> {
    // Whoever may not use the session from here may not end it either.
    if sessions::find(&app, &visitor, &client).await?.is_none() {
        return Err(refuse_session(&app, &client).into());
    }
    match sessions::end(&app, &visitor, &client).await? {
        Some(_) => Ok(StatusCode::NO_CONTENT),
        None => Err(refuse_session(&app, &client).into()),
    }
}

fn look(app: &App, site: &Site) -> Look {
    let settings = &site.settings;
    let mut link_origins = site.origins.to_vec();
    link_origins.extend(settings.link_origins.iter().cloned());
    Look {
        title: settings.title.clone().unwrap_or_else(|| site.name.to_string()),
        greeting: settings.greeting.clone().unwrap_or_else(|| "Hello! Ask me anything about this site.".to_owned()),
        starters: settings.starters.clone(),
        language: settings.language.clone().unwrap_or_else(|| "en".to_owned()),
        contact: settings.contact.clone(),
        link_origins,
        max_characters: app.config.messages.max_characters,
    }
}

fn no_such_site() -> ApiError {
    Error::new(
        Kind::NotFound,
        "site_unknown",
        "There is no site with this key. Copy the key again from the site's settings; each environment has its own.",
    )
    .into()
}
