//! Which sites a key reaches, asked in one place for every route that takes keys.
//!
//! A key that lists its sites gets 404 for any other, as if it were not there, before the handler runs. A route that is not
//! about one site is closed to it, unless it stands here as one that shows such a key its own sites only: so a route that
//! somebody adds is closed until somebody thinks of it.

use crate::app::App;
use crate::error::ApiError;
use crate::ops::acting::Acting;
use crate::routes::Row;
use axum::RequestExt;
use axum::extract::{RawPathParams, Request};
use chatward_types::{ConversationId, Error, Kind, Scope, SiteId};
use std::str::FromStr;

/// Routes about one site, whose first parameter names it.
const OF_A_SITE: &str = "/api/v1/sites/{";
/// Routes about one conversation, whose first parameter names it; the store knows on which site it is.
const OF_A_CONVERSATION: &str = "/api/v1/conversations/{";
/// Lists that leave out what the key does not reach.
const FILTERED: [&str; 1] = ["/api/v1/sites"];

/// Refuses a site that is none of the key's.
pub(super) async fn check(app: &App, row: Row, acting: &Acting, request: &mut Request) -> Result<(), ApiError> {
    if acting.reaches_all() {
        return Ok(());
    }
    if row.path.starts_with(OF_A_SITE) {
        return match named::<SiteId>(request).await? {
            Some(site) if !acting.reaches(site) => Err(Error::not_found().into()),
            _ => Ok(()),
        };
    }
    if row.path.starts_with(OF_A_CONVERSATION) {
        let Some(id) = named::<ConversationId>(request).await? else { return Ok(()) };
        let conversation = app.store.get_conversation(&Scope::of(acting.owner), id).await?;
        return match conversation {
            Some(conversation) if acting.reaches(conversation.site) => Ok(()),
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

/// The id that the address names first, decoded by the hand that decodes it for the handler. What is none passes: the
/// handler refuses it, whoever asks.
async fn named<T: FromStr>(request: &mut Request) -> Result<Option<T>, ApiError> {
    let parameters = request.extract_parts::<RawPathParams>().await.map_err(|_| Error::not_found())?;
    let (_, text) = parameters.iter().next().ok_or_else(Error::not_found)?;
    Ok(text.parse().ok())
}
