//! The parts of a connection that tell what it is doing: the router in front, a request's and an answer's body, the socket.
//!
//! Owns: what [`Activity`] hears from them, and what must be known before a connection may rest ([`Silence`]). Never decides
//! anything by it, and changes not a byte.

use super::watch::{Activity, RunningRequest};
use super::{PeerAddress, Place};
use crate::limits::RestGuard;
use axum::Router;
use axum::body::{Body, Bytes};
use http::header::{CONNECTION, CONTENT_LENGTH, TRANSFER_ENCODING, UPGRADE};
use http::{HeaderMap, Method, Request, Response, StatusCode, Version};
use http_body::{Body as HttpBody, Frame, SizeHint};
use hyper::body::Incoming;
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::rt::TokioIo;
use std::convert::Infallible;
use std::future::Future;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use tokio::net::TcpStream;
use tower::Service;

/// What is known of the answer that a connection of HTTP/1.1 is sending: there is one at a time.
///
/// A connection whose answer is silent can do without the library when all of this holds: the request was read to its end,
/// the answer is sent in chunks on a connection that stays, everything that was written so far has gone out.
#[derive(Debug, Default)]
pub(super) struct Silence {
    /// Whether it is a connection that can rest at all; one that may become HTTP/2 never can.
    possible: AtomicBool,
    request_read: AtomicBool,
    in_chunks: AtomicBool,
    write_blocked: AtomicBool,
    /// Since when nothing comes from the answer's body, in milliseconds, plus one; 0 if something does.
    silent: AtomicU64,
    /// The body that is handed over instead of being dropped, where that is wanted.
    wanted: AtomicBool,
    handed_over: Mutex<Option<Answer>>,
}

/// An answer's body, and that it runs.
pub(super) type Answer = (Body, RunningRequest);

impl Silence {
    /// Since when the answer has been silent, if the connection may rest.
    pub(super) fn began(&self) -> Option<u64> {
        let since = self.silent.load(Ordering::Relaxed).checked_sub(1)?;
        let may_rest = self.possible.load(Ordering::Relaxed)
            && self.in_chunks.load(Ordering::Relaxed)
            && self.request_read.load(Ordering::Relaxed)
            && !self.write_blocked.load(Ordering::Relaxed);
        may_rest.then_some(since)
    }

    /// This connection is HTTP/1.1 and nothing else.
    pub(super) fn allow(&self) {
        self.possible.store(true, Ordering::Relaxed);
    }

    /// The body of the answer that is being sent, taken from whom `drop_it` drops.
    pub(super) fn take(&self, drop_it: impl FnOnce()) -> Option<Answer> {
        self.wanted.store(true, Ordering::Relaxed);
        drop_it();
        self.wanted.store(false, Ordering::Relaxed);
        // From here on it is not the library that sends.
        self.in_chunks.store(false, Ordering::Relaxed);
        self.handed_over().take()
    }

    fn begin(&self) {
        self.request_read.store(false, Ordering::Relaxed);
        self.in_chunks.store(false, Ordering::Relaxed);
        self.silent.store(0, Ordering::Relaxed);
    }

    fn note_answer(&self, is_silent: bool, now: impl FnOnce() -> u64) {
        if !is_silent {
            self.silent.store(0, Ordering::Relaxed);
        } else if self.silent.load(Ordering::Relaxed) == 0 {
            self.silent.store(now() + 1, Ordering::Relaxed);
        }
    }

    fn handed_over(&self) -> std::sync::MutexGuard<'_, Option<Answer>> {
        // It is put there and taken whole.
        self.handed_over.lock().unwrap_or_else(PoisonError::into_inner)
    }
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

    /// Counts its connection as resting.
    pub(super) fn rest(&self) -> RestGuard {
        self.place.held.0.rest()
    }
}

impl hyper::service::Service<Request<Incoming>> for Front {
    type Response = Response<NotedBody>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn call(&self, mut request: Request<Incoming>) -> Self::Future {
        let running = self.activity.begin(request.version());
        self.activity.silence.begin();
        let stays = stays_open(&request);
        request.extensions_mut().insert(self.peer);
        // What goes on as something else outlives this connection's task, and keeps its place.
        if request.headers().contains_key(UPGRADE) {
            request.extensions_mut().insert(self.place.clone());
        }
        let answer = self.app.clone().call(request.map(|body| NotedRequest::new(body, &self.activity)));
        Box::pin(async move {
            let response = answer.await?;
            let in_chunks = stays && is_sent_in_chunks(&response);
            running.0.silence.in_chunks.store(in_chunks, Ordering::Relaxed);
            Ok(response.map(|body| NotedBody(Some((body, running)))))
        })
    }
}

/// Whether the connection goes on after the answer, as HTTP/1.1, for all that the request says. A request that is framed
/// in a way that the library may answer by closing is left to it.
fn stays_open(request: &Request<Incoming>) -> bool {
    let keeps = match single(request.headers(), CONNECTION) {
        Ok(value) => value.is_none_or(|value| value.eq_ignore_ascii_case(b"keep-alive")),
        Err(Several) => false,
    };
    request.version() == Version::HTTP_11
        && keeps
        && !request.headers().contains_key(UPGRADE)
        && !request.headers().contains_key(TRANSFER_ENCODING)
        && *request.method() != Method::HEAD
        && *request.method() != Method::CONNECT
}

/// Whether the library sends this answer in chunks and leaves the connection open behind it.
fn is_sent_in_chunks(response: &Response<Body>) -> bool {
    let status = response.status();
    let has_body = !status.is_informational() && status != StatusCode::NO_CONTENT && status != StatusCode::NOT_MODIFIED;
    let framed =
        [CONTENT_LENGTH, TRANSFER_ENCODING, CONNECTION].iter().any(|name| response.headers().contains_key(name));
    has_body && !framed && response.body().size_hint().exact().is_none()
}

/// More than one field of a name.
struct Several;

fn single(headers: &HeaderMap, name: http::HeaderName) -> Result<Option<&[u8]>, Several> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (value, None) => Ok(value.map(http::HeaderValue::as_bytes)),
        _ => Err(Several),
    }
}

/// A request's body, which tells when it was read to its end.
#[derive(Debug)]
struct NotedRequest {
    body: Incoming,
    activity: Arc<Activity>,
}

impl NotedRequest {
    fn new(body: Incoming, activity: &Arc<Activity>) -> Self {
        let noted = Self { body, activity: Arc::clone(activity) };
        noted.note_end(false);
        noted
    }

    fn note_end(&self, ended: bool) {
        if ended || self.body.is_end_stream() {
            self.activity.silence.request_read.store(true, Ordering::Relaxed);
        }
    }
}

impl HttpBody for NotedRequest {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(context));
        self.note_end(frame.is_none());
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// A response's body; while the protocol asks for more of it, the client is reading. There until it is handed over.
#[derive(Debug)]
pub(super) struct NotedBody(Option<Answer>);

impl HttpBody for NotedBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let Some((body, running)) = &mut self.0 else { return Poll::Ready(None) };
        let activity = &running.0;
        activity.note_progress();
        let frame = Pin::new(body).poll_frame(context);
        activity.silence.note_answer(frame.is_pending(), || activity.now());
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.0.as_ref().is_none_or(|(body, _)| body.is_end_stream())
    }

    fn size_hint(&self) -> SizeHint {
        self.0.as_ref().map(|(body, _)| body.size_hint()).unwrap_or_default()
    }
}

impl Drop for NotedBody {
    fn drop(&mut self) {
        let Some(answer) = self.0.take() else { return };
        let activity = Arc::clone(&answer.1.0);
        if activity.silence.wanted.load(Ordering::Relaxed) {
            *activity.silence.handed_over() = Some(answer);
        }
    }
}

/// The socket, with each read noted, and before it what was read from it already.
#[derive(Debug)]
pub(super) struct NotedStream {
    before: Bytes,
    stream: TokioIo<TcpStream>,
    activity: Arc<Activity>,
}

impl NotedStream {
    pub(super) fn new(stream: TcpStream, activity: Arc<Activity>) -> Self {
        Self { before: Bytes::new(), stream: TokioIo::new(stream), activity }
    }

    /// What is read first again.
    pub(super) fn put_back(&mut self, bytes: Bytes) {
        self.before = bytes;
    }

    fn note_write<T>(&self, written: Poll<T>) -> Poll<T> {
        self.activity.silence.write_blocked.store(written.is_pending(), Ordering::Relaxed);
        written
    }
}

impl Read for NotedStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        mut buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        if self.before.is_empty() {
            ready!(Pin::new(&mut self.stream).poll_read(context, buffer))?;
        } else {
            let count = self.before.len().min(buffer.remaining());
            buffer.put_slice(&self.before.split_to(count));
        }
        self.activity.note_read();
        Poll::Ready(Ok(()))
    }
}

impl Write for NotedStream {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.note_write(written)
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
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, slices);
        self.note_write(written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_may_rest_only_when_nothing_is_under_way_on_it() {
        let silent = || {
            let silence = Silence::default();
            silence.allow();
            silence.request_read.store(true, Ordering::Relaxed);
            silence.in_chunks.store(true, Ordering::Relaxed);
            silence.note_answer(true, || 5);
            silence
        };
        let silence = silent();
        silence.note_answer(true, || 7);
        assert_eq!(silence.began(), Some(5), "since it fell silent, not since it was asked last");

        silence.write_blocked.store(true, Ordering::Relaxed);
        assert_eq!(silence.began(), None, "what is in the library's buffer would be lost");
        let silence = silent();
        silence.possible.store(false, Ordering::Relaxed);
        assert_eq!(silence.began(), None, "nobody would take it up, and it would be due for ever");
        let silence = silent();
        silence.request_read.store(false, Ordering::Relaxed);
        assert_eq!(silence.began(), None, "the rest of the request would be read as the next");
        let silence = silent();
        silence.in_chunks.store(false, Ordering::Relaxed);
        assert_eq!(silence.began(), None, "it is framed in another way");
        let silence = silent();
        silence.note_answer(false, || 9);
        assert_eq!(silence.began(), None, "something has come");
        let silence = silent();
        silence.begin();
        assert_eq!(silence.began(), None, "that was another answer");
    }
}
