//! One socket as a front sees it: texts in, texts out.
//!
//! Owns: what lies under a text. Pings are sent and answered, frames counted and capped, a client that is silent or does not
//! read is given up. Nothing is buffered beyond one frame in each direction: whoever sends waits until the client reads.

use super::End;
use super::meter::Metered;
use crate::{config, error};
use chatward_types::{Error, Kind};
use futures_util::{SinkExt, StreamExt};
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, sleep_until, timeout};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Message, Utf8Bytes};

/// How many messages of the largest size are read a minute.
const MESSAGES_OF_BYTES: usize = 16;
/// What is buffered of what a client sends before it is a frame, and of what it is sent.
const READ_BUFFER: usize = 4 * 1024;
const WRITE_BUFFER: usize = 256 * 1024;
/// How long a client has to answer a close, and how many of its last bytes are read and thrown away meanwhile. Closing a
/// connection with bytes unread would cut off the frame that says why.
const CLOSING: Duration = Duration::from_secs(2);
const LAST_BYTES: usize = 1024 * 1024;

/// An open WebSocket.
pub struct Socket {
    stream: WebSocketStream<Metered<TokioIo<Upgraded>>>,
    settings: config::Sockets,
    /// When the client is asked whether it is there, or given up if it was asked.
    due: Instant,
    asked: bool,
    window: Instant,
    frames: u32,
    received: u64,
    sent: u64,
}

impl std::fmt::Debug for Socket {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Socket").field("received", &self.received).field("sent", &self.sent).finish_non_exhaustive()
    }
}

impl Socket {
    pub(super) async fn new(upgraded: Upgraded, settings: &config::Sockets) -> Self {
        let most = settings.max_message_bytes;
        let config = WebSocketConfig::default()
            .read_buffer_size(READ_BUFFER)
            .write_buffer_size(0)
            .max_write_buffer_size(WRITE_BUFFER)
            .max_message_size(Some(most))
            .max_frame_size(Some(most))
            .accept_unmasked_frames(false);
        let stream = Metered::new(TokioIo::new(upgraded), most.saturating_mul(MESSAGES_OF_BYTES));
        let now = Instant::now();
        Self {
            stream: WebSocketStream::from_raw_socket(stream, Role::Server, Some(config)).await,
            due: now + settings.ping_every,
            settings: settings.clone(),
            asked: false,
            window: now,
            frames: 0,
            received: 0,
            sent: 0,
        }
    }

    /// The next text. It may be dropped while it waits.
    ///
    /// # Errors
    /// Why there is none any more.
    pub async fn receive(&mut self) -> Result<Utf8Bytes, End> {
        loop {
            tokio::select! {
                frame = self.stream.next() => {
                    let frame = match frame {
                        Some(Ok(frame)) => frame,
                        Some(Err(error)) => return Err(End::of(&error)),
                        None => return Err(End::Lost),
                    };
                    self.note_frame()?;
                    match frame {
                        Message::Text(text) => {
                            self.received += 1;
                            return Ok(text);
                        }
                        Message::Binary(_) => return Err(End::Binary),
                        Message::Close(_) => return Err(End::Left),
                        // A ping is answered by the protocol, one answer at a time.
                        Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => {}
                    }
                }
                () = sleep_until(self.due) => {
                    if self.asked {
                        return Err(End::Silent);
                    }
                    self.asked = true;
                    self.due = Instant::now() + self.settings.ping_every;
                    self.transmit(Message::Ping(Default::default())).await?;
                }
            }
        }
    }

    /// Sends a text and waits until it is on its way.
    ///
    /// # Errors
    /// [`End::Slow`] when the client does not read in time; else why the socket is over.
    pub async fn send(&mut self, text: String) -> Result<(), End> {
        self.transmit(Message::Text(text.into())).await?;
        self.sent += 1;
        Ok(())
    }

    /// Answers a text: what is no JSON gets an error and ends the socket, what is refused gets an error.
    ///
    /// # Errors
    /// As [`Socket::send`], and [`End::NotJson`].
    pub async fn answer(&mut self, answer: Result<String, Error>, request_id: &str) -> Result<(), End> {
        match answer {
            Ok(text) => self.send(text).await,
            Err(refusal) => {
                self.send(error::frame_text(&refusal, request_id)).await?;
                if refusal.kind() == Kind::Malformed { Err(End::NotJson) } else { Ok(()) }
            }
        }
    }

    /// Texts received and sent.
    pub(super) fn counts(&self) -> (u64, u64) {
        (self.received, self.sent)
    }

    /// Tells the client why, and closes the connection.
    pub(super) async fn close(mut self, end: End) {
        let closing = async {
            let told = match end.frame() {
                Some(frame) => self.stream.send(Message::Close(Some(frame))).await,
                // The answer to the client's own close waits to be sent.
                None => self.stream.flush().await,
            };
            // Where there is nobody to tell there is nobody to wait for.
            if told.is_err() && matches!(end, End::Lost | End::Left) {
                return;
            }
            let stream = self.stream.get_mut().unmetered();
            let _ = stream.shutdown().await;
            let (mut scratch, mut read) = ([0; 1024], 0);
            while let Ok(bytes) = stream.read(&mut scratch).await {
                read += bytes;
                if bytes == 0 || read > LAST_BYTES {
                    break;
                }
            }
        };
        let _ = timeout(CLOSING, closing).await;
    }

    async fn transmit(&mut self, message: Message) -> Result<(), End> {
        match timeout(self.settings.write_timeout, self.stream.send(message)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(End::of(&error)),
            Err(_) => Err(End::Slow),
        }
    }

    /// Whatever comes shows that the client is there, and counts.
    fn note_frame(&mut self) -> Result<(), End> {
        let now = Instant::now();
        self.asked = false;
        self.due = now + self.settings.ping_every;
        if now - self.window >= Duration::from_secs(60) {
            (self.window, self.frames) = (now, 0);
        }
        self.frames = self.frames.saturating_add(1);
        if self.frames > self.settings.messages_per_minute { Err(End::Flood) } else { Ok(()) }
    }
}
