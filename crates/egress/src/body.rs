//! Bodies under caps: a stranger's page with its decompression, and a provider's stream with its deadlines.
//!
//! Owns: `read_page`, `BodyStream`.
//! Never does: hold more than the cap, or let a body that was cut short look complete.

use crate::error::{CallError, CallFailure, FetchError, FetchFailure};
use crate::exchange::Reading;
use bytes::{Bytes, BytesMut};
use flate2::write::GzDecoder;
use http::HeaderMap;
use http::header::CONTENT_ENCODING;
use http_body_util::BodyExt;
use hyper::body::{Body, Frame, Incoming};
use std::fmt;
use std::future::poll_fn;
use std::io::{self, Write};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::time::{Instant, Sleep};

/// What a first allocation may trust a Content-Length with.
const FIRST_ALLOCATION: usize = 64 * 1024;

/// How a body is encoded. Everything else is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Encoding {
    Identity,
    Gzip,
}

impl Encoding {
    /// The one encoding of a response, or `None` if it is one we never asked for, or several.
    pub(crate) fn of(headers: &HeaderMap) -> Option<Self> {
        let mut encodings = headers.get_all(CONTENT_ENCODING).iter();
        let Some(first) = encodings.next() else {
            return Some(Self::Identity);
        };
        if encodings.next().is_some() {
            return None;
        }
        let first = first.to_str().ok()?.trim();
        if first.is_empty() || first.eq_ignore_ascii_case("identity") {
            Some(Self::Identity)
        } else if first.eq_ignore_ascii_case("gzip") || first.eq_ignore_ascii_case("x-gzip") {
            Some(Self::Gzip)
        } else {
            None
        }
    }
}

/// Reads a whole body; `max` bounds it on the wire and decompressed. The caller sets the deadline around it.
pub(crate) async fn read_page(mut body: Incoming, encoding: Encoding, max: usize) -> Result<Bytes, FetchError> {
    let too_large = || FetchError::new(FetchFailure::TooLarge);
    if body.size_hint().lower() > max as u64 {
        return Err(too_large());
    }
    let first = usize::try_from(body.size_hint().lower()).unwrap_or(0).min(FIRST_ALLOCATION);
    let page = CappedPage { bytes: Vec::with_capacity(first), max, over: false };
    let mut page = match encoding {
        Encoding::Identity => Page::Plain(page),
        Encoding::Gzip => Page::Gzip(GzDecoder::new(page)),
    };
    let mut received = 0_usize;
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame?.into_data() else {
            continue; // trailers
        };
        received = received.saturating_add(data.len());
        if received > max {
            return Err(too_large());
        }
        page.write(&data)?;
        // Decompressing is work without a wait in it; let other tasks run between the pieces.
        tokio::task::consume_budget().await;
    }
    page.finish()
}

enum Page {
    Plain(CappedPage),
    Gzip(GzDecoder<CappedPage>),
}

impl Page {
    fn write(&mut self, mut data: &[u8]) -> Result<(), FetchError> {
        match self {
            Self::Plain(page) => page.write_all(data).map_err(|_| page.failure()),
            Self::Gzip(decoder) => {
                while !data.is_empty() {
                    match decoder.write(data) {
                        // The stream has ended. Padding behind it is common; it is counted and ignored.
                        Ok(0) => break,
                        Ok(taken) => data = &data[taken..],
                        Err(_) => return Err(decoder.get_ref().failure()),
                    }
                }
                Ok(())
            }
        }
    }

    fn finish(self) -> Result<Bytes, FetchError> {
        match self {
            Self::Plain(page) => Ok(page.bytes.into()),
            Self::Gzip(mut decoder) => match decoder.try_finish() {
                // Complete, and of the length and checksum that it claims.
                Ok(()) => Ok(std::mem::take(&mut decoder.get_mut().bytes).into()),
                Err(_) => Err(decoder.get_ref().failure()),
            },
        }
    }
}

/// A buffer that refuses to grow over its cap.
struct CappedPage {
    bytes: Vec<u8>,
    max: usize,
    over: bool,
}

impl CappedPage {
    fn failure(&self) -> FetchError {
        FetchError::new(if self.over { FetchFailure::TooLarge } else { FetchFailure::BadEncoding })
    }
}

impl Write for CappedPage {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        if data.len() > self.max - self.bytes.len() {
            self.over = true;
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        self.bytes.extend_from_slice(data);
        Ok(data.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Where a body comes from.
pub(crate) enum Source {
    /// The library's pool.
    Pooled(Incoming),
    /// A connection that this drives.
    InPlace(Reading),
}

impl Source {
    /// The next piece with bytes in it. Trailers and empty frames are not bytes; they do not lengthen the wait.
    fn poll_piece(&mut self, context: &mut Context<'_>) -> Poll<Result<Option<Bytes>, CallError>> {
        match self {
            Self::InPlace(reading) => reading.poll_piece(context),
            Self::Pooled(body) => loop {
                match ready!(Pin::new(&mut *body).poll_frame(context)).transpose()?.map(Frame::into_data) {
                    None => return Poll::Ready(Ok(None)),
                    Some(Ok(data)) if !data.is_empty() => return Poll::Ready(Ok(Some(data))),
                    Some(_) => {}
                }
            },
        }
    }
}

/// A provider's response body as it comes in. Dropping it closes the exchange upstream.
pub struct BodyStream {
    /// `None` after the end or a failure.
    source: Option<Source>,
    failed: Option<CallError>,
    remaining: usize,
    between: Duration,
    end: Instant,
    /// One timer for the whole body, moved for each wait.
    timer: Pin<Box<Sleep>>,
}

impl BodyStream {
    pub(crate) fn new(source: Source, max: usize, between: Duration, end: Instant, timer: Pin<Box<Sleep>>) -> Self {
        Self { source: Some(source), failed: None, remaining: max, between, end, timer }
    }

    /// Whether everything that has arrived comes with one call of [`BodyStream::chunk`]; else it may take the turn of
    /// another task until the next piece is there.
    pub fn is_in_place(&self) -> bool {
        matches!(self.source, Some(Source::InPlace(_)))
    }

    /// The next piece, as it arrived; `None` once the body is complete as HTTP defines it.
    ///
    /// # Errors
    /// A silence longer than the deadline between bytes, the total deadline, the cap, or a body that ends before
    /// its declared end. The same error is returned again by later calls.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, CallError> {
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
        let outcome = self.next().await;
        if let Err(error) = &outcome {
            self.failed = Some(error.clone());
        }
        if !matches!(outcome, Ok(Some(_))) {
            let source = self.source.take();
            if let (Ok(None), Some(Source::InPlace(reading))) = (&outcome, source) {
                reading.finish();
            }
        }
        outcome
    }

    /// The rest of the body in one piece.
    ///
    /// # Errors
    /// As [`BodyStream::chunk`].
    pub async fn collect(mut self) -> Result<Bytes, CallError> {
        let Some(first) = self.chunk().await? else {
            return Ok(Bytes::new());
        };
        // One piece is the usual case, and is handed on without a copy.
        let Some(second) = self.chunk().await? else {
            return Ok(first);
        };
        let mut whole = BytesMut::from(first.as_ref());
        whole.extend_from_slice(&second);
        while let Some(next) = self.chunk().await? {
            whole.extend_from_slice(&next);
        }
        Ok(whole.freeze())
    }

    async fn next(&mut self) -> Result<Option<Bytes>, CallError> {
        let Some(source) = &mut self.source else {
            return Ok(None);
        };
        let silent = Instant::now() + self.between;
        self.timer.as_mut().reset(silent.min(self.end));
        let piece = tokio::select! {
            // The deadline first: a peer that always has one more byte ready cannot outrun it.
            biased;
            () = self.timer.as_mut() => {
                return Err(CallError::new(if self.end <= silent {
                    CallFailure::TotalTimeout
                } else {
                    CallFailure::BetweenBytesTimeout
                }));
            }
            piece = poll_fn(|context| source.poll_piece(context)) => piece?,
        };
        let Some(data) = piece else {
            return Ok(None);
        };
        if data.len() > self.remaining {
            return Err(CallError::new(CallFailure::TooLarge));
        }
        self.remaining -= data.len();
        Ok(Some(data))
    }
}

impl fmt::Debug for BodyStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BodyStream")
            .field("remaining", &self.remaining)
            .field("failed", &self.failed)
            .finish_non_exhaustive()
    }
}
