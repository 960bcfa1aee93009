//! The deadlines of one connection: nothing it can do, or not do, keeps it open for ever.
//!
//! Owns what a connection is known to be doing ([`Activity`], told by what `noted` wraps) and the one timer that acts on
//! it. Three states, each with a deadline: a head is arriving, nothing is going on, a request is running; of these, one
//! whose answer is silent leaves the library behind (`resting`). Never cuts a running request that makes progress, and
//! never looks at its content.

use super::noted::{Front, NotedStream};
use super::resting::{End, Resting};
use super::silence::Silence;
use http::Version;
use hyper::server::conn::http1;
use hyper_util::rt::TokioExecutor;
use hyper_util::server::conn::auto;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::time::{Instant, Sleep};
use tokio_util::sync::CancellationToken;

/// How long a connection may be in each state.
#[derive(Debug, Clone, Copy)]
pub(super) struct Deadlines {
    pub(super) header: Duration,
    pub(super) idle: Duration,
    pub(super) stall: Duration,
    pub(super) rest: Duration,
}

/// The two calls to end that every connection hears.
#[derive(Debug, Clone, Default)]
pub(super) struct Ends {
    /// Take no further request.
    pub(super) drain: CancellationToken,
    /// End now.
    pub(super) abort: CancellationToken,
}

/// How a connection ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    /// The client or the protocol closed it, or it was idle.
    Closed,
    /// A head did not arrive in time.
    SlowHead,
    /// A request made no progress.
    Stalled,
    /// The drain's deadline was over, or the address was blocked.
    Aborted,
}

/// What is due when the timer fires.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Due {
    /// An answer has been silent for so long that its connection gives its buffers back.
    Rest,
    /// The connection has been in its state for too long.
    End(Ending),
}

/// After an idle connection is told to close: time for the farewell of HTTP/2.
const FAREWELL: Duration = Duration::from_secs(1);

/// What a connection is doing. Times are milliseconds since `began`.
#[derive(Debug)]
pub(super) struct Activity {
    began: Instant,
    running: AtomicU32,
    progress: AtomicU64,
    /// When the head that is arriving began, plus one; 0 if none is.
    head: AtomicU64,
    requested: AtomicBool,
    http2: AtomicBool,
    /// What is known of the answer that HTTP/1.1 is sending.
    pub(super) silence: Silence,
}

impl Activity {
    pub(super) fn new() -> Self {
        Self {
            began: Instant::now(),
            running: AtomicU32::new(0),
            progress: AtomicU64::new(0),
            head: AtomicU64::new(0),
            requested: AtomicBool::new(false),
            http2: AtomicBool::new(false),
            silence: Silence::default(),
        }
    }

    pub(super) fn now(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    pub(super) fn note_progress(&self) {
        self.progress.store(self.now(), Ordering::Relaxed);
    }

    pub(super) fn note_read(&self) {
        // While a request runs, what is read is its body or pipelined; hyper's own timer has the latter.
        if self.running.load(Ordering::Relaxed) == 0 && self.head.load(Ordering::Relaxed) == 0 {
            self.head.store(self.now() + 1, Ordering::Relaxed);
        }
    }

    pub(super) fn begin(self: &Arc<Self>, version: Version) -> RunningRequest {
        self.running.fetch_add(1, Ordering::Relaxed);
        self.head.store(0, Ordering::Relaxed);
        self.requested.store(true, Ordering::Relaxed);
        if version == Version::HTTP_2 {
            self.http2.store(true, Ordering::Relaxed);
        }
        self.note_progress();
        RunningRequest(self.clone())
    }

    /// When the present state becomes too long, and what the end is then.
    fn deadline(&self, deadlines: &Deadlines) -> (Instant, Due) {
        let since = |milliseconds: u64| self.began + Duration::from_millis(milliseconds);
        let progress = since(self.progress.load(Ordering::Relaxed));
        if self.running.load(Ordering::Relaxed) > 0 {
            return match self.silence.began() {
                Some(silent) if deadlines.rest < deadlines.stall => (since(silent) + deadlines.rest, Due::Rest),
                _ => (progress + deadlines.stall, Due::End(Ending::Stalled)),
            };
        }
        if !self.requested.load(Ordering::Relaxed) {
            return (self.began + deadlines.header, Due::End(Ending::SlowHead));
        }
        // In HTTP/2, bytes between requests are mostly no head but housekeeping.
        match self.head.load(Ordering::Relaxed).checked_sub(1) {
            Some(head) if !self.http2.load(Ordering::Relaxed) => {
                (since(head) + deadlines.header, Due::End(Ending::SlowHead))
            }
            _ => (progress + deadlines.idle, Due::End(Ending::Closed)),
        }
    }
}

/// A request between its head and the last byte of its answer.
#[derive(Debug)]
pub(super) struct RunningRequest(pub(super) Arc<Activity>);

impl Drop for RunningRequest {
    fn drop(&mut self) {
        self.0.note_progress();
        self.0.running.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A connection of HTTP/1.1, or of whichever protocol its client turns out to speak. In a box: moved on by value,
/// there would be room for it twice.
pub(super) enum Http<'p> {
    /// HTTP/1.1 and nothing else; with what makes such a connection.
    One(Box<http1::UpgradeableConnection<NotedStream, Front>>, &'p http1::Builder),
    /// HTTP/1.1 whose answer is silent.
    Resting(Box<Resting>, &'p http1::Builder),
    /// Still to be seen.
    Either(Pin<Box<auto::UpgradeableConnection<'p, NotedStream, Front, TokioExecutor>>>),
    /// Over.
    Ended,
}

impl Http<'_> {
    /// Takes no further request.
    fn end_gracefully(&mut self) {
        match self {
            Self::One(connection, _) => Pin::new(&mut **connection).graceful_shutdown(),
            Self::Resting(resting, _) => resting.end_gracefully(),
            Self::Either(connection) => connection.as_mut().graceful_shutdown(),
            Self::Ended => {}
        }
    }

    /// Leaves the library while its answer is silent; see [`Resting`].
    fn rest(&mut self, activity: &Activity, draining: bool) {
        *self = match std::mem::replace(self, Self::Ended) {
            Self::One(connection, builder) => match Resting::instead_of(*connection, activity) {
                Some(mut resting) => {
                    if draining {
                        resting.end_gracefully();
                    }
                    Self::Resting(Box::new(resting), builder)
                }
                None => Self::Ended,
            },
            other => other,
        };
    }
}

impl Future for Http<'_> {
    type Output = ();

    /// How it ended is the client's affair.
    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        loop {
            let ended = match &mut *self {
                Self::One(connection, _) => return Pin::new(&mut **connection).poll(context).map(drop),
                Self::Either(connection) => return connection.as_mut().poll(context).map(drop),
                Self::Resting(resting, _) => ready!(resting.poll(context)),
                Self::Ended => return Poll::Ready(()),
            };
            *self = match (std::mem::replace(&mut *self, Self::Ended), ended) {
                (Self::Resting(resting, builder), End::Awake) => {
                    let (stream, front) = resting.awake();
                    Self::One(Box::new(builder.serve_connection(stream, front).with_upgrades()), builder)
                }
                _ => Self::Ended,
            };
        }
    }
}

/// Drives a connection to its end, or to one of its deadlines.
pub(super) async fn run(mut connection: Http<'_>, activity: &Activity, deadlines: Deadlines, ends: &Ends) -> Ending {
    let mut timer = pin!(tokio::time::sleep_until(activity.deadline(&deadlines).0));
    let mut draining = false;
    loop {
        tokio::select! {
            // The connection first: only then is what the timer looks at up to date.
            biased;
            () = &mut connection => return Ending::Closed,
            due = overdue(timer.as_mut(), activity, &deadlines) => match due {
                Due::Rest => connection.rest(activity, draining),
                Due::End(ending) => {
                    if ending == Ending::Closed {
                        connection.end_gracefully();
                        let _ = tokio::time::timeout(FAREWELL, connection).await;
                    }
                    return ending;
                }
            },
            () = ends.drain.cancelled(), if !draining => {
                draining = true;
                connection.end_gracefully();
            }
            () = ends.abort.cancelled() => return Ending::Aborted,
        }
    }
}

/// Waits until the state of the moment has lasted too long.
///
/// The timer is moved only when a deadline comes nearer or when it fires: a request on a busy connection costs none.
async fn overdue(mut timer: Pin<&mut Sleep>, activity: &Activity, deadlines: &Deadlines) -> Due {
    poll_fn(|context| {
        let (deadline, _) = activity.deadline(deadlines);
        if deadline < timer.deadline() {
            timer.as_mut().reset(deadline);
        }
        loop {
            ready!(timer.as_mut().poll(context));
            let (deadline, due) = activity.deadline(deadlines);
            if deadline <= Instant::now() {
                return Poll::Ready(due);
            }
            timer.as_mut().reset(deadline);
        }
    })
    .await
}
