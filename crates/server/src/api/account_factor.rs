//! `/api/v1/account/totp` and `/api/v1/account/recovery-codes`: a user's second factor, begun, confirmed, renewed, removed.

use crate::app::App;
use crate::client::Client;
use crate::error::ApiResult;
use crate::json::Json;
use crate::ops::logins::Person;
use crate::ops::second_factor;
use axum::Extension;
use axum::extract::State;
use chatward_types::Secret;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use utoipa::ToSchema;

/// The password again.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BeginFactor {
    /// The password; at most 256 bytes.
    #[schema(value_type = String)]
    pub password: Secret<String>,
}

/// A code of what was begun.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ConfirmFactor {
    /// The program's current six digits.
    #[schema(value_type = String)]
    pub code: Secret<String>,
}

/// The password again, and a code.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ProveFactor {
    /// The password; at most 256 bytes.
    #[schema(value_type = String)]
    pub password: Secret<String>,
    /// The program's current six digits, or a recovery code.
    #[schema(value_type = String)]
    pub code: Secret<String>,
}

/// A second factor that is not active yet, shown this once.
#[derive(Serialize, ToSchema)]
pub struct BegunView {
    /// The secret in base32, for typing into an authenticator program: SHA-1, six digits, 30 seconds.
    pub secret: String,
    /// The same as an `otpauth` address, for a QR code.
    pub otpauth: String,
}

/// Codes for the day when the second factor is lost, shown this once.
#[derive(Serialize, ToSchema)]
pub struct RecoveryCodes {
    /// Ten codes, each for one use in the place of the six digits.
    pub recovery_codes: Vec<String>,
}

impl RecoveryCodes {
    fn of(codes: &[Secret<String>]) -> Self {
        Self { recovery_codes: codes.iter().map(|code| code.expose().clone()).collect() }
    }
}

impl std::fmt::Debug for BegunView {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BegunView").finish_non_exhaustive()
    }
}

impl std::fmt::Debug for RecoveryCodes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RecoveryCodes").finish_non_exhaustive()
    }
}

/// Begins a second factor. It is not active before a code of it has confirmed it, within a quarter of an hour and by the
/// same login.
#[utoipa::path(post, path = "/api/v1/account/totp", tag = "accounts", security(("user" = [])), request_body = BeginFactor,
    responses(
        (status = 201, description = "Begun.", body = BegunView),
        (status = 400, description = "Not JSON.", body = crate::error::ErrorBody),
        (status = 401, description = "No access token that holds.", body = crate::error::ErrorBody),
        (status = 403, description = "The password is wrong, or another's page sent it.", body = crate::error::ErrorBody),
        (status = 409, description = "The user has a second factor.", body = crate::error::ErrorBody),
        (status = 422, description = "A field is missing, unknown or out of bounds.", body = crate::error::ErrorBody),
        (status = 429, description = "Too many requests from this address, or too many attempts.", body = crate::error::ErrorBody),
        (status = 503, description = "Too many passwords are checked at the moment.", body = crate::error::ErrorBody)))]
pub async fn begin_totp(
    State(app): State<App>,
    Extension(client): Extension<Client>,
    Extension(person): Extension<Arc<Person>>,
    Json(body): Json<BeginFactor>,
) -> ApiResult<(StatusCode, axum::Json<BegunView>)> {
    let begun = second_factor::begin(&app, &person, &body.password, &client).await?;
    let view = BegunView { secret: begun.secret.expose().clone(), otpauth: begun.address.expose().clone() };
    Ok((StatusCode::CREATED, axum::Json(view)))
}

/// Activates the second factor that this login has begun. Every other login of the user ends, and this one may go on.
#[utoipa::path(post, path = "/api/v1/account/totp/confirm", tag = "accounts", security(("user" = [])),
    request_body = ConfirmFactor,
    responses(
        (status = 201, description = "Active.", body = RecoveryCodes),
        (status = 400, description = "Not JSON.", body = crate::error::ErrorBody),
        (status = 401, description = "No access token that holds.", body = crate::error::ErrorBody),
        (status = 403, description = "The code is wrong, or another's page sent it.", body = crate::error::ErrorBody),
        (status = 409, description = "This login has begun none lately.", body = crate::error::ErrorBody),
        (status = 422, description = "A field is missing or unknown.", body = crate::error::ErrorBody),
        (status = 429, description = "Too many requests from this address, or too many attempts.", body = crate::error::ErrorBody)))]
pub async fn confirm_totp(
    State(app): State<App>,
    Extension(client): Extension<Client>,
    Extension(person): Extension<Arc<Person>>,
    Json(body): Json<ConfirmFactor>,
) -> ApiResult<(StatusCode, axum::Json<RecoveryCodes>)> {
    let codes = second_factor::confirm(&app, &person, &body.code, &client).await?;
    Ok((StatusCode::CREATED, axum::Json(RecoveryCodes::of(&codes))))
}

/// Removes the second factor and its recovery codes.
#[utoipa::path(delete, path = "/api/v1/account/totp", tag = "accounts", security(("user" = [])), request_body = ProveFactor,
    responses(
        (status = 204, description = "Removed."),
        (status = 400, description = "Not JSON.", body = crate::error::ErrorBody),
        (status = 401, description = "No access token that holds.", body = crate::error::ErrorBody),
        (status = 403, description = "Password or code is wrong, or another's page sent it.", body = crate::error::ErrorBody),
        (status = 409, description = "The user has no second factor.", body = crate::error::ErrorBody),
        (status = 422, description = "A field is missing, unknown or out of bounds.", body = crate::error::ErrorBody),
        (status = 429, description = "Too many requests from this address, or too many attempts.", body = crate::error::ErrorBody),
        (status = 503, description = "Too many passwords are checked at the moment.", body = crate::error::ErrorBody)))]
pub async fn delete_totp(
    State(app): State<App>,
    Extension(client): Extension<Client>,
    Extension(person): Extension<Arc<Person>>,
    Json(body): Json<ProveFactor>,
) -> ApiResult<StatusCode> {
    second_factor::remove(&app, &person, &body.password, &body.code, &client).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Puts ten new recovery codes in the place of all.
#[utoipa::path(post, path = "/api/v1/account/recovery-codes", tag = "accounts", security(("user" = [])),
    request_body = ProveFactor,
    responses(
        (status = 201, description = "Renewed.", body = RecoveryCodes),
        (status = 400, description = "Not JSON.", body = crate::error::ErrorBody),
        (status = 401, description = "No access token that holds.", body = crate::error::ErrorBody),
        (status = 403, description = "Password or code is wrong, or another's page sent it.", body = crate::error::ErrorBody),
        (status = 409, description = "The user has no second factor.", body = crate::error::ErrorBody),
        (status = 422, description = "A field is missing, unknown or out of bounds.", body = crate::error::ErrorBody),
        (status = 429, description = "Too many requests from this address, or too many attempts.", body = crate::error::ErrorBody),
        (status = 503, description = "Too many passwords are checked at the moment.", body = crate::error::ErrorBody)))]
pub async fn renew_codes(
    State(app): State<App>,
    Extension(client): Extension<Client>,
    Extension(person): Extension<Arc<Person>>,
    Json(body): Json<ProveFactor>,
) -> ApiResult<(StatusCode, axum::Json<RecoveryCodes>)> {
    let codes = second_factor::renew_codes(&app, &person, &body.password, &body.code, &client).await?;
    Ok((StatusCode::CREATED, axum::Json(RecoveryCodes::of(&codes))))
}
