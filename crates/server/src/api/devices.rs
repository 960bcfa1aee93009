//! `/api/v1/devices`: the owner's list of devices, and the tokens that a person issues for them.

use crate::app::App;
use crate::error::ApiResult;
use crate::json::Json;
use crate::ops::devices::{self, DeviceToken};
use crate::ops::logins::Person;
use crate::ops::trail::Actor;
use crate::path::Path;
use axum::Extension;
use axum::extract::State;
use chatward_store::DeviceRow;
use chatward_types::{DAY, DeviceId, SECOND, Scope};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use utoipa::ToSchema;

/// A device.
#[derive(Debug, Serialize, ToSchema)]
pub struct DeviceView {
    /// Its id.
    #[schema(value_type = String)]
    pub id: DeviceId,
    /// What it calls itself.
    pub name: String,
    /// The feeds that it may publish to. Feeds are not served yet.
    pub feeds: Vec<String>,
    /// `allowed`, `ended` or `revoked`.
    pub state: String,
    /// When it was added, in seconds since 1970 (UTC).
    pub created_at: i64,
    /// When it was last there, to the minute, in seconds since 1970 (UTC).
    pub seen_at: Option<i64>,
    /// When it ends, in seconds since 1970 (UTC); null where it does not.
    pub expires_at: Option<i64>,
    /// When it was revoked, in seconds since 1970 (UTC).
    pub revoked_at: Option<i64>,
}

/// The owner's devices.
#[derive(Debug, Serialize, ToSchema)]
pub struct DeviceList {
    /// The oldest first; at most 1000. A revoked one stays on the list for 90 days.
    pub devices: Vec<DeviceView>,
}

/// A device to add.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateDevice {
    /// What it calls itself: 1 to 64 letters, digits, hyphens and underscores. No other device of the owner that is not
    /// revoked has the name.
    pub name: String,
    /// The feeds that it may publish to, named alike; at most 16.
    #[serde(default)]
    pub feeds: Vec<String>,
    /// Days until it ends, 1 to 3650; it does not where this is absent.
    pub expires_days: Option<u32>,
}

/// How long a token holds.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateDeviceToken {
    /// Seconds that it holds, and each that renews it: 60 to 7776000 (90 days). 30 days where this is absent.
    pub expires_in: Option<i64>,
}

impl DeviceView {
    fn of(row: DeviceRow, now: i64) -> Self {
        let state = match (row.revoked_at, row.expires_at) {
            (Some(_), _) => "revoked",
            (None, Some(end)) if end <= now => "ended",
            _ => "allowed",
        };
        Self {
            id: row.id,
            name: row.name,
            feeds: row.feeds,
            state: state.to_owned(),
            created_at: row.created_at / SECOND,
            seen_at: row.seen_at.map(|at| at / SECOND),
            expires_at: row.expires_at.map(|at| at / SECOND),
            revoked_at: row.revoked_at.map(|at| at / SECOND),
        }
    }
}

/// Lists the owner's devices.
#[utoipa::path(get, path = "/api/v1/devices", tag = "devices", security(("user" = [])),
    responses(
        (status = 200, description = "The devices.", body = DeviceList),
        (status = 401, description = "No access token that holds.", body = crate::error::ErrorBody),
        (status = 403, description = "The user's role does not allow this, or another's page sent it.", body = crate::error::ErrorBody),
        (status = 429, description = "Too many requests from this address.", body = crate::error::ErrorBody)))]
pub async fn list_devices(
    State(app): State<App>,
    Extension(person): Extension<Arc<Person>>,
) -> ApiResult<axum::Json<DeviceList>> {
    let now = app.clock.now();
    let rows = app.store.list_devices(&Scope::of(person.owner)).await?;
    Ok(axum::Json(DeviceList { devices: rows.into_iter().map(|row| DeviceView::of(row, now)).collect() }))
}

/// Adds a device to the owner's list. It proves itself by a token, which is issued apart.
#[utoipa::path(post, path = "/api/v1/devices", tag = "devices", security(("user" = [])), request_body = CreateDevice,
    responses(
        (status = 201, description = "Added.", body = DeviceView),
        (status = 400, description = "Not JSON.", body = crate::error::ErrorBody),
        (status = 401, description = "No access token that holds.", body = crate::error::ErrorBody),
        (status = 403, description = "The user's role does not allow this, or another's page sent it.", body = crate::error::ErrorBody),
        (status = 409, description = "A device has this name.", body = crate::error::ErrorBody),
        (status = 422, description = "A field is missing, unknown or out of bounds.", body = crate::error::ErrorBody),
        (status = 429, description = "Too many requests from this address.", body = crate::error::ErrorBody)))]
pub async fn create_device(
    State(app): State<App>,
    Extension(person): Extension<Arc<Person>>,
    Json(body): Json<CreateDevice>,
) -> ApiResult<(StatusCode, axum::Json<DeviceView>)> {
    let ends_in = body.expires_days.map(|days| i64::from(days) * DAY);
    let by = Actor::User(person.user);
    let row = devices::add(&app, &Scope::of(person.owner), &body.name, body.feeds, ends_in, &by).await?;
    Ok((StatusCode::CREATED, axum::Json(DeviceView::of(row, app.clock.now()))))
}

/// Revokes a device for good. No token of it holds any more, and its sockets end, on every node.
#[utoipa::path(delete, path = "/api/v1/devices/{device}", tag = "devices", security(("user" = [])),
    params(("device" = String, Path, description = "The id from the list.")),
    responses(
        (status = 204, description = "Revoked."),
        (status = 400, description = "Not an id.", body = crate::error::ErrorBody),
        (status = 401, description = "No access token that holds.", body = crate::error::ErrorBody),
        (status = 403, description = "The user's role does not allow this, or another's page sent it.", body = crate::error::ErrorBody),
        (status = 404, description = "The owner has no such device that is not revoked.", body = crate::error::ErrorBody),
        (status = 429, description = "Too many requests from this address.", body = crate::error::ErrorBody)))]
pub async fn delete_device(
    State(app): State<App>,
    Extension(person): Extension<Arc<Person>>,
    Path(device): Path<DeviceId>,
) -> ApiResult<StatusCode> {
    devices::revoke(&app, &Scope::of(person.owner), device, &Actor::User(person.user)).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Issues a token for a device. Tokens that it has hold on until their end; revoking the device ends them all.
#[utoipa::path(post, path = "/api/v1/devices/{device}/token", tag = "devices", security(("user" = [])),
    params(("device" = String, Path, description = "The id from the list.")), request_body = CreateDeviceToken,
    responses(
        (status = 201, description = "Issued; shown this once.", body = DeviceToken),
        (status = 400, description = "Not an id, or not JSON.", body = crate::error::ErrorBody),
        (status = 401, description = "No access token that holds.", body = crate::error::ErrorBody),
        (status = 403, description = "The user's role does not allow this, or another's page sent it.", body = crate::error::ErrorBody),
        (status = 404, description = "The owner has no such device that is allowed.", body = crate::error::ErrorBody),
        (status = 422, description = "A field is unknown or out of bounds.", body = crate::error::ErrorBody),
        (status = 429, description = "Too many requests from this address.", body = crate::error::ErrorBody)))]
pub async fn create_token(
    State(app): State<App>,
    Extension(person): Extension<Arc<Person>>,
    Path(device): Path<DeviceId>,
    Json(body): Json<CreateDeviceToken>,
) -> ApiResult<(StatusCode, axum::Json<DeviceToken>)> {
    let life = body.expires_in.map_or(devices::TOKEN_LIFE, |seconds| seconds.saturating_mul(SECOND));
    let by = Actor::User(person.user);
    let token = devices::issue(&app, &Scope::of(person.owner), device, life, &by).await?;
    Ok((StatusCode::CREATED, axum::Json(token)))
}
