//! `GET /api/v1/widget/session/export`: a visitor takes everything that is stored of them.

use crate::app::App;
use crate::client::Client;
use crate::error::ApiResult;
use crate::middleware::guard::refuse_session;
use crate::ops::exports::{self, Export};
use crate::ops::sessions;
use crate::ops::tokens::Visitor;
use axum::Extension;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use chatward_types::{EventName, Outcome, Severity};
use http::header::CONTENT_DISPOSITION;
use std::sync::Arc;

/// Returns everything that is stored of the visitor, as a file, with a signed receipt.
#[utoipa::path(get, path = "/api/v1/widget/session/export", tag = "widget", security(("visitor" = [])),
    responses(
        (status = 200, description = "Everything that is stored, as an attachment.", body = Export),
        (status = 401, description = "No such session, or no such token.", body = crate::error::ErrorBody),
        (status = 403, description = "The page's origin is not the token's.", body = crate::error::ErrorBody),
        (status = 429, description = "Too many requests from this address.", body = crate::error::ErrorBody)))]
pub async fn get_export(
    State(app): State<App>,
    Extension(client): Extension<Client>,
    Extension(visitor): Extension<Arc<Visitor>>,
) -> ApiResult<Response> {
    let Some(live) = sessions::find(&app, &visitor, &client).await? else {
        return Err(refuse_session(&app, &client, Some(&visitor)).into());
    };
    let export = exports::of(&app, &live).await?;
    app.event(EventName::SessionExported, Severity::Info, Outcome::Success)
        .of(&client)
        .site(visitor.owner, visitor.site)
        .session(&visitor.session)
        .emit();
    let attachment = [(CONTENT_DISPOSITION, "attachment; filename=\"chat-export.json\"")];
    Ok((attachment, axum::Json(export)).into_response())
}
