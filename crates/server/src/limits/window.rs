//! Fixed windows per address that begin at its first request: 60 means 60.
//!
//! Owns the order in which a request finds its count. An address has windows of its own while there is room; when
//! its shard is full of running windows it shares those of its block (IPv4 /24, IPv6 /48), then of its region (/16,
//! /32), then one for everybody. An address that gets room later takes the shared counts along, so that neither
//! filling the table nor waiting for room buys a fresh window. (What it does not take along is the count that
//! everybody shares: one bucket for the whole overflow, which would otherwise shut out those who never were in it.)

use super::key::{Key, Step};
use super::shard::{SHARDS, Table, Windows, lock};
use chatward_types::{SECOND, Timestamp};
use std::net::IpAddr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};

/// Rules that one check can apply at once. A check with more is refused.
pub const MAX_RULES: usize = 3;

const TABLES: usize = 3;

/// So many requests in so long a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rule {
    /// Requests in a window.
    pub limit: u32,
    /// The window's length in seconds.
    pub window_seconds: u32,
}

/// What became of a request, by its tightest rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Decision {
    /// Whether the request may pass.
    pub allowed: bool,
    /// The rule's limit, tightened if the load asked for it.
    pub limit: u32,
    /// Requests left in the window.
    pub remaining: u32,
    /// Seconds until the window ends, rounded up; at least 1. Of several rules that refuse, the longest wait.
    pub reset_seconds: u32,
    /// The length of the window.
    pub window_seconds: u32,
}

/// Counts requests by address in bounded memory.
#[derive(Debug)]
pub struct WindowLimiter {
    addresses: Table,
    blocks: Table,
    regions: Table,
    everybody: Box<[Mutex<Windows>]>,
    sweeper: Sweeper,
}

impl WindowLimiter {
    /// A limiter that holds at most `capacity` counts (never fewer than 192, one per shard), plus one per group.
    pub fn new(capacity: usize) -> Self {
        let shared = capacity / 8;
        Self {
            addresses: Table::new(capacity - 2 * shared),
            blocks: Table::new(shared),
            regions: Table::new(shared),
            everybody: (0..=u8::MAX).map(|_| Mutex::new(Windows::NONE)).collect(),
            sweeper: Sweeper::default(),
        }
    }

    /// Counts a request and decides on it.
    ///
    /// `group` tells sets of routes apart; a group must always come with the same rules, at most [`MAX_RULES`].
    /// `scale` multiplies the limits (down to no less than 1). A refused request is counted and lengthens nothing.
    pub fn check(&self, group: u8, address: IpAddr, rules: &[Rule], scale: f32, now: Timestamp) -> Decision {
        if rules.len() > MAX_RULES {
            return Decision::REFUSED;
        }
        self.sweeper.step(self, rules, now);

        let [own, block, region] =
            [Step::Address, Step::Block, Step::Region].map(|step| Key::new(group, address, step));
        let from_region = || self.regions.running(&region, now).unwrap_or(Windows::NONE);
        let from_block = || self.blocks.running(&block, now).unwrap_or_else(from_region);

        // Shards are locked from fine to coarse and never the other way, so no two threads wait for each other.
        self.count(&self.addresses, own, rules, scale, now, from_block)
            .or_else(|| self.count(&self.blocks, block, rules, scale, now, from_region))
            .or_else(|| self.count(&self.regions, region, rules, scale, now, || Windows::NONE))
            .unwrap_or_else(|| lock(&self.everybody[usize::from(group)]).count(rules, scale, now))
    }

    /// Forgets every count whose windows are over. Checks do this by themselves, a shard at a time, within two
    /// windows; this is for quiet hours.
    pub fn sweep(&self, now: Timestamp) {
        for index in 0..SHARDS * TABLES {
            self.sweep_one(index, now);
        }
    }

    /// Counts held now.
    pub fn len(&self) -> usize {
        self.addresses.len() + self.blocks.len() + self.regions.len()
    }

    /// Whether no count is held.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Counts that several addresses share, because theirs found no room. More than none means a flood.
    pub fn shared(&self) -> usize {
        self.blocks.len() + self.regions.len()
    }

    fn count(
        &self,
        table: &Table,
        key: Key,
        rules: &[Rule],
        scale: f32,
        now: Timestamp,
        inherited: impl FnOnce() -> Windows,
    ) -> Option<Decision> {
        let mut shard = table.shard(&key);
        let windows = table.windows(&mut shard, key, now, inherited)?;
        Some(windows.count(rules, scale, now))
    }

    fn sweep_one(&self, index: usize, now: Timestamp) {
        let table = match index % TABLES {
            0 => &self.addresses,
            1 => &self.blocks,
            _ => &self.regions,
        };
        table.sweep_shard(index / TABLES, now);
    }
}

/// Sweeps shard after shard as requests come, all around within the shortest window that any rule has.
#[derive(Debug)]
struct Sweeper {
    shortest: AtomicI64,
    due: AtomicI64,
    next: AtomicUsize,
}

impl Default for Sweeper {
    fn default() -> Self {
        Self { shortest: AtomicI64::new(3600 * SECOND), due: AtomicI64::new(0), next: AtomicUsize::new(0) }
    }
}

impl Sweeper {
    fn step(&self, limiter: &WindowLimiter, rules: &[Rule], now: Timestamp) {
        const STEPS: i64 = (SHARDS * TABLES) as i64;
        let mut shortest = self.shortest.load(Ordering::Relaxed);
        if let Some(own) = rules.iter().map(Rule::length).min().filter(|own| *own < shortest) {
            self.shortest.fetch_min(own, Ordering::Relaxed);
            shortest = own;
        }
        // Twice around in that time leaves room for requests that come late.
        let pause = (shortest / (2 * STEPS)).max(1);
        let due = self.due.load(Ordering::Relaxed);
        let late = now.saturating_sub(due);
        // Not due yet, unless the clock was set back.
        if (-pause..0).contains(&late) {
            return;
        }
        // After a quiet time there is more to do, but never more than once around.
        let (steps, next_due) = match late / pause + 1 {
            steps @ 1..STEPS => (steps, due + steps * pause),
            steps => (steps.clamp(1, STEPS), now.saturating_add(pause)),
        };
        if self.due.compare_exchange(due, next_due, Ordering::Relaxed, Ordering::Relaxed).is_err() {
            return;
        }
        for _ in 0..steps {
            limiter.sweep_one(self.next.fetch_add(1, Ordering::Relaxed), now);
        }
    }
}

impl Rule {
    /// The window in [`Timestamp`] units; one second at least.
    pub(super) fn length(&self) -> Timestamp {
        Timestamp::from(self.window_seconds.max(1)) * SECOND
    }

    /// The limit under load: rounded down, but not to nothing.
    pub(super) fn scaled(&self, scale: f32) -> u32 {
        if scale >= 1.0 || self.limit == 0 {
            return self.limit;
        }
        // The cast of a float saturates, and NaN becomes 0.
        ((f64::from(self.limit) * f64::from(scale)) as u32).max(1)
    }
}

impl Decision {
    /// Where no rule applies.
    pub(super) const UNLIMITED: Self =
        Self { allowed: true, limit: u32::MAX, remaining: u32::MAX, reset_seconds: 1, window_seconds: 1 };

    const REFUSED: Self = Self { allowed: false, limit: 0, remaining: 0, reset_seconds: 1, window_seconds: 1 };

    /// The one of two that the client feels: a refusal before a pass, then the longer wait or the fewer left.
    pub(super) fn tighter(self, other: Self) -> Self {
        let other_is_tighter = match (self.allowed, other.allowed) {
            (true, false) => true,
            (false, true) => false,
            (false, false) => other.reset_seconds > self.reset_seconds,
            (true, true) => other.remaining < self.remaining,
        };
        if other_is_tighter { other } else { self }
    }
}

#[cfg(test)]
mod tests;
