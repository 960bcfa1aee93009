//! The accept loop: every connection enters here and is bounded here (RATE-08, RATE-11).
//!
//! Owns the caps on connections, the deadlines of a connection (`watch`) and the drain at shutdown. It is our own
//! because `axum::serve` installs no timer, without which hyper's header timeout never fires, and because hyper has
//! no deadline for a client that says nothing at all, idles between requests or stops reading.
//! Never looks into a request: routing, limits and body timeouts belong to the router's middleware.

mod noted;
mod resting;
mod silence;
mod unfinished;
mod watch;

use crate::limits::{ConnectionCaps, ConnectionCounter, ConnectionGuard, Gate};
use axum::Router;
use chatward_types::Clock;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use hyper_util::server::conn::auto;
use ipnet::IpNet;
use noted::{Front, NotedStream};
use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tokio_util::task::task_tracker::TaskTrackerToken;
use watch::{Activity, Deadlines, Ending, Ends, Http};

/// The address of the socket's other end, as a request extension. It is the client's only if no proxy is between.
/// An IPv4 address is one, even if the listener speaks IPv6.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PeerAddress(pub SocketAddr);

/// A connection's place in the counts and in the drain, as an extension of a request that wants to go on as something
/// else than HTTP. Whoever takes the connection over holds it to the end.
#[derive(Debug, Clone)]
pub struct Place {
    held: Arc<(ConnectionGuard, TaskTrackerToken)>,
}

/// Who is let in: a connection of a blocked address is closed, before its first byte and at any time later.
#[derive(Debug, Clone)]
pub struct Door {
    /// The blocked networks.
    pub gate: Arc<Gate>,
    /// By which blocks end.
    pub clock: Arc<dyn Clock>,
}

impl Door {
    fn is_shut(&self, address: IpAddr) -> bool {
        self.gate.covers(address, self.clock.now())
    }

    /// Returns when the address is blocked.
    async fn shuts(&self, address: IpAddr) {
        let mut news = self.gate.changes();
        while !self.is_shut(address) {
            if news.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }
}

/// What a connection may cost.
#[derive(Debug, Clone)]
pub struct ListenSettings {
    /// From the first byte of a request (on a new connection: from its beginning) to the end of its head.
    pub header_timeout: Duration,
    /// From the end of an answer to the first byte of the next request.
    pub idle_timeout: Duration,
    /// How long a request may make no progress, neither in us nor in what the client reads. It must be longer than
    /// the longest wait that the server itself allows (a provider's total deadline).
    pub stall_timeout: Duration,
    /// How long an answer of HTTP/1.1 is silent before its connection gives its buffers back until the answer goes on.
    pub rest_after: Duration,
    /// Open connections in all.
    pub max_connections: usize,
    /// Open connections from one address; an IPv6 /64 is one.
    pub max_connections_per_address: usize,
    /// The head of a request; at least 8 KiB.
    pub max_header_bytes: usize,
    /// Requests at once on one HTTP/2 connection.
    pub max_streams: u32,
    /// How long running requests have to end after shutdown begins.
    pub drain_deadline: Duration,
    /// Proxies, behind which many clients stand: the cap per address does not hold for them.
    pub trusted_peers: Vec<IpNet>,
    /// Whom the listener does not serve; without one it serves every address.
    pub door: Option<Door>,
}

impl Default for ListenSettings {
    fn default() -> Self {
        Self {
            header_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(75),
            stall_timeout: Duration::from_secs(180),
            rest_after: Duration::from_millis(100),
            max_connections: 10_000,
            max_connections_per_address: 100,
            max_header_bytes: 32 * 1024,
            max_streams: 64,
            drain_deadline: Duration::from_secs(25),
            trusted_peers: Vec::new(),
            door: None,
        }
    }
}

/// How the drain went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DrainReport {
    /// Connections that were open when shutdown began.
    pub open: usize,
    /// Of these, the ones that were cut at the deadline.
    pub aborted: usize,
}

/// What an aborted task needs to notice; none of them waits for anything else.
const ABORT_GRACE: Duration = Duration::from_secs(1);

/// Serves HTTP/1.1 and HTTP/2 (with prior knowledge) until `shutdown`, then closes the listener at once, lets
/// running requests end within the drain deadline, and cuts the rest.
pub async fn serve(
    listener: TcpListener,
    app: Router,
    settings: ListenSettings,
    connections: Arc<ConnectionCounter>,
    shutdown: CancellationToken,
) -> DrainReport {
    let tracker = TaskTracker::new();
    let ends = Ends::default();
    // Turns every handler into a ready route once, instead of once a request.
    let app = app.with_state(());
    let protocols = Arc::new(Protocols::new(&settings));
    let deadlines = Deadlines {
        header: settings.header_timeout,
        idle: settings.idle_timeout,
        stall: settings.stall_timeout,
        rest: settings.rest_after,
    };

    let mut failures = 0;
    loop {
        let accepted = tokio::select! {
            biased;
            () = shutdown.cancelled() => break,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, peer)) => {
                failures = 0;
                let peer = SocketAddr::new(peer.ip().to_canonical(), peer.port());
                if let Some(door) = settings.door.as_ref().filter(|door| door.is_shut(peer.ip())) {
                    door.gate.count_refused();
                } else if let Some(guard) = admit(&connections, peer.ip(), &settings)
                    && prepare(&stream).is_ok()
                {
                    let door = settings.door.clone();
                    let place = Place { held: Arc::new((guard, tracker.token())) };
                    let connection = Connection { stream, peer, app: app.clone(), deadlines, place, door };
                    // Tracked by its place, which is one however long and as what the connection lives.
                    tokio::spawn(connection.run(protocols.clone(), ends.clone()));
                }
                // Otherwise the stream is dropped here, which closes it.
            }
            Err(error) => {
                if let Some(pause) = pause_after(&error, failures) {
                    if failures == 0 {
                        tracing::warn!(%error, "connections cannot be accepted for now");
                    }
                    failures = failures.saturating_add(1);
                    tokio::select! {
                        () = tokio::time::sleep(pause) => {}
                        () = shutdown.cancelled() => {}
                    }
                }
            }
        }
    }
    drop(listener);
    drain(&tracker, &ends, settings.drain_deadline).await
}

async fn drain(tracker: &TaskTracker, ends: &Ends, deadline: Duration) -> DrainReport {
    tracker.close();
    let open = tracker.len();
    ends.drain.cancel();
    let mut aborted = 0;
    if tokio::time::timeout(deadline, tracker.wait()).await.is_err() {
        aborted = tracker.len();
        ends.abort.cancel();
        // A handler that blocks its thread cannot be cut; the process ends without it.
        let _ = tokio::time::timeout(ABORT_GRACE, tracker.wait()).await;
    }
    DrainReport { open, aborted }
}

fn admit(connections: &Arc<ConnectionCounter>, address: IpAddr, settings: &ListenSettings) -> Option<ConnectionGuard> {
    let trusted = settings.trusted_peers.iter().any(|network| network.contains(&address));
    let caps = ConnectionCaps {
        total: settings.max_connections,
        per_address: (!trusted).then_some(settings.max_connections_per_address),
    };
    connections.try_open(address, caps)
}

/// Small answers and stream chunks leave at once instead of waiting for the previous one's acknowledgement.
fn prepare(stream: &TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)
}

/// How long to wait after a failed accept; `None` if the failure was the one connection's own.
///
/// Without a pause, running out of file descriptors would spin a core, since the connection stays in the queue.
fn pause_after(error: &io::Error, failures: u32) -> Option<Duration> {
    match error.kind() {
        io::ErrorKind::ConnectionAborted
        | io::ErrorKind::ConnectionReset
        | io::ErrorKind::ConnectionRefused
        | io::ErrorKind::Interrupted => None,
        _ => Some(Duration::from_millis(10 << failures.min(6))),
    }
}

fn protocol(settings: &ListenSettings) -> auto::Builder<TokioExecutor> {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(head_timeout(settings))
        .max_buf_size(buffer_bytes(settings));
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(settings.max_streams)
        .max_header_list_size(u32::try_from(settings.max_header_bytes).unwrap_or(u32::MAX))
        // Rapid reset: streams that are opened and reset at once count until we have dealt with them.
        .max_pending_accept_reset_streams(20)
        .max_local_error_reset_streams(64)
        .initial_stream_window_size(64 * 1024)
        .initial_connection_window_size(512 * 1024)
        .max_send_buf_size(64 * 1024)
        .keep_alive_interval(Duration::from_secs(20))
        .keep_alive_timeout(Duration::from_secs(10));
    builder
}

/// hyper starts this timer when the previous answer ends, so it covers idling and the head together. The head's own,
/// shorter deadline is the watch's.
fn head_timeout(settings: &ListenSettings) -> Duration {
    settings.idle_timeout + settings.header_timeout
}

fn buffer_bytes(settings: &ListenSettings) -> usize {
    settings.max_header_bytes.max(8 * 1024)
}

/// HTTP/1.1 alone, and whichever of both the client speaks.
///
/// Telling them apart by reading holds the first bytes back, so that every buffer behind it starts out doubled; so
/// the first bytes are looked at where they are, and only a client that may mean HTTP/2 goes that way.
struct Protocols {
    http1: http1::Builder,
    either: auto::Builder<TokioExecutor>,
}

impl Protocols {
    fn new(settings: &ListenSettings) -> Self {
        let mut http1 = http1::Builder::new();
        http1.timer(TokioTimer::new()).header_read_timeout(head_timeout(settings)).max_buf_size(buffer_bytes(settings));
        Self { http1, either: protocol(settings) }
    }

    /// A connection that begins like this.
    fn serve(&self, first: &[u8], stream: NotedStream, front: Front) -> Http<'_> {
        if may_be_http2(first) {
            Http::Either(Box::pin(self.either.serve_connection_with_upgrades(stream, front)))
        } else {
            Http::One(Box::new(self.http1.serve_connection(stream, front).with_upgrades()), &self.http1)
        }
    }
}

/// No method of HTTP/1.1 is called so; that is why HTTP/2 begins with it.
const HTTP2: &[u8; 3] = b"PRI";

fn may_be_http2(first: &[u8]) -> bool {
    HTTP2.starts_with(first)
}

struct Connection {
    stream: TcpStream,
    peer: SocketAddr,
    app: Router,
    deadlines: Deadlines,
    place: Place,
    door: Option<Door>,
}

impl Connection {
    fn run(self, protocols: Arc<Protocols>, ends: Ends) -> impl Future<Output = ()> {
        let Self { stream, peer, app, deadlines, place, door } = self;
        let activity = Arc::new(Activity::new());
        async move {
            let mut shut = pin!(async {
                match &door {
                    Some(door) => door.shuts(peer.ip()).await,
                    None => std::future::pending().await,
                }
            });
            let mut first = [0; HTTP2.len()];
            let read = tokio::select! {
                biased;
                read = stream.peek(&mut first) => read.unwrap_or(0),
                () = shut.as_mut() => return,
                () = ends.drain.cancelled() => return,
                () = tokio::time::sleep(deadlines.header) => return,
            };
            let stream = NotedStream::new(stream, activity.clone());
            let front = Front::new(app, PeerAddress(peer), activity.clone(), place);
            let http = protocols.serve(&first[..read], stream, front);
            if matches!(http, Http::One(..)) {
                activity.silence.allow();
            }
            let ending = tokio::select! {
                biased;
                ending = watch::run(http, &activity, deadlines, &ends) => ending,
                () = shut => Ending::Aborted,
            };
            if ending != Ending::Closed {
                tracing::debug!(peer = %peer.ip(), ?ending, "connection cut");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EMFILE: i32 = 24;
    const ENFILE: i32 = 23;
    const ECONNABORTED: i32 = 103;

    #[test]
    fn running_out_of_descriptors_pauses_longer_and_longer_up_to_a_bound() {
        for code in [EMFILE, ENFILE] {
            let error = io::Error::from_raw_os_error(code);
            let pauses: Vec<_> = (0..40).map(|failures| pause_after(&error, failures).unwrap()).collect();
            assert!(pauses.is_sorted());
            assert_eq!((pauses[0], pauses[39]), (Duration::from_millis(10), Duration::from_millis(640)));
        }
        assert!(pause_after(&io::Error::other("never seen before"), u32::MAX).is_some());
    }

    #[test]
    fn a_client_that_is_gone_already_pauses_nothing() {
        assert_eq!(pause_after(&io::Error::from_raw_os_error(ECONNABORTED), 0), None);
        assert_eq!(pause_after(&io::ErrorKind::Interrupted.into(), 0), None);
    }

    #[tokio::test]
    async fn an_accepted_socket_delays_nothing() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        let (client, accepted) = tokio::join!(socket.connect(listener.local_addr().unwrap()), listener.accept());
        let (_client, (stream, _)) = (client.unwrap(), accepted.unwrap());
        assert!(!stream.nodelay().unwrap(), "the system's default");
        prepare(&stream).unwrap();
        assert!(stream.nodelay().unwrap());
    }

    #[test]
    fn only_what_may_become_http2_is_treated_as_undecided() {
        for first in [&b""[..], b"P", b"PR", b"PRI"] {
            assert!(may_be_http2(first), "{first:?}");
        }
        for first in [&b"G"[..], b"PO", b"POS", b"GET", b"pri", b"\r\n", b"\x16\x03\x01"] {
            assert!(!may_be_http2(first), "{first:?}");
        }
    }

    #[test]
    fn a_head_below_the_least_size_does_not_panic() {
        let settings = ListenSettings { max_header_bytes: 1, ..ListenSettings::default() };
        let _ = Protocols::new(&settings);
    }
}
