//! Plain HTTP/1.1 to the operator's own hosts, each connection driven by the call that uses it.
//!
//! Owns: those connections, in use and idle. A pool that drives its connections in tasks of their own hands every piece
//! of a streamed answer from task to task; a model server beside us sends hundreds of pieces in one packet, and here
//! they are read in place. Never does: judge an address (the connector dials), share a connection between hosts, repeat
//! a request of which a byte may have been sent, or keep a connection whose answer was not read to its end.

use crate::client::MAX_HEADER_BYTES;
use crate::connector::{CONNECT_CAP, DialError, GuardedConnector};
use crate::error::CallError;
use bytes::Bytes;
use http::{Request, Response, Uri};
use http_body_util::Full;
use hyper::body::{Body, Frame, Incoming};
use hyper::client::conn::http1::{self, Connection, SendRequest};
use hyper_util::rt::TokioIo;
use std::collections::HashMap;
use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};
use tower::Service;

/// Hosts with idle connections; an operator configures a few.
const HOSTS: usize = 64;

/// `None` once it has ended.
type Driven = Option<Pin<Box<Connection<TokioIo<TcpStream>, Full<Bytes>>>>>;
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
    sender: SendRequest<Full<Bytes>>,
    connection: Driven,
}

/// The body of an answer with the connection that it comes over.
pub(crate) struct Reading {
    exchange: Exchange,
    pool: Arc<PlainPool>,
}

/// A request that could not be begun, given back whole.
struct Unsent(Request<Full<Bytes>>);

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
        request: Request<Full<Bytes>>,
    ) -> Result<(Response<Incoming>, Reading), CallError> {
        let response = match exchange.send(request).await {
            Ok(response) => response?,
            Err(Unsent(request)) => {
                exchange = Box::pin(self.dial(uri, &exchange.host)).await?;
                match exchange.send(request).await {
                    Ok(response) => response?,
                    Err(Unsent(_)) => return Err(DialError::Connect(std::io::ErrorKind::NotConnected.into()).into()),
                }
            }
        };
        Ok((response, Reading { exchange, pool: Arc::clone(self) }))
    }

    fn kept(&self, host: &str) -> Option<Exchange> {
        loop {
            let (since, mut exchange) = self.lock().get_mut(host)?.pop()?;
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
        let (sender, connection) = http1::Builder::new().max_buf_size(MAX_HEADER_BYTES).handshake(stream).await?;
        Ok(Exchange { host: host.into(), sender, connection: Some(Box::pin(connection)) })
    }

    fn keep(&self, mut exchange: Exchange) {
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
    /// The inner error is the answer's; the outer one means that nothing was sent.
    async fn send(&mut self, request: Request<Full<Bytes>>) -> Result<Result<Response<Incoming>, CallError>, Unsent> {
        let mut sending = pin!(self.sender.try_send_request(request));
        let connection = &mut self.connection;
        let outcome = poll_fn(|context| {
            if let Poll::Ready(outcome) = sending.as_mut().poll(context) {
                return Poll::Ready(outcome);
            }
            drive(connection, context);
            sending.as_mut().poll(context)
        })
        .await;
        match outcome {
            Ok(response) => Ok(Ok(response)),
            Err(mut failure) => match failure.take_message() {
                Some(request) => Err(Unsent(request)),
                None => Ok(Err(failure.into_error().into())),
            },
        }
    }

    /// Whether it is open and ready for a request, as far as is known here.
    fn is_usable(&mut self) -> bool {
        // Nobody waits for what this might become ready for; the next use asks again.
        drive(&mut self.connection, &mut Context::from_waker(Waker::noop()));
        self.connection.is_some() && self.sender.is_ready()
    }
}

impl Reading {
    /// The next frame of `body`, with the connection driven as far as that needs.
    pub(crate) fn poll_frame(
        &mut self,
        body: &mut Incoming,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        if let Poll::Ready(frame) = Pin::new(&mut *body).poll_frame(context) {
            return Poll::Ready(frame);
        }
        drive(&mut self.exchange.connection, context);
        Pin::new(body).poll_frame(context)
    }

    /// The body was read to its end: the connection can serve another call.
    pub(crate) fn finish(self) {
        self.pool.keep(self.exchange);
    }
}

/// Lets the connection read and write. Its own errors arrive at the request or the body as well.
fn drive(connection: &mut Driven, context: &mut Context<'_>) {
    if let Some(open) = connection
        && open.as_mut().poll(context).is_ready()
    {
        *connection = None;
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
