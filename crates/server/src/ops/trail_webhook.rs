//! Signed heads of the audit trail, sent to another machine.
//!
//! A head is worth most where the database's attacker cannot write. Owns: when one is sent (as soon as the trail has grown,
//! then no more often than `audit.head_every`), how long an attempt may take, how attempts that failed follow each other
//! (from five seconds up to ten minutes apart, always with the head of that moment, so that nothing piles up), and the event
//! when none got through for an hour. The body is one line, as in the file of heads, signed and dated: a receiver that adds
//! it to a file has an anchor for `chatward audit verify`. A redirect is not followed, and an answer is not read.

use crate::app::App;
use crate::ops::trail_heads::{self, Head};
use chatward_egress::{Call, Reach};
use chatward_types::{Error, EventName, HOUR, MINUTE, Outcome, Result, SECOND, Severity, Timestamp};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use url::Url;

/// The whole of an attempt.
const DEADLINE: Duration = Duration::from_secs(15);
const FIRST_WAIT: Timestamp = 5 * SECOND;
const LONGEST_WAIT: Timestamp = 10 * MINUTE;

/// What became of the heads so far.
#[derive(Debug, Default)]
pub struct Delivery(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    delivered: i64,
    failures: u32,
    next_at: Timestamp,
    failing_since: Option<Timestamp>,
    told_at: Option<Timestamp>,
}

impl Delivery {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many records the newest head that got through counts.
    pub fn delivered(&self) -> i64 {
        self.state().delivered
    }
}

/// Sends the head of now if it is time and the trail has grown. `true` when one got through.
///
/// # Errors
/// When the store fails; an attempt that fails is none, the next one follows by itself.
pub async fn deliver(app: &App) -> Result<bool> {
    let Some(url) = &app.config.audit.head_webhook else { return Ok(false) };
    if app.clock.now() < app.head_delivery.state().next_at {
        return Ok(false);
    }
    let Some(head) = trail_heads::current(app).await? else { return Ok(false) };
    if head.count <= app.head_delivery.delivered() {
        return Ok(false);
    }
    match send(app, url, &head).await {
        Ok(()) => {
            let every = i64::try_from(app.config.audit.head_every.as_micros()).unwrap_or(HOUR);
            *app.head_delivery.state() =
                State { delivered: head.count, next_at: app.clock.now() + every, ..State::default() };
            Ok(true)
        }
        Err(error) => {
            tracing::warn!(
                source = error.source_line(),
                "a head of the audit trail was not delivered; it is tried again"
            );
            note_failure(app);
            Ok(false)
        }
    }
}

fn note_failure(app: &App) {
    let now = app.clock.now();
    let mut state = app.head_delivery.state();
    state.next_at = now + (FIRST_WAIT << state.failures.min(10)).min(LONGEST_WAIT);
    state.failures = state.failures.saturating_add(1);
    let since = *state.failing_since.get_or_insert(now);
    if now - since >= HOUR && state.told_at.is_none_or(|told| now - told >= HOUR) {
        state.told_at = Some(now);
        let failures = state.failures;
        drop(state);
        app.event(EventName::AuditHeadUndelivered, Severity::Error, Outcome::Failure)
            .detail(format!("{failures} attempts failed, over {} minutes", (now - since) / MINUTE))
            .emit();
    }
}

async fn send(app: &App, url: &Url, head: &Head) -> Result<()> {
    let mut body = serde_json::to_vec(head).map_err(Error::internal)?;
    body.push(b'\n');
    // The operator's file named it, as it names providers.
    let mut call = Call::post_json(url.clone(), Reach::Operator, body);
    call.total_deadline = DEADLINE;
    let answer = app.egress.call(call).await.map_err(Error::internal)?;
    match answer.status {
        200..=299 => Ok(()),
        status => Err(Error::internal(format!("the receiver of heads answered {status}"))),
    }
}
