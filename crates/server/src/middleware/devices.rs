//! Devices on the way in: recognised by their token, and never from a page.
//!
//! Owns the one answer for whatever token does not hold, and the event that says how a device proved itself. What a device
//! may do, the row says; it is nothing that a user may.

use super::Client;
use super::cors;
use crate::app::App;
use crate::error::ApiError;
use crate::ops::devices::{self, Device};
use chatward_types::{Error, EventName, Kind, Outcome, Severity};
use http::HeaderMap;
use http::header::{HeaderName, ORIGIN};

/// What only browsers send.
const OF_BROWSERS: [HeaderName; 3] =
    [ORIGIN, HeaderName::from_static("sec-fetch-site"), HeaderName::from_static("sec-fetch-dest")];

/// Whom a token speaks for; one refusal for whatever is not a device's token that holds.
pub(super) async fn authenticate(app: &App, client: &Client, token: Option<&str>) -> Result<Device, ApiError> {
    let device = match token {
        Some(token) => devices::recognise(app, token).await?,
        None => Err(None),
    };
    let device = device.map_err(|whose| {
        let event = app.event(EventName::DeviceAuthentication, Severity::Warning, Outcome::Refused);
        event.of(client).owner_if_known(whose).detail("no token of a device that holds").emit();
        Error::new(
            Kind::Unauthenticated,
            "device_token_invalid",
            "Send a token of a device that holds, as Authorization: Bearer. A person issues one (`chatward device token`).",
        )
    })?;
    app.event(EventName::DeviceAuthentication, Severity::Info, Outcome::Success)
        .of(client)
        .owner(device.owner)
        .detail(format!("device {}", device.id))
        .emit();
    Ok(device)
}

/// Refuses whatever a browser sends: a device is a program.
pub(super) fn refuse_page(app: &App, client: &Client, headers: &HeaderMap) -> Result<(), ApiError> {
    if OF_BROWSERS.iter().any(|name| headers.contains_key(name)) {
        return Err(cors::refuse(app, client).into());
    }
    Ok(())
}
