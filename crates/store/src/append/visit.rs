//! A batch on SQLite: the whole transaction in one visit to one thread.
//!
//! Owns: that thread, its connection and how its errors map. sqlx sends each statement to a thread of its own and back,
//! which for a batch of a few rows costs more than the rows. The texts stand in `engine_sql.rs`. Never runs beside
//! another writer of this process: a batch brings the writer's permit with it, and the permit is given back only when
//! the transaction has ended, whatever became of the caller.

use super::batch::Failure;
use super::{HotRow, Pending};
use crate::engine_sql::{
    BEGIN_WRITE, INSERT_CONVERSATION, INSERT_MESSAGE, INSERT_SESSION, INSERT_USAGE, TOUCH_SESSION,
};
use crate::error::passes_by_itself;
use crate::sqlite::{BUSY_TIMEOUT, PRAGMAS, WRITER_PRAGMAS};
use crate::statement::{STATEMENT_DEADLINE, Statement};
use chatward_types::{Error, Kind, Result};
use rusqlite::{Connection, ErrorCode, OpenFlags, named_params, params};
use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, oneshot};

/// How long the thread has nothing to do before it takes a new connection for its own, which holds megabytes of the file
/// that the system has too.
const REST_AFTER: Duration = Duration::from_secs(2);
/// Prepared statements that stay prepared.
const STATEMENTS: usize = 16;

/// The way to the thread. It ends when this is dropped.
#[derive(Debug)]
pub(super) struct Visits {
    sender: SyncSender<Visit>,
    /// Told when the thread has closed its connection.
    ended: oneshot::Receiver<()>,
}

struct Visit {
    appends: Vec<Pending>,
    permit: OwnedSemaphorePermit,
    done: oneshot::Sender<Answer>,
}

/// The appends come back with what became of them; those that do not come back are answered by being dropped.
type Answer = (Vec<Pending>, Result<(), Failure>);

impl Visits {
    /// Starts the thread. The file is opened with the first batch.
    pub(super) fn start(path: PathBuf) -> Result<Self> {
        // One batch at a time: the caller waits for each.
        let (sender, visits) = sync_channel(1);
        let (end, ended) = oneshot::channel();
        std::thread::Builder::new()
            .name("store-append".to_owned())
            .spawn(move || {
                run(&path, &visits);
                let _ = end.send(());
            })
            .map_err(|source| Error::unavailable(format!("the writer has no thread: {source}")))?;
        Ok(Self { sender, ended })
    }

    /// Whether the thread has ended although nobody asked it to.
    pub(super) fn has_ended(&mut self) -> bool {
        !matches!(self.ended.try_recv(), Err(oneshot::error::TryRecvError::Empty))
    }

    /// Lets the thread end, and waits until its connection is closed: whoever closes the last one folds the log in.
    pub(super) async fn close(self) {
        drop(self.sender);
        let _ = tokio::time::timeout(STATEMENT_DEADLINE, self.ended).await;
    }

    /// Writes `appends` in a transaction of their own.
    pub(super) async fn write(&self, appends: Vec<Pending>, permit: OwnedSemaphorePermit) -> Answer {
        let (done, answer) = oneshot::channel();
        if let Err(TrySendError::Full(visit) | TrySendError::Disconnected(visit)) =
            self.sender.try_send(Visit { appends, permit, done })
        {
            return (visit.appends, Err(Failure::Down(Error::unavailable("the writer's thread is busy or has ended"))));
        }
        match tokio::time::timeout(STATEMENT_DEADLINE, answer).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) => (Vec::new(), Err(Failure::Down(Error::unavailable("the writer's thread has ended")))),
            Err(_) => (Vec::new(), Err(Failure::Down(Error::unavailable("the database did not answer in time")))),
        }
    }
}

fn run(path: &Path, visits: &Receiver<Visit>) {
    let mut open: Option<Connection> = None;
    while let Some(Visit { appends, permit, done }) = next(path, visits, &mut open) {
        let connection = match open.take() {
            Some(connection) => Ok(connection),
            None => connect(path),
        };
        let outcome = connection.and_then(|connection| {
            let outcome = write(&connection, &appends);
            // After anything but success the transaction is rolled back; a connection on which that fails is closed.
            if outcome.is_ok() || connection.is_autocommit() || connection.execute_batch("ROLLBACK").is_ok() {
                open = Some(connection);
            }
            outcome
        });
        // The permit goes first, so that whoever is answered finds the writer free.
        drop(permit);
        // Whoever waited may have left; what is committed stays.
        let _ = done.send((appends, outcome));
    }
}

/// The next visit, or `None` when there will be none. While nobody comes, the connection is exchanged for a fresh one; the
/// old one stays until there is a new one, so that a lack of descriptors never leaves the thread without.
fn next(path: &Path, visits: &Receiver<Visit>, open: &mut Option<Connection>) -> Option<Visit> {
    match visits.recv_timeout(REST_AFTER) {
        Ok(visit) => Some(visit),
        Err(RecvTimeoutError::Disconnected) => None,
        Err(RecvTimeoutError::Timeout) => {
            if let Some(old) = open
                // First, so that the new one finds room where the old one's pages were.
                && old.execute_batch("PRAGMA shrink_memory").is_ok()
                && let Ok(fresh) = connect(path)
            {
                *old = fresh;
            }
            visits.recv().ok()
        }
    }
}

fn connect(path: &Path) -> Result<Connection, Failure> {
    let connect = || -> rusqlite::Result<Connection> {
        // NO_MUTEX: the connection never leaves this thread.
        let connection =
            Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
        connection.busy_timeout(BUSY_TIMEOUT)?;
        for (name, value) in PRAGMAS.iter().chain(WRITER_PRAGMAS) {
            connection.pragma_update(None, name, value)?;
        }
        connection.set_prepared_statement_cache_capacity(STATEMENTS);
        Ok(connection)
    };
    let connection = connect().map_err(failure)?;
    let word = |name| connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
    match (word("synchronous"), word("foreign_keys")) {
        (Ok(2), Ok(1)) => Ok(connection),
        found => Err(Failure::Down(Error::unavailable(format!("SQLite does not keep its settings: {found:?}")))),
    }
}

fn write(connection: &Connection, appends: &[Pending]) -> Result<(), Failure> {
    run_one(connection, BEGIN_WRITE, [])?;
    let mut missing = HashSet::new();
    let is_session = |row: &&HotRow| matches!(row, HotRow::Session(_));
    let rows = || appends.iter().flat_map(|pending| &pending.rows);
    // Sessions first: what else is in the batch may be for their conversations.
    for row in rows().filter(is_session).chain(rows().filter(|row| !is_session(row))) {
        let owner = row.owner();
        let id = owner.text();
        let refused = insert(connection, &id, row).err();
        match (refused, row) {
            (None, _) => {}
            (Some(Failure::Refused(error)), HotRow::Message { row, .. }) if error.kind() == Kind::NotFound => {
                missing.insert((owner, row.conversation));
            }
            (Some(failure), _) => return Err(failure),
        }
    }
    if !missing.is_empty() {
        return Err(Failure::Missing(missing));
    }
    // Whatever fails here has an unknown outcome: it is not tried again.
    connection.execute_batch("COMMIT").map_err(|error| Failure::Down(of(error)))
}

fn insert(connection: &Connection, owner: &str, row: &HotRow) -> Result<(), Failure> {
    match row {
        HotRow::Session(row) => {
            let (conversation, site) = (row.conversation.text(), row.site.text());
            run_one(connection, INSERT_CONVERSATION, params![owner, &*conversation, &*site, row.created_at])?;
            let (origin, network, at) = (&row.origin, &row.network, row.created_at);
            run_one(
                connection,
                INSERT_SESSION,
                params![owner, row.id.as_str(), &*site, &*conversation, origin, network, at, row.last_activity_at],
            )
        }
        HotRow::Message { row, .. } => {
            let (conversation, id) = (row.conversation.text(), row.id.text());
            let (role, state) = (row.role.as_str(), row.state.as_str());
            run_one(
                connection,
                INSERT_MESSAGE,
                params![owner, &*conversation, &*id, role, state, row.provider, row.sealed, row.created_at],
            )
        }
        HotRow::Usage { row, .. } => {
            let (site, id) = (row.site.text(), row.id.text());
            let (input, output) = (row.input_tokens, row.output_tokens);
            run_one(
                connection,
                INSERT_USAGE,
                params![owner, &*site, row.at, &*id, row.provider, row.model, input, output, row.micro_usd],
            )
        }
        HotRow::Touch { session, at, .. } => {
            run_one(connection, TOUCH_SESSION, named_params! { "$1": owner, "$2": session.as_str(), "$3": at })
        }
    }
}

/// The library refuses another number of values than there are placeholders.
fn run_one(connection: &Connection, statement: Statement, values: impl rusqlite::Params) -> Result<(), Failure> {
    let mut prepared = connection.prepare_cached(statement.sqlite).map_err(failure)?;
    prepared.execute(values).map(|_| ()).map_err(failure)
}

fn failure(error: rusqlite::Error) -> Failure {
    of(error).into()
}

/// The same meanings as [`crate::error::from_database`] gives.
fn of(error: rusqlite::Error) -> Error {
    let Some(code) = error.sqlite_error().copied() else {
        return Error::internal(error);
    };
    match (code.code, code.extended_code) {
        (ErrorCode::ConstraintViolation, rusqlite::ffi::SQLITE_CONSTRAINT_FOREIGNKEY) => {
            Error::not_found().with_source(error)
        }
        (
            ErrorCode::ConstraintViolation,
            rusqlite::ffi::SQLITE_CONSTRAINT_PRIMARYKEY
            | rusqlite::ffi::SQLITE_CONSTRAINT_UNIQUE
            | rusqlite::ffi::SQLITE_CONSTRAINT_ROWID,
        ) => Error::new(Kind::Conflict, "conflict", "It exists already or was changed meanwhile.").with_source(error),
        _ if passes_by_itself(&code.extended_code.to_string()) => Error::unavailable(error),
        _ => Error::internal(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_that_can_open_no_other_connection_keeps_its_own() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("x.db");
        Connection::open(&path).expect("a file");
        for other in [folder.path().join("missing/x.db"), path.clone()] {
            let mut open = Some(connect(&path).expect("a connection"));
            let (sender, visits) = sync_channel::<Visit>(1);
            let later = std::thread::spawn(move || {
                std::thread::park_timeout(REST_AFTER + REST_AFTER / 4);
                drop(sender);
            });
            assert!(next(&other, &visits, &mut open).is_none(), "nobody came");
            later.join().expect("no panic");
            let open = open.expect("there is one at any time");
            open.execute_batch("CREATE TABLE IF NOT EXISTS t (x INTEGER); INSERT INTO t VALUES (1)").expect("a row");
        }
    }
}
