//! Whether the answer of a connection is silent, and whether the connection can leave the library meanwhile.
//!
//! Owns: what must be known for that. Told by `noted` and `unfinished`, asked by `watch`.

use super::unfinished::Unfinished;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

/// What is known of the answer that a connection of HTTP/1.1 is sending: there is one at a time.
///
/// A connection whose answer is silent can do without the library when all of this holds: the request was read to its end,
/// the connection stays, of the answer nothing was sent or it is sent in chunks, everything that was written so far has
/// gone out.
#[derive(Default)]
pub(super) struct Silence {
    /// Whether it is a connection that can rest at all; one that may become HTTP/2 never can.
    possible: AtomicBool,
    request_read: AtomicBool,
    /// Whether the rest of the answer can be sent by somebody else: all of it, or chunks of it.
    divisible: AtomicBool,
    write_blocked: AtomicBool,
    /// Since when nothing comes of the answer, in milliseconds, plus one; 0 if something does.
    silent: AtomicU64,
    /// Whether what is unfinished is handed over instead of being dropped.
    wanted: AtomicBool,
    handed_over: Mutex<Option<Unfinished>>,
}

impl fmt::Debug for Silence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Silence").field("began", &self.began()).finish_non_exhaustive()
    }
}

impl Silence {
    /// Since when the answer has been silent, if the connection may rest.
    pub(super) fn began(&self) -> Option<u64> {
        let since = self.silent.load(Ordering::Relaxed).checked_sub(1)?;
        let may_rest = self.possible.load(Ordering::Relaxed)
            && self.divisible.load(Ordering::Relaxed)
            && self.request_read.load(Ordering::Relaxed)
            && !self.write_blocked.load(Ordering::Relaxed);
        may_rest.then_some(since)
    }

    /// This connection is HTTP/1.1 and nothing else.
    pub(super) fn allow(&self) {
        self.possible.store(true, Ordering::Relaxed);
    }

    /// What is unfinished of the answer, taken from whom `drop_it` drops.
    pub(super) fn take(&self, drop_it: impl FnOnce()) -> Option<Unfinished> {
        self.wanted.store(true, Ordering::Relaxed);
        drop_it();
        self.wanted.store(false, Ordering::Relaxed);
        // From here on it is not the library that sends.
        self.divisible.store(false, Ordering::Relaxed);
        self.handed_over().take()
    }

    /// Keeps what would be dropped, where it is wanted.
    pub(super) fn hand_over(&self, unfinished: Unfinished) {
        if self.wanted.load(Ordering::Relaxed) {
            *self.handed_over() = Some(unfinished);
        }
    }

    /// A request has come; of its answer nothing was sent.
    pub(super) fn begin(&self, stays: bool) {
        self.request_read.store(false, Ordering::Relaxed);
        self.divisible.store(stays, Ordering::Relaxed);
        self.silent.store(0, Ordering::Relaxed);
    }

    /// The request was read to its end.
    pub(super) fn note_request_read(&self) {
        self.request_read.store(true, Ordering::Relaxed);
    }

    /// The answer's head is there; whether the rest is sent in chunks on a connection that stays.
    pub(super) fn note_head(&self, in_chunks: bool) {
        self.divisible.store(in_chunks, Ordering::Relaxed);
    }

    /// Whether the socket takes no more for now.
    pub(super) fn note_write(&self, is_blocked: bool) {
        self.write_blocked.store(is_blocked, Ordering::Relaxed);
    }

    /// Whether nothing comes of the answer for now.
    pub(super) fn note_answer(&self, is_silent: bool, now: impl FnOnce() -> u64) {
        if !is_silent {
            self.silent.store(0, Ordering::Relaxed);
        } else if self.silent.load(Ordering::Relaxed) == 0 {
            self.silent.store(now() + 1, Ordering::Relaxed);
        }
    }

    fn handed_over(&self) -> std::sync::MutexGuard<'_, Option<Unfinished>> {
        // It is put there and taken whole.
        self.handed_over.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_may_rest_only_when_nothing_is_under_way_on_it() {
        let silent = || {
            let silence = Silence::default();
            silence.allow();
            silence.begin(true);
            silence.note_request_read();
            silence.note_answer(true, || 5);
            silence
        };
        let silence = silent();
        silence.note_answer(true, || 7);
        assert_eq!(silence.began(), Some(5), "since it fell silent, not since it was asked last");

        silence.note_write(true);
        assert_eq!(silence.began(), None, "what is in the library's buffer would be lost");
        let silence = silent();
        silence.possible.store(false, Ordering::Relaxed);
        assert_eq!(silence.began(), None, "nobody would take it up, and it would be due for ever");
        let silence = silent();
        silence.request_read.store(false, Ordering::Relaxed);
        assert_eq!(silence.began(), None, "the rest of the request would be read as the next");
        let silence = silent();
        silence.note_head(false);
        assert_eq!(silence.began(), None, "it is framed in another way");
        let silence = silent();
        silence.note_head(true);
        assert_eq!(silence.began(), Some(5));
        let silence = silent();
        silence.note_answer(false, || 9);
        assert_eq!(silence.began(), None, "something has come");
        let silence = silent();
        silence.begin(true);
        assert_eq!(silence.began(), None, "that was another answer");
    }
}
