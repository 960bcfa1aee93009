//! The parts of a connection that tell what it is doing: the router in front, a request's and an answer's body, the socket.
//!
//! Owns: what [`Activity`] hears from them, and the answer that was made while the library did not have the connection.
//! Never decides anything by it, and changes not a byte of what is asked or answered.

use super::unfinished::{HeadToCome, Unfinished};
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
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use tokio::net::TcpStream;
use tower::Service;

/// The router, with each request noted and told its peer.
pub(super) struct Front {
    app: Router,
    peer: PeerAddress,
    activity: Arc<Activity>,
    place: Place,
    /// The answer to the next request, which is [`STAND_IN`], and no one else's.
    made: Mutex<Option<Response<NotedBody>>>,
}

/// What the library is told for a request that it has read already: an answer that was made without it is sent by it as
/// the answer to this. How an answer is sent depends on nothing else of a request whose connection stays.
pub(super) const STAND_IN: &[u8] = b"GET / HTTP/1.1\r\n\r\n";

impl Front {
    pub(super) fn new(app: Router, peer: PeerAddress, activity: Arc<Activity>, place: Place) -> Self {
        Self { app, peer, activity, place, made: Mutex::new(None) }
    }

    /// Counts its connection as resting.
    pub(super) fn rest(&self) -> RestGuard {
        self.place.held.0.rest()
    }

    /// Answers the next request, which must be [`STAND_IN`], by this.
    pub(super) fn answer_next(&self, made: Response<NotedBody>) {
        *self.made() = Some(made);
    }

    fn made(&self) -> std::sync::MutexGuard<'_, Option<Response<NotedBody>>> {
        // It is put there and taken whole.
        self.made.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl hyper::service::Service<Request<Incoming>> for Front {
    type Response = Response<NotedBody>;
    type Error = Infallible;
    type Future = HeadToCome;

    fn call(&self, mut request: Request<Incoming>) -> Self::Future {
        let silence = &self.activity.silence;
        if let Some(made) = self.made().take() {
            self.activity.note_progress();
            silence.begin(is_sent_in_chunks(&made));
            silence.note_request_read();
            return HeadToCome::new(Box::pin(std::future::ready(made)), &self.activity);
        }
        let running = self.activity.begin(request.version());
        let stays = stays_open(&request);
        silence.begin(stays);
        request.extensions_mut().insert(self.peer);
        // What goes on as something else outlives this connection's task, and keeps its place.
        if request.headers().contains_key(UPGRADE) {
            request.extensions_mut().insert(self.place.clone());
        }
        let answer = self.app.clone().call(request.map(|body| NotedRequest::new(body, &self.activity)));
        let making = async move {
            let Ok(response) = answer.await;
            let in_chunks = stays && is_sent_in_chunks(&response);
            running.0.silence.note_head(in_chunks);
            response.map(|body| NotedBody(Some((body, running))))
        };
        HeadToCome::new(Box::pin(making), &self.activity)
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
fn is_sent_in_chunks(response: &Response<impl HttpBody>) -> bool {
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
            self.activity.silence.note_request_read();
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
pub(super) struct NotedBody(Option<(Body, RunningRequest)>);

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
        let Some((body, running)) = self.0.take() else { return };
        let activity = Arc::clone(&running.0);
        activity.silence.hand_over(Unfinished::Body(body, running));
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
        self.activity.silence.note_write(written.is_pending());
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
