//! Time and randomness that a test controls.
//!
//! Owns: `FakeClock` (moves when told) and `FakeEntropy` (never repeats, always the same). Never waits.

use chatward_types::{Clock, Entropy, Result, Timestamp};
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

/// A clock that stands still until it is moved.
#[derive(Debug)]
pub struct FakeClock(AtomicI64);

impl FakeClock {
    /// A clock that shows `now`, in microseconds.
    pub fn at(now: Timestamp) -> Self {
        Self(AtomicI64::new(now))
    }

    /// Moves on by `microseconds`.
    pub fn advance(&self, microseconds: Timestamp) {
        self.0.fetch_add(microseconds, Ordering::SeqCst);
    }
}

impl Default for FakeClock {
    /// A day in November 2023.
    fn default() -> Self {
        Self::at(1_700_000_000_000_000)
    }
}

impl Clock for FakeClock {
    fn now(&self) -> Timestamp {
        self.0.load(Ordering::SeqCst)
    }
}

/// Bytes that look random, differ at every call and are the same in every run.
#[derive(Debug, Default)]
pub struct FakeEntropy(AtomicU64);

impl Entropy for FakeEntropy {
    fn fill(&self, buffer: &mut [u8]) -> Result<()> {
        for chunk in buffer.chunks_mut(8) {
            // splitmix64
            let mut word =
                self.0.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::SeqCst).wrapping_add(0x9e37_79b9_7f4a_7c15);
            word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            word ^= word >> 31;
            chunk.copy_from_slice(&word.to_le_bytes()[..chunk.len()]);
        }
        Ok(())
    }
}
