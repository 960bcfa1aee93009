//! A provider on a real socket that does what a test tells it: answers, stalls, lies, breaks off.
//!
//! Owns: both wire formats as a server writes them (OpenAI's chat completions at any path, Ollama's at `/api/chat`),
//! byte by byte, so that a test decides where a chunk ends and when the connection breaks. It records what it was sent
//! and which callers hung up.
//! Never does: use an HTTP library, which would hide exactly those things, or sleep unless told to.

mod wire;

use serde_json::Value;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::io::AsyncReadExt;
use tokio::net::tcp::OwnedReadHalf;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinHandle;
use wire::{After, Format, write_reply};

/// How long a test waits for something that should happen at once.
const PATIENCE: Duration = Duration::from_secs(10);
const LARGEST_REQUEST: usize = 4 * 1024 * 1024;

/// What the fake does with one request.
#[derive(Debug, Clone)]
pub enum Reply {
    /// Answers with these deltas, each in a chunk and a write of its own; whole if the request asks for that.
    Text(Vec<String>),
    /// The same with all chunks in one write.
    Burst(Vec<String>),
    /// The same, the whole stream cut into chunks of so many bytes, through characters and escapes.
    Torn(Vec<String>, usize),
    /// Each delta waits for a permit of [`FakeProvider::release`], and so does the end, whatever end it is.
    Gated(Vec<String>, Ending),
    /// Each delta waits for so long.
    Slow(Vec<String>, Duration),
    /// The deltas, then an end that HTTP calls clean but no reason and no `[DONE]` or `"done": true`.
    Truncated(Vec<String>),
    /// The deltas, then the connection breaks inside a chunk.
    Cut(Vec<String>),
    /// The deltas, then nothing for ever.
    Stalled(Vec<String>),
    /// Nothing at all, for ever.
    Silent,
    /// This status with this JSON body and these headers.
    Status(u16, Vec<(String, String)>, String),
    /// Bytes that are not HTTP.
    Garbage,
    /// A stream with one line of so many bytes.
    HugeLine(usize),
    /// Status 200 with this content type and this body.
    Typed(String, String),
    /// A stream of these texts, each in a chunk of its own, as they are.
    Raw(Vec<String>),
}

/// How a gated reply ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// As it should.
    Complete,
    /// As [`Reply::Truncated`].
    Truncated,
    /// As [`Reply::Cut`].
    Cut,
    /// With an error object that holds this text in place of a delta.
    Error(&'static str),
}

impl Reply {
    /// An answer in these pieces.
    pub fn text<const N: usize>(deltas: [&str; N]) -> Self {
        Self::Text(deltas.map(str::to_owned).to_vec())
    }

    /// An error status with a body that must never be seen by anybody.
    pub fn status(status: u16, body: impl Into<String>) -> Self {
        Self::Status(status, Vec::new(), body.into())
    }
}

/// A request as it arrived.
#[derive(Debug, Clone)]
pub struct Received {
    /// The path.
    pub path: String,
    /// The headers, names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl Received {
    /// The value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(other, _)| other == name).map(|(_, value)| value.as_str())
    }

    /// The body as JSON; null if it is none.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }
}

#[derive(Debug)]
struct Shared {
    script: Mutex<Vec<Reply>>,
    received: Mutex<Vec<Received>>,
    gate: Semaphore,
    requests: watch::Sender<usize>,
    hang_ups: watch::Sender<usize>,
    connections: watch::Sender<usize>,
}

/// The running fake. Dropping it ends it.
#[derive(Debug)]
pub struct FakeProvider {
    address: SocketAddr,
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

impl FakeProvider {
    /// Starts on a free loopback port. The n-th request gets the n-th reply, and every further one the last.
    ///
    /// # Errors
    /// When no port can be bound.
    pub async fn start(script: Vec<Reply>) -> io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared {
            script: Mutex::new(script),
            received: Mutex::default(),
            gate: Semaphore::new(0),
            requests: watch::Sender::new(0),
            hang_ups: watch::Sender::new(0),
            connections: watch::Sender::new(0),
        });
        let state = Arc::clone(&shared);
        let task = tokio::spawn(async move {
            // Connections end with this task: the set aborts what it still holds when dropped.
            let mut connections = tokio::task::JoinSet::new();
            while let Ok((socket, _)) = listener.accept().await {
                state.connections.send_modify(|count| *count += 1);
                connections.spawn(serve(socket, Arc::clone(&state)));
            }
        });
        Ok(Self { address, shared, task })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The base address for an OpenAI-compatible provider.
    pub fn openai_url(&self) -> String {
        format!("http://{}/v1", self.address)
    }

    /// The base address for Ollama.
    pub fn ollama_url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Replaces what is left of the script.
    pub fn set_script(&self, script: Vec<Reply>) {
        *self.shared.script.lock().unwrap_or_else(PoisonError::into_inner) = script;
    }

    /// What has been received so far.
    pub fn received(&self) -> Vec<Received> {
        self.shared.received.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// How many connections have been opened to it.
    pub fn connections(&self) -> usize {
        *self.shared.connections.borrow()
    }

    /// Lets a gated reply send so many more parts.
    pub fn release(&self, parts: usize) {
        self.shared.gate.add_permits(parts);
    }

    /// Waits until `count` requests have arrived; false if they do not come.
    pub async fn wait_for_requests(&self, count: usize) -> bool {
        reached(&self.shared.requests, count).await
    }

    /// Waits until `count` callers have hung up before their answer was over; false if they do not.
    pub async fn wait_for_hang_ups(&self, count: usize) -> bool {
        reached(&self.shared.hang_ups, count).await
    }
}

impl Drop for FakeProvider {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn reached(counter: &watch::Sender<usize>, count: usize) -> bool {
    let mut counter = counter.subscribe();
    let wait = counter.wait_for(|seen| *seen >= count);
    matches!(tokio::time::timeout(PATIENCE, wait).await, Ok(Ok(_)))
}

async fn serve(socket: TcpStream, shared: Arc<Shared>) {
    if socket.set_nodelay(true).is_err() {
        return;
    }
    let (mut reader, mut writer) = socket.into_split();
    while let Ok(Some(received)) = read_request(&mut reader).await {
        let format = Format::of(&received);
        shared.received.lock().unwrap_or_else(PoisonError::into_inner).push(received);
        let reply = shared.next_reply();
        shared.requests.send_modify(|count| *count += 1);
        let mut byte = [0_u8; 1];
        let outcome = tokio::select! {
            outcome = write_reply(&mut writer, reply, format, &shared.gate) => outcome,
            // A caller that waits sends nothing, so whatever can be read is its hanging up.
            _ = reader.read(&mut byte) => Err(io::ErrorKind::BrokenPipe.into()),
        };
        match outcome {
            Ok(After::NextRequest) => {}
            Ok(After::Close) => return,
            Err(_) => {
                shared.hang_ups.send_modify(|count| *count += 1);
                return;
            }
        }
    }
}

impl Shared {
    fn next_reply(&self) -> Reply {
        let mut script = self.script.lock().unwrap_or_else(PoisonError::into_inner);
        match script.len() {
            0 => Reply::Silent,
            1 => script[0].clone(),
            _ => script.remove(0),
        }
    }
}

async fn read_request(reader: &mut OwnedReadHalf) -> io::Result<Option<Received>> {
    let mut bytes = Vec::new();
    let (head, length) = loop {
        if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
            let length = header_lines(&head)
                .find(|(name, _)| name == "content-length")
                .and_then(|(_, value)| value.parse::<usize>().ok())
                .unwrap_or(0);
            bytes.drain(..end + 4);
            break (head, length);
        }
        if reader.read_buf(&mut bytes).await? == 0 || bytes.len() > LARGEST_REQUEST {
            return Ok(None);
        }
    };
    while bytes.len() < length.min(LARGEST_REQUEST) {
        if reader.read_buf(&mut bytes).await? == 0 {
            return Ok(None);
        }
    }
    Ok(Some(Received {
        path: head.split(' ').nth(1).unwrap_or("").to_owned(),
        headers: header_lines(&head).collect(),
        body: bytes,
    }))
}

fn header_lines(head: &str) -> impl Iterator<Item = (String, String)> {
    head.lines()
        .skip(1)
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
}
