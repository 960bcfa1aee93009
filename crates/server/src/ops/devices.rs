//! Devices: programs of an owner that prove themselves by a token of their own.
//!
//! A token is signed, names device and owner, and holds as long as the device is on the owner's list: the row is read with
//! every use, so that a revocation holds at once on every node. It is renewed by whoever holds one that holds, up to a
//! bounded life since a person issued the first. Every fault of a token is refused alike. Never decides what a device
//! may do: a route's policy does.

use crate::app::App;
use crate::client::Client;
use crate::ops::signing::{self, ISSUER};
use crate::ops::trail::{self, Actor};
use chatward_store::{DeviceRow, Store, TrailEntry};
use chatward_types::{
    DAY, DeviceId, Error, EventName, Kind, MINUTE, Outcome, OwnerId, Result, SECOND, Scope, Severity, Timestamp,
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::sync::Arc;

/// How long a token holds unless something else is asked for.
pub const TOKEN_LIFE: Timestamp = 30 * DAY;
/// The longest and the shortest life that may be asked for.
const LONGEST: Timestamp = 90 * DAY;
const SHORTEST: Timestamp = MINUTE;
/// How long the tokens that follow one another by renewal hold together, since a person issued the first.
const RENEWED_FOR: Timestamp = 365 * DAY;
/// Devices of an owner, revoked ones that are remembered among them.
const MOST: u32 = 1000;
const MOST_FEEDS: usize = 16;
/// How long a revoked device stays on record.
const REMEMBERED: Timestamp = 90 * DAY;
/// How often it is written down that a device was there.
const SEEN_EVERY: Timestamp = MINUTE;

/// The device that a token speaks for, as the store says now; a request extension.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Device {
    /// Whose device.
    pub owner: OwnerId,
    /// The device.
    pub id: DeviceId,
    /// What it calls itself.
    pub name: String,
    /// The feeds that it may publish to.
    pub feeds: Vec<String>,
    /// The key that signed its token: when that is cut off, so is what stands on it.
    key: String,
    /// When the token, or the device, ends, in microseconds.
    pub expires_at: Timestamp,
    /// How long the token holds from its making, and when the first of its line was made. In microseconds.
    life: Timestamp,
    first_at: Timestamp,
    device_ends: Option<Timestamp>,
}

/// A token; it is told this once.
#[derive(Serialize, utoipa::ToSchema)]
pub struct DeviceToken {
    /// The device's id.
    #[schema(value_type = String)]
    pub device: DeviceId,
    /// Goes with every request, as `Authorization: Bearer`, or in the first frame of a socket.
    pub token: String,
    /// When it ends, in seconds since 1970 (UTC).
    pub expires_at: i64,
    /// The last end that renewals by `POST /api/v1/devices/renew` lead to, in seconds since 1970 (UTC): a year after a
    /// person issued the first, or the device's own end. After it a person issues another.
    pub renewable_until: i64,
}

impl std::fmt::Debug for DeviceToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DeviceToken").field("device", &self.device).finish_non_exhaustive()
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Claims {
    iss: String,
    aud: String,
    sub: DeviceId,
    own: OwnerId,
    device: String,
    /// When the first token of this line was made, in seconds.
    fst: i64,
    iat: i64,
    exp: i64,
}

/// Adds a device to the owner's list.
///
/// # Errors
/// [`Kind::Invalid`] for a name, a feed or an end out of bounds or too many devices; [`Kind::Conflict`] for a name that a
/// device has already.
pub async fn add(
    app: &App,
    scope: &Scope,
    name: &str,
    feeds: Vec<String>,
    ends_in: Option<Timestamp>,
    by: &Actor,
) -> Result<DeviceRow> {
    if !is_name(name) {
        return Err(Error::invalid("A device's name is 1 to 64 letters, digits, hyphens and underscores."));
    }
    if feeds.len() > MOST_FEEDS || !feeds.iter().all(|feed| is_name(feed)) {
        return Err(Error::invalid(
            "A device publishes to at most 16 feeds, each named by 1 to 64 letters, digits, hyphens and underscores.",
        ));
    }
    if ends_in.is_some_and(|span| !(SHORTEST..=3650 * DAY).contains(&span)) {
        return Err(Error::invalid("A device ends after a minute to 3650 days, or not at all."));
    }
    let now = app.clock.now();
    let row = DeviceRow {
        id: DeviceId::generate(app.clock.as_ref(), app.entropy.as_ref())?,
        name: name.to_owned(),
        feeds,
        created_at: now,
        seen_at: None,
        expires_at: ends_in.map(|span| now + span),
        revoked_at: None,
    };
    let detail = json!({ "what": "device added", "name": row.name, "feeds": row.feeds, "expires_at": row.expires_at });
    let store = trail::audited(app, record(app, scope, row.id, by, &detail)?);
    let added = store.insert_device(scope, &row, now - REMEMBERED, MOST).await.map_err(|error| match error.kind() {
        Kind::Conflict => Error::new(
            Kind::Conflict,
            "device_name_taken",
            "A device has this name already. Choose another, or revoke that one first.",
        ),
        _ => error,
    })?;
    if !added {
        return Err(Error::invalid("There are 1000 devices already; a revoked one makes room 90 days later."));
    }
    tell(app, scope, by, format!("device {} was added", row.id));
    Ok(row)
}

/// The device that a person names, by its id or its name.
///
/// # Errors
/// [`Kind::NotFound`] when the owner has none of this name that is not revoked, nor one of this id.
pub async fn named(app: &App, scope: &Scope, text: &str) -> Result<DeviceRow> {
    let row = match text.parse::<DeviceId>() {
        Ok(id) => app.store.get_device(scope, id).await?,
        Err(_) => app.store.find_device(scope, text).await?,
    };
    row.ok_or_else(|| Error::new(Kind::NotFound, "not_found", "There is no such device that is not revoked already."))
}

/// Revokes a device for good: no token of it holds any more, and its sockets end on every node.
///
/// # Errors
/// [`Kind::NotFound`] when the owner has no such device or it was revoked before.
pub async fn revoke(app: &App, scope: &Scope, id: DeviceId, by: &Actor) -> Result<()> {
    let entry = record(app, scope, id, by, &json!({ "what": "device revoked" }))?;
    let now = app.clock.now();
    let act = |store: Store| async move { store.revoke_device(scope, id, now).await };
    // A stolen device ends, whether or not that can be recorded now.
    if !trail::always(app, entry, act).await? {
        return Err(Error::not_found());
    }
    app.sockets.wake(&id.to_string());
    tell(app, scope, by, format!("device {id} was revoked"));
    Ok(())
}

/// Issues a token, the first of a line. Tokens issued before hold on; a revocation ends them all.
///
/// # Errors
/// [`Kind::Invalid`] for a life out of bounds; [`Kind::NotFound`] without such a device that may have one.
pub async fn issue(app: &App, scope: &Scope, id: DeviceId, life: Timestamp, by: &Actor) -> Result<DeviceToken> {
    if !(SHORTEST..=LONGEST).contains(&life) {
        return Err(Error::invalid("A device's token holds for a minute to 90 days."));
    }
    let now = app.clock.now();
    let row = app.store.get_device(scope, id).await?.filter(|row| holds(row, now)).ok_or_else(Error::not_found)?;
    let token = sign(app, scope.owner(), &row, now, life, now)?;
    let detail = json!({ "what": "device token issued", "expires_at": token.expires_at });
    app.store.append_trail(record(app, scope, id, by, &detail)?).await?;
    tell(app, scope, by, format!("device {id} got a token"));
    Ok(token)
}

/// Whom a token speaks for, as the store says now; for one that does not hold, whose it was, if we signed it.
///
/// # Errors
/// When the store fails.
pub async fn recognise(app: &App, token: &str) -> Result<Result<Device, Option<OwnerId>>> {
    let now = app.clock.now();
    let Some(claims) = app.tokens.devices.verify::<Claims>(token, now) else { return Ok(Err(None)) };
    let owner = claims.own;
    Ok(of(app, token, claims, now).await?.ok_or(Some(owner)))
}

async fn of(app: &App, token: &str, claims: Claims, now: Timestamp) -> Result<Option<Device>> {
    let Some(ends) = signing::end_of(claims.iat, claims.exp, now) else { return Ok(None) };
    let Some(life) = claims.exp.checked_sub(claims.iat).and_then(|life| life.checked_mul(SECOND)) else {
        return Ok(None);
    };
    let Some(first_at) = claims.fst.checked_mul(SECOND) else { return Ok(None) };
    let Some(key) = signing::Ring::key_of(token) else { return Ok(None) };
    let scope = Scope::of(claims.own);
    let row = app.store.get_device(&scope, claims.sub).await?;
    let Some(row) = row.filter(|row| holds(row, now) && row.name == claims.device) else { return Ok(None) };
    if row.seen_at.is_none_or(|seen| seen <= now - SEEN_EVERY) {
        // A note for people; a device is not refused because it cannot be written.
        if let Err(error) = app.store.see_device(&scope, row.id, now, now - SEEN_EVERY + 1).await {
            tracing::warn!(source = error.source_line(), "it could not be noted that a device was seen");
        }
    }
    Ok(Some(Device {
        owner: claims.own,
        id: row.id,
        name: row.name,
        feeds: row.feeds,
        key,
        expires_at: row.expires_at.map_or(ends, |device_ends| device_ends.min(ends)),
        life,
        first_at,
        device_ends: row.expires_at,
    }))
}

/// Whether a device that proved itself before is still on its owner's list, and the key of its token still checks.
///
/// # Errors
/// When the store fails.
pub async fn still_holds(app: &App, device: &Device) -> Result<bool> {
    let now = app.clock.now();
    if !app.tokens.devices.has_key(&device.key, now) {
        return Ok(false);
    }
    let row = app.store.get_device(&Scope::of(device.owner), device.id).await?;
    Ok(row.is_some_and(|row| holds(&row, now)))
}

/// The next token of a device that has one that holds. That one holds on until its own end.
///
/// # Errors
/// [`Kind::Forbidden`], `device_token_final`, when its line has come to its end.
pub fn renew(app: &App, device: &Device, client: &Client) -> Result<DeviceToken> {
    let now = app.clock.now();
    let last = device.first_at.saturating_add(RENEWED_FOR).min(device.device_ends.unwrap_or(Timestamp::MAX));
    // Both are ends in whole seconds of a token; what would end no later is no renewal.
    if last / SECOND <= device.expires_at / SECOND {
        return Err(Error::new(
            Kind::Forbidden,
            "device_token_final",
            "This token was renewed for as long as may be. A person issues the next (`chatward device token`).",
        ));
    }
    let row = DeviceRow {
        id: device.id,
        name: device.name.clone(),
        feeds: Vec::new(),
        created_at: device.first_at,
        seen_at: None,
        expires_at: device.device_ends,
        revoked_at: None,
    };
    let token = sign(app, device.owner, &row, now, device.life, device.first_at)?;
    app.event(EventName::DeviceAuthentication, Severity::Info, Outcome::Success)
        .of(client)
        .owner(device.owner)
        .detail(format!("device {} renewed its token", device.id))
        .emit();
    Ok(token)
}

/// Whether a text can name a device or a feed: as in the guides' ALLOWED_DEVICE_ID.
fn is_name(text: &str) -> bool {
    (1..=64).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
}

fn holds(row: &DeviceRow, now: Timestamp) -> bool {
    row.revoked_at.is_none() && row.expires_at.is_none_or(|end| end > now)
}

fn sign(
    app: &App,
    owner: OwnerId,
    row: &DeviceRow,
    now: Timestamp,
    life: Timestamp,
    first_at: Timestamp,
) -> Result<DeviceToken> {
    let ring = &app.tokens.devices;
    let renewable_until = first_at.saturating_add(RENEWED_FOR).min(row.expires_at.unwrap_or(Timestamp::MAX));
    let ends = now.saturating_add(life).min(renewable_until);
    let claims = Claims {
        iss: ISSUER.to_owned(),
        aud: ring.audience(),
        sub: row.id,
        own: owner,
        device: row.name.clone(),
        fst: first_at / SECOND,
        iat: now / SECOND,
        exp: ends / SECOND,
    };
    Ok(DeviceToken {
        device: row.id,
        token: ring.sign(&claims)?,
        expires_at: claims.exp,
        renewable_until: renewable_until / SECOND,
    })
}

fn record(app: &App, scope: &Scope, id: DeviceId, by: &Actor, detail: &Value) -> Result<Arc<TrailEntry>> {
    trail::entry(app, EventName::DeviceChanged, by, Some(scope.owner()), &id.to_string(), detail)
}

fn tell(app: &App, scope: &Scope, by: &Actor, what: String) {
    let event = app.event(EventName::DeviceChanged, Severity::Info, Outcome::Success).owner(scope.owner());
    event.detail(format!("{what} by {}", by.text())).emit();
}
