//! A visitor's session: `POST /api/v1/widget/sessions`, and `GET` and `DELETE /api/v1/widget/session`.

use crate::app::App;
use crate::client::Client;
use crate::error::ApiResult;
use crate::json::Json;
use crate::middleware::cors::{self, Origin};
use crate::middleware::guard::{FromOrigin, refuse_session};
use crate::ops::admission::{self, Admission, Admitted};
use crate::ops::look::{self, Look};
use crate::ops::lookup::Citation;
use crate::ops::receipts::{self, Receipt};
use crate::ops::tokens::Visitor;
use crate::ops::{chat, data_keys, refusals, resumes, sessions, sites};
use axum::Extension;
use axum::extract::State;
use chatward_types::{Error, MessageId, SECOND, Scope};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use utoipa::ToSchema;

/// Which site's chat to open: `site` from a page of the site, or `ticket` from our own frame.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateSession {
    /// The site's publishable key.
    #[serde(default)]
    #[schema(example = "cw_pk_live_…")]
    pub site: Option<String>,
    /// A ticket of the page that holds the frame. It is spent, whatever follows.
    #[serde(default)]
    pub ticket: Option<String>,
    /// With a ticket: what an earlier session gave, to go on with it.
    #[serde(default)]
    pub resume: Option<String>,
    /// With a ticket: who the visitor is, as in `POST /api/v1/widget/identity`.
    #[serde(default)]
    pub identity: Option<String>,
    /// With a ticket: that the visitor has agreed, on a site that asks for consent.
    #[serde(default)]
    pub agreed: bool,
}

/// What a trade comes to.
#[derive(Debug, Serialize, ToSchema)]
#[serde(untagged)]
pub enum Traded {
    /// A session.
    Session(Box<SessionCreated>),
    /// The question that comes before one.
    Consent(Box<ConsentNeeded>),
}

/// The site asks for consent before anything is stored. Ask the visitor, then trade a new ticket with `agreed`.
#[derive(Debug, Serialize, ToSchema)]
pub struct ConsentNeeded {
    /// Always true.
    pub needs_consent: bool,
    /// The origin of the page that the ticket was minted for.
    pub origin: String,
    /// How the chat presents itself, with the privacy notice to show.
    pub look: Look,
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
    /// The origin of the page that the session is bound to. A frame talks to this origin alone.
    pub origin: String,
    /// What brings the visitor back to this session, beside a fresh ticket; at most 1 KB.
    pub resume: String,
    /// Whether it is a session from before.
    pub resumed: bool,
    /// How the chat presents itself.
    pub look: Look,
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
    /// A fresh resume.
    pub resume: String,
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
    /// `complete`, or `interrupted` where the answer broke off.
    pub state: &'static str,
}

/// What is left of a session that was erased.
#[derive(Debug, Serialize, ToSchema)]
pub struct SessionErased {
    /// Our signed word.
    pub receipt: Receipt,
}

/// Begins a session, or goes on with one. With `site`, the `Origin` of the page must be one of the site's, or ours; with
/// `ticket` it must be ours.
#[utoipa::path(post, path = "/api/v1/widget/sessions", tag = "widget", request_body = CreateSession,
    responses(
        (status = 200, description = "The visitor must agree first; nothing is stored, the ticket is spent.", body = ConsentNeeded),
        (status = 201, description = "The session stands.", body = SessionCreated),
        (status = 400, description = "Not JSON.", body = crate::error::ErrorBody),
        (status = 401, description = "The ticket is forged, spent or run out.", body = crate::error::ErrorBody),
        (status = 403, description = "The page's origin is not allowed.", body = crate::error::ErrorBody),
        (status = 404, description = "No such site, or a key of another environment.", body = crate::error::ErrorBody),
        (status = 422, description = "A field is missing, unknown or wrong, or the identity does not hold.", body = crate::error::ErrorBody),
        (status = 429, description = "Too many requests from this address.", body = crate::error::ErrorBody)))]
pub async fn create_session(
    State(app): State<App>,
    Extension(client): Extension<Client>,
    Extension(FromOrigin(origin)): Extension<FromOrigin>,
    Json(body): Json<CreateSession>,
) -> ApiResult<(StatusCode, axum::Json<Traded>)> {
    let admitted = match (body.site, body.ticket, body.resume, body.identity) {
        (Some(site), None, None, None) => by_site(&app, &client, &origin, &site).await?,
        (None, Some(ticket), resume, identity) => {
            // A page that holds a ticket is not our frame: what it would begin could be read by its scripts.
            if !matches!(&origin, Origin::Named(origin) if app.origins.is_own(origin)) {
                return Err(cors::refuse(&app, &client).into());
            }
            let (resume, identity) = (resume.as_deref(), identity.as_deref());
            match admission::by_ticket(&app, &ticket, resume, identity, body.agreed, &client).await? {
                Admission::In(admitted) => admitted,
                Admission::AskFirst { site, origin } => {
                    let look = look::of(&app, &site);
                    let needed = ConsentNeeded { needs_consent: true, origin: origin.into_string(), look };
                    return Ok((StatusCode::OK, axum::Json(Traded::Consent(Box::new(needed)))));
                }
            }
        }
        _ => {
            return Err(Error::invalid(
                "Send either field `site`, or field `ticket` with perhaps `resume` and `identity`.",
            )
            .into());
        }
    };
    let Admitted { site, origin, begun, resumed } = admitted;
    Ok((
        StatusCode::CREATED,
        axum::Json(Traded::Session(Box::new(SessionCreated {
            resume: resumes::mint(&app, site.owner, &begun.visitor.session, client.address)?,
            session: begun.visitor.session.as_str().to_owned(),
            token: begun.token,
            expires_at: begun.visitor.expires_at / SECOND,
            origin: origin.into_string(),
            resumed,
            look: look::of(&app, &site),
        }))),
    ))
}

async fn by_site(app: &App, client: &Client, origin: &Origin, key: &str) -> ApiResult<Admitted> {
    let site = sites::named(app, key, client).await?;
    let origin = match origin {
        Origin::Named(origin) if site.has_origin(origin) || app.origins.is_ours(origin) => origin,
        Origin::Named(origin) => {
            refusals::note(app, &site, origin);
            return Err(cors::refuse_at(app, client, site.owner, site.id).into());
        }
        _ => return Err(cors::refuse_at(app, client, site.owner, site.id).into()),
    };
    let begun = sessions::begin(app, &site, origin, client).await?;
    Ok(Admitted { origin: origin.clone(), site, begun, resumed: false })
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
        return Err(refuse_session(&app, &client, Some(&visitor)).into());
    };
    let keys = data_keys::of(&app, &scope).await?;
    let most = u32::try_from(app.config.messages.max_conversation).unwrap_or(u32::MAX);
    let mut messages = Vec::new();
    for row in app.store.list_messages(&scope, live.row.conversation, most).await? {
        let content = chat::open_content(&keys, &row)?;
        messages.push(MessageView {
            id: row.id,
            role: row.role.as_str(),
            text: content.text,
            citations: content.citations,
            created_at: row.created_at / SECOND,
            state: row.state.as_str(),
        });
    }
    let renewed = sessions::renew(&app, &visitor)?;
    Ok(axum::Json(SessionState {
        resume: resumes::mint(&app, visitor.owner, &visitor.session, client.address)?,
        session: renewed.visitor.session.as_str().to_owned(),
        token: renewed.token,
        expires_at: renewed.visitor.expires_at / SECOND,
        look: look::of(&app, &site),
        messages,
    }))
}

/// Ends the session and erases its conversation.
#[utoipa::path(delete, path = "/api/v1/widget/session", tag = "widget", security(("visitor" = [])),
    responses(
        (status = 200, description = "The session and its messages are gone; a signed receipt says so.", body = SessionErased),
        (status = 401, description = "No such session, or no such token.", body = crate::error::ErrorBody),
        (status = 403, description = "The page's origin is not the token's.", body = crate::error::ErrorBody),
        (status = 429, description = "Too many requests from this address.", body = crate::error::ErrorBody)))]
pub async fn delete_session(
    State(app): State<App>,
    Extension(client): Extension<Client>,
    Extension(visitor): Extension<Arc<Visitor>>,
) -> ApiResult<axum::Json<SessionErased>> {
    // Whoever may not use the session from here may not end it either.
    if sessions::find(&app, &visitor, &client).await?.is_none() {
        return Err(refuse_session(&app, &client, Some(&visitor)).into());
    }
    match sessions::end(&app, &visitor, &client).await? {
        Some(erased) => {
            let receipt = receipts::of_erasure(&app, &visitor.session, erased.messages)?;
            Ok(axum::Json(SessionErased { receipt }))
        }
        None => Err(refuse_session(&app, &client, Some(&visitor)).into()),
    }
}
