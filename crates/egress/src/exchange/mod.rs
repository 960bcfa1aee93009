//! Plain HTTP/1.1 to the operator's own hosts, each connection driven by the call that uses it.
//!
//! Owns: those connections, in use and idle, and the reading of their answers (`head`, `framing`). A model server beside
//! us sends hundreds of pieces in one packet, which here are read in place and handed on as one; and an answer that is
//! waited for costs a socket and no buffer, because nothing is allocated before there is something to read.
//! Never does: judge an address (the connector dials), share a connection between hosts, repeat a request of which a
//! byte may have been sent, or keep a connection whose answer was not read to its end.

mod framing;
mod head;

use crate::client::MAX_HEADER_BYTES;
use crate::connector::{CONNECT_CAP, DialError, GuardedConnector};
use crate::error::CallError;
use bytes::buf::Chain;
use bytes::{Buf, Bytes, BytesMut};
use framing::Framing;
use head::{Head, Malformed};
use http::{HeaderMap, Method, StatusCode, Uri};
use std::collections::HashMap;
use std::fmt;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};
use tokio_util::io::poll_read_buf;
use tower::Service;

/// Hosts with idle connections; an operator configures a few.
const HOSTS: usize = 64;
/// What is read at once.
const READ_BYTES: usize = 16 * 1024;
/// Interim answers before the answer; servers send none or one.
const MOST_INTERIM: usize = 8;

/// By host and port, each with the moment from which it is idle, the newest last.
type Idle = HashMap<Box<str>, Vec<(Instant, Exchange)>>;

/// The connections that no call uses at the moment.
pub(crate) struct PlainPool {
    connector: GuardedConnector,
    idle: Mutex<Idle>,
    idle_for: Duration,
    per_host: usize,
}

/// One connection. Dropping it closes it.
pub(crate) struct Exchange {
    host: Box<str>,
    stream: TcpStream,
}

/// A request as it goes out: its head and its body.
pub(crate) struct Outgoing(Chain<Bytes, Bytes>);

/// The body of an answer with the connection that it comes over.
pub(crate) struct Reading {
    exchange: Exchange,
    pool: Arc<PlainPool>,
    framing: Framing,
    /// What came together with the head.
    arrived: BytesMut,
    keeps: bool,
}

/// A request that could not be begun, given back whole.
struct Unsent(Outgoing);

impl Outgoing {
    /// `uri` names the target; `headers` hold everything but the length.
    pub(crate) fn new(method: &Method, uri: &Uri, headers: &HeaderMap, body: Bytes) -> Self {
        let target = uri.path_and_query().map_or("/", |target| target.as_str());
        Self(Bytes::from(head::write(method, target, headers, body.len())).chain(body))
    }
}

impl PlainPool {
    pub(crate) fn new(connector: GuardedConnector, idle_for: Duration, per_host: usize) -> Arc<Self> {
        Arc::new(Self { connector, idle: Mutex::default(), idle_for, per_host })
    }

    /// A connection to the URI's host, kept or new.
    pub(crate) async fn connect(&self, uri: &Uri) -> Result<Exchange, CallError> {
        let host = uri.authority().map_or("", |authority| authority.as_str());
        match self.kept(host) {
            Some(exchange) => Ok(exchange),
            // In a box: most calls find a connection and need no room for this.
            None => Box::pin(self.dial(uri, host)).await,
        }
    }

    /// Sends a request and waits for the answer's head. A kept connection that turns out to be closed before anything
    /// was sent on it is replaced, once, by a new one.
    pub(crate) async fn send(
        self: &Arc<Self>,
        mut exchange: Exchange,
        uri: &Uri,
        request: Outgoing,
    ) -> Result<(StatusCode, HeaderMap, Reading), CallError> {
        let written = match exchange.write(request).await {
            Ok(written) => written,
            Err(Unsent(request)) => {
                exchange = Box::pin(self.dial(uri, &exchange.host)).await?;
                match exchange.write(request).await {
                    Ok(written) => written,
                    Err(Unsent(_)) => return Err(DialError::Connect(io::ErrorKind::NotConnected.into()).into()),
                }
            }
        };
        // Who refuses a request may answer before it is whole, and close; the answer says more than the broken pipe.
        let (head, arrived) = match (exchange.read_head().await, written) {
            (Ok(answer), _) => answer,
            (Err(_), Err(error)) => return Err(error),
            (Err(error), Ok(())) => return Err(error),
        };
        let Head { status, headers, framing, keeps } = head;
        Ok((status, headers, Reading { exchange, pool: Arc::clone(self), framing, arrived, keeps }))
    }

    fn kept(&self, host: &str) -> Option<Exchange> {
        loop {
            let (since, exchange) = self.lock().get_mut(host)?.pop()?;
            // The last one in was used last; those below it are older still.
            if since.elapsed() > self.idle_for {
                self.lock().remove(host);
                return None;
            }
            if exchange.is_usable() {
                return Some(exchange);
            }
        }
    }

    async fn dial(&self, uri: &Uri, host: &str) -> Result<Exchange, CallError> {
        let connecting = self.connector.clone().call(uri.clone());
        let stream = timeout(CONNECT_CAP, connecting).await.unwrap_or(Err(DialError::Timeout))?;
        Ok(Exchange { host: host.into(), stream: stream.into_inner() })
    }

    fn keep(&self, exchange: Exchange) {
        if !exchange.is_usable() {
            return;
        }
        let now = Instant::now();
        let mut idle = self.lock();
        if !idle.contains_key(&exchange.host) && idle.len() >= HOSTS {
            idle.retain(|_, kept| kept.last().is_some_and(|(since, _)| now - *since <= self.idle_for));
            if idle.len() >= HOSTS {
                return;
            }
        }
        let kept = idle.entry(exchange.host.clone()).or_default();
        if kept.first().is_some_and(|(since, _)| now - *since > self.idle_for) {
            kept.retain(|(since, _)| now - *since <= self.idle_for);
        }
        if kept.len() < self.per_host {
            kept.push((now, exchange));
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Idle> {
        // A panic cannot leave a list of connections half-changed.
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Exchange {
    /// Writes a request. The outer error means that not a byte was taken; the inner one that some may have been. The
    /// request is gone when this returns: while the answer is waited for, nobody holds it.
    async fn write(&mut self, mut request: Outgoing) -> Result<Result<(), CallError>, Unsent> {
        let whole = request.0.remaining();
        while request.0.has_remaining() {
            let written = self.stream.write_buf(&mut request.0).await;
            let error = match written {
                Ok(0) => io::ErrorKind::WriteZero.into(),
                Ok(_) => continue,
                Err(error) => error,
            };
            return if request.0.remaining() == whole { Err(Unsent(request)) } else { Ok(Err(broken(&error))) };
        }
        Ok(Ok(()))
    }

    /// The answer's head, and what came behind it.
    async fn read_head(&mut self) -> Result<(Head, BytesMut), CallError> {
        let mut buffer = BytesMut::new();
        let mut interim = 0;
        loop {
            match head::parse(&buffer)? {
                Some((head, taken)) => {
                    buffer.advance(taken);
                    if !head.status.is_informational() {
                        return Ok((head, buffer));
                    }
                    interim += 1;
                    if head.status == StatusCode::SWITCHING_PROTOCOLS || interim > MOST_INTERIM {
                        return Err(Malformed("an interim answer that nobody asked for").into());
                    }
                    continue;
                }
                None if buffer.len() > MAX_HEADER_BYTES => return Err(Malformed("a head that is too long").into()),
                None => {}
            }
            // First the wait, then the room.
            self.stream.readable().await.map_err(|error| broken(&error))?;
            buffer.reserve(READ_BYTES);
            if self.stream.read_buf(&mut buffer).await.map_err(|error| broken(&error))? == 0 {
                return Err(CallError::protocol("closed before its answer was whole"));
            }
        }
    }

    /// Whether it is open and silent, as far as is known here: what was said without being asked is no answer.
    fn is_usable(&self) -> bool {
        matches!(self.stream.try_read(&mut [0]), Err(error) if error.kind() == io::ErrorKind::WouldBlock)
    }
}

impl Reading {
    /// The next piece of the body, never an empty one; `None` once it is complete.
    pub(crate) fn poll_piece(&mut self, context: &mut Context<'_>) -> Poll<Result<Option<Bytes>, CallError>> {
        loop {
            if !self.arrived.is_empty() {
                let mut piece = std::mem::take(&mut self.arrived);
                if self.framing.unwrap(&mut piece)? {
                    self.keeps = false;
                }
                if !piece.is_empty() {
                    return Poll::Ready(Ok(Some(piece.freeze())));
                }
            }
            if self.framing.has_ended() {
                return Poll::Ready(Ok(None));
            }
            ready!(self.exchange.stream.poll_read_ready(context)).map_err(|error| broken(&error))?;
            let mut buffer = BytesMut::with_capacity(READ_BYTES);
            let read = ready!(poll_read_buf(Pin::new(&mut self.exchange.stream), context, &mut buffer));
            match read.map_err(|error| broken(&error))? {
                0 if self.framing == Framing::UntilClosed => self.framing = Framing::Ended,
                0 => return Poll::Ready(Err(CallError::protocol("closed before its body was whole"))),
                _ => self.arrived = buffer,
            }
        }
    }

    /// The body was read to its end: the connection can serve another call, if the peer said so.
    pub(crate) fn finish(self) {
        if self.keeps && self.framing.has_ended() {
            self.pool.keep(self.exchange);
        }
    }
}

fn broken(error: &io::Error) -> CallError {
    CallError::protocol(error)
}

impl From<Malformed> for CallError {
    fn from(Malformed(why): Malformed) -> Self {
        Self::protocol(why)
    }
}

impl fmt::Debug for PlainPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PlainPool").field("hosts", &self.lock().len()).finish_non_exhaustive()
    }
}

impl fmt::Debug for Reading {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reading").field("host", &self.exchange.host).finish_non_exhaustive()
    }
}
