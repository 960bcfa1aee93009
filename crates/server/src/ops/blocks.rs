//! Blocks of addresses: made by hand or after abuse, the same on every node within a second.
//!
//! Owns: which network a block is of, how long an automatic one lasts (each twice as long as the one before, up to a
//! day), and that a block acts even where it cannot be recorded. Loopback is never blocked automatically; trusted
//! proxies never are; the allowed networks only by hand, by somebody who says that it is no mistake. Refusals are counted in
//! bounded memory.

use crate::app::App;
use crate::config::{Blocks, Logging};
use crate::limits::{Blocked, Rule, WindowLimiter, network_of, parse_network, widened};
use crate::ops::trail::{self, Actor};
use chatward_store::{BlockRow, Store};
use chatward_types::{DAY, Error, EventName, Kind, Outcome, Result, Severity, Timestamp};
use ipnet::IpNet;
use serde_json::json;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};

/// The longest automatic block.
const LONGEST: Timestamp = DAY;
/// How many days an ended block is remembered, so that the next one lasts longer.
const REMEMBERED_DAYS: u32 = 2;
/// Addresses that wait for their block; the next refusal of one that found no place names it again.
const WAITING: usize = 256;
/// Addresses whose refusals are counted one by one.
const TRACKED: usize = 16_384;

/// How many days an ended block is remembered: no longer than any other address.
pub fn remembered_days(settings: &Logging) -> u32 {
    REMEMBERED_DAYS.min(settings.address_days)
}

/// The same as a time.
pub fn remembered(settings: &Logging) -> Timestamp {
    i64::from(remembered_days(settings)) * DAY
}

/// Who is refused how often.
#[derive(Debug)]
pub struct Abuse {
    limiter: WindowLimiter,
    rules: [Rule; 1],
    automatic: bool,
    waiting: Mutex<Vec<IpAddr>>,
}

impl Abuse {
    /// Counts as the settings say.
    pub fn new(settings: &Blocks) -> Self {
        // The window allows all but the refusal that is one too many.
        let limit = settings.refusals.saturating_sub(1);
        Self {
            limiter: WindowLimiter::new(TRACKED),
            rules: [Rule { limit, window_seconds: settings.window_seconds }],
            automatic: settings.automatic,
            waiting: Mutex::default(),
        }
    }

    /// Forgets windows that are over.
    pub fn sweep(&self, now: Timestamp) {
        self.limiter.sweep(now);
    }
}

/// Counts a refusal of this address; one too many makes its network wait for a block.
pub fn note(app: &App, address: IpAddr) {
    let abuse = &app.abuse;
    if !abuse.automatic || address.is_loopback() || app.gate.spares(address) {
        return;
    }
    if abuse.limiter.check(0, address, &abuse.rules, 1.0, app.clock.now()).allowed {
        return;
    }
    let network = network_of(address);
    let mut waiting = abuse.waiting.lock().unwrap_or_else(PoisonError::into_inner);
    if waiting.len() < WAITING && !waiting.contains(&network) {
        waiting.push(network);
    }
}

/// Blocks who waits for it; returns how many.
///
/// # Errors
/// When the store fails; whoever was not reached is named again by the next refusal.
pub async fn impose(app: &App) -> Result<usize> {
    let waiting = std::mem::take(&mut *app.abuse.waiting.lock().unwrap_or_else(PoisonError::into_inner));
    let count = waiting.len();
    for address in waiting {
        let network = match address {
            IpAddr::V4(_) => IpNet::from(address),
            IpAddr::V6(_) => IpNet::new(address, 64).map_err(Error::internal)?,
        };
        let now = app.clock.now();
        let known = app.store.get_block(&network.to_string()).await?;
        if known.as_ref().is_some_and(|known| known.until.is_none_or(|until| until > now)) {
            continue;
        }
        let strikes = known.map_or(0, |known| known.strikes);
        let first = i64::try_from(app.config.blocks.first.as_micros()).unwrap_or(LONGEST);
        let length = first.saturating_mul(1 << strikes.min(30)).min(LONGEST);
        let reason = "refused over and over".to_owned();
        let block = Block { reason: &reason, length: Some(length), force: false };
        put(app, network, &block, strikes + 1, &Actor::Server).await?;
    }
    Ok(count)
}

/// What a block is to be.
#[derive(Debug, Clone, Copy, Default)]
pub struct Block<'a> {
    /// Why, for whoever reads the list.
    pub reason: &'a str,
    /// How long, in microseconds; without an end where it is absent.
    pub length: Option<Timestamp>,
    /// Whether it holds for allowed networks too.
    pub force: bool,
}

/// Blocks an address or a network, for a time or until it is lifted.
///
/// # Errors
/// [`chatward_types::Kind::Invalid`] for what is no network, is never blocked, or a reason that is too long;
/// [`chatward_types::Kind::Conflict`], `network_allowed`, for an allowed network without force.
pub async fn block(app: &App, text: &str, block: Block<'_>, by: &Actor) -> Result<BlockRow> {
    let network = read(text)?;
    if app.gate.is_proxies(&network) {
        return Err(Error::invalid(
            "This network is a trusted proxy, which is never blocked: behind it stands everybody. To stop everybody, use \
             chatward lockdown on.",
        ));
    }
    if app.gate.is_allowed(&network) && !block.force {
        return Err(Error::new(
            Kind::Conflict,
            "network_allowed",
            "This network is one of `blocks.allowed`, which are not blocked by mistake. If it is none, say so: --force on \
             the command line, `force` in the API.",
        ));
    }
    check_reason(block.reason)?;
    let strikes = app.store.get_block(&network.to_string()).await?.map_or(0, |known| known.strikes);
    put(app, network, &block, strikes, by).await
}

/// Lifts the block of exactly this network. `false` when there is none.
///
/// # Errors
/// [`chatward_types::Kind::Invalid`] for what is no network; else when the store fails.
pub async fn unblock(app: &App, text: &str, by: &Actor) -> Result<bool> {
    let network = read(text)?;
    let subject = widened(network).to_string();
    let network = network.to_string();
    let detail = json!({ "what": "block lifted" });
    let entry = trail::entry(app, EventName::BlockChanged, by, None, &subject, &detail)?;
    // Not one of the acts that end an incident: it waits for a trail that can be written.
    if !trail::audited(app, entry).remove_block(&network, app.clock.now()).await? {
        return Ok(false);
    }
    tell(app, Severity::Info, format!("the block of {network} was lifted by {}", by.text()));
    refresh(app).await?;
    Ok(true)
}

/// Reads blocks and lockdown anew: at start, and when another node or the command line has changed them. Connections
/// and streams that are not served any more end at once.
///
/// # Errors
/// When the store fails; what was known stays.
pub async fn refresh(app: &App) -> Result<()> {
    let rows = app.store.list_blocks(app.clock.now()).await?;
    let lockdown = app.store.get_lockdown().await?;
    app.gate.replace(rows.iter().filter_map(|row| {
        Some(Blocked { network: parse_network(&row.network)?, until: row.until, forced: row.forced })
    }));
    match lockdown {
        Some(row) => app.gate.lock(row.allow_sign_in),
        None => app.gate.unlock(),
    }
    Ok(())
}

/// A reason is a line for operators.
pub(super) fn check_reason(reason: &str) -> Result<()> {
    if reason.chars().count() > 200 || reason.chars().any(char::is_control) {
        return Err(Error::invalid("A reason takes at most 200 characters on one line."));
    }
    Ok(())
}

fn read(text: &str) -> Result<IpNet> {
    parse_network(text).ok_or_else(|| {
        Error::invalid("Name an address or a network, such as 192.0.2.7, 192.0.2.0/24 or 2001:db8::/64.")
    })
}

async fn put(app: &App, network: IpNet, block: &Block<'_>, strikes: u32, by: &Actor) -> Result<BlockRow> {
    let created_at = app.clock.now();
    let row = BlockRow {
        network: network.to_string(),
        until: block.length.map(|length| created_at.saturating_add(length)),
        reason: block.reason.to_owned(),
        created_by: by.text(),
        created_at,
        strikes,
        forced: block.force,
    };
    let detail = json!({
        "what": "block made", "until": row.until, "reason": row.reason, "strikes": strikes, "forced": row.forced,
    });
    // The trail is kept for years and cannot be changed afterwards: it names no single address. The security log does, for
    // as long as it keeps one.
    let subject = widened(network).to_string();
    let entry = trail::entry(app, EventName::BlockChanged, by, None, &subject, &detail)?;
    let act = |store: Store| {
        let row = &row;
        async move { store.put_block(row).await.map(|()| true) }
    };
    trail::always(app, entry, act).await?;
    tell(app, Severity::Warning, format!("{} was blocked by {}", row.network, row.created_by));
    refresh(app).await?;
    Ok(row)
}

fn tell(app: &App, severity: Severity, what: String) {
    app.event(EventName::BlockChanged, severity, Outcome::Success).detail(what).emit();
}
