//! Fixed windows per issued key, beside those of the address that it comes from.
//!
//! Owns the counting by chain of rotations: a successor goes on with the windows of the key before it, so that rotating
//! buys no fresh ones. Only keys that hold are counted, so strangers cannot fill the table; one that finds no room shares
//! a count with others in its place. Never knows what a key is.

use chatward_types::{HOUR, MINUTE, SECOND, Timestamp};
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

/// Chains that are counted one by one.
const TRACKED: usize = 16_384;

/// What a key may ask in how long.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct KeyRules {
    /// Requests in a minute.
    pub per_minute: Option<u32>,
    /// Requests in an hour.
    pub per_hour: Option<u32>,
}

/// The windows of all keys of this process.
#[derive(Debug)]
pub struct KeyWindows {
    counts: Mutex<HashMap<Box<str>, Counts>>,
    tracked: usize,
}

#[derive(Debug, Clone, Copy)]
struct Counts {
    minute: Window,
    hour: Window,
}

#[derive(Debug, Clone, Copy)]
struct Window {
    began: Timestamp,
    count: u32,
}

impl Default for KeyWindows {
    fn default() -> Self {
        Self { counts: Mutex::default(), tracked: TRACKED }
    }
}

impl KeyWindows {
    /// Counts a request of a chain; where it is one too many, says how many seconds to wait. A refusal is counted and
    /// lengthens nothing. Both windows are counted whatever the rules, so that a new rule finds what was asked before it.
    ///
    /// # Errors
    /// The seconds until the fuller window ends, at least 1.
    pub fn check(&self, lineage: &str, rules: KeyRules, now: Timestamp) -> Result<(), u32> {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        if counts.len() >= self.tracked && !counts.contains_key(lineage) {
            counts.retain(|_, count| count.hour.runs(now, HOUR));
        }
        let full = counts.len() >= self.tracked && !counts.contains_key(lineage);
        let name = if full { "" } else { lineage };
        let fresh = Window { began: now, count: 0 };
        if !counts.contains_key(name) {
            counts.insert(name.into(), Counts { minute: fresh, hour: fresh });
        }
        let Some(count) = counts.get_mut(name) else { return Ok(()) };
        let minute = count.minute.count(MINUTE, rules.per_minute, now);
        let hour = count.hour.count(HOUR, rules.per_hour, now);
        minute.into_iter().chain(hour).max().map_or(Ok(()), Err)
    }

    /// Forgets windows that are over.
    pub fn sweep(&self, now: Timestamp) {
        self.counts
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .retain(|_, count| count.hour.runs(now, HOUR) || count.minute.runs(now, MINUTE));
    }
}

impl Window {
    /// A window that would begin in the future is one of a clock that was set back.
    fn runs(&self, now: Timestamp, length: Timestamp) -> bool {
        (0..length).contains(&now.saturating_sub(self.began))
    }

    /// Counts; the seconds to wait where it is one too many.
    fn count(&mut self, length: Timestamp, limit: Option<u32>, now: Timestamp) -> Option<u32> {
        if !self.runs(now, length) {
            *self = Self { began: now, count: 0 };
        }
        self.count = self.count.saturating_add(1);
        let left = self.began.saturating_add(length).saturating_sub(now);
        let seconds = u32::try_from(left.saturating_add(SECOND - 1) / SECOND).unwrap_or(u32::MAX).max(1);
        limit.is_some_and(|limit| self.count > limit).then_some(seconds)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NONE: KeyRules = KeyRules { per_minute: None, per_hour: None };

    #[test]
    fn three_a_minute_are_three_and_five_an_hour_are_five() {
        let windows = KeyWindows::default();
        let rules = KeyRules { per_minute: Some(3), per_hour: Some(5) };
        let now = 1_000 * HOUR;
        for _ in 0..3 {
            assert_eq!(windows.check("a", rules, now), Ok(()));
        }
        assert_eq!(windows.check("a", rules, now + 1), Err(60));
        assert_eq!(windows.check("b", rules, now), Ok(()), "another key has windows of its own");
        assert_eq!(windows.check("a", NONE, now), Ok(()), "no rule, no refusal");
        // Five were counted; the hour is full although the minute is fresh.
        assert_eq!(windows.check("a", rules, now + MINUTE), Err(3540));
        assert_eq!(windows.check("a", rules, now + HOUR), Ok(()));
    }

    #[test]
    fn a_full_table_counts_newcomers_together_and_forgets_what_is_over() {
        let windows = KeyWindows { tracked: 2, ..KeyWindows::default() };
        let rules = KeyRules { per_minute: Some(1), per_hour: None };
        for key in ["a", "b", "c"] {
            assert_eq!(windows.check(key, rules, 0), Ok(()));
        }
        assert_eq!(windows.check("d", rules, 0), Err(60), "it shares the count of c");
        assert_eq!(windows.check("d", rules, HOUR), Ok(()), "there is room again");
        windows.sweep(3 * HOUR);
        assert!(windows.counts.lock().unwrap_or_else(PoisonError::into_inner).is_empty());
    }
}
