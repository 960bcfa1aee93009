//! `GET`, `POST` and `DELETE /api/v1/blocks`: an administrator sees who is blocked, blocks and lifts.
//!
//! The installation's own administrators alone; to everybody else's there is nothing here.

use crate::app::App;
use crate::client::Client;
use crate::error::ApiResult;
use crate::json::Json;
use crate::limits::parse_network;
use crate::ops::acting;
use crate::ops::blocks::{self, Block};
use crate::ops::logins::Person;
use crate::ops::trail::Actor;
use crate::paging;
use crate::query::Query;
use axum::Extension;
use axum::extract::State;
use chatward_store::BlockRow;
use chatward_types::{Error, Kind, SECOND};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use utoipa::ToSchema;

/// The longest block with an end: ten years, in seconds.
const LONGEST: u32 = 315_360_000;

/// A page of a list.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Page {
    #[serde(default)]
    cursor: Option<String>,
    #[serde(default)]
    limit: Option<u32>,
}

/// Which block.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Named {
    network: String,
}

/// Whom to block.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateBlock {
    /// An address or a network, such as `192.0.2.7` or `192.0.2.0/24`.
    pub network: String,
    /// How long, 1 to 315360000 seconds; until it is lifted where it is absent.
    #[serde(default)]
    pub seconds: Option<u32>,
    /// Why, for whoever reads the list: at most 200 characters on one line.
    #[serde(default)]
    pub reason: String,
    /// Says that it is no mistake to block one of `blocks.allowed`, or the address that this request comes from.
    #[serde(default)]
    pub force: bool,
}

/// Who is blocked.
#[derive(Debug, Serialize, ToSchema)]
pub struct BlockList {
    /// By network.
    pub blocks: Vec<BlockView>,
    /// Parameter `cursor` of the next page; absent on the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_cursor: Option<String>,
}

/// A block.
#[derive(Debug, Serialize, ToSchema)]
pub struct BlockView {
    /// The network.
    pub network: String,
    /// When it ends, in seconds since 1970 (UTC); absent where it does not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<i64>,
    /// Why.
    pub reason: String,
    /// Who made it; `server` for one after abuse.
    pub by: String,
    /// When it was made, in seconds since 1970 (UTC).
    pub created_at: i64,
    /// How often the network was blocked after abuse; each time for longer.
    pub strikes: u32,
    /// Whether it holds for `blocks.allowed` too.
    pub forced: bool,
}

/// Lists who is blocked.
#[utoipa::path(get, path = "/api/v1/blocks", tag = "security", security(("user" = [])),
    params(
        ("cursor" = Option<String>, Query, description = "The `next_cursor` of the page before."),
        ("limit" = Option<u32>, Query, description = "Blocks of a page: 1 to 200; 50 where it is absent.")),
    responses(
        (status = 200, description = "A page of the blocks.", body = BlockList),
        (status = 400, description = "A parameter is unknown or has another form.", body = crate::error::ErrorBody),
        (status = 401, description = "No access token that holds.", body = crate::error::ErrorBody),
        (status = 403, description = "The user's role does not allow this, or another's page sent it.", body = crate::error::ErrorBody),
        (status = 404, description = "The user is not one of the installation's own owner.", body = crate::error::ErrorBody),
        (status = 422, description = "`limit` is out of bounds.", body = crate::error::ErrorBody),
        (status = 429, description = "Too many requests from this address.", body = crate::error::ErrorBody)))]
pub async fn list_blocks(
    State(app): State<App>,
    Extension(person): Extension<Arc<Person>>,
    Query(page): Query<Page>,
) -> ApiResult<axum::Json<BlockList>> {
    acting::of_installation(&app, person.owner)?;
    let limit = paging::size(page.limit)?;
    let after = paging::place::<String>(page.cursor.as_deref())?.unwrap_or_default();
    let mut rows = app.store.list_blocks_after(&after, app.clock.now(), limit + 1).await?;
    let next_cursor = paging::next(&mut rows, limit, |row| row.network.clone())?;
    Ok(axum::Json(BlockList { blocks: rows.into_iter().map(view).collect(), next_cursor }))
}

/// Blocks an address or a network, at once, on every server, open connections included.
#[utoipa::path(post, path = "/api/v1/blocks", tag = "security", security(("user" = [])), request_body = CreateBlock,
    responses(
        (status = 201, description = "It is blocked.", body = BlockView),
        (status = 400, description = "Not JSON.", body = crate::error::ErrorBody),
        (status = 401, description = "No access token that holds.", body = crate::error::ErrorBody),
        (status = 403, description = "The user's role does not allow this, or another's page sent it.", body = crate::error::ErrorBody),
        (status = 404, description = "The user is not one of the installation's own owner.", body = crate::error::ErrorBody),
        (status = 409, description = "It is allowed, or where this request comes from, and `force` was not said; or there are 10000 blocks.", body = crate::error::ErrorBody),
        (status = 422, description = "No network, one that is never blocked, or a field is unknown or out of bounds.", body = crate::error::ErrorBody),
        (status = 429, description = "Too many requests from this address.", body = crate::error::ErrorBody)))]
pub async fn create_block(
    State(app): State<App>,
    Extension(client): Extension<Client>,
    Extension(person): Extension<Arc<Person>>,
    Json(body): Json<CreateBlock>,
) -> ApiResult<(StatusCode, axum::Json<BlockView>)> {
    acting::of_installation(&app, person.owner)?;
    if body.seconds.is_some_and(|seconds| !(1..=LONGEST).contains(&seconds)) {
        return Err(Error::invalid("Field `seconds` takes 1 to 315360000.").into());
    }
    let own = parse_network(&body.network).is_some_and(|network| network.contains(&client.address.to_canonical()));
    if own && !body.force {
        return Err(Error::new(
            Kind::Conflict,
            "network_own",
            "Your own address is in this network, and you would be shut out. If that is no mistake, say so by `force`.",
        )
        .into());
    }
    let length = body.seconds.map(|seconds| i64::from(seconds) * SECOND);
    let block = Block { reason: &body.reason, length, force: body.force };
    let row = blocks::block(&app, &body.network, block, &Actor::User(person.user)).await?;
    Ok((StatusCode::CREATED, axum::Json(view(row))))
}

/// Lifts the block of exactly this network.
#[utoipa::path(delete, path = "/api/v1/blocks", tag = "security", security(("user" = [])),
    params(("network" = String, Query, description = "The network, as the list has it.")),
    responses(
        (status = 204, description = "It is lifted."),
        (status = 400, description = "The network is missing, or a parameter is unknown.", body = crate::error::ErrorBody),
        (status = 401, description = "No access token that holds.", body = crate::error::ErrorBody),
        (status = 403, description = "The user's role does not allow this, or another's page sent it.", body = crate::error::ErrorBody),
        (status = 404, description = "There is no such block, or the user is not one of the installation's own owner.", body = crate::error::ErrorBody),
        (status = 422, description = "No network.", body = crate::error::ErrorBody),
        (status = 429, description = "Too many requests from this address.", body = crate::error::ErrorBody)))]
pub async fn delete_block(
    State(app): State<App>,
    Extension(person): Extension<Arc<Person>>,
    Query(named): Query<Named>,
) -> ApiResult<StatusCode> {
    acting::of_installation(&app, person.owner)?;
    if !blocks::unblock(&app, &named.network, &Actor::User(person.user)).await? {
        return Err(Error::not_found().into());
    }
    Ok(StatusCode::NO_CONTENT)
}

fn view(row: BlockRow) -> BlockView {
    BlockView {
        network: row.network,
        until: row.until.map(|until| until / SECOND),
        reason: row.reason,
        by: row.created_by,
        created_at: row.created_at / SECOND,
        strikes: row.strikes,
        forced: row.forced,
    }
}
