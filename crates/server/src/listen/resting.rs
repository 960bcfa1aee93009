//! A connection whose answer is silent: it waits without the library's buffers.
//!
//! The HTTP library gives each connection sixteen kilobytes for what is read and written, and keeps them for as long as it
//! drives the connection; most of the time of an answer is spent waiting for a provider. So a connection that waits is taken
//! out of the library. Of a streamed answer the chunks are written here, and the library gets the connection back when the
//! answer is over; for an answer that has not begun it gets the connection back as soon as there is a head to send.
//!
//! Owns: the chunked coding of such an answer's remainder (RFC 9112, section 7.1), and noticing that the client has left.
//! Never holds more than one piece of the answer, reads a request, or rests while something that was written before has not
//! gone out (`noted::Silence`).

use super::noted::{Front, NotedStream, STAND_IN};
use super::unfinished::Unfinished;
use super::watch::Activity;
use crate::limits::RestGuard;
use axum::body::Bytes;
use http::HeaderValue;
use http::header::CONNECTION;
use http_body::Body as _;
use hyper::rt::{Read as _, ReadBuf, Write as _};
use hyper::server::conn::http1::UpgradeableConnection;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

/// What of a next request is read here, to tell a client that sends one from a client that leaves.
const GLANCE: usize = 16;

/// How a rest ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// The library can have it back: the answer went out whole, or can begin.
    Awake,
    /// The connection is over: the client left, the answer broke off, or no further request is wanted.
    Over,
}

/// A connection in the middle of an answer.
pub(super) struct Resting {
    stream: NotedStream,
    front: Front,
    /// What the client sent behind its request; while there is some, nothing more is read.
    ahead: Bytes,
    /// None once its end is in `out`, or its head with the front.
    answer: Option<Unfinished>,
    out: Bytes,
    has_head: bool,
    is_last: bool,
    _counted: RestGuard,
}

impl Resting {
    /// Takes a connection out of the library. Everything that it has written must have gone out.
    pub(super) fn instead_of(
        connection: UpgradeableConnection<NotedStream, Front>,
        activity: &Activity,
    ) -> Option<Self> {
        let mut parts = None;
        let answer = activity.silence.take(|| parts = connection.into_parts())?;
        let parts = parts?;
        Some(Self {
            _counted: parts.service.rest(),
            stream: parts.io,
            front: parts.service,
            // Even an empty piece of the library's buffer would hold all of it.
            ahead: Bytes::copy_from_slice(&parts.read_buf),
            answer: Some(answer),
            out: Bytes::new(),
            has_head: false,
            is_last: false,
        })
    }

    /// Takes no further request.
    pub(super) fn end_gracefully(&mut self) {
        self.is_last = true;
    }

    /// Writes what comes of the answer, until its end or that of the connection.
    pub(super) fn poll(&mut self, context: &mut Context<'_>) -> Poll<End> {
        loop {
            while !self.out.is_empty() {
                match ready!(Pin::new(&mut self.stream).poll_write(context, &self.out)) {
                    Ok(count) if count > 0 => drop(self.out.split_to(count)),
                    _ => return Poll::Ready(End::Over),
                }
            }
            // An empty piece of what was written would hold all of it.
            self.out = Bytes::new();
            let (body, running) = match &mut self.answer {
                Some(Unfinished::Body(body, running)) => (body, running),
                Some(Unfinished::Whole(making)) => {
                    let Poll::Ready(mut made) = making.as_mut().poll(context) else {
                        ready!(self.poll_left(context));
                        return Poll::Ready(End::Over);
                    };
                    if self.is_last {
                        made.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
                    }
                    self.answer = None;
                    self.front.answer_next(made);
                    self.has_head = true;
                    return Poll::Ready(End::Awake);
                }
                None if self.is_last => {
                    let _ = ready!(Pin::new(&mut self.stream).poll_shutdown(context));
                    return Poll::Ready(End::Over);
                }
                None => return Poll::Ready(End::Awake),
            };
            running.0.note_progress();
            match Pin::new(body).poll_frame(context) {
                Poll::Ready(Some(Ok(frame))) => {
                    // An empty chunk would be the end.
                    if let Ok(data) = frame.into_data()
                        && !data.is_empty()
                    {
                        self.out = chunk(&data);
                    }
                }
                Poll::Ready(None) => {
                    self.answer = None;
                    self.out = Bytes::from_static(b"0\r\n\r\n");
                }
                // What is cut off must not look whole.
                Poll::Ready(Some(Err(_))) => return Poll::Ready(End::Over),
                Poll::Pending => {
                    ready!(self.poll_left(context));
                    return Poll::Ready(End::Over);
                }
            }
        }
    }

    /// The connection, for the answer's head or the next request.
    pub(super) fn awake(self) -> (NotedStream, Front) {
        let Self { mut stream, front, ahead, has_head, .. } = self;
        stream.put_back(if has_head { [STAND_IN, &ahead].concat().into() } else { ahead });
        (stream, front)
    }

    /// Ready when the client has left. Only what comes next is looked at: the rest stays in the socket, as a bound.
    fn poll_left(&mut self, context: &mut Context<'_>) -> Poll<()> {
        if !self.ahead.is_empty() {
            return Poll::Pending;
        }
        let mut glance = [0; GLANCE];
        let mut buffer = ReadBuf::new(&mut glance);
        match ready!(Pin::new(&mut self.stream).poll_read(context, buffer.unfilled())) {
            Ok(()) if !buffer.filled().is_empty() => {
                self.ahead = Bytes::copy_from_slice(buffer.filled());
                Poll::Pending
            }
            _ => Poll::Ready(()),
        }
    }
}

/// One chunk: its length in hexadecimal, and it.
fn chunk(data: &[u8]) -> Bytes {
    let mut out = format!("{:x}\r\n", data.len()).into_bytes();
    out.reserve_exact(data.len() + 2);
    out.extend_from_slice(data);
    out.extend_from_slice(b"\r\n");
    out.into()
}
