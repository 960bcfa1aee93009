//! `POST /api/v1/auth/login`, `/refresh` and `/logout`: a user comes in, goes on, and leaves.

use crate::app::App;
use crate::client::Client;
use crate::error::ApiResult;
use crate::json::Json;
use crate::ops::logins::{self, Issued, Person};
use axum::Extension;
use axum::extract::State;
use chatward_types::{Error, Kind, Scope, Secret};
use http::StatusCode;
use serde::Deserialize;
use std::sync::Arc;
use utoipa::ToSchema;

/// An address and its password.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateLogin {
    /// The e-mail address.
    pub email: String,
    /// The password; at most 256 bytes.
    #[schema(value_type = String)]
    pub password: Secret<String>,
}

/// A refresh token.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RefreshLogin {
    /// The token that the last login or refresh returned.
    #[schema(value_type = String)]
    pub refresh_token: Secret<String>,
}

/// Logs a user in. Answers alike whether there is such an account or not.
#[utoipa::path(post, path = "/api/v1/auth/login", tag = "accounts", request_body = CreateLogin,
    responses(
        (status = 201, description = "Logged in.", body = Issued),
        (status = 400, description = "Not JSON.", body = crate::error::ErrorBody),
        (status = 401, description = "No account that may log in has this address and password.", body = crate::error::ErrorBody),
        (status = 403, description = "Another's page sent it.", body = crate::error::ErrorBody),
        (status = 422, description = "A field is missing, unknown or out of bounds.", body = crate::error::ErrorBody),
        (status = 429, description = "Too many requests from this address, or too many attempts.", body = crate::error::ErrorBody),
        (status = 503, description = "Too many passwords are checked at the moment.", body = crate::error::ErrorBody)))]
pub async fn create_login(
    State(app): State<App>,
    Extension(client): Extension<Client>,
    Json(body): Json<CreateLogin>,
) -> ApiResult<(StatusCode, axum::Json<Issued>)> {
    let issued = logins::log_in(&app, &body.email, &body.password, &client).await?;
    Ok((StatusCode::CREATED, axum::Json(issued)))
}

/// Trades a refresh token for the next two tokens. A token that was traded before ends its login.
#[utoipa::path(post, path = "/api/v1/auth/refresh", tag = "accounts", request_body = RefreshLogin,
    responses(
        (status = 200, description = "The next tokens.", body = Issued),
        (status = 400, description = "Not JSON.", body = crate::error::ErrorBody),
        (status = 401, description = "The token does not hold.", body = crate::error::ErrorBody),
        (status = 403, description = "Another's page sent it.", body = crate::error::ErrorBody),
        (status = 422, description = "A field is missing or unknown.", body = crate::error::ErrorBody),
        (status = 429, description = "Too many requests from this address.", body = crate::error::ErrorBody)))]
pub async fn refresh_login(
    State(app): State<App>,
    Extension(client): Extension<Client>,
    Json(body): Json<RefreshLogin>,
) -> ApiResult<axum::Json<Issued>> {
    Ok(axum::Json(logins::refresh(&app, body.refresh_token.expose(), &client).await?))
}

/// Ends the login of the token, with every token of it, on every node.
#[utoipa::path(post, path = "/api/v1/auth/logout", tag = "accounts", security(("user" = [])),
    responses(
        (status = 204, description = "Ended."),
        (status = 401, description = "No access token that holds.", body = crate::error::ErrorBody),
        (status = 403, description = "Another's page sent it.", body = crate::error::ErrorBody),
        (status = 409, description = "The token is an outside issuer's; there is no login here to end.",
            body = crate::error::ErrorBody),
        (status = 429, description = "Too many requests from this address.", body = crate::error::ErrorBody)))]
pub async fn end_login(
    State(app): State<App>,
    Extension(client): Extension<Client>,
    Extension(person): Extension<Arc<Person>>,
) -> ApiResult<StatusCode> {
    let Some(login) = person.login else {
        let text = "This token is an outside issuer's and has no login here. Log out there.";
        return Err(Error::new(Kind::Conflict, "no_login", text).into());
    };
    logins::end_one(&app, &Scope::of(person.owner), person.user, login, Some(&client)).await?;
    Ok(StatusCode::NO_CONTENT)
}
