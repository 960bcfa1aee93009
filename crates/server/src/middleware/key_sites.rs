//! Which sites a key reaches, asked in one place for every route that takes keys.
//!
//! A key that lists its sites gets 404 for any other, as if it were not there, before the handler runs. A route that is not
//! about one site is closed to it, unless it stands here as one that shows such a key its own sites only: so a route that
//! somebody adds is closed until somebody thinks of it.

use crate::error::ApiError;
use crate::ops::acting::Acting;
use crate::routes::Row;
use axum::RequestExt;
use axum::extract::{RawPathParams, Request};
use chatward_types::{Error, Kind, SiteId};

/// Routes about one site, whose first parameter names it.
const OF_A_SITE: &str = "/api/v1/sites/{";
/// Lists that leave out what the key does not reach.
const FILTERED: [&str; 1] = ["/api/v1/sites"];

/// Refuses a site that is none of the key's.
pub(super) async fn check(row: Row, acting: &Acting, request: &mut Request) -> Result<(), ApiError> {
    if acting.reaches_all() {
        return Ok(());
    }
    if row.path.starts_with(OF_A_SITE) {
        // The same text that the handler reads, decoded by the same hand.
        let parameters = request.extract_parts::<RawPathParams>().await;
        let named = parameters.ok().and_then(|named| named.iter().next().map(|(_, value)| value.parse::<SiteId>()));
        return match named {
            Some(Ok(site)) if acting.reaches(site) => Ok(()),
            // Not an id: the handler says so, whoever asks.
            Some(Err(_)) => Ok(()),
            _ => Err(Error::not_found().into()),
        };
    }
    if *row.method == http::Method::GET && FILTERED.contains(&row.path) {
        return Ok(());
    }
    Err(Error::new(
        Kind::Forbidden,
        "key_sites",
        "This key is for some sites only, and this is about all. Use another.",
    )
    .into())
}
