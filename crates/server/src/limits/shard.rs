//! Counting in fixed windows, and the fixed-capacity tables that hold the counts.
//!
//! Owns one key's windows and one table of 64 locked shards. A shard that is full makes room only by dropping
//! entries whose windows are all over: a live count is never evicted, so nobody gets a fresh window by pushing an
//! old one out. Never allocates for a request once its shards have grown to their capacity.

use super::key::Key;
use super::window::{Decision, MAX_RULES, Rule};
use chatward_types::{SECOND, Timestamp};
use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Shards of a table.
pub(super) const SHARDS: usize = 64;

/// Between two searches of a full shard for entries that are over; bounds the work that a flood causes.
const SEARCH_PAUSE: Timestamp = SECOND / 20;

/// The windows of one key, by the position of their rule.
#[derive(Debug, Clone, Copy)]
pub(super) struct Windows {
    ends: Timestamp,
    starts: [Timestamp; MAX_RULES],
    counts: [u32; MAX_RULES],
}

impl Windows {
    /// No window begun.
    pub(super) const NONE: Self =
        Self { ends: Timestamp::MIN, starts: [Timestamp::MIN; MAX_RULES], counts: [0; MAX_RULES] };

    /// Whether every window is over, so that forgetting them changes nothing.
    pub(super) fn are_over(&self, now: Timestamp) -> bool {
        self.ends <= now
    }

    /// Counts a request under every rule and decides on it.
    ///
    /// Refused requests are counted as well; they move no window's start.
    pub(super) fn count(&mut self, rules: &[Rule], scale: f32, now: Timestamp) -> Decision {
        let mut decision = Decision::UNLIMITED;
        self.ends = now;
        let windows = self.starts.iter_mut().zip(self.counts.iter_mut());
        for (rule, (start, count)) in rules.iter().zip(windows) {
            let length = rule.length();
            let elapsed = now.saturating_sub(*start);
            if elapsed >= length {
                (*start, *count) = (now, 0);
            } else if elapsed < 0 {
                // The clock was set back: the window may not last longer than its length from here.
                *start = now;
            }
            let limit = rule.scaled(scale);
            let allowed = *count < limit;
            *count = count.saturating_add(1);
            let end = start.saturating_add(length);
            self.ends = self.ends.max(end);
            decision = decision.tighter(Decision {
                allowed,
                limit,
                remaining: limit.saturating_sub(*count),
                reset_seconds: seconds_until(end, now),
                window_seconds: rule.window_seconds,
            });
        }
        decision
    }
}

/// Whole seconds, rounded up so that a client who waits them does not come too early; at least 1.
fn seconds_until(end: Timestamp, now: Timestamp) -> u32 {
    let seconds = end.saturating_sub(now).saturating_add(SECOND - 1) / SECOND;
    u32::try_from(seconds.max(1)).unwrap_or(u32::MAX)
}

/// Windows by key, at most a fixed number of them.
#[derive(Debug)]
pub(super) struct Table {
    shards: Box<[Mutex<Shard>]>,
    capacity_per_shard: usize,
    occupied: AtomicUsize,
    // Seeded at random, so that nobody can choose addresses that fill one shard.
    hasher: RandomState,
}

/// One part of a table, under its lock.
#[derive(Debug, Default)]
pub(super) struct Shard {
    entries: HashMap<Key, Windows>,
    search_not_before: Timestamp,
}

impl Table {
    /// A table of at most `capacity` keys, but at least one per shard.
    pub(super) fn new(capacity: usize) -> Self {
        Self {
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
            capacity_per_shard: (capacity / SHARDS).max(1),
            occupied: AtomicUsize::new(0),
            hasher: RandomState::new(),
        }
    }

    /// Keys held now.
    pub(super) fn len(&self) -> usize {
        self.occupied.load(Ordering::Relaxed)
    }

    /// The shard of a key, locked.
    pub(super) fn shard(&self, key: &Key) -> MutexGuard<'_, Shard> {
        let hash = self.hasher.hash_one(key);
        // Its upper bits; the map inside hashes with a seed of its own.
        lock(&self.shards[(hash >> 58) as usize % SHARDS])
    }

    /// The windows of a key, if any of them still runs.
    pub(super) fn running(&self, key: &Key, now: Timestamp) -> Option<Windows> {
        if self.len() == 0 {
            return None;
        }
        self.shard(key).entries.get(key).filter(|windows| !windows.are_over(now)).copied()
    }

    /// The windows of a key that is in the shard; else, if there is room, new ones that begin as `inherited` says.
    pub(super) fn windows<'a>(
        &self,
        shard: &'a mut Shard,
        key: Key,
        now: Timestamp,
        inherited: impl FnOnce() -> Windows,
    ) -> Option<&'a mut Windows> {
        if !shard.entries.contains_key(&key) {
            if shard.entries.len() >= self.capacity_per_shard {
                self.make_room(shard, now);
            }
            if shard.entries.len() >= self.capacity_per_shard {
                return None;
            }
            self.occupied.fetch_add(1, Ordering::Relaxed);
            shard.entries.insert(key, inherited());
        }
        shard.entries.get_mut(&key)
    }

    /// Forgets the keys of one shard whose windows are all over.
    pub(super) fn sweep_shard(&self, index: usize, now: Timestamp) {
        let mut shard = lock(&self.shards[index % SHARDS]);
        self.drop_over(&mut shard, now);
    }

    fn make_room(&self, shard: &mut Shard, now: Timestamp) {
        let early = shard.search_not_before.saturating_sub(now);
        if (1..=SEARCH_PAUSE).contains(&early) {
            return;
        }
        self.drop_over(shard, now);
        shard.search_not_before = now.saturating_add(SEARCH_PAUSE);
    }

    fn drop_over(&self, shard: &mut Shard, now: Timestamp) {
        let before = shard.entries.len();
        shard.entries.retain(|_, windows| !windows.are_over(now));
        self.occupied.fetch_sub(before - shard.entries.len(), Ordering::Relaxed);
    }
}

/// A panic elsewhere cannot leave a count half-made, so a poisoned lock is as good as any.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
