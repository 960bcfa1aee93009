//! `GET /api/v1/events`: an owner's administrators look through the security log and the audit trail.

use crate::app::App;
use crate::error::ApiResult;
use crate::events::{Filter, Wanted};
use crate::ops::event_search::{self, Place};
use crate::ops::logins::Person;
use crate::paging;
use crate::query::Query;
use axum::Extension;
use axum::extract::State;
use chatward_types::{Error, SECOND};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use utoipa::ToSchema;

/// Which events.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Asked {
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    since: Option<i64>,
    #[serde(default)]
    until: Option<i64>,
    #[serde(default)]
    address: Option<String>,
    #[serde(default)]
    key: Option<String>,
    #[serde(default)]
    session: Option<String>,
    #[serde(default)]
    cursor: Option<String>,
    #[serde(default)]
    limit: Option<u32>,
}

/// Events.
#[derive(Debug, Serialize, ToSchema)]
pub struct EventList {
    /// Newest first. A page may hold few or none and have a next one: each reads a bounded part of the log.
    pub events: Vec<EventView>,
    /// Parameter `cursor` of the next page; absent on the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_cursor: Option<String>,
}

/// An event of the security log, or a record of the audit trail. What does not apply is absent.
#[derive(Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub struct EventView {
    /// `SECURITY` for the log, `AUDIT` for the trail.
    pub category: String,
    /// When, as RFC 3339 in UTC.
    pub time: String,
    /// Its name.
    pub event: String,
    /// `info`, `warning` or `error`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub severity: Option<String>,
    /// `success`, `refused` or `failure`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outcome: Option<String>,
    /// The request that caused it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
    /// The client's address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// The client's User-Agent, cut to 256 bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user_agent: Option<String>,
    /// The route.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// The site concerned.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub site: Option<String>,
    /// The beginning of the session's id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session: Option<String>,
    /// More, in our own words; JSON for a record of the trail.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// How many events this one stands for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub count: Option<u64>,
    /// The number of a record of the trail.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub record: Option<i64>,
    /// Who did it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub actor: Option<String>,
    /// What it was done to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
}

/// Lists events, newest first: the owner's own, and for administrators of the installation's own owner also those that are
/// nobody's. The security log is that of the server that answers; the audit trail is the whole installation's.
#[utoipa::path(get, path = "/api/v1/events", tag = "security", security(("user" = [])),
    params(
        ("name" = Option<String>, Query, description = "A part of the name, such as `LIMIT`."),
        ("since" = Option<i64>, Query, description = "Not before this time, in seconds since 1970 (UTC)."),
        ("until" = Option<i64>, Query, description = "Before this time, in seconds since 1970 (UTC)."),
        ("address" = Option<String>, Query, description = "An address or a network, such as `192.0.2.0/24`."),
        ("key" = Option<String>, Query, description = "The public id of an issued key."),
        ("session" = Option<String>, Query, description = "A session's id, whole or as the log writes it."),
        ("cursor" = Option<String>, Query, description = "The `next_cursor` of the page before."),
        ("limit" = Option<u32>, Query, description = "Events of a page: 1 to 200; 50 where it is absent.")),
    responses(
        (status = 200, description = "A page of the events.", body = EventList),
        (status = 400, description = "A parameter is unknown or has another form.", body = crate::error::ErrorBody),
        (status = 401, description = "No access token that holds.", body = crate::error::ErrorBody),
        (status = 403, description = "The user's role does not allow this, or another's page sent it.", body = crate::error::ErrorBody),
        (status = 422, description = "A parameter is out of bounds.", body = crate::error::ErrorBody),
        (status = 429, description = "Too many requests from this address.", body = crate::error::ErrorBody),
        (status = 503, description = "Too many requests read the log at the moment.", body = crate::error::ErrorBody)))]
pub async fn list_events(
    State(app): State<App>,
    Extension(person): Extension<Arc<Person>>,
    Query(asked): Query<Asked>,
) -> ApiResult<axum::Json<EventList>> {
    let limit = paging::size(asked.limit)?;
    let place = paging::place::<Place>(asked.cursor.as_deref())?;
    let filter = Filter::of(Wanted {
        name: asked.name.as_deref(),
        since: asked.since.map(|seconds| seconds.saturating_mul(SECOND)),
        until: asked.until.map(|seconds| seconds.saturating_mul(SECOND)),
        address: asked.address.as_deref(),
        key: asked.key.as_deref(),
        session: asked.session.as_deref(),
    })?;
    let limit = usize::try_from(limit).map_err(Error::internal)?;
    let found = event_search::search(&app, person.owner, &filter, place, limit).await?;
    let events = found.events.into_iter().map(|event| serde_json::from_value(event).unwrap_or_default()).collect();
    let next_cursor = found.next.map(|place| paging::cursor(&place)).transpose()?;
    Ok(axum::Json(EventList { events, next_cursor }))
}
