//! `POST /api/v1/auth/login`, `/refresh` and `/logout`: a user comes in, goes on, and leaves.

use crate::app::App;
use crate::client::Client;
use crate::error::ApiResult;
use crate::json::Json;
use crate::middleware::cookies::{self, LoginTokens, Mode};
use crate::ops::logins::{self, Person};
use axum::Extension;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use chatward_types::{Scope, Secret};
use http::{HeaderMap, StatusCode};
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
    /// For an account with a second factor: the program's current six digits, or a recovery code.
    #[schema(value_type = Option<String>)]
    pub code: Option<Secret<String>>,
    /// Where the tokens go; into the body unless it says `cookie`.
    #[serde(default)]
    pub mode: Mode,
}

/// A refresh token, in the body or in its cookie.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RefreshLogin {
    /// The token that the last login or refresh returned. Absent: the one of the cookie.
    #[schema(value_type = Option<String>)]
    pub refresh_token: Option<Secret<String>>,
    /// Where the next tokens go. A token that came in a cookie is always followed by cookies.
    #[serde(default)]
    pub mode: Mode,
}

/// Logs a user in. Answers alike whether there is such an account or not.
#[utoipa::path(post, path = "/api/v1/auth/login", tag = "accounts", request_body = CreateLogin,
    responses(
        (status = 201, description = "Logged in.", body = LoginTokens),
        (status = 400, description = "Not JSON.", body = crate::error::ErrorBody),
        (status = 401, description = "No account that may log in has this address and password (`login_failed`), or its second \
            factor is missing (`second_factor_needed`) or wrong (`second_factor_refused`).", body = crate::error::ErrorBody),
        (status = 403, description = "Another's page sent it.", body = crate::error::ErrorBody),
        (status = 422, description = "A field is missing, unknown or out of bounds.", body = crate::error::ErrorBody),
        (status = 429, description = "Too many requests from this address, or too many attempts.", body = crate::error::ErrorBody),
        (status = 503, description = "Too many passwords are checked at the moment.", body = crate::error::ErrorBody)))]
pub async fn create_login(
    State(app): State<App>,
    Extension(client): Extension<Client>,
    Json(body): Json<CreateLogin>,
) -> ApiResult<Response> {
    let issued = logins::log_in(&app, &body.email, &body.password, body.code.as_ref(), &client).await?;
    Ok(cookies::deliver(&app, StatusCode::CREATED, issued, body.mode))
}

/// Trades a refresh token for the next two tokens. A token that was traded before ends its login, unless the same client
/// traded it within the last ten seconds and has not used the next: of two requests at once the second is told so and gets
/// no tokens.
#[utoipa::path(post, path = "/api/v1/auth/refresh", tag = "accounts", request_body = RefreshLogin,
    responses(
        (status = 200, description = "The next tokens.", body = LoginTokens),
        (status = 400, description = "Not JSON.", body = crate::error::ErrorBody),
        (status = 401, description = "The token does not hold.", body = crate::error::ErrorBody),
        (status = 403, description = "Another's page sent it.", body = crate::error::ErrorBody),
        (status = 409, description = "Another request of this client has traded it a moment ago (`refresh_traded`): go on \
            with what that one brought.", body = crate::error::ErrorBody),
        (status = 422, description = "A field is missing or unknown.", body = crate::error::ErrorBody),
        (status = 429, description = "Too many requests from this address.", body = crate::error::ErrorBody)))]
pub async fn refresh_login(
    State(app): State<App>,
    Extension(client): Extension<Client>,
    headers: HeaderMap,
    Json(body): Json<RefreshLogin>,
) -> ApiResult<Response> {
    let (token, mode) = match body.refresh_token {
        Some(token) => (Some(token), body.mode),
        None => (cookies::refresh(&app, &client, &headers)?, Mode::Cookie),
    };
    // A page of ours that asks whether a login goes on has nothing to show where there is none: nothing was tried.
    let token = token.ok_or_else(logins::refresh_invalid)?;
    let issued = logins::refresh(&app, token.expose(), &client).await?;
    Ok(cookies::deliver(&app, StatusCode::OK, issued, mode))
}

/// Ends the login of the token, with every token of it, on every node. By cookie, the browser forgets both cookies.
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
    headers: HeaderMap,
) -> ApiResult<Response> {
    let login = person.own_login()?;
    logins::end_one(&app, &Scope::of(person.owner), person.user, login, Some(&client)).await?;
    let mut response = StatusCode::NO_CONTENT.into_response();
    if cookies::is_by_cookie(&headers) {
        cookies::clear(&mut response);
    }
    Ok(response)
}
