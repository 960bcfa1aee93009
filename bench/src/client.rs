//! A bare HTTP/1.1 client on a kept connection: a request is bytes made beforehand, an answer is scanned, not parsed.
//!
//! It costs little enough that the load program does not measure itself.

use crate::Failure;
use std::time::Instant;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// A kept connection.
#[derive(Debug)]
pub struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
    at: usize,
}

/// An answer.
#[derive(Debug)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The body, chunks joined.
    pub body: Vec<u8>,
    /// When the first byte of the body was there.
    pub first_byte: Instant,
}

/// Host and port of an `http://` address, and the path behind it.
pub fn parts_of(url: &str) -> Result<(&str, &str), Failure> {
    let rest = url.strip_prefix("http://").ok_or("the address must begin with http://")?;
    Ok(match rest.find('/') {
        Some(at) => rest.split_at(at),
        None => (rest, "/"),
    })
}

/// A POST request as bytes.
pub fn post(host: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Vec<u8> {
    let mut text = format!("POST {path} HTTP/1.1\r\nhost: {host}\r\ncontent-type: application/json\r\n");
    for (name, value) in headers {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    text.push_str(&format!("content-length: {}\r\n\r\n{body}", body.len()));
    text.into_bytes()
}

impl Connection {
    /// Opens one.
    #[expect(
        clippy::disallowed_methods,
        reason = "the load program is no part of the product, whose sockets are guarded"
    )]
    pub async fn open(host: &str) -> Result<Self, Failure> {
        let stream = TcpStream::connect(host).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, buffer: Vec::with_capacity(32 * 1024), at: 0 })
    }

    /// Sends a request and does not wait.
    pub async fn send(&mut self, request: &[u8]) -> Result<(), Failure> {
        Ok(self.stream.write_all(request).await?)
    }

    /// Sends a request and reads the whole answer.
    pub async fn exchange(&mut self, request: &[u8]) -> Result<Answer, Failure> {
        self.send(request).await?;
        self.buffer.clear();
        self.at = 0;
        let status = self.line().await?;
        let status = status.split(' ').nth(1).ok_or("no status")?.parse()?;
        let (mut length, mut chunked) = (0, false);
        loop {
            let line = self.line().await?;
            if line.is_empty() {
                break;
            }
            let (name, value) = line.split_once(':').ok_or("a header without a colon")?;
            if name.eq_ignore_ascii_case("content-length") {
                length = value.trim().parse()?;
            } else if name.eq_ignore_ascii_case("transfer-encoding") {
                chunked = value.trim().eq_ignore_ascii_case("chunked");
            }
        }
        let mut body = Vec::new();
        if self.at == self.buffer.len() {
            self.more().await?;
        }
        let first_byte = Instant::now();
        if chunked {
            loop {
                let line = self.line().await?;
                let size = usize::from_str_radix(line.split(';').next().unwrap_or("").trim(), 16)?;
                self.take(size, &mut body).await?;
                self.line().await?;
                if size == 0 {
                    break;
                }
            }
        } else {
            self.take(length, &mut body).await?;
        }
        Ok(Answer { status, body, first_byte })
    }

    async fn more(&mut self) -> Result<(), Failure> {
        if self.stream.read_buf(&mut self.buffer).await? == 0 {
            return Err("the server closed the connection".into());
        }
        Ok(())
    }

    async fn line(&mut self) -> Result<String, Failure> {
        loop {
            if let Some(length) = self.buffer[self.at..].iter().position(|byte| *byte == b'\n') {
                let line = &self.buffer[self.at..self.at + length];
                let line = String::from_utf8_lossy(line.strip_suffix(b"\r").unwrap_or(line)).into_owned();
                self.at += length + 1;
                return Ok(line);
            }
            self.more().await?;
        }
    }

    async fn take(&mut self, length: usize, into: &mut Vec<u8>) -> Result<(), Failure> {
        while self.buffer.len() - self.at < length {
            self.more().await?;
        }
        into.extend_from_slice(&self.buffer[self.at..self.at + length]);
        self.at += length;
        Ok(())
    }
}
