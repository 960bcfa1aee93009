//! `POST /api/v1/widget/feedback`: a visitor judges an answer of their own conversation.

use crate::app::App;
use crate::client::Client;
use crate::error::ApiResult;
use crate::json::Json;
use crate::middleware::guard::refuse_session;
use crate::ops::tokens::Visitor;
use crate::ops::{feedback, sessions};
use axum::Extension;
use axum::extract::State;
use chatward_types::{Error, MessageId};
use http::StatusCode;
use serde::Deserialize;
use std::sync::Arc;
use utoipa::ToSchema;

/// A judgement on an answer.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateFeedback {
    /// The answer's id.
    #[schema(value_type = String)]
    pub message_id: MessageId,
    /// `up` or `down`.
    pub rating: Rating,
    /// Why, in the visitor's words; at most 500 characters.
    #[serde(default)]
    pub reason: Option<String>,
}

/// Whether the answer helped.
#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Rating {
    /// It helped.
    Up,
    /// It did not.
    Down,
}

/// Stores a judgement; a second one on the same answer replaces the first.
#[utoipa::path(post, path = "/api/v1/widget/feedback", tag = "widget", request_body = CreateFeedback,
    security(("visitor" = [])),
    responses(
        (status = 204, description = "Stored."),
        (status = 401, description = "No such session, or no such token.", body = crate::error::ErrorBody),
        (status = 403, description = "The page's origin is not the token's.", body = crate::error::ErrorBody),
        (status = 404, description = "No such answer in this conversation.", body = crate::error::ErrorBody),
        (status = 422, description = "A field is missing, unknown or wrong.", body = crate::error::ErrorBody),
        (status = 429, description = "Too many requests from this address.", body = crate::error::ErrorBody)))]
pub async fn create_feedback(
    State(app): State<App>,
    Extension(client): Extension<Client>,
    Extension(visitor): Extension<Arc<Visitor>>,
    Json(body): Json<CreateFeedback>,
) -> ApiResult<StatusCode> {
    let Some(live) = sessions::find(&app, &visitor, &client).await? else {
        return Err(refuse_session(&app, &client, Some(&visitor)).into());
    };
    let up = matches!(body.rating, Rating::Up);
    if feedback::give(&app, &live, body.message_id, up, body.reason.as_deref()).await? {
        Ok(StatusCode::NO_CONTENT)
    } else {
        Err(Error::not_found().into())
    }
}
