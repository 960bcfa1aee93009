//! A socket from its handshake to its last byte.
//!
//! Owns: the order. The connection becomes a socket; it proves itself; it is put into the list; its front talks while the
//! watch looks; it is told why it ends. Two events frame it, with counts and without content.

use super::upgrade::Opened;
use super::{Caller, End, Front, Session, Socket, first_frame, watch};
use crate::app::App;
use chatward_types::{EventName, Outcome, OwnerId, Severity};
use std::time::Duration;
use tokio::time::{Instant, timeout};

/// How long the client may take to read the handshake's answer.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// Runs a socket. Whatever it holds is given back when this returns.
pub(super) async fn run(app: App, mut opened: Opened, front: impl Front) {
    let Ok(Ok(upgraded)) = timeout(HANDSHAKE, &mut opened.on_upgrade).await else { return };
    let began = Instant::now();
    let mut socket = Socket::new(upgraded, &app.config.sockets).await;
    let client = opened.admission.client.clone();
    let whose = opened.admission.caller.as_ref().map(Caller::owner);
    let event = app.event(EventName::WebSocketOpened, Severity::Info, Outcome::Success);
    event.of(&client).owner_if_known(whose).emit();

    let (end, who) = converse(&app, &mut opened, &mut socket, front).await;
    let (received, sent) = socket.counts();
    let seconds = began.elapsed().as_secs();
    socket.close(end).await;

    let (outcome, severity) = match end {
        End::Failed => (Outcome::Failure, Severity::Error),
        end if end.is_ordinary() => (Outcome::Success, Severity::Info),
        _ => (Outcome::Refused, Severity::Warning),
    };
    let (code, reason) = end.told();
    let (owner, who) = who.map_or((None, "nobody".to_owned()), |(owner, who)| (Some(owner), who));
    let event = app.event(EventName::WebSocketClosed, severity, outcome).of(&client).owner_if_known(owner);
    event.detail(format!("{who}: {reason} ({code}) after {seconds} s, {received} in, {sent} out")).emit();
}

/// Returns why the socket ends, and whose it was.
async fn converse(
    app: &App,
    opened: &mut Opened,
    socket: &mut Socket,
    front: impl Front,
) -> (End, Option<(OwnerId, String)>) {
    let client = opened.admission.client.clone();
    let caller = match opened.admission.caller.take() {
        Some(caller) => caller,
        None => {
            let policy = opened.admission.policy;
            let proven = tokio::select! {
                biased;
                end = watch::until_shut(app, &client) => Err(end),
                proven = first_frame::read(app, socket, &client, policy.caller) => proven,
            };
            match proven {
                Ok(caller) => caller,
                Err(end) => return (end, None),
            }
        }
    };
    opened.seat.proven();
    let who = Some((caller.owner(), caller.text()));
    let Some(listed) = app.sockets.list(&caller) else { return (End::Full, who) };
    let proved: Caller = caller.clone();
    let mut session = Session { caller, client: client.clone(), standing: listed.standing.clone() };
    let end = tokio::select! {
        biased;
        end = watch::until_over(app, &client, &proved, &listed.standing) => end,
        end = front.talk(app, socket, &mut session) => end,
    };
    (end, who)
}
