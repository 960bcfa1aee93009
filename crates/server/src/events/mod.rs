//! Security events: one JSON line each, in a file that the guides' greps find (`grep RATE_LIMIT_EXCEEDED`).
//!
//! Owns: the bounded way from any thread to the file, the gathering of storms, rotation, retention and the shortening of
//! old addresses, and a count per event. Never does: block or fail its caller, or write message content, tokens, keys or whole session ids.
//! A full disk or an unwritable file costs lines (counted, and said in the file once it works again), never an answer.

mod file;
mod filter;
mod history;
mod line;
mod newest;
mod shorten;
mod storms;
#[cfg(test)]
mod tests;
mod time;
mod writer;

pub use file::rotate_after;
pub use filter::{Filter, Wanted, read_line};
pub use history::{Follower, files};
pub use line::{neutral, text_of};
pub use newest::{Newest, newest};
pub use shorten::shorten_old;
pub use time::{parse as parse_time, rfc3339 as time_text};

use crate::config::Logging;
use chatward_types::{Clock, Event, EventName};
use std::collections::VecDeque;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;
use storms::{Storms, Verdict};
use tokio::sync::broadcast;
use writer::{Command, Writer};

/// Events that may wait for the writer.
const QUEUE: usize = 8192;
/// Events that stay readable in memory.
const TAIL: usize = 256;
/// Counters; one for each event name, with room for new names.
const NAMES: usize = 64;

/// The way to the security log; clones share everything. The file closes when the last clone is dropped.
#[derive(Clone)]
pub struct EventLog {
    sender: Option<SyncSender<Command>>,
    shared: Arc<Shared>,
}

/// What callers and the writer share.
struct Shared {
    clock: Arc<dyn Clock>,
    counters: [Counter; NAMES],
    tail: Mutex<VecDeque<Arc<Event>>>,
    /// Those who watch; whoever is slower than the ring loses what it drops, and is told how much.
    watchers: broadcast::Sender<Arc<Event>>,
    storms: Mutex<Storms>,
    dropped: AtomicU64,
    dropped_in_all: AtomicU64,
    write_failures: AtomicU64,
}

struct Counter {
    name: OnceLock<&'static str>,
    count: AtomicU64,
}

impl EventLog {
    /// Starts the writer for the configured file. Cannot fail: a file that cannot be opened is tried again and again,
    /// and the server's own log says so.
    pub fn start(settings: &Logging, clock: Arc<dyn Clock>) -> Self {
        let shared = Shared::new(clock);
        let Some(path) = settings.security_file.clone() else {
            return Self { sender: None, shared };
        };
        let (sender, receiver) = sync_channel(QUEUE);
        let out = file::RotatingFile::new(path, settings);
        let writer = Writer::new(out, Arc::clone(&shared));
        let thread = std::thread::Builder::new().name("security-log".to_owned());
        match thread.spawn(move || writer.run(&receiver)) {
            Ok(_) => Self { sender: Some(sender), shared },
            Err(error) => {
                tracing::error!(source = %error, "the security log has no thread to write it");
                Self { sender: None, shared }
            }
        }
    }

    /// Writes nothing; counts and keeps the tail. For commands that work beside a server.
    pub fn discarding(clock: Arc<dyn Clock>) -> Self {
        Self { sender: None, shared: Shared::new(clock) }
    }

    /// Hands an event over. Never waits, never fails; when the writer cannot keep up, the event is counted as dropped.
    pub fn emit(&self, event: Event) {
        let shared = &self.shared;
        shared.count(event.name);
        if storms::gathers(event.name) && lock(&shared.storms).judge(&event, shared.clock.now()) == Verdict::Gather {
            return;
        }
        let event = Arc::new(event);
        {
            let mut tail = lock(&shared.tail);
            if tail.len() == TAIL {
                tail.pop_front();
            }
            tail.push_back(Arc::clone(&event));
        }
        // An error says that nobody watches.
        let _ = shared.watchers.send(Arc::clone(&event));
        if let Some(sender) = &self.sender
            && sender.try_send(Command::Write(event)).is_err()
        {
            shared.count_dropped();
        }
    }

    /// Waits until everything emitted so far is in the file and on the disk, but no longer than `deadline`.
    /// Says whether it is. What was gathered of storms is written too.
    pub async fn flush(&self, deadline: Duration) -> bool {
        let Some(sender) = &self.sender else { return true };
        let (done, answer) = tokio::sync::oneshot::channel();
        let mut command = Command::Flush(done);
        let asked = async {
            loop {
                command = match sender.try_send(command) {
                    Ok(()) => return answer.await.unwrap_or(false),
                    Err(TrySendError::Full(command)) => command,
                    Err(TrySendError::Disconnected(_)) => return false,
                };
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(deadline, asked).await.unwrap_or(false)
    }

    /// The last events, oldest first (at most 256); those gathered into one line are not among them.
    pub fn tail(&self) -> Vec<Arc<Event>> {
        lock(&self.shared.tail).iter().cloned().collect()
    }

    /// Hears of every event from now on; those gathered into one line are not among them.
    pub fn watch(&self) -> broadcast::Receiver<Arc<Event>> {
        self.shared.watchers.subscribe()
    }

    /// How often each event was emitted, by name; names that never were are missing.
    pub fn counts(&self) -> Vec<(&'static str, u64)> {
        self.shared
            .counters
            .iter()
            .filter_map(|counter| Some((*counter.name.get()?, counter.count.load(Ordering::Relaxed))))
            .collect()
    }

    /// Events that never reached the file because the queue was full.
    pub fn dropped(&self) -> u64 {
        self.shared.dropped_in_all.load(Ordering::Relaxed)
    }

    /// Attempts to write the file that failed.
    pub fn write_failures(&self) -> u64 {
        self.shared.write_failures.load(Ordering::Relaxed)
    }
}

impl fmt::Debug for EventLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EventLog")
            .field("writes", &self.sender.is_some())
            .field("dropped", &self.dropped())
            .finish_non_exhaustive()
    }
}

impl Shared {
    fn new(clock: Arc<dyn Clock>) -> Arc<Self> {
        Arc::new(Self {
            clock,
            counters: std::array::from_fn(|_| Counter { name: OnceLock::new(), count: AtomicU64::new(0) }),
            tail: Mutex::new(VecDeque::with_capacity(TAIL)),
            watchers: broadcast::Sender::new(TAIL),
            storms: Mutex::new(Storms::default()),
            dropped: AtomicU64::new(0),
            dropped_in_all: AtomicU64::new(0),
            write_failures: AtomicU64::new(0),
        })
    }

    fn count_dropped(&self) {
        self.dropped.fetch_add(1, Ordering::Relaxed);
        self.dropped_in_all.fetch_add(1, Ordering::Relaxed);
    }

    fn count(&self, name: EventName) {
        if let Some(counter) = self.counters.get(name as usize) {
            counter.name.get_or_init(|| name.as_str());
            counter.count.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// A panic elsewhere must not silence the log.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
