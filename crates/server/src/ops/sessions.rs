//! Visitors' sessions: begun by the server, looked up before use, ended by idleness or at the visitor's wish.
//!
//! A bounded cache spares the store a read per message. It is a copy, never the truth: a deletion drops it here
//! at once and on other nodes with the next poll of the changes; where several nodes may serve one session
//! (PostgreSQL), the history is read from the store each time.

use crate::app::App;
use crate::client::Client;
use crate::config::AddressChange;
use crate::ops::sites::Site;
use crate::ops::tokens::Visitor;
use crate::ops::{chat, data_keys, resumes};
use chatward_store::{Erased, HotRow, Role, SessionRow};
use chatward_types::{
    ConversationId, Error, EventName, HOUR, Kind, MINUTE, Outcome, Result, Scope, SessionId, Severity, Timestamp,
};
use quick_cache::sync::Cache;
use std::collections::VecDeque;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// How many sessions stay cached.
const KEPT: usize = 20_000;
/// How many characters of history a cached session holds at most.
const HISTORY_CHARACTERS: usize = 16_000;
/// How many answers a session may wait for at once.
const ANSWERS_AT_ONCE: u32 = 2;
/// How often the store learns that a session is in use. An idle session lives by so much longer, never shorter.
const TOUCH_EVERY: Timestamp = MINUTE;
/// How many sessions one sweep of an owner removes in one transaction.
const SWEEP_BATCH: u32 = 500;

/// A session in use.
#[derive(Debug)]
pub struct Live {
    /// The row as it was made; what changes stands beside it.
    pub row: SessionRow,
    last_activity_at: AtomicI64,
    stored_activity_at: AtomicI64,
    answering: AtomicU32,
    trimmed: AtomicBool,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Whether `turns` and `stored` are known.
    loaded: bool,
    turns: VecDeque<Turn>,
    stored: usize,
    /// The last foreign network that was reported, so that a moving visitor makes one event and not hundreds.
    reported_network: Option<Box<str>>,
}

/// One earlier message, opened.
#[derive(Debug, Clone)]
pub struct Turn {
    /// Who said it.
    pub role: Role,
    /// What was said.
    pub text: Arc<str>,
}

/// Holds one of a session's places for an answer; released on drop.
#[derive(Debug)]
pub struct Answering(Arc<Live>);

impl Drop for Answering {
    fn drop(&mut self) {
        self.0.answering.fetch_sub(1, Ordering::AcqRel);
    }
}

/// The bounded cache of sessions.
pub struct Sessions(Cache<SessionId, Arc<Live>>);

impl std::fmt::Debug for Sessions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sessions").field("cached", &self.0.len()).finish()
    }
}

impl Default for Sessions {
    fn default() -> Self {
        Self(Cache::new(KEPT))
    }
}

impl Sessions {
    /// Drops the copy of a session that was deleted.
    pub fn forget(&self, id: &SessionId) {
        self.0.remove(id);
    }
}

/// What a visitor is given.
#[derive(Debug)]
pub struct Begun {
    /// Who the token speaks for.
    pub visitor: Visitor,
    /// The token.
    pub token: String,
}

/// Begins a session on `site` for a page of `origin`, and stores it before it is told to anybody.
///
/// # Errors
/// When the store or the entropy source fails.
pub async fn begin(app: &App, site: &Site, origin: &str, client: &Client) -> Result<Begun> {
    let now = app.clock.now();
    let id = app.tokens.new_session_id(app.entropy.as_ref())?;
    let row = SessionRow {
        id: id.clone(),
        owner: site.owner,
        site: site.id,
        conversation: ConversationId::generate(app.clock.as_ref(), app.entropy.as_ref())?,
        origin: origin.to_owned(),
        network: network_of(client.address),
        created_at: now,
        last_activity_at: now,
    };
    app.store.append(vec![HotRow::Session(row.clone())]).await?;
    let live = Live::new(row, true);
    app.sessions.0.insert(id.clone(), Arc::new(live));
    app.event(EventName::SessionCreated, Severity::Info, Outcome::Success)
        .of(client)
        .site(site.owner, site.id)
        .session(&id)
        .emit();
    let visitor = Visitor {
        owner: site.owner,
        site: site.id,
        session: id,
        origin: origin.into(),
        expires_at: now + idle_limit(app),
    };
    let token = app.tokens.mint_visitor(&visitor, now)?;
    Ok(Begun { visitor, token })
}

/// A fresh token for a session that is in use, so that a visitor who comes back each day is not cut off.
///
/// # Errors
/// When signing fails.
pub fn renew(app: &App, visitor: &Visitor) -> Result<Begun> {
    let now = app.clock.now();
    let visitor = Visitor { expires_at: now + idle_limit(app), ..visitor.clone() };
    let token = app.tokens.mint_visitor(&visitor, now)?;
    Ok(Begun { visitor, token })
}

/// Goes on with the session that a resume names, or `None` where it must be a new one: another site, origin or network,
/// an idle or erased session, or a resume that does not hold.
///
/// # Errors
/// When the store fails.
pub async fn resume(app: &App, site: &Site, origin: &str, resume: &str, client: &Client) -> Result<Option<Begun>> {
    let Some((owner, session)) = resumes::verify(app, resume, client.address) else { return Ok(None) };
    if owner != site.owner {
        return Ok(None);
    }
    let expires_at = app.clock.now() + idle_limit(app);
    let visitor = Visitor { owner, site: site.id, session, origin: origin.into(), expires_at };
    let Some(live) = find(app, &visitor, client).await? else { return Ok(None) };
    if live.row.origin != origin || live.row.network != network_of(client.address) {
        return Ok(None);
    }
    let token = app.tokens.mint_visitor(&visitor, app.clock.now())?;
    Ok(Some(Begun { visitor, token }))
}

/// Looks a visitor's session up. `None` means unknown, deleted, idle too long or not to be used from here; the
/// caller answers all of them alike.
///
/// # Errors
/// When the store fails.
pub async fn find(app: &App, visitor: &Visitor, client: &Client) -> Result<Option<Arc<Live>>> {
    let scope = Scope::of(visitor.owner);
    let now = app.clock.now();
    let cached = app.sessions.0.get(&visitor.session);
    // A cached copy may be behind another node's; before it is called idle, the store is asked.
    let fresh_enough = cached.filter(|live| app.single_node || !live.is_idle(now, idle_limit(app)));
    let live = match fresh_enough {
        Some(live) => live,
        None => {
            let Some(row) = app.store.load_session(&scope, &visitor.session).await? else {
                app.sessions.forget(&visitor.session);
                return Ok(None);
            };
            let live = Arc::new(Live::new(row, false));
            app.sessions.0.insert(visitor.session.clone(), Arc::clone(&live));
            live
        }
    };
    if live.row.owner != visitor.owner || live.row.site != visitor.site || live.is_idle(now, idle_limit(app)) {
        return Ok(None);
    }
    Ok(live.address_is_fine(app, client).then_some(live))
}

/// Ends a session and erases its conversation.
///
/// # Errors
/// When the store fails; then nothing is erased.
pub async fn end(app: &App, visitor: &Visitor, client: &Client) -> Result<Option<Erased>> {
    let scope = Scope::of(visitor.owner);
    let erased = app.store.delete_session(&scope, &visitor.session, app.clock.now()).await?;
    app.sessions.forget(&visitor.session);
    if erased.is_some() {
        app.event(EventName::SessionDeleted, Severity::Info, Outcome::Success)
            .of(client)
            .site(visitor.owner, visitor.site)
            .session(&visitor.session)
            .emit();
    }
    Ok(erased)
}

/// Removes the sessions that were idle for too long at `now`, with their messages. Returns how many.
///
/// # Errors
/// When the store fails; what was removed before stays removed.
pub async fn sweep(app: &App, now: Timestamp) -> Result<u64> {
    let before = now - idle_limit(app) - TOUCH_EVERY;
    let mut removed = 0;
    loop {
        let idle = app.store.admin_idle_sessions(before, SWEEP_BATCH).await?;
        let full = idle.len() >= SWEEP_BATCH as usize;
        let mut by_owner: std::collections::BTreeMap<_, Vec<SessionId>> = std::collections::BTreeMap::new();
        for (owner, session) in idle {
            by_owner.entry(owner).or_default().push(session);
        }
        let mut progress = 0;
        for (owner, sessions) in by_owner {
            progress += app.store.delete_idle_sessions(&Scope::of(owner), &sessions, before, now).await?.sessions;
            for session in &sessions {
                app.sessions.forget(session);
            }
        }
        removed += progress;
        if !full || progress == 0 {
            break;
        }
    }
    if removed > 0 {
        app.event(EventName::SessionCleanup, Severity::Info, Outcome::Success)
            .detail(format!("{removed} idle sessions removed"))
            .emit();
    }
    Ok(removed)
}

/// The idle time after which a session ends.
pub fn idle_limit(app: &App) -> Timestamp {
    i64::from(app.config.sessions.idle_hours) * HOUR
}

impl Live {
    fn new(row: SessionRow, is_new: bool) -> Self {
        Self {
            last_activity_at: AtomicI64::new(row.last_activity_at),
            stored_activity_at: AtomicI64::new(row.last_activity_at),
            answering: AtomicU32::new(0),
            trimmed: AtomicBool::new(false),
            state: Mutex::new(State { loaded: is_new, ..State::default() }),
            row,
        }
    }

    fn is_idle(&self, now: Timestamp, limit: Timestamp) -> bool {
        now - self.last_activity_at.load(Ordering::Relaxed) > limit
    }

    /// When the session was last used.
    pub fn last_activity_at(&self) -> Timestamp {
        self.last_activity_at.load(Ordering::Relaxed)
    }

    /// Notes that the session is in use. True when the store should learn it too: once a minute is enough for an end
    /// after hours, and a row that is not written again for each message is half of the writing.
    pub fn touch(&self, now: Timestamp) -> bool {
        self.last_activity_at.fetch_max(now, Ordering::Relaxed);
        let stored = self.stored_activity_at.load(Ordering::Relaxed);
        let due = now - stored >= TOUCH_EVERY;
        due && self.stored_activity_at.compare_exchange(stored, now, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }

    /// Takes one of the session's places for an answer.
    ///
    /// # Errors
    /// [`Kind::Limited`] when the visitor waits for others already.
    pub fn begin_answer(self: &Arc<Self>) -> Result<Answering> {
        let taken = self.answering.fetch_add(1, Ordering::AcqRel);
        let place = Answering(Arc::clone(self));
        if taken >= ANSWERS_AT_ONCE {
            return Err(Error::new(
                Kind::Limited,
                "answer_in_progress",
                "Another answer is still on its way in this conversation. Wait for it, then ask again.",
            )
            .retry_after(2));
        }
        Ok(place)
    }

    /// The newest turns, oldest first, and how many messages the conversation holds.
    ///
    /// # Errors
    /// When the store or the vault fails.
    pub async fn history(&self, app: &App, most: usize) -> Result<(Vec<Turn>, usize)> {
        if app.single_node
            && let Some(known) = self.known_history()
        {
            return Ok(known);
        }
        let scope = Scope::of(self.row.owner);
        let stored = app.store.count_messages(&scope, self.row.conversation).await?;
        let stored = usize::try_from(stored).unwrap_or(usize::MAX);
        let mut turns = VecDeque::new();
        if stored > 0 && most > 0 {
            let keys = data_keys::of(app, &scope).await?;
            for row in
                app.store.list_messages(&scope, self.row.conversation, u32::try_from(most).unwrap_or(u32::MAX)).await?
            {
                let content = chat::open_content(&keys, &row)?;
                turns.push_back(Turn { role: row.role, text: content.text.into() });
            }
        }
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.turns = turns;
        state.stored = stored;
        state.loaded = true;
        Ok((state.turns.iter().cloned().collect(), state.stored))
    }

    /// Whether old turns are left out for the first time: that is said once, for what follows leaves out more.
    pub fn is_first_trimming(&self) -> bool {
        !self.trimmed.swap(true, Ordering::Relaxed)
    }

    /// Adds a message that was stored.
    pub fn remember(&self, role: Role, text: Arc<str>, most: usize) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if !state.loaded {
            return;
        }
        state.stored = state.stored.saturating_add(1);
        state.turns.push_back(Turn { role, text });
        let mut characters: usize = state.turns.iter().map(|turn| turn.text.len()).sum();
        while state.turns.len() > most || (characters > HISTORY_CHARACTERS && state.turns.len() > 1) {
            characters -= state.turns.pop_front().map_or(0, |turn| turn.text.len());
        }
    }

    fn known_history(&self) -> Option<(Vec<Turn>, usize)> {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.loaded.then(|| (state.turns.iter().cloned().collect(), state.stored))
    }

    fn address_is_fine(&self, app: &App, client: &Client) -> bool {
        let network = network_of(client.address);
        if network == self.row.network {
            return true;
        }
        let refuse = app.config.sessions.on_address_change == AddressChange::Refuse;
        let is_news = {
            let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            let is_news = state.reported_network.as_deref() != Some(network.as_str());
            state.reported_network = Some(network.into());
            is_news
        };
        if is_news || refuse {
            let outcome = if refuse { Outcome::Refused } else { Outcome::Success };
            app.event(EventName::SessionAddressChanged, Severity::Warning, outcome)
                .of(client)
                .site(self.row.owner, self.row.site)
                .session(&self.row.id)
                .emit();
        }
        !refuse
    }
}

/// The network that an address belongs to: /24 for IPv4, /48 for IPv6, so that a phone that gets a new address
/// from its provider keeps its session.
pub fn network_of(address: IpAddr) -> String {
    crate::limits::network_around(address).to_string()
}

#[cfg(test)]
mod tests {
    use super::network_of;

    #[test]
    fn neighbours_share_a_network() {
        let of = |text: &str| network_of(text.parse().expect("an address"));
        assert_eq!(of("203.0.113.7"), of("203.0.113.250"));
        assert_ne!(of("203.0.113.7"), of("203.0.114.7"));
        assert_eq!(of("::ffff:203.0.113.7"), "203.0.113.0/24");
        assert_eq!(of("2001:db8:1:2::3"), "2001:db8:1::/48");
    }
}
