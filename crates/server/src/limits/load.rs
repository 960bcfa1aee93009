//! How many requests are running, and what that means for the limits (RATE-13).
//!
//! Owns one counter. Above the stated number of running requests, limits tighten to the stated fraction, so that the
//! many pay a little before anybody pays everything.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

/// The gauge of running requests.
#[derive(Debug)]
pub struct LoadGauge {
    running: AtomicU32,
    above: u32,
    fraction: f32,
}

/// One running request; it ends when this is dropped.
#[derive(Debug)]
pub struct LoadGuard(Arc<LoadGauge>);

impl LoadGauge {
    /// Limits shrink to `fraction` (0 to 1) of themselves while `above` or more requests run.
    pub fn new(above: u32, fraction: f32) -> Self {
        let fraction = if fraction.is_finite() { fraction.clamp(0.0, 1.0) } else { 1.0 };
        Self { running: AtomicU32::new(0), above, fraction }
    }

    /// Counts a request as running.
    pub fn enter(self: &Arc<Self>) -> LoadGuard {
        self.running.fetch_add(1, Ordering::Relaxed);
        LoadGuard(self.clone())
    }

    /// Requests running now.
    pub fn running(&self) -> u32 {
        self.running.load(Ordering::Relaxed)
    }

    /// What limits are multiplied by now: 1, or the fraction under load.
    pub fn scale(&self) -> f32 {
        if self.running() < self.above { 1.0 } else { self.fraction }
    }
}

impl Drop for LoadGuard {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_tighten_at_the_stated_load_and_recover() {
        let gauge = Arc::new(LoadGauge::new(3, 0.5));
        let mut guards: Vec<_> = (0..2).map(|_| gauge.enter()).collect();
        assert_eq!((gauge.running(), gauge.scale()), (2, 1.0));
        guards.push(gauge.enter());
        assert_eq!((gauge.running(), gauge.scale()), (3, 0.5));
        guards.pop();
        assert_eq!(gauge.scale(), 1.0);
        drop(guards);
        assert_eq!(gauge.running(), 0);
    }

    #[test]
    fn a_senseless_fraction_neither_opens_nor_breaks_the_limits() {
        assert_eq!(LoadGauge::new(0, 7.0).scale(), 1.0);
        assert_eq!(LoadGauge::new(0, -1.0).scale(), 0.0);
        assert_eq!(LoadGauge::new(0, f32::NAN).scale(), 1.0);
    }
}
