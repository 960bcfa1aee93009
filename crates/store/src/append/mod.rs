//! Hot rows: messages, usage, sessions and touches, committed in batches by one task.
//!
//! Owns: `HotRow`, the bounded queue and the writer's task. A batch is whatever waits when the last one is done, up to
//! 512 rows or 4 MiB; a lone append commits at once, and a crowd waits two milliseconds for more of its kind and shares one
//! sync to disk.
//! An append is all or nothing and is acknowledged after COMMIT. A row that the database refuses fails its own append:
//! the batch is split until the culprit is alone. Never loses an acknowledged row, never revives an erased conversation.

mod batch;
mod visit;

use crate::messages::MessageRow;
use crate::sessions::SessionRow;
use crate::sqlite::Connections;
use crate::store::{Pools, Store};
use crate::usage::UsageRow;
use chatward_types::{Error, Kind, Result, Scope, SessionId, Timestamp};
use std::collections::VecDeque;
use std::future::Future;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// Rows in one batch.
const BATCH_ROWS: usize = 512;
/// Sealed bytes in one batch, and in one append.
const BATCH_BYTES: usize = 4 << 20;
/// How long a crowd is waited for after a batch of several: each commit costs a sync to the disk and a change of
/// threads, so that fewer and larger ones carry more. A lone append never waits.
const GATHERING: Duration = Duration::from_millis(2);
/// Appends that may wait.
const QUEUE_APPENDS: usize = 4096;
/// KiB that may wait, all appends together.
const QUEUE_KIB: usize = 32 << 10;

/// A row that is written often and never changed.
#[derive(Debug, Clone)]
pub enum HotRow {
    /// A new session with its new conversation.
    Session(SessionRow),
    /// A message of a conversation that exists.
    Message {
        /// Whose it is.
        scope: Scope,
        /// The message.
        row: MessageRow,
    },
    /// What an answer cost.
    Usage {
        /// Whose it is.
        scope: Scope,
        /// The cost.
        row: UsageRow,
    },
    /// The session was active. Only ever moves its last activity forward; nothing happens where the session is gone.
    Touch {
        /// Whose it is.
        scope: Scope,
        /// Which session.
        session: SessionId,
        /// When, in microseconds.
        at: Timestamp,
    },
}

impl Store {
    /// Writes `rows` together, durably: `Ok` means after COMMIT. Dropping the future once it waits for the
    /// acknowledgement does not take the rows back.
    ///
    /// # Errors
    /// [`Kind::NotFound`] when a message's conversation or a row's site does not exist (any more),
    /// [`Kind::Conflict`] when an id is taken, [`Kind::TooLarge`] beyond 512 rows or 4 MiB,
    /// [`Kind::Unavailable`] when the queue stays full, the store is closed or the database does not answer; then, and
    /// only then, it may have been written or not.
    pub fn append(&self, rows: Vec<HotRow>) -> impl Future<Output = Result<()>> + Send + '_ {
        self.writer().append(rows)
    }
}

/// One append in the queue.
struct Pending {
    rows: Vec<HotRow>,
    bytes: usize,
    acknowledge: oneshot::Sender<Result<()>>,
    /// Its share of the queue, given back when it is answered.
    _room: OwnedSemaphorePermit,
}

/// The sending side of the queue, and the task at its other end.
pub(crate) struct Writer {
    queue: mpsc::Sender<Pending>,
    room: Arc<Semaphore>,
    deadline: Duration,
    stop: CancellationToken,
    task: Mutex<Option<JoinHandle<()>>>,
}

impl Writer {
    /// Starts the task, so it needs a runtime.
    ///
    /// # Errors
    /// When there is no thread for it.
    pub(crate) fn start(pools: Pools, deadline: Duration) -> Result<Self> {
        let target = match pools {
            Pools::Sqlite(sqlite) => {
                Target::Sqlite { visits: visit::Visits::start(sqlite.path)?, writer: sqlite.writer }
            }
            Pools::Postgres(_) => Target::Postgres(pools),
        };
        let (queue, waiting) = mpsc::channel(QUEUE_APPENDS);
        let stop = CancellationToken::new();
        let task = tokio::spawn(run(target, waiting, stop.clone()));
        Ok(Self { queue, room: Arc::new(Semaphore::new(QUEUE_KIB)), deadline, stop, task: Mutex::new(Some(task)) })
    }

    async fn append(&self, rows: Vec<HotRow>) -> Result<()> {
        if rows.is_empty() {
            return Ok(());
        }
        let bytes: usize = rows.iter().map(HotRow::weight).sum();
        if rows.len() > BATCH_ROWS || bytes > BATCH_BYTES {
            return Err(Error::new(Kind::TooLarge, "too_large", "This is more than can be stored at once."));
        }
        let (acknowledge, acknowledged) = oneshot::channel();
        let entering = async {
            // At most BATCH_BYTES, so it fits into 32 bits and into the queue.
            let share = u32::try_from(bytes.div_ceil(1024).max(1)).unwrap_or(u32::MAX);
            let room = Arc::clone(&self.room).acquire_many_owned(share).await.ok()?;
            self.queue.send(Pending { rows, bytes, acknowledge, _room: room }).await.ok()
        };
        match tokio::time::timeout(self.deadline, entering).await {
            Ok(Some(())) => {}
            Ok(None) => return Err(Error::unavailable("the store is closed")),
            Err(_) => return Err(Error::unavailable("the queue of the writer is full")),
        }
        // The writer answers every append it took: each wait of its own has a deadline.
        acknowledged.await.unwrap_or_else(|_| Err(Error::unavailable("the writer's task has ended")))
    }

    /// Whether nobody empties the queue any more.
    pub(crate) fn has_ended(&self) -> bool {
        self.queue.is_closed()
    }

    /// Refuses new appends and waits until those in the queue are committed, but not beyond `deadline`.
    pub(crate) async fn drain(&self, deadline: Duration) {
        self.stop.cancel();
        let task = self.task.lock().ok().and_then(|mut task| task.take());
        if let Some(task) = task
            && tokio::time::timeout(deadline, task).await.is_err()
        {
            tracing::error!("appends were still waiting at the closing deadline; they are not acknowledged");
        }
    }
}

impl HotRow {
    /// Bytes that it takes in the queue and in a batch, roughly.
    fn weight(&self) -> usize {
        match self {
            Self::Message { row, .. } => row.sealed.len() + row.provider.len() + 256,
            Self::Session(row) => row.origin.len() + row.network.len() + 256,
            Self::Usage { .. } | Self::Touch { .. } => 256,
        }
    }
}

/// Where batches go.
enum Target {
    /// The permit to write is that of all other writers; the transaction is one visit to a thread.
    Sqlite {
        writer: Arc<Connections>,
        visits: visit::Visits,
    },
    Postgres(Pools),
}

/// The writer's task: takes what waits, commits it, answers, and again, until the store is closed or dropped.
/// Ends by itself only when the thread below it has: then nobody takes appends any more, and the store is not ready.
async fn run(mut target: Target, mut waiting: mpsc::Receiver<Pending>, stop: CancellationToken) {
    let mut taken: Vec<Pending> = Vec::with_capacity(BATCH_ROWS);
    let mut next: VecDeque<Pending> = VecDeque::with_capacity(BATCH_ROWS);
    let mut is_crowd = false;
    loop {
        if next.is_empty() {
            let open = !waiting.is_closed();
            let count = tokio::select! {
                biased;
                count = waiting.recv_many(&mut taken, BATCH_ROWS) => count,
                () = stop.cancelled(), if open => {
                    // Those that wait are still received; new ones are refused.
                    waiting.close();
                    continue;
                }
            };
            if count == 0 {
                return target.close().await;
            }
            next.extend(taken.drain(..));
        }
        if is_crowd && next.len() < BATCH_ROWS && !waiting.is_closed() {
            tokio::time::sleep(GATHERING).await;
            while next.len() < BATCH_ROWS
                && let Ok(pending) = waiting.try_recv()
            {
                next.push_back(pending);
            }
        }
        let batch = cut_batch(&mut next);
        is_crowd = batch.len() > 1;
        batch::commit(&target, batch).await;
        if let Target::Sqlite { visits, .. } = &mut target
            && visits.has_ended()
        {
            tracing::error!("the writer's thread has ended; the store takes no more appends");
            return;
        }
    }
}

impl Target {
    async fn close(self) {
        if let Self::Sqlite { visits, .. } = self {
            visits.close().await;
        }
    }
}

/// The longest run of appends that fits into one batch; at least one.
fn cut_batch(next: &mut VecDeque<Pending>) -> Vec<Pending> {
    let (mut rows, mut bytes) = (0, 0);
    let fitting = next
        .iter()
        .take_while(|pending| {
            rows += pending.rows.len();
            bytes += pending.bytes;
            rows <= BATCH_ROWS && bytes <= BATCH_BYTES
        })
        .count();
    next.drain(..fitting.max(1)).collect()
}
