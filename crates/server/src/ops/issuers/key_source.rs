//! An issuer's keys as they are known here: fetched when needed, kept for a while, and for a bounded while longer when the
//! issuer does not answer.
//!
//! Owns: when to fetch. One fetch is under way at most, and whoever needs its outcome waits for it; it goes on when they
//! leave, so that nobody can keep it from ending. After one that failed there is none for ten seconds; a key that is not
//! among fresh ones is asked for once a minute. The address is the operator's (`egress` guards it); redirects, other types
//! than JSON, more than 256 KiB and what takes too long are refused, and the keys that were known stay.

use super::key_set::{KeySet, PublicKey};
use super::{Issuer, Keys};
use crate::app::App;
use crate::config::{IssuerAlgorithm, IssuerConfig};
use arc_swap::ArcSwap;
use chatward_egress::{Call, Reach};
use chatward_types::{EventName, MINUTE, Outcome, SECOND, Severity, Timestamp};
use http::header::CONTENT_TYPE;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::Duration;
use tokio::sync::watch;

/// Bytes of a document.
const LARGEST: usize = 256 * 1024;
/// Between two fetches while the issuer does not answer.
const RETRY: Timestamp = 10 * SECOND;
/// Between two fetches for keys that are not there.
const UNKNOWN: Timestamp = MINUTE;
/// Beyond its own deadline a fetch is not waited for.
const MARGIN: Duration = Duration::from_secs(1);

/// The keys of one issuer, and what is under way to get them.
pub(super) struct KeySource {
    known: ArcSwap<Known>,
    /// When a key was last asked for that fresh ones do not have.
    unknown_at: AtomicI64,
    under_way: AtomicBool,
    ended: watch::Sender<u64>,
}

struct Known {
    keys: Option<Arc<KeySet>>,
    fetched_at: Timestamp,
    tried_at: Timestamp,
}

/// A key that was found, with the set that it is of.
pub(super) struct Found(Arc<KeySet>, usize);

impl Found {
    pub(super) fn key(&self) -> &jsonwebtoken::DecodingKey {
        PublicKey::key(self.0.at(self.1))
    }
}

impl Default for KeySource {
    fn default() -> Self {
        let known = Known { keys: None, fetched_at: Timestamp::MIN, tried_at: Timestamp::MIN };
        Self {
            known: ArcSwap::from_pointee(known),
            unknown_at: AtomicI64::new(Timestamp::MIN),
            under_way: AtomicBool::new(false),
            ended: watch::Sender::new(0),
        }
    }
}

impl Known {
    fn find(&self, kid: &str, algorithm: IssuerAlgorithm) -> Option<Found> {
        let keys = self.keys.as_ref()?;
        keys.position(kid, algorithm).map(|at| Found(Arc::clone(keys), at))
    }

    fn age(&self, now: Timestamp) -> Timestamp {
        now.saturating_sub(self.fetched_at)
    }
}

/// The key of this name for this algorithm, fetched if that may help.
pub(super) async fn find(
    app: &App,
    issuer: &Arc<Issuer>,
    source: &KeySource,
    kid: &str,
    algorithm: IssuerAlgorithm,
) -> Option<Found> {
    let (now, refresh) = (app.clock.now(), microseconds(issuer.config.refresh));
    let known = source.known.load_full();
    let is_fresh = known.keys.is_some() && known.age(now) < refresh;
    if is_fresh {
        if let Some(found) = known.find(kid, algorithm) {
            return Some(found);
        }
        // Whoever is first in this minute asks; the others wait for what comes of it, if it is under way still.
        let last = source.unknown_at.load(Ordering::Acquire);
        let is_first = now.saturating_sub(last) >= UNKNOWN
            && source.unknown_at.compare_exchange(last, now, Ordering::AcqRel, Ordering::Acquire).is_ok();
        if !is_first && !source.under_way.load(Ordering::Acquire) {
            return source.known.load().find(kid, algorithm);
        }
        refreshed(app, issuer, source, |_| is_first).await;
    } else {
        let due = |known: &Known| {
            (known.keys.is_none() || known.age(now) >= refresh) && now.saturating_sub(known.tried_at) >= RETRY
        };
        refreshed(app, issuer, source, due).await;
    }
    let known = source.known.load_full();
    // Keys outlive a silent issuer, but not for ever: it may have withdrawn one.
    (known.age(now) <= microseconds(issuer.config.stale)).then(|| known.find(kid, algorithm)).flatten()
}

/// Fetches if it is due, or waits for a fetch that is under way.
async fn refreshed(app: &App, issuer: &Arc<Issuer>, source: &KeySource, due: impl Fn(&Known) -> bool) {
    // Before the question whether one is under way, so that its end cannot be missed.
    let mut ended = source.ended.subscribe();
    if source.under_way.compare_exchange(false, true, Ordering::AcqRel, Ordering::Acquire).is_ok() {
        if !due(&source.known.load()) {
            source.under_way.store(false, Ordering::Release);
            // Somebody may have found it taken just now, and waits.
            source.ended.send_modify(|turn| *turn = turn.wrapping_add(1));
            return;
        }
        let (app, issuer) = (app.clone(), Arc::clone(issuer));
        let tasks = app.tasks.clone();
        tasks.spawn(async move {
            if let Keys::Published(source) = &issuer.keys {
                let _landing = Landing(source);
                tokio::select! {
                    () = fetch(&app, &issuer.config, source) => {}
                    // A server that stops waits for no issuer.
                    () = app.stopping.cancelled() => {}
                }
            }
        });
    }
    let _ = tokio::time::timeout(issuer.config.fetch_deadline + MARGIN, ended.changed()).await;
}

/// Says that a fetch has ended, however it did.
struct Landing<'a>(&'a KeySource);

impl Drop for Landing<'_> {
    fn drop(&mut self) {
        self.0.under_way.store(false, Ordering::Release);
        self.0.ended.send_modify(|turn| *turn = turn.wrapping_add(1));
    }
}

async fn fetch(app: &App, config: &IssuerConfig, source: &KeySource) {
    let outcome = download(app, config).await;
    let now = app.clock.now();
    match outcome {
        Ok(keys) => {
            source.known.store(Arc::new(Known { keys: Some(Arc::new(keys)), fetched_at: now, tried_at: now }));
        }
        Err(why) => {
            let before = source.known.load_full();
            let known = Known { keys: before.keys.clone(), fetched_at: before.fetched_at, tried_at: now };
            source.known.store(Arc::new(known));
            let event = app.event(EventName::IssuerUnreachable, Severity::Warning, Outcome::Failure);
            event.detail(format!("issuer {}: {why}", config.name)).emit();
        }
    }
}

async fn download(app: &App, config: &IssuerConfig) -> Result<KeySet, &'static str> {
    let url = config.jwks_url.clone().ok_or("it has no address of keys")?;
    let mut call = Call::get(url, Reach::Operator);
    call.accept = "application/jwk-set+json, application/json";
    call.connect_deadline = config.fetch_deadline;
    call.first_byte_deadline = config.fetch_deadline;
    call.between_bytes_deadline = config.fetch_deadline;
    call.total_deadline = config.fetch_deadline;
    call.max_response_bytes = LARGEST;
    let response = app.egress.call(call).await.map_err(|error| error.failure().as_str())?;
    // A redirect is an answer like any other that is not the keys: the operator named the address.
    if response.status != 200 {
        return Err("the answer is not 200");
    }
    let kind = response.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    if kind != "application/json" && kind != "application/jwk-set+json" {
        return Err("the answer is not JSON");
    }
    let document = response.body.collect().await.map_err(|error| error.failure().as_str())?;
    KeySet::read(&document, &config.algorithms)
}

fn microseconds(span: Duration) -> Timestamp {
    Timestamp::try_from(span.as_micros()).unwrap_or(Timestamp::MAX)
}
