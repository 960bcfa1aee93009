//! The deadlines of one connection: nothing it can do, or not do, keeps it open for ever.
//!
//! Owns what a connection is known to be doing ([`Activity`], told by its socket, its requests and their bodies) and
//! the one timer that acts on it. Three states, each with a deadline: a head is arriving, nothing is going on, a
//! request is running. Never cuts a running request that makes progress, and never looks at its content.

use super::{PeerAddress, Place};
use axum::Router;
use axum::body::{Body, Bytes};
use http::{Request, Response, Version};
use http_body::{Body as HttpBody, Frame, SizeHint};
use hyper::body::Incoming;
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::io::{self, IoSlice};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep};
use tokio_util::sync::CancellationToken;
use tower::Service;

/// How long a connection may be in each state.
#[derive(Debug, Clone, Copy)]
pub(super) struct Deadlines {
    pub(super) header: Duration,
    pub(super) idle: Duration,
    pub(super) stall: Duration,
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
        }
    }

    fn now(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    fn note_progress(&self) {
        self.progress.store(self.now(), Ordering::Relaxed);
    }

    fn note_read(&self) {
        // While a request runs, what is read is its body or pipelined; hyper's own timer has the latter.
        if self.running.load(Ordering::Relaxed) == 0 && self.head.load(Ordering::Relaxed) == 0 {
            self.head.store(self.now() + 1, Ordering::Relaxed);
        }
    }

    fn begin(self: &Arc<Self>, version: Version) -> RunningRequest {
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
    fn deadline(&self, deadlines: &Deadlines) -> (Instant, Ending) {
        let since = |milliseconds: u64| self.began + Duration::from_millis(milliseconds);
        let progress = since(self.progress.load(Ordering::Relaxed));
        if self.running.load(Ordering::Relaxed) > 0 {
            return (progress + deadlines.stall, Ending::Stalled);
        }
        if !self.requested.load(Ordering::Relaxed) {
            return (self.began + deadlines.header, Ending::SlowHead);
        }
        // In HTTP/2, bytes between requests are mostly no head but housekeeping.
        match self.head.load(Ordering::Relaxed).checked_sub(1) {
            Some(head) if !self.http2.load(Ordering::Relaxed) => (since(head) + deadlines.header, Ending::SlowHead),
            _ => (progress + deadlines.idle, Ending::Closed),
        }
    }
}

/// A request between its head and the last byte of its answer.
#[derive(Debug)]
struct RunningRequest(Arc<Activity>);

impl Drop for RunningRequest {
    fn drop(&mut self) {
        self.0.note_progress();
        self.0.running.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A connection of HTTP/1.1, or of whichever protocol its client turns out to speak. In a box: moved on by value,
/// there would be room for it twice.
pub(super) enum Http<'p> {
    /// HTTP/1.1 and nothing else.
    One(Pin<Box<http1::UpgradeableConnection<NotedStream, Front>>>),
    /// Still to be seen.
    Either(Pin<Box<auto::UpgradeableConnection<'p, NotedStream, Front, TokioExecutor>>>),
}

impl Http<'_> {
    /// Takes no further request.
    fn end_gracefully(&mut self) {
        match self {
            Self::One(connection) => connection.as_mut().graceful_shutdown(),
            Self::Either(connection) => connection.as_mut().graceful_shutdown(),
        }
    }
}

impl Future for Http<'_> {
    type Output = ();

    /// How it ended is the client's affair.
    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        match &mut *self {
            Self::One(connection) => connection.as_mut().poll(context).map(drop),
            Self::Either(connection) => connection.as_mut().poll(context).map(drop),
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
            ending = overdue(timer.as_mut(), activity, &deadlines) => {
                if ending == Ending::Closed {
                    connection.end_gracefully();
                    let _ = tokio::time::timeout(FAREWELL, connection).await;
                }
                return ending;
            }
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
async fn overdue(mut timer: Pin<&mut Sleep>, activity: &Activity, deadlines: &Deadlines) -> Ending {
    poll_fn(|context| {
        let (deadline, _) = activity.deadline(deadlines);
        if deadline < timer.deadline() {
            timer.as_mut().reset(deadline);
        }
        loop {
            ready!(timer.as_mut().poll(context));
            let (deadline, ending) = activity.deadline(deadlines);
            if deadline <= Instant::now() {
                return Poll::Ready(ending);
            }
            timer.as_mut().reset(deadline);
        }
    })
    .await
}

/// The router, with each request noted and told its peer.
#[derive(Debug, Clone)]
pub(super) struct Front {
    app: Router,
    peer: PeerAddress,
    activity: Arc<Activity>,
    place: Place,
}

impl Front {
    pub(super) fn new(app: Router, peer: PeerAddress, activity: Arc<Activity>, place: Place) -> Self {
        Self { app, peer, activity, place }
    }
}

impl hyper::service::Service<Request<Incoming>> for Front {
    type Response = Response<NotedBody>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn call(&self, mut request: Request<Incoming>) -> Self::Future {
        let running = self.activity.begin(request.version());
        request.extensions_mut().insert(self.peer);
        // What goes on as something else outlives this connection's task, and keeps its place.
        if request.headers().contains_key(http::header::UPGRADE) {
            request.extensions_mut().insert(self.place.clone());
        }
        let answer = self.app.clone().call(request);
        Box::pin(async move {
            let response = answer.await?;
            Ok(response.map(|body| NotedBody { body, running }))
        })
    }
}

/// A response's body; while the protocol asks for more of it, the client is reading.
#[derive(Debug)]
pub(super) struct NotedBody {
    body: Body,
    running: RunningRequest,
}

impl HttpBody for NotedBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        self.running.0.note_progress();
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// The socket, with each read noted.
#[derive(Debug)]
pub(super) struct NotedStream {
    stream: TokioIo<TcpStream>,
    activity: Arc<Activity>,
}

impl NotedStream {
    pub(super) fn new(stream: TcpStream, activity: Arc<Activity>) -> Self {
        Self { stream: TokioIo::new(stream), activity }
    }
}

impl Read for NotedStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        ready!(Pin::new(&mut self.stream).poll_read(context, buffer))?;
        self.activity.note_read();
        Poll::Ready(Ok(()))
    }
}

impl Write for NotedStream {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}
