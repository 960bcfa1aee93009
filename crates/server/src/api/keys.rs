//! `/api/v1/keys`: a user of at least the role `admin` makes, lists, changes, rotates and revokes secret keys.
//!
//! Users only, never a key: a key that leaked could otherwise make itself a successor, and revoking it would end nothing.
//! The key itself is in the answer that makes it, once; the answer is not to be stored.

use crate::app::App;
use crate::error::ApiResult;
use crate::json::Json;
use crate::ops::issued_keys::{self, Created, KeyState, NewKey};
use crate::ops::logins::Person;
use crate::ops::trail::Actor;
use crate::path::Path;
use axum::Extension;
use axum::extract::State;
use chatward_store::{IssuedKeyChange, IssuedKeyRow};
use chatward_types::{Error, KeyScope, SECOND, Scope, SiteId, Timestamp};
use http::StatusCode;
use serde::{Deserialize, Deserializer, Serialize};
use std::sync::Arc;
use utoipa::ToSchema;

/// A key to be made.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateKey {
    /// What it may do, at least one of `chat`, `gateway`, `realtime`, `feed:publish` and `manage`.
    #[schema(value_type = Vec<String>)]
    pub scopes: Vec<KeyScope>,
    /// What it is for; at most 100 characters.
    #[serde(default)]
    pub name: String,
    /// The ids of the sites that it reaches, at most 100; all of the owner's where there is none.
    #[serde(default)]
    #[schema(value_type = Vec<String>)]
    pub sites: Vec<SiteId>,
    /// The models that it may ask, at most 100; all where there is none.
    #[serde(default)]
    pub models: Vec<String>,
    /// Days until it ends, 1 to 3650; without it, it does not.
    #[serde(default)]
    pub expires_days: Option<u32>,
    /// Requests in a minute, on each server.
    #[serde(default)]
    pub per_minute: Option<i64>,
    /// Requests in an hour, on each server.
    #[serde(default)]
    pub per_hour: Option<i64>,
    /// Micro-dollars in a day (UTC).
    #[serde(default)]
    pub daily_micro_usd: Option<i64>,
    /// Micro-dollars in all.
    #[serde(default)]
    pub total_micro_usd: Option<i64>,
}

/// A partial change: an absent member stays as it is, `null` takes a bound away.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct UpdateKey {
    /// Another name.
    #[serde(default)]
    pub name: Option<String>,
    /// Requests in a minute, on each server.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<i64>)]
    pub per_minute: Option<Option<i64>>,
    /// Requests in an hour, on each server.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<i64>)]
    pub per_hour: Option<Option<i64>>,
    /// Micro-dollars in a day (UTC).
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<i64>)]
    pub daily_micro_usd: Option<Option<i64>>,
    /// Micro-dollars in all.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<i64>)]
    pub total_micro_usd: Option<Option<i64>>,
}

/// How a key is rotated.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RotateKey {
    /// Seconds for which the old key is honoured beside the new one, at most 30 days; 0 cuts it off at once. 86400 where it
    /// is absent.
    #[serde(default)]
    pub overlap_seconds: Option<u32>,
    /// Days until the new key ends, 1 to 3650; without it, it ends when the old one would have.
    #[serde(default)]
    pub expires_days: Option<u32>,
}

/// A secret key, without what would let anybody use it but in the answer that makes it.
#[derive(Serialize, ToSchema)]
pub struct KeyView {
    /// Its public id.
    pub id: String,
    /// The key itself, in this one answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// What it is for.
    pub name: String,
    /// What it may do.
    pub scopes: Vec<&'static str>,
    /// The ids of the sites that it reaches; all where there is none.
    #[schema(value_type = Vec<String>)]
    pub sites: Vec<SiteId>,
    /// The models that it may ask; all where there is none.
    pub models: Vec<String>,
    /// Requests in a minute, on each server.
    pub per_minute: Option<i64>,
    /// Requests in an hour, on each server.
    pub per_hour: Option<i64>,
    /// Micro-dollars in a day (UTC).
    pub daily_micro_usd: Option<i64>,
    /// Micro-dollars in all.
    pub total_micro_usd: Option<i64>,
    /// `development`, `staging` or `production`; absent for keys of earlier versions.
    pub environment: Option<String>,
    /// `holds`, `rotated` (honoured beside its successor), `replaced` (no longer), `expired` or `revoked`.
    pub state: &'static str,
    /// When it was made, in seconds since 1970 (UTC).
    pub created_at: i64,
    /// When it ends, in seconds since 1970 (UTC).
    pub expires_at: Option<i64>,
    /// When it was last used, in seconds since 1970 (UTC), to about a minute.
    pub last_used_at: Option<i64>,
    /// When it was revoked, in seconds since 1970 (UTC).
    pub revoked_at: Option<i64>,
    /// Until when it is honoured beside its successor, in seconds since 1970 (UTC).
    pub honoured_until: Option<i64>,
    /// The id of the key that took its place.
    pub successor: Option<String>,
}

impl std::fmt::Debug for KeyView {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KeyView").field("id", &self.id).finish_non_exhaustive()
    }
}

/// The secret keys of an owner.
#[derive(Debug, Serialize, ToSchema)]
pub struct KeyList {
    /// Oldest first, ended ones among them; the newest 1000.
    pub keys: Vec<KeyView>,
}

fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Option<i64>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

/// Lists the owner's secret keys.
#[utoipa::path(get, path = "/api/v1/keys", tag = "keys", security(("user" = [])),
    responses(
        (status = 200, description = "The keys.", body = KeyList),
        (status = 401, description = "No access token that holds.", body = crate::error::ErrorBody),
        (status = 403, description = "The user's role does not allow this, or another's page sent it.", body = crate::error::ErrorBody),
        (status = 429, description = "Too many requests from this address.", body = crate::error::ErrorBody)))]
pub async fn list_keys(
    State(app): State<App>,
    Extension(person): Extension<Arc<Person>>,
) -> ApiResult<axum::Json<KeyList>> {
    let rows = app.store.list_issued_keys(&Scope::of(person.owner)).await?;
    let now = app.clock.now();
    Ok(axum::Json(KeyList { keys: rows.into_iter().map(|row| view(row, now)).collect() }))
}

/// Makes a secret key. The answer holds it, this once.
#[utoipa::path(post, path = "/api/v1/keys", tag = "keys", security(("user" = [])), request_body = CreateKey,
    responses(
        (status = 201, description = "The key, shown this once.", body = KeyView),
        (status = 400, description = "Not JSON.", body = crate::error::ErrorBody),
        (status = 401, description = "No access token that holds.", body = crate::error::ErrorBody),
        (status = 403, description = "The user's role does not allow this, or another's page sent it.", body = crate::error::ErrorBody),
        (status = 422, description = "A field is missing, unknown or out of bounds, or there are 200 keys already.", body = crate::error::ErrorBody),
        (status = 429, description = "Too many requests from this address.", body = crate::error::ErrorBody)))]
pub async fn create_key(
    State(app): State<App>,
    Extension(person): Extension<Arc<Person>>,
    Json(body): Json<CreateKey>,
) -> ApiResult<(StatusCode, axum::Json<KeyView>)> {
    let new = NewKey {
        name: body.name,
        scopes: body.scopes.into_iter().collect(),
        sites: body.sites,
        models: body.models,
        expires_days: body.expires_days,
        bounds: IssuedKeyChange {
            name: None,
            per_minute: body.per_minute.map(Some),
            per_hour: body.per_hour.map(Some),
            daily_micro_usd: body.daily_micro_usd.map(Some),
            total_micro_usd: body.total_micro_usd.map(Some),
        },
    };
    issued_keys::check_role(new.scopes, person.role)?;
    let made = issued_keys::create_by(&app, &Scope::of(person.owner), &new, &by(&person)).await?;
    Ok((StatusCode::CREATED, axum::Json(made_view(&app, made))))
}

/// Returns a secret key, without what would let anybody use it.
#[utoipa::path(get, path = "/api/v1/keys/{key}", tag = "keys", security(("user" = [])),
    params(("key" = String, Path, description = "The key's public id.")),
    responses(
        (status = 200, description = "The key.", body = KeyView),
        (status = 401, description = "No access token that holds.", body = crate::error::ErrorBody),
        (status = 403, description = "The user's role does not allow this, or another's page sent it.", body = crate::error::ErrorBody),
        (status = 404, description = "The owner has no such key.", body = crate::error::ErrorBody),
        (status = 429, description = "Too many requests from this address.", body = crate::error::ErrorBody)))]
pub async fn get_key(
    State(app): State<App>,
    Extension(person): Extension<Arc<Person>>,
    Path(key): Path<String>,
) -> ApiResult<axum::Json<KeyView>> {
    let row = app.store.get_issued_key(&Scope::of(person.owner), id_of(&key)?).await?.ok_or_else(Error::not_found)?;
    Ok(axum::Json(view(row, app.clock.now())))
}

/// Changes a key's name or bounds; every server obeys within a second. What it may do and reach is fixed for its life.
#[utoipa::path(patch, path = "/api/v1/keys/{key}", tag = "keys", security(("user" = [])), request_body = UpdateKey,
    params(("key" = String, Path, description = "The key's public id.")),
    responses(
        (status = 200, description = "The key as it is now.", body = KeyView),
        (status = 400, description = "Not JSON.", body = crate::error::ErrorBody),
        (status = 401, description = "No access token that holds.", body = crate::error::ErrorBody),
        (status = 403, description = "The user's role does not allow this, or another's page sent it.", body = crate::error::ErrorBody),
        (status = 404, description = "The owner has no such key.", body = crate::error::ErrorBody),
        (status = 422, description = "A field is unknown or out of bounds.", body = crate::error::ErrorBody),
        (status = 429, description = "Too many requests from this address.", body = crate::error::ErrorBody)))]
pub async fn update_key(
    State(app): State<App>,
    Extension(person): Extension<Arc<Person>>,
    Path(key): Path<String>,
    Json(body): Json<UpdateKey>,
) -> ApiResult<axum::Json<KeyView>> {
    let change = IssuedKeyChange {
        name: body.name,
        per_minute: body.per_minute,
        per_hour: body.per_hour,
        daily_micro_usd: body.daily_micro_usd,
        total_micro_usd: body.total_micro_usd,
    };
    let row = issued_keys::change(&app, &Scope::of(person.owner), id_of(&key)?, &change, &by(&person)).await?;
    Ok(axum::Json(view(row, app.clock.now())))
}

/// Revokes a key for good, at once, on every server; what runs on it ends.
#[utoipa::path(delete, path = "/api/v1/keys/{key}", tag = "keys", security(("user" = [])),
    params(("key" = String, Path, description = "The key's public id.")),
    responses(
        (status = 204, description = "Revoked."),
        (status = 401, description = "No access token that holds.", body = crate::error::ErrorBody),
        (status = 403, description = "The user's role does not allow this, or another's page sent it.", body = crate::error::ErrorBody),
        (status = 404, description = "The owner has no such key that is not revoked already.", body = crate::error::ErrorBody),
        (status = 429, description = "Too many requests from this address.", body = crate::error::ErrorBody)))]
pub async fn delete_key(
    State(app): State<App>,
    Extension(person): Extension<Arc<Person>>,
    Path(key): Path<String>,
) -> ApiResult<StatusCode> {
    issued_keys::revoke_by(&app, &Scope::of(person.owner), id_of(&key)?, &by(&person)).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Makes a successor with the same rights and bounds; the answer holds it, this once. The old key is honoured for a while.
#[utoipa::path(post, path = "/api/v1/keys/{key}/rotate", tag = "keys", security(("user" = [])), request_body = RotateKey,
    params(("key" = String, Path, description = "The key's public id.")),
    responses(
        (status = 201, description = "The successor, shown this once.", body = KeyView),
        (status = 400, description = "Not JSON.", body = crate::error::ErrorBody),
        (status = 401, description = "No access token that holds.", body = crate::error::ErrorBody),
        (status = 403, description = "The user's role does not allow this, or another's page sent it.", body = crate::error::ErrorBody),
        (status = 404, description = "The owner has no such key.", body = crate::error::ErrorBody),
        (status = 409, description = "It was rotated before, revoked, or has run out.", body = crate::error::ErrorBody),
        (status = 422, description = "A field is unknown or out of bounds.", body = crate::error::ErrorBody),
        (status = 429, description = "Too many requests from this address.", body = crate::error::ErrorBody)))]
pub async fn rotate_key(
    State(app): State<App>,
    Extension(person): Extension<Arc<Person>>,
    Path(key): Path<String>,
    Json(body): Json<RotateKey>,
) -> ApiResult<(StatusCode, axum::Json<KeyView>)> {
    let scope = Scope::of(person.owner);
    let overlap = body.overlap_seconds.map_or(issued_keys::OVERLAP, |seconds| i64::from(seconds) * SECOND);
    let key = id_of(&key)?;
    let row = app.store.get_issued_key(&scope, key).await?.ok_or_else(Error::not_found)?;
    issued_keys::check_role(row.scopes, person.role)?;
    let made = issued_keys::rotate(&app, &scope, key, overlap, body.expires_days, &by(&person)).await?;
    Ok((StatusCode::CREATED, axum::Json(made_view(&app, made))))
}

/// The public id that the address names, if it may be one: what cannot be is not looked for.
fn id_of(text: &str) -> Result<&str, Error> {
    let is_id = text.len() == 22 && text.bytes().all(|byte| byte.is_ascii_alphanumeric());
    if is_id { Ok(text) } else { Err(Error::not_found()) }
}

fn by(person: &Person) -> Actor {
    Actor::User(person.user)
}

fn made_view(app: &App, made: Created) -> KeyView {
    KeyView { key: Some(made.text.expose().clone()), ..view(made.row, app.clock.now()) }
}

fn view(row: IssuedKeyRow, now: Timestamp) -> KeyView {
    let seconds = |at: Option<Timestamp>| at.map(|at| at / SECOND);
    KeyView {
        state: KeyState::of(&row, now).as_str(),
        scopes: row.scopes.iter().map(KeyScope::as_str).collect(),
        environment: row.environment.map(|environment| environment.to_string()),
        created_at: row.created_at / SECOND,
        expires_at: seconds(row.expires_at),
        last_used_at: seconds(row.last_used_at),
        revoked_at: seconds(row.revoked_at),
        honoured_until: seconds(row.honoured_until),
        id: row.id,
        key: None,
        name: row.name,
        sites: row.sites,
        models: row.models,
        per_minute: row.per_minute,
        per_hour: row.per_hour,
        daily_micro_usd: row.daily_micro_usd,
        total_micro_usd: row.total_micro_usd,
        successor: row.successor,
    }
}
