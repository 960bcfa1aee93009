//! Times collected and what they come to.

use std::time::Duration;

/// Microseconds of each request.
#[derive(Debug, Default)]
pub struct Times(Vec<u32>);

impl Times {
    /// Adds one.
    pub fn add(&mut self, time: Duration) {
        self.0.push(u32::try_from(time.as_micros()).unwrap_or(u32::MAX));
    }

    /// Adds all of another.
    pub fn merge(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// The time that the given share of requests did not exceed, in microseconds.
    pub fn percentile(&mut self, share: f64) -> u32 {
        self.0.sort_unstable();
        let last = self.0.len().saturating_sub(1);
        let index = (self.0.len() as f64 * share) as usize;
        self.0.get(index.min(last)).copied().unwrap_or(0)
    }
}
