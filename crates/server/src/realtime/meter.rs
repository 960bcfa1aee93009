//! How many bytes a socket reads a minute: what no frame shows, because no frame ever ends, counts here too.
//!
//! Owns: the count under the protocol. Empty fragments without end and pings without end are bytes. Never looks at them.

use std::fmt;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Instant;

const WINDOW: Duration = Duration::from_secs(60);

/// A stream that reads only so much a minute.
#[derive(Debug)]
pub(super) struct Metered<S> {
    stream: S,
    most: usize,
    read: usize,
    since: Instant,
}

/// Why reading failed.
#[derive(Debug)]
pub(super) struct Flooded;

impl fmt::Display for Flooded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("more bytes than may be read in a minute")
    }
}

impl std::error::Error for Flooded {}

impl<S> Metered<S> {
    pub(super) fn new(stream: S, most: usize) -> Self {
        Self { stream, most, read: 0, since: Instant::now() }
    }

    /// The stream, for the last bytes that are read and thrown away.
    pub(super) fn unmetered(&mut self) -> &mut S {
        &mut self.stream
    }

    fn count(&mut self, bytes: usize) -> bool {
        let now = Instant::now();
        if now - self.since >= WINDOW {
            (self.since, self.read) = (now, 0);
        }
        self.read = self.read.saturating_add(bytes);
        self.read <= self.most
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Metered<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(context, buffer))?;
        let bytes = buffer.filled().len() - before;
        Poll::Ready(if self.count(bytes) { Ok(()) } else { Err(io::Error::other(Flooded)) })
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Metered<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::AsyncReadExt;

    #[tokio::test]
    async fn a_byte_too_many_fails_the_read_and_a_new_minute_begins_anew() {
        let bytes = [7_u8; 40];
        let mut metered = Metered::new(&bytes[..], 10);
        let mut buffer = [0; 5];
        assert_eq!(metered.read(&mut buffer).await.expect("five"), 5);
        assert_eq!(metered.read(&mut buffer).await.expect("ten"), 5);
        let error = metered.read(&mut buffer).await.expect_err("too many");
        assert!(error.get_ref().is_some_and(|inner| inner.is::<Flooded>()));
        metered.since -= WINDOW;
        assert_eq!(metered.read(&mut buffer).await.expect("a new minute"), 5);
    }
}
