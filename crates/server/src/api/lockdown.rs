//! `GET`, `PUT` and `DELETE /api/v1/lockdown`: an administrator looks at the switch, and turns it.
//!
//! The installation's own administrators alone; to everybody else's there is nothing here.

use crate::app::App;
use crate::error::ApiResult;
use crate::json::Json;
use crate::ops::logins::Person;
use crate::ops::trail::Actor;
use crate::ops::{acting, lockdown};
use axum::Extension;
use axum::extract::State;
use chatward_types::SECOND;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use utoipa::ToSchema;

/// Why, and what stays open.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BeginLockdown {
    /// Why, for the audit trail: at most 200 characters on one line.
    #[serde(default)]
    pub reason: String,
    /// Whether people may log in meanwhile. Only administrators are served then; without it, only those who are logged in
    /// already, for as long as their access token holds.
    #[serde(default)]
    pub allow_sign_in: bool,
}

/// The lockdown.
#[derive(Debug, Serialize, ToSchema)]
pub struct LockdownView {
    /// Whether it is on.
    pub on: bool,
    /// Since when, in seconds since 1970 (UTC).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<i64>,
    /// Why.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Who switched it on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// Whether people may log in meanwhile.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allow_sign_in: Option<bool>,
}

/// Says whether the lockdown is on.
#[utoipa::path(get, path = "/api/v1/lockdown", tag = "security", security(("user" = [])),
    responses(
        (status = 200, description = "The lockdown.", body = LockdownView),
        (status = 401, description = "No access token that holds.", body = crate::error::ErrorBody),
        (status = 403, description = "The user's role does not allow this, or another's page sent it.", body = crate::error::ErrorBody),
        (status = 404, description = "The user is not one of the installation's own owner.", body = crate::error::ErrorBody),
        (status = 429, description = "Too many requests from this address.", body = crate::error::ErrorBody)))]
pub async fn get_lockdown(
    State(app): State<App>,
    Extension(person): Extension<Arc<Person>>,
) -> ApiResult<axum::Json<LockdownView>> {
    acting::of_installation(&app, person.owner)?;
    view(&app).await
}

/// Switches the lockdown on: from now on nobody is served but administrators, on every server.
#[utoipa::path(put, path = "/api/v1/lockdown", tag = "security", security(("user" = [])), request_body = BeginLockdown,
    responses(
        (status = 200, description = "It is on.", body = LockdownView),
        (status = 400, description = "Not JSON.", body = crate::error::ErrorBody),
        (status = 401, description = "No access token that holds.", body = crate::error::ErrorBody),
        (status = 403, description = "The user's role does not allow this, or another's page sent it.", body = crate::error::ErrorBody),
        (status = 404, description = "The user is not one of the installation's own owner.", body = crate::error::ErrorBody),
        (status = 422, description = "A field is unknown or out of bounds.", body = crate::error::ErrorBody),
        (status = 429, description = "Too many requests from this address.", body = crate::error::ErrorBody)))]
pub async fn begin_lockdown(
    State(app): State<App>,
    Extension(person): Extension<Arc<Person>>,
    Json(body): Json<BeginLockdown>,
) -> ApiResult<axum::Json<LockdownView>> {
    acting::of_installation(&app, person.owner)?;
    lockdown::begin(&app, &body.reason, body.allow_sign_in, &Actor::User(person.user)).await?;
    view(&app).await
}

/// Switches the lockdown off.
#[utoipa::path(delete, path = "/api/v1/lockdown", tag = "security", security(("user" = [])),
    responses(
        (status = 200, description = "It is off.", body = LockdownView),
        (status = 401, description = "No access token that holds.", body = crate::error::ErrorBody),
        (status = 403, description = "The user's role does not allow this, or another's page sent it.", body = crate::error::ErrorBody),
        (status = 404, description = "The user is not one of the installation's own owner.", body = crate::error::ErrorBody),
        (status = 429, description = "Too many requests from this address.", body = crate::error::ErrorBody)))]
pub async fn end_lockdown(
    State(app): State<App>,
    Extension(person): Extension<Arc<Person>>,
) -> ApiResult<axum::Json<LockdownView>> {
    acting::of_installation(&app, person.owner)?;
    lockdown::end(&app, "", &Actor::User(person.user)).await?;
    view(&app).await
}

async fn view(app: &App) -> ApiResult<axum::Json<LockdownView>> {
    let row = app.store.get_lockdown().await?;
    Ok(axum::Json(LockdownView {
        on: row.is_some(),
        since: row.as_ref().map(|row| row.created_at / SECOND),
        by: row.as_ref().map(|row| row.created_by.clone()),
        allow_sign_in: row.as_ref().map(|row| row.allow_sign_in),
        reason: row.map(|row| row.reason),
    }))
}
