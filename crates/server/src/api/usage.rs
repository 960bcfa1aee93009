//! `GET /api/v1/usage`: what an owner's answers cost, day by day.

use crate::app::App;
use crate::error::ApiResult;
use crate::events::{parse_time, time_text};
use crate::ops::acting::Acting;
use crate::paging;
use crate::query::Query;
use axum::Extension;
use axum::extract::State;
use chatward_store::{UsageDay, UsageQuery};
use chatward_types::{DAY, Error, Scope, SiteId, Timestamp};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Days where the client does not say, today included.
const USUAL: i64 = 30;
/// The most days of a question.
const MOST: i64 = 366;

/// Which usage.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Asked {
    #[serde(default)]
    from: Option<String>,
    #[serde(default)]
    to: Option<String>,
    #[serde(default)]
    site: Option<SiteId>,
    #[serde(default)]
    cursor: Option<String>,
    #[serde(default)]
    limit: Option<u32>,
}

/// What answers cost.
#[derive(Debug, Serialize, ToSchema)]
pub struct UsageList {
    /// The unit of `cost`: millionths of a US dollar.
    #[schema(example = "micro_usd")]
    pub unit: &'static str,
    /// By day, provider and model, in this order.
    pub usage: Vec<UsageView>,
    /// Parameter `cursor` of the next page; absent on the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_cursor: Option<String>,
}

/// What the answers of one provider and model cost on one day.
#[derive(Debug, Serialize, ToSchema)]
pub struct UsageView {
    /// The day (UTC), such as `2026-11-21`.
    pub day: String,
    /// Who answered; `extractive` answers from the sources and costs nothing.
    pub provider: String,
    /// With which model; empty where there is none.
    pub model: String,
    /// Answers.
    pub calls: i64,
    /// Tokens read.
    pub input_tokens: i64,
    /// Tokens written.
    pub output_tokens: i64,
    /// Their price, in the unit above.
    pub cost: i64,
}

/// Lists what answers cost, by day, provider and model.
#[utoipa::path(get, path = "/api/v1/usage", tag = "sites", security(("key" = []), ("user" = [])),
    params(
        ("from" = Option<String>, Query, description = "The first day (UTC), such as `2026-11-01`; 30 days with the last where it is absent."),
        ("to" = Option<String>, Query, description = "The last day (UTC); today where it is absent. At most 366 days in all."),
        ("site" = Option<String>, Query, description = "The id of one site; all of the owner's where it is absent."),
        ("cursor" = Option<String>, Query, description = "The `next_cursor` of the page before."),
        ("limit" = Option<u32>, Query, description = "Sums of a page: 1 to 200; 50 where it is absent.")),
    responses(
        (status = 200, description = "A page of the sums.", body = UsageList),
        (status = 400, description = "A parameter is unknown or has another form.", body = crate::error::ErrorBody),
        (status = 401, description = "No key or access token that holds.", body = crate::error::ErrorBody),
        (status = 403, description = "A browser sent the key, or the key or the user may not do this.", body = crate::error::ErrorBody),
        (status = 404, description = "The owner has no such site.", body = crate::error::ErrorBody),
        (status = 422, description = "A day or `limit` is out of bounds.", body = crate::error::ErrorBody),
        (status = 429, description = "Too many requests from this address.", body = crate::error::ErrorBody)))]
pub async fn list_usage(
    State(app): State<App>,
    Extension(acting): Extension<Acting>,
    Query(asked): Query<Asked>,
) -> ApiResult<axum::Json<UsageList>> {
    let scope = Scope::of(acting.owner);
    let limit = paging::size(asked.limit)?;
    let after = paging::place(asked.cursor.as_deref())?;
    let today = app.clock.now().div_euclid(DAY) * DAY;
    let to = asked.to.as_deref().map(day).transpose()?.unwrap_or(today);
    let from = asked.from.as_deref().map(day).transpose()?.unwrap_or(to - (USUAL - 1) * DAY);
    if from > to || to - from >= MOST * DAY {
        return Err(Error::invalid(
            "Parameter `from` takes a day that is not after `to` and at most 365 days before it.",
        )
        .into());
    }
    if let Some(site) = asked.site {
        app.store.get_site(&scope, site).await?.ok_or_else(Error::not_found)?;
    }
    let query = UsageQuery { from, until: to + DAY, site: asked.site, after: after.unwrap_or_default() };
    let mut rows = app.store.usage_by_day(&scope, &query, limit + 1).await?;
    let next_cursor = paging::next(&mut rows, limit, |row| (row.day, row.provider.clone(), row.model.clone()))?;
    Ok(axum::Json(UsageList { unit: "micro_usd", usage: rows.into_iter().map(view).collect(), next_cursor }))
}

/// The beginning of a day.
fn day(text: &str) -> Result<Timestamp, Error> {
    parse_time(&format!("{text}T00:00:00.000000Z"))
        .ok_or_else(|| Error::invalid("Parameters `from` and `to` take days such as 2026-11-21."))
}

fn view(row: UsageDay) -> UsageView {
    UsageView {
        day: time_text(row.day * DAY).chars().take(10).collect(),
        provider: row.provider,
        model: row.model,
        calls: row.answers,
        input_tokens: row.input_tokens,
        output_tokens: row.output_tokens,
        cost: row.micro_usd,
    }
}
