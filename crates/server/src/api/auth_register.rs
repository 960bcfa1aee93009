//! `POST /api/v1/auth/register`: somebody becomes an owner of their own, where the operator has opened that.

use crate::app::App;
use crate::client::Client;
use crate::error::ApiResult;
use crate::json::Json;
use crate::ops::registrations;
use crate::ops::users::NewUser;
use axum::Extension;
use axum::extract::State;
use chatward_types::{Role, Secret};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Somebody who registers.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RegisterOwner {
    /// The e-mail address.
    pub email: String,
    /// A password of at least 12 characters, unless the server's setting says otherwise.
    #[schema(value_type = String)]
    pub password: Secret<String>,
    /// The full name; 1 to 200 characters.
    pub full_name: String,
}

/// The one answer to a registration.
#[derive(Debug, Serialize, ToSchema)]
pub struct Registered {
    /// What to do next.
    pub next: &'static str,
}

/// Registers somebody as a new owner, never as a user of another. The answer is the same whether the address had an
/// account or not. Only where `accounts.registration` is `open`.
#[utoipa::path(post, path = "/api/v1/auth/register", tag = "accounts", request_body = RegisterOwner,
    responses(
        (status = 202, description = "Taken. Log in; an address that had an account before keeps it as it was.", body = Registered),
        (status = 400, description = "Not JSON.", body = crate::error::ErrorBody),
        (status = 403, description = "Registration is closed here, or another's page sent it.", body = crate::error::ErrorBody),
        (status = 422, description = "A field is missing, unknown or refused.", body = crate::error::ErrorBody),
        (status = 429, description = "Too many requests from this address, too many attempts, or the day's registrations are used up.", body = crate::error::ErrorBody),
        (status = 503, description = "Too many passwords are hashed at the moment.", body = crate::error::ErrorBody)))]
pub async fn register_owner(
    State(app): State<App>,
    Extension(client): Extension<Client>,
    Json(body): Json<RegisterOwner>,
) -> ApiResult<(StatusCode, axum::Json<Registered>)> {
    let new = NewUser { email: body.email, name: body.full_name, role: Role::Owner, password: body.password };
    registrations::register(&app, &new, &client).await?;
    Ok((StatusCode::ACCEPTED, axum::Json(Registered { next: "Log in with this address and password." })))
}
