//! `GET /api/v1/sites/{id}/sources`, and `GET` and `POST /api/v1/sites/{id}/crawls`: the pages that a site answers from, and
//! how they are read anew.

use crate::app::App;
use crate::client::Client;
use crate::error::ApiResult;
use crate::ops::acting::Acting;
use crate::ops::crawls::{self, Progress, Report, Skipped};
use crate::paging;
use crate::path::Path;
use crate::query::Query;
use axum::Extension;
use axum::extract::State;
use chatward_store::JobRow;
use chatward_types::{Error, JobId, PageId, SECOND, Scope, SiteId};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A page of a list.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Page {
    #[serde(default)]
    cursor: Option<String>,
    #[serde(default)]
    limit: Option<u32>,
}

/// The pages of a site, as the crawl that answers found them.
#[derive(Debug, Serialize, ToSchema)]
pub struct SourceList {
    /// In the order in which they were found.
    pub sources: Vec<SourceView>,
    /// Parameter `cursor` of the next page; absent on the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_cursor: Option<String>,
}

/// A page of a site.
#[derive(Debug, Serialize, ToSchema)]
pub struct SourceView {
    /// Its address.
    pub url: String,
    /// Its title; empty where it has none or was left out.
    pub title: String,
    /// `indexed`: it answers; `skipped`: it was left out.
    pub state: String,
    /// Why it was left out.
    #[serde(skip_serializing_if = "String::is_empty")]
    #[schema(required = false)]
    pub reason: String,
    /// Passages made of it.
    pub passages: i32,
    /// Bytes fetched.
    pub bytes: i64,
    /// When it was fetched, or left out, in seconds since 1970 (UTC).
    pub fetched_at: i64,
}

/// The crawls of a site; those of the last 30 days are kept.
#[derive(Debug, Serialize, ToSchema)]
pub struct CrawlList {
    /// Newest first.
    pub crawls: Vec<CrawlView>,
    /// Parameter `cursor` of the next page; absent on the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_cursor: Option<String>,
}

/// A crawl.
#[derive(Debug, Serialize, ToSchema)]
pub struct CrawlView {
    /// Its id.
    #[schema(value_type = String)]
    pub id: JobId,
    /// `queued`, `running`, `done` or `failed`.
    pub state: &'static str,
    /// How often it was begun; after three times it is given up.
    pub attempts: i64,
    /// When it was queued, in seconds since 1970 (UTC).
    pub created_at: i64,
    /// When anything of it last changed, in seconds since 1970 (UTC).
    pub updated_at: i64,
    /// How far it is.
    pub progress: CrawlProgress,
    /// How it ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub report: Option<CrawlReport>,
}

/// How far a crawl is.
#[derive(Debug, Serialize, ToSchema)]
pub struct CrawlProgress {
    /// Pages read and kept.
    pub pages: u32,
    /// Pages left out.
    pub skipped: u32,
    /// Addresses that wait.
    pub queued: u32,
    /// Passages made.
    pub passages: u32,
}

/// How a crawl ended.
#[derive(Debug, Serialize, ToSchema)]
pub struct CrawlReport {
    /// Pages read and kept.
    pub pages: u32,
    /// Passages made.
    pub passages: u32,
    /// Why it ended, such as `finished`; what went wrong, where it failed.
    pub ended: String,
    /// Whether the site answers from what it found; if not, from what was there before.
    pub answers: bool,
    /// Pages left out, at most 200.
    pub skipped: Vec<LeftOut>,
    /// How many were left out in all.
    pub skipped_total: u32,
}

/// A page that was left out.
#[derive(Debug, Serialize, ToSchema)]
pub struct LeftOut {
    /// Its address, with `?…` in the place of a query.
    pub url: String,
    /// Why.
    pub reason: String,
}

/// Lists the pages that a site answers from, with those that were left out.
#[utoipa::path(get, path = "/api/v1/sites/{id}/sources", tag = "sites", security(("key" = []), ("user" = [])),
    params(
        ("id" = String, Path, description = "The site's id."),
        ("cursor" = Option<String>, Query, description = "The `next_cursor` of the page before."),
        ("limit" = Option<u32>, Query, description = "Sources of a page: 1 to 200; 50 where it is absent.")),
    responses(
        (status = 200, description = "A page of the sources; none before the first crawl.", body = SourceList),
        (status = 400, description = "Not an id, or a parameter is unknown or has another form.", body = crate::error::ErrorBody),
        (status = 401, description = "No key or access token that holds.", body = crate::error::ErrorBody),
        (status = 403, description = "A browser sent the key, or the key or the user may not do this.", body = crate::error::ErrorBody),
        (status = 404, description = "The owner has no such site.", body = crate::error::ErrorBody),
        (status = 422, description = "`limit` is out of bounds.", body = crate::error::ErrorBody),
        (status = 429, description = "Too many requests from this address.", body = crate::error::ErrorBody)))]
pub async fn list_sources(
    State(app): State<App>,
    Extension(acting): Extension<Acting>,
    Path(id): Path<SiteId>,
    Query(page): Query<Page>,
) -> ApiResult<axum::Json<SourceList>> {
    let scope = Scope::of(acting.owner);
    let limit = paging::size(page.limit)?;
    let after = paging::place::<PageId>(page.cursor.as_deref())?;
    app.store.get_site(&scope, id).await?.ok_or_else(Error::not_found)?;
    let mut rows = app.store.list_sources(&scope, id, after, limit + 1).await?;
    let next_cursor = paging::next(&mut rows, limit, |row| row.id)?;
    let sources = rows.into_iter().map(|row| SourceView {
        url: row.url,
        title: row.title,
        state: row.status,
        reason: row.reason,
        passages: row.chunks,
        bytes: row.bytes,
        fetched_at: row.fetched_at / SECOND,
    });
    Ok(axum::Json(SourceList { sources: sources.collect(), next_cursor }))
}

/// Queues a crawl of a site. Its answers come from what was there before until it has ended well.
#[utoipa::path(post, path = "/api/v1/sites/{id}/crawls", tag = "sites", security(("key" = []), ("user" = [])),
    params(("id" = String, Path, description = "The site's id.")),
    responses(
        (status = 202, description = "It is queued.", body = CrawlView),
        (status = 400, description = "Not an id.", body = crate::error::ErrorBody),
        (status = 401, description = "No key or access token that holds.", body = crate::error::ErrorBody),
        (status = 403, description = "A browser sent the key, or the key or the user may not do this.", body = crate::error::ErrorBody),
        (status = 404, description = "The owner has no such site.", body = crate::error::ErrorBody),
        (status = 409, description = "A crawl of this site waits or runs already.", body = crate::error::ErrorBody),
        (status = 429, description = "Too many requests from this address.", body = crate::error::ErrorBody)))]
pub async fn create_crawl(
    State(app): State<App>,
    Extension(client): Extension<Client>,
    Extension(acting): Extension<Acting>,
    Path(id): Path<SiteId>,
) -> ApiResult<(StatusCode, axum::Json<CrawlView>)> {
    let job = crawls::begin(&app, &Scope::of(acting.owner), id, &acting, &client).await?;
    Ok((StatusCode::ACCEPTED, axum::Json(view(job))))
}

/// Lists the crawls of a site, with how far they are and what they left out.
#[utoipa::path(get, path = "/api/v1/sites/{id}/crawls", tag = "sites", security(("key" = []), ("user" = [])),
    params(
        ("id" = String, Path, description = "The site's id."),
        ("cursor" = Option<String>, Query, description = "The `next_cursor` of the page before."),
        ("limit" = Option<u32>, Query, description = "Crawls of a page: 1 to 200; 50 where it is absent.")),
    responses(
        (status = 200, description = "A page of the crawls.", body = CrawlList),
        (status = 400, description = "Not an id, or a parameter is unknown or has another form.", body = crate::error::ErrorBody),
        (status = 401, description = "No key or access token that holds.", body = crate::error::ErrorBody),
        (status = 403, description = "A browser sent the key, or the key or the user may not do this.", body = crate::error::ErrorBody),
        (status = 404, description = "The owner has no such site.", body = crate::error::ErrorBody),
        (status = 422, description = "`limit` is out of bounds.", body = crate::error::ErrorBody),
        (status = 429, description = "Too many requests from this address.", body = crate::error::ErrorBody)))]
pub async fn list_crawls(
    State(app): State<App>,
    Extension(acting): Extension<Acting>,
    Path(id): Path<SiteId>,
    Query(page): Query<Page>,
) -> ApiResult<axum::Json<CrawlList>> {
    let limit = paging::size(page.limit)?;
    let before = paging::place::<JobId>(page.cursor.as_deref())?;
    let mut rows = crawls::list(&app, &Scope::of(acting.owner), id, before, limit + 1).await?;
    let next_cursor = paging::next(&mut rows, limit, |row| row.id)?;
    Ok(axum::Json(CrawlList { crawls: rows.into_iter().map(view).collect(), next_cursor }))
}

fn view(row: JobRow) -> CrawlView {
    let progress: Progress = serde_json::from_str(&row.progress).unwrap_or_default();
    CrawlView {
        id: row.id,
        state: row.state.as_str(),
        attempts: row.attempts,
        created_at: row.created_at / SECOND,
        updated_at: row.updated_at / SECOND,
        progress: CrawlProgress {
            pages: progress.pages,
            skipped: progress.skipped,
            queued: progress.queued,
            passages: progress.chunks,
        },
        report: row.outcome.as_deref().map(report),
    }
}

/// The outcome of a job: the crawl's report, or why there is none.
fn report(outcome: &str) -> CrawlReport {
    let report: Report = serde_json::from_str(outcome).unwrap_or_default();
    let failure = serde_json::from_str::<serde_json::Value>(outcome).unwrap_or_default();
    let ended = match (failure["error"].as_str(), failure["reason"].as_str()) {
        (Some(error), _) => error.to_owned(),
        (_, Some("attempts")) => "it was begun three times and never came to its end".to_owned(),
        _ => report.ended,
    };
    let left_out = |skipped: Skipped| LeftOut { url: skipped.url, reason: skipped.reason };
    CrawlReport {
        pages: report.pages,
        passages: report.chunks,
        ended,
        answers: report.swapped,
        skipped: report.skipped.into_iter().map(left_out).collect(),
        skipped_total: report.skipped_total,
    }
}
