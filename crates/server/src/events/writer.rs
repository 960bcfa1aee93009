//! The thread that writes the security log.
//!
//! Owns: batches, retries after a failure, and the remark about what was lost. Never does: end because of an error, or
//! hold more than a bounded amount of lines.

use super::file::RotatingFile;
use super::{Shared, line, lock};
use chatward_types::Event;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

/// How often storms, rotation and a moved file are looked at.
const TICK: Duration = Duration::from_secs(1);
/// How long after a failed write the next attempt is made.
const RETRY: Duration = Duration::from_millis(250);
/// Lines held back while the file cannot be written; beyond it events are counted and dropped.
const HELD_BYTES: usize = 1024 * 1024;
/// Events of one write.
const BATCH: usize = 512;
/// How long the queue is left alone after a batch; it must never fill in that time.
const REST: Duration = Duration::from_millis(20);

/// What the thread is asked to do.
#[derive(Debug)]
pub(super) enum Command {
    /// Write this event.
    Write(Arc<Event>),
    /// Write everything, and say whether it is on the disk.
    Flush(tokio::sync::oneshot::Sender<bool>),
}

pub(super) struct Writer {
    file: RotatingFile,
    shared: Arc<Shared>,
    /// Lines that are not in the file yet.
    held: Vec<u8>,
    /// Failed attempts since the last success.
    failing: u64,
    attempted: Instant,
    tended: Instant,
    /// The last rotation or deletion failed, which is said once.
    untended: bool,
}

impl Writer {
    pub(super) fn new(file: RotatingFile, shared: Arc<Shared>) -> Self {
        let now = Instant::now();
        Self { file, shared, held: Vec::new(), failing: 0, attempted: now, tended: now, untended: false }
    }

    /// Runs until every [`super::EventLog`] is gone.
    pub(super) fn run(mut self, commands: &Receiver<Command>) {
        loop {
            let patience = if self.failing > 0 { RETRY } else { TICK };
            match commands.recv_timeout(patience) {
                Ok(command) => {
                    let mut next = Some(command);
                    let mut taken = 0;
                    while let Some(command) = next {
                        self.obey(command);
                        taken += 1;
                        next = (taken < BATCH).then(|| commands.try_recv().ok()).flatten();
                    }
                    // While failing, attempts are paced.
                    if self.failing == 0 || self.attempted.elapsed() >= RETRY {
                        self.commit();
                    }
                    // A sender wakes a thread that waits on the queue, which costs more than the event. So it is not
                    // waited on for a moment: what comes meanwhile is one more batch and one more write.
                    if taken < BATCH {
                        std::thread::sleep(REST);
                    }
                }
                Err(RecvTimeoutError::Timeout) => {
                    self.commit();
                }
                Err(RecvTimeoutError::Disconnected) => {
                    self.gather(true);
                    self.commit();
                    return;
                }
            }
            if self.tended.elapsed() >= TICK {
                self.tended = Instant::now();
                self.tend();
            }
        }
    }

    fn obey(&mut self, command: Command) {
        match command {
            Command::Write(_) if self.held.len() >= HELD_BYTES => self.shared.count_dropped(),
            Command::Write(event) => line::write(&mut self.held, &event),
            Command::Flush(done) => {
                self.gather(true);
                let written = self.commit() && self.file.sync().is_ok();
                // Nobody waits any more when its deadline has passed.
                let _ = done.send(written);
            }
        }
    }

    /// Takes what storms have gathered.
    fn gather(&mut self, all: bool) {
        let now = self.shared.clock.now();
        let gathered = lock(&self.shared.storms).take(now, all);
        for storm in &gathered {
            line::write_gathered(&mut self.held, storm, now);
        }
    }

    fn tend(&mut self) {
        self.gather(false);
        self.commit();
        match self.file.tend(self.shared.clock.now()) {
            Ok(()) => self.untended = false,
            Err(error) if !self.untended => {
                self.untended = true;
                tracing::error!(source = %error, "old security logs cannot be rotated or deleted");
            }
            Err(_) => {}
        }
    }

    /// Writes what is held; says whether nothing is left.
    fn commit(&mut self) -> bool {
        let dropped = self.shared.dropped.load(Ordering::Relaxed);
        if self.held.is_empty() && dropped == 0 && self.failing == 0 {
            return true;
        }
        let now = self.shared.clock.now();
        self.attempted = Instant::now();
        let length = self.held.len();
        if dropped > 0 || self.failing > 0 {
            line::write_gap(&mut self.held, now, dropped, self.failing);
        }
        match self.file.write(&self.held, now) {
            Ok(()) => {
                self.held.clear();
                self.held.shrink_to(64 * 1024);
                self.shared.dropped.fetch_sub(dropped, Ordering::Relaxed);
                if self.failing > 0 {
                    tracing::info!(failed_attempts = self.failing, dropped, "the security log is written again");
                }
                self.failing = 0;
                true
            }
            Err(error) => {
                self.held.truncate(length);
                self.failing += 1;
                self.shared.write_failures.fetch_add(1, Ordering::Relaxed);
                if self.failing == 1 {
                    tracing::error!(source = %error, "the security log cannot be written; it is tried again");
                }
                false
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, Overrides};
    use chatward_types::{EventName, Outcome, Severity, SystemClock};
    use std::collections::BTreeMap;

    #[test]
    fn lines_that_cannot_be_written_are_held_up_to_a_bound() {
        let folder = tempfile::tempdir().expect("a folder");
        // A folder cannot be opened as a file.
        let config = Config::load(None, &BTreeMap::new(), &Overrides::default()).expect("a configuration");
        let file = RotatingFile::new(folder.path().to_path_buf(), &config.logging);
        let shared = Shared::new(Arc::new(SystemClock));
        let mut writer = Writer::new(file, Arc::clone(&shared));
        let emitted = 10_000;
        for _ in 0..emitted {
            let event = Event {
                detail: Some("x".repeat(500).into()),
                ..Event::new(0, EventName::ChatError, Severity::Error, Outcome::Failure)
            };
            writer.obey(Command::Write(Arc::new(event)));
        }
        assert!(!writer.commit());
        assert!(writer.held.len() < HELD_BYTES + 2048);
        let held = writer.held.iter().filter(|byte| **byte == b'\n').count() as u64;
        assert_eq!(held + shared.dropped.load(Ordering::Relaxed), emitted);
    }
}
