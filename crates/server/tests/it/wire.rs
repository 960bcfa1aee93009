//! What no HTTP library sends, sent byte by byte to a world's public listener.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking, as tests do")]

use crate::world::{PATIENCE, World};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// Opens a connection and sends `bytes` on it.
pub(crate) async fn begin(world: &World, bytes: impl AsRef<[u8]>) -> TcpStream {
    let mut stream = world.connect().await;
    stream.write_all(bytes.as_ref()).await.unwrap();
    stream
}

/// Reads one answer, head and body, from the connection.
pub(crate) async fn answer(stream: &mut TcpStream) -> String {
    let mut received = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let text = String::from_utf8_lossy(&received).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length =
                head.lines().find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok());
            if body.len() >= length.unwrap_or(0) {
                return text;
            }
        }
        match timeout(PATIENCE, stream.read(&mut buffer)).await {
            Ok(Ok(count)) if count > 0 => received.extend_from_slice(&buffer[..count]),
            Ok(_) => return text,
            Err(_) => panic!("no whole answer in time, only {text:?}"),
        }
    }
}

/// Sends `bytes` on a connection of their own and reads the answer.
pub(crate) async fn exchange(world: &World, bytes: impl AsRef<[u8]>) -> String {
    answer(&mut begin(world, bytes).await).await
}

/// The status code of an answer; 0 where there is none.
pub(crate) fn status(answer: &str) -> u16 {
    answer.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap_or(0)
}

/// How often an event of this name was emitted, gathered ones included.
pub(crate) fn count_of(world: &World, name: &str) -> u64 {
    world.app.events.counts().iter().find(|(other, _)| *other == name).map_or(0, |(_, count)| *count)
}

/// Waits until `reached` holds; the test fails where that never comes.
pub(crate) async fn until(reached: impl Fn() -> bool) {
    let waiting = async {
        while !reached() {
            tokio::task::yield_now().await;
        }
    };
    assert!(timeout(PATIENCE, waiting).await.is_ok(), "it never came to that");
}
