//! `GET` and `POST /api/v1/sites`, and `GET`, `PATCH` and `DELETE /api/v1/sites/{id}`: an owner's program or user adds, reads,
//! changes and removes sites.
//!
//! A site's ETag is the time of its last change: whoever sends it as If-Match changes that version or nothing.

use crate::app::App;
use crate::client::Client;
use crate::error::ApiResult;
use crate::json::Json;
use crate::ops::acting::{self, Acting};
use crate::ops::site_changes::{self, SiteChange};
use crate::ops::site_settings::{Settings, SettingsChange};
use crate::ops::sites::{self, Addition};
use crate::paging;
use crate::path::Path;
use crate::query::Query;
use axum::Extension;
use axum::extract::{FromRequest, Request, State};
use axum::response::IntoResponse;
use chatward_store::SiteRow;
use chatward_types::{Error, EventName, Kind, Outcome, SECOND, Scope, Severity, SiteId, Timestamp};
use http::header::{CONTENT_TYPE, ETAG, IF_MATCH};
use http::{HeaderMap, HeaderName, StatusCode};
use serde::{Deserialize, Deserializer, Serialize};
use utoipa::ToSchema;

/// A site.
#[derive(Debug, Serialize, ToSchema)]
pub struct SiteView {
    /// Its id.
    #[schema(value_type = String)]
    pub id: SiteId,
    /// The publishable key that its pages carry.
    pub site: String,
    /// Its name.
    pub name: String,
    /// Where the crawl starts.
    pub url: String,
    /// The origins that may show its chat.
    pub origins: Vec<String>,
    /// Whether it was crawled and answers.
    pub crawled: bool,
    /// What its owner has set.
    pub settings: Settings,
    /// When it was added, in seconds since 1970 (UTC).
    pub created_at: i64,
    /// When it was last changed, in seconds since 1970 (UTC).
    pub updated_at: i64,
}

/// The sites of an owner, page by page.
#[derive(Debug, Serialize, ToSchema)]
pub struct SiteList {
    /// Oldest first.
    pub sites: Vec<SiteView>,
    /// Parameter `cursor` of the next page; absent on the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_cursor: Option<String>,
}

/// A site to add.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateSite {
    /// Where the crawl starts: an http or https URL, at most 2000 characters; https in production.
    pub url: String,
    /// Its name, 1 to 120 characters; its host where it is absent.
    #[serde(default)]
    pub name: Option<String>,
    /// Origins that may show the chat beside the site's own, at most 50.
    #[serde(default)]
    pub origins: Vec<String>,
}

/// Says which site is to go.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DeleteSite {
    /// The site's name, as it is now.
    pub name: String,
}

/// A page of a list.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Page {
    #[serde(default)]
    cursor: Option<String>,
    #[serde(default)]
    limit: Option<u32>,
}

/// A partial change: an absent member stays as it is, `null` clears it.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct UpdateSite {
    /// Another name; it cannot be cleared.
    #[serde(default)]
    pub name: Option<String>,
    /// Other origins, in place of those before; `null` leaves none, and then no page can show the chat.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<Vec<String>>)]
    pub origins: Option<Option<Vec<String>>>,
    /// Other settings.
    #[serde(default)]
    pub settings: SettingsChange,
}

fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Option<Vec<String>>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

/// Lists the owner's sites; a key that is for some sites only sees those.
#[utoipa::path(get, path = "/api/v1/sites", tag = "sites", security(("key" = []), ("user" = [])),
    params(
        ("cursor" = Option<String>, Query, description = "The `next_cursor` of the page before."),
        ("limit" = Option<u32>, Query, description = "Sites of a page: 1 to 200; 50 where it is absent.")),
    responses(
        (status = 200, description = "A page of the sites.", body = SiteList),
        (status = 400, description = "A parameter is unknown or has another form.", body = crate::error::ErrorBody),
        (status = 401, description = "No key or access token that holds.", body = crate::error::ErrorBody),
        (status = 403, description = "A browser sent the key, or the key or the user may not do this.", body = crate::error::ErrorBody),
        (status = 422, description = "`limit` is out of bounds.", body = crate::error::ErrorBody),
        (status = 429, description = "Too many requests from this address.", body = crate::error::ErrorBody)))]
pub async fn list_sites(
    State(app): State<App>,
    Extension(acting): Extension<Acting>,
    Query(page): Query<Page>,
) -> ApiResult<axum::Json<SiteList>> {
    let limit = paging::size(page.limit)?;
    let after = paging::place::<SiteId>(page.cursor.as_deref())?;
    let mut rows = acting::sites_after(&app, &acting, after, limit + 1).await?;
    let next_cursor = paging::next(&mut rows, limit, |row| row.id)?;
    Ok(axum::Json(SiteList { sites: rows.into_iter().map(view).collect(), next_cursor }))
}

/// Adds a site. Its own origin, and the one with or without `www.`, are allowed from the start. It is not crawled yet.
#[utoipa::path(post, path = "/api/v1/sites", tag = "sites", security(("key" = []), ("user" = [])), request_body = CreateSite,
    responses(
        (status = 201, description = "The site; its ETag is a header.", body = SiteView),
        (status = 400, description = "Not JSON.", body = crate::error::ErrorBody),
        (status = 401, description = "No key or access token that holds.", body = crate::error::ErrorBody),
        (status = 403, description = "A browser sent the key, or the key or the user may not do this.", body = crate::error::ErrorBody),
        (status = 409, description = "The owner has 1000 sites already.", body = crate::error::ErrorBody),
        (status = 422, description = "A field is missing, unknown or out of bounds.", body = crate::error::ErrorBody),
        (status = 429, description = "Too many requests from this address.", body = crate::error::ErrorBody)))]
pub async fn create_site(
    State(app): State<App>,
    Extension(client): Extension<Client>,
    Extension(acting): Extension<Acting>,
    Json(body): Json<CreateSite>,
) -> ApiResult<impl IntoResponse> {
    let wanted = Addition { url: &body.url, name: body.name.as_deref(), origins: &body.origins };
    let row = sites::add_by(&app, &Scope::of(acting.owner), &wanted, &acting.actor).await?;
    tell(&app, &client, &acting, row.id, format!("a site was added {}", acting.how));
    Ok((StatusCode::CREATED, etag(&row), axum::Json(view(row))))
}

/// Returns a site.
#[utoipa::path(get, path = "/api/v1/sites/{id}", tag = "sites", security(("key" = []), ("user" = [])),
    params(("id" = String, Path, description = "The site's id.")),
    responses(
        (status = 200, description = "The site; its ETag is a header.", body = SiteView),
        (status = 400, description = "Not an id.", body = crate::error::ErrorBody),
        (status = 401, description = "No key or access token that holds.", body = crate::error::ErrorBody),
        (status = 403, description = "A browser sent the key, or the key or the user may not do this.", body = crate::error::ErrorBody),
        (status = 404, description = "The owner has no such site.", body = crate::error::ErrorBody),
        (status = 429, description = "Too many requests from this address.", body = crate::error::ErrorBody)))]
pub async fn get_site(
    State(app): State<App>,
    Extension(acting): Extension<Acting>,
    Path(id): Path<SiteId>,
) -> ApiResult<impl IntoResponse> {
    let row = app.store.get_site(&Scope::of(acting.owner), id).await?.ok_or_else(Error::not_found)?;
    Ok((etag(&row), axum::Json(view(row))))
}

/// Changes a site's name, origins or settings. Open pages see it within a second.
#[utoipa::path(patch, path = "/api/v1/sites/{id}", tag = "sites", security(("key" = []), ("user" = [])), request_body = UpdateSite,
    params(
        ("id" = String, Path, description = "The site's id."),
        ("If-Match" = Option<String>, Header, description = "The ETag of the version that the change is for.")),
    responses(
        (status = 200, description = "The site as it is now; its ETag is a header.", body = SiteView),
        (status = 400, description = "Not JSON, or not an id.", body = crate::error::ErrorBody),
        (status = 401, description = "No key or access token that holds.", body = crate::error::ErrorBody),
        (status = 403, description = "A browser sent the key, or the key or the user may not do this.", body = crate::error::ErrorBody),
        (status = 404, description = "The owner has no such site.", body = crate::error::ErrorBody),
        (status = 409, description = "Somebody else changed it meanwhile. Send it again.", body = crate::error::ErrorBody),
        (status = 412, description = "It is of another version than If-Match says.", body = crate::error::ErrorBody),
        (status = 422, description = "A field is unknown, or its value out of bounds.", body = crate::error::ErrorBody),
        (status = 429, description = "Too many requests from this address.", body = crate::error::ErrorBody)))]
pub async fn update_site(
    State(app): State<App>,
    Extension(client): Extension<Client>,
    Extension(acting): Extension<Acting>,
    Path(id): Path<SiteId>,
    headers: HeaderMap,
    Json(body): Json<UpdateSite>,
) -> ApiResult<impl IntoResponse> {
    let change = SiteChange {
        version: if_match(&headers)?,
        name: body.name,
        origins: body.origins.map(Option::unwrap_or_default),
        settings: body.settings,
        ..SiteChange::default()
    };
    let row = site_changes::change(&app, &Scope::of(acting.owner), id, change, &acting.actor).await?;
    tell(&app, &client, &acting, id, acting.how.clone());
    Ok((etag(&row), axum::Json(view(row))))
}

/// Removes a site with its index, sessions, conversations and usage, for good.
#[utoipa::path(delete, path = "/api/v1/sites/{id}", tag = "sites", security(("key" = []), ("user" = [])), request_body = Option<DeleteSite>,
    params(
        ("id" = String, Path, description = "The site's id."),
        ("If-Match" = Option<String>, Header, description = "The site's ETag, in place of a body with its name.")),
    responses(
        (status = 204, description = "It is gone."),
        (status = 400, description = "Not JSON, or not an id.", body = crate::error::ErrorBody),
        (status = 401, description = "No key or access token that holds.", body = crate::error::ErrorBody),
        (status = 403, description = "A browser sent the key, or the key or the user may not do this.", body = crate::error::ErrorBody),
        (status = 404, description = "The owner has no such site.", body = crate::error::ErrorBody),
        (status = 412, description = "It is of another version than If-Match says.", body = crate::error::ErrorBody),
        (status = 422, description = "Neither the site's name nor its ETag was sent.", body = crate::error::ErrorBody),
        (status = 429, description = "Too many requests from this address.", body = crate::error::ErrorBody)))]
pub async fn delete_site(
    State(app): State<App>,
    Extension(client): Extension<Client>,
    Extension(acting): Extension<Acting>,
    Path(id): Path<SiteId>,
    request: Request,
) -> ApiResult<StatusCode> {
    let scope = Scope::of(acting.owner);
    let row = app.store.get_site(&scope, id).await?.ok_or_else(Error::not_found)?;
    match if_match(request.headers())? {
        Some(version) if version == row.updated_at => {}
        Some(_) => return Err(site_changes::changed_meanwhile().into()),
        None if !request.headers().contains_key(CONTENT_TYPE) => return Err(unconfirmed().into()),
        None => {
            let Json(body) = Json::<DeleteSite>::from_request(request, &app).await?;
            if body.name != row.name {
                return Err(unconfirmed().into());
            }
        }
    }
    sites::remove_by(&app, &scope, id, &acting.actor).await?;
    tell(&app, &client, &acting, id, format!("a site was removed {}", acting.how));
    Ok(StatusCode::NO_CONTENT)
}

fn unconfirmed() -> Error {
    Error::new(
        Kind::Invalid,
        "unconfirmed",
        "This removes a site for good. Send its name as field `name` of a JSON body, or its ETag as If-Match.",
    )
}

fn tell(app: &App, client: &Client, acting: &Acting, id: SiteId, what: String) {
    let event = app.event(EventName::ConfigurationChanged, Severity::Info, Outcome::Success);
    event.of(client).site(acting.owner, id).detail(what).emit();
}

/// The version of a site as a header.
fn etag(row: &SiteRow) -> [(HeaderName, String); 1] {
    [(ETAG, format!("\"{}\"", row.updated_at))]
}

/// The version that a request is for; none where it does not say.
fn if_match(headers: &HeaderMap) -> Result<Option<Timestamp>, Error> {
    let mut values = headers.get_all(IF_MATCH).iter();
    let Some(value) = values.next() else { return Ok(None) };
    let text = value.to_str().unwrap_or_default().trim();
    let version = text.strip_prefix('"').and_then(|text| text.strip_suffix('"'));
    match version.and_then(|text| text.parse().ok()) {
        Some(version) if values.next().is_none() => Ok(Some(version)),
        _ => {
            Err(Error::new(Kind::Malformed, "malformed_etag", "If-Match takes the one ETag that a site was read with."))
        }
    }
}

fn view(row: SiteRow) -> SiteView {
    SiteView {
        settings: Settings::read_known(&row.settings).unwrap_or_default(),
        id: row.id,
        site: row.publishable_key,
        name: row.name,
        url: row.url,
        origins: row.origins,
        crawled: row.index_generation > 0,
        created_at: row.created_at / SECOND,
        updated_at: row.updated_at / SECOND,
    }
}
