//! `POST /api/v1/auth/setup`: the first user, made with the one-time token that the server's start has shown.

use crate::app::App;
use crate::client::Client;
use crate::error::ApiResult;
use crate::json::Json;
use crate::middleware::cookies::{self, LoginTokens, Mode};
use crate::ops::setup;
use crate::ops::users::NewUser;
use axum::Extension;
use axum::extract::State;
use axum::response::Response;
use chatward_types::{Role, Secret};
use http::StatusCode;
use serde::Deserialize;
use utoipa::ToSchema;

/// The first user.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateFirstUser {
    /// The set-up token.
    #[schema(value_type = String)]
    pub token: Secret<String>,
    /// The e-mail address.
    pub email: String,
    /// A password of at least 12 characters, unless the server's setting says otherwise.
    #[schema(value_type = String)]
    pub password: Secret<String>,
    /// The full name; 1 to 200 characters.
    pub full_name: String,
    /// Where the tokens go; into the body unless it says `cookie`.
    #[serde(default)]
    pub mode: Mode,
}

/// Makes the first user, an owner, and logs them in.
#[utoipa::path(post, path = "/api/v1/auth/setup", tag = "accounts", request_body = CreateFirstUser,
    responses(
        (status = 201, description = "Made and logged in.", body = LoginTokens),
        (status = 400, description = "Not JSON.", body = crate::error::ErrorBody),
        (status = 401, description = "The token does not hold, or there is a user already.", body = crate::error::ErrorBody),
        (status = 403, description = "Another's page sent it.", body = crate::error::ErrorBody),
        (status = 422, description = "A field is missing, unknown or refused.", body = crate::error::ErrorBody),
        (status = 429, description = "Too many requests from this address.", body = crate::error::ErrorBody),
        (status = 503, description = "Too many passwords are hashed at the moment.", body = crate::error::ErrorBody)))]
pub async fn create_first_user(
    State(app): State<App>,
    Extension(client): Extension<Client>,
    Json(body): Json<CreateFirstUser>,
) -> ApiResult<Response> {
    let mode = body.mode;
    let new = NewUser { email: body.email, name: body.full_name, role: Role::Owner, password: body.password };
    let issued = setup::complete(&app, body.token.expose(), &new, &client).await?;
    Ok(cookies::deliver(&app, StatusCode::CREATED, issued, mode))
}
