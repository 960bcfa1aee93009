//! `POST /api/v1/devices/renew`: a device with a token that holds gets the next one.

use crate::app::App;
use crate::client::Client;
use crate::error::ApiResult;
use crate::ops::devices::{self, Device, DeviceToken};
use axum::Extension;
use axum::extract::State;
use std::sync::Arc;

/// Renews a device's token. The one that it was renewed with holds on until its end.
///
/// The next one holds as long as the first did. A line of renewals ends a year after a person issued its first token, or
/// with the device; then a person issues another.
#[utoipa::path(post, path = "/api/v1/devices/renew", tag = "devices", security(("device" = [])),
    responses(
        (status = 200, description = "The next token; shown this once.", body = DeviceToken),
        (status = 401, description = "No token of a device that holds.", body = crate::error::ErrorBody),
        (status = 403, description = "The token cannot be renewed any more, or a page sent it.", body = crate::error::ErrorBody),
        (status = 429, description = "Too many requests from this address.", body = crate::error::ErrorBody)))]
pub async fn renew_token(
    State(app): State<App>,
    Extension(client): Extension<Client>,
    Extension(device): Extension<Arc<Device>>,
) -> ApiResult<axum::Json<DeviceToken>> {
    Ok(axum::Json(devices::renew(&app, &device, &client)?))
}
