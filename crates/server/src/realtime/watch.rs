//! What ends a socket from our side: its token's end, a revocation, a block, the lockdown, the server's end.
//!
//! Owns: the questions and when they are asked. News comes at once (`limits::Gate`, `Sockets::wake`); beside them the store
//! is asked now and then, so that no lost word keeps a socket open. Never touches the connection.

use super::{Caller, End, Standing};
use crate::app::App;
use crate::client::Client;
use crate::limits::Shut;
use crate::middleware::gate;
use chatward_types::Timestamp;
use std::time::Duration;
use tokio::time::Instant;

/// How often a store that did not answer is asked again before the socket ends.
const PATIENCE: u32 = 3;

/// Returns when nobody at this address is served any more, or the server stops.
pub(super) async fn until_shut(app: &App, client: &Client) -> End {
    let mut news = app.gate.changes();
    loop {
        if let Some(end) = shut(app, client, None) {
            return end;
        }
        tokio::select! {
            () = app.stopping.cancelled() => return End::Stopping,
            // The sender lives as long as the app.
            _ = news.changed() => {}
        }
    }
}

/// Returns when the socket must end.
pub(super) async fn until_over(app: &App, client: &Client, caller: &Caller, standing: &Standing) -> End {
    let mut news = app.gate.changes();
    let mut failures = 0;
    // What changed before the socket was in the list is looked at once.
    let mut unsure = true;
    let (mut expires_at, mut deadline) = ends(app, standing);
    loop {
        if let Some(end) = shut(app, client, Some(caller)) {
            return end;
        }
        if standing.expires_at() != expires_at {
            (expires_at, deadline) = ends(app, standing);
        }
        if expires_at <= app.clock.now() || deadline <= Instant::now() {
            return End::Expired;
        }
        if unsure {
            match caller.still_holds(app).await {
                Ok(true) => (unsure, failures) = (false, 0),
                Ok(false) => return End::Revoked,
                Err(error) => {
                    tracing::warn!(
                        source = error.source_line(),
                        "it cannot be read whether a socket's credential holds"
                    );
                    failures += 1;
                    if failures >= PATIENCE {
                        return End::Failed;
                    }
                }
            }
        }
        let again = if unsure { Duration::from_secs(1) } else { app.config.sockets.ping_every };
        tokio::select! {
            () = app.stopping.cancelled() => return End::Stopping,
            _ = news.changed() => {}
            () = standing.wake.notified() => unsure = true,
            () = tokio::time::sleep_until(deadline.min(Instant::now() + again)) => unsure = true,
        }
    }
}

/// As for a request: in a lockdown nobody is served but administrators, whose standing is asked apart.
fn shut(app: &App, client: &Client, caller: Option<&Caller>) -> Option<End> {
    if app.stopping.is_cancelled() {
        return Some(End::Stopping);
    }
    let shut = app.gate.ask(client.address, app.clock.now())?;
    if shut == Shut::Locked && caller.is_some_and(|caller| caller.administers(app)) {
        return None;
    }
    // Counted and told as for a request.
    gate::refuse(app, client, shut);
    Some(match shut {
        Shut::Blocked => End::Blocked,
        Shut::Locked => End::Locked,
    })
}

/// The end by the clock, and the moment at which it is reached while the clock runs as it should.
fn ends(app: &App, standing: &Standing) -> (Timestamp, Instant) {
    let expires_at = standing.expires_at();
    let left = u64::try_from(expires_at - app.clock.now()).unwrap_or(0);
    (expires_at, Instant::now() + Duration::from_micros(left))
}
