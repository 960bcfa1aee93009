//! `POST /api/v1/auth/recover`: a user sets another password by a link.

use crate::app::App;
use crate::client::Client;
use crate::error::ApiResult;
use crate::json::Json;
use crate::ops::recoveries;
use axum::Extension;
use axum::extract::State;
use chatward_types::Secret;
use http::StatusCode;
use serde::Deserialize;
use utoipa::ToSchema;

/// A recovery and the password that it sets.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RecoverAccount {
    /// The token, which stands behind the `#` of the link.
    #[schema(value_type = String)]
    pub token: Secret<String>,
    /// A password of at least 12 characters, unless the server's setting says otherwise.
    #[schema(value_type = String)]
    pub password: Secret<String>,
}

/// Sets another password by a link, which is used up, and ends every login of the user; then log in. Recovery is by link
/// because no mail is sent yet: `chatward user reset-password` or an administrator makes one.
#[utoipa::path(post, path = "/api/v1/auth/recover", tag = "accounts", request_body = RecoverAccount,
    responses(
        (status = 204, description = "Set; every login has ended."),
        (status = 400, description = "Not JSON.", body = crate::error::ErrorBody),
        (status = 401, description = "The link does not hold.", body = crate::error::ErrorBody),
        (status = 403, description = "Another's page sent it.", body = crate::error::ErrorBody),
        (status = 422, description = "A field is missing, unknown or refused; the link still holds.", body = crate::error::ErrorBody),
        (status = 429, description = "Too many requests from this address.", body = crate::error::ErrorBody),
        (status = 503, description = "Too many passwords are hashed at the moment.", body = crate::error::ErrorBody)))]
pub async fn recover_account(
    State(app): State<App>,
    Extension(client): Extension<Client>,
    Json(body): Json<RecoverAccount>,
) -> ApiResult<StatusCode> {
    recoveries::complete(&app, body.token.expose(), &body.password, &client).await?;
    Ok(StatusCode::NO_CONTENT)
}
