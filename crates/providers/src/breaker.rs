//! A circuit breaker: a provider that keeps failing is left alone for a while, then tried by one call.
//!
//! Owns: one provider's state and who may probe it. Never does: read a clock (the time is a parameter), wait, or know
//! why a call failed.

use chatward_types::{SECOND, Timestamp};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// When it opens and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BreakerSettings {
    /// Failures in a row that open it. At least 1.
    pub failures: u32,
    /// How long it stays open at first, in microseconds; each failed probe doubles it.
    pub pause: Timestamp,
    /// The longest that it stays open, in microseconds.
    pub longest_pause: Timestamp,
}

impl Default for BreakerSettings {
    fn default() -> Self {
        Self { failures: 5, pause: 15 * SECOND, longest_pause: 300 * SECOND }
    }
}

/// What it lets through.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum BreakerState {
    /// Everything.
    Closed,
    /// Nothing.
    Open,
    /// One call, whose outcome decides.
    HalfOpen,
}

#[derive(Debug)]
enum Inner {
    Closed { failures: u32 },
    Open { until: Timestamp, pause: Timestamp },
    Probing { pause: Timestamp },
}

/// One provider's breaker. Cloning shares it.
#[derive(Debug, Clone)]
pub struct Breaker {
    settings: BreakerSettings,
    inner: Arc<Mutex<Inner>>,
}

impl Breaker {
    /// A closed one.
    pub fn new(settings: BreakerSettings) -> Self {
        Self { settings, inner: Arc::new(Mutex::new(Inner::Closed { failures: 0 })) }
    }

    /// A permit for one call, or none while it is open or another call is probing.
    pub fn admit(&self, now: Timestamp) -> Option<Permit> {
        let mut inner = self.lock();
        let probe = match *inner {
            Inner::Closed { .. } => false,
            // A clock set back by more than the pause must not keep it open for ever.
            Inner::Open { until, pause } if now >= until || until.saturating_sub(now) > pause => {
                *inner = Inner::Probing { pause };
                true
            }
            Inner::Open { .. } | Inner::Probing { .. } => return None,
        };
        drop(inner);
        Some(Permit { breaker: self.clone(), probe, settled: false })
    }

    /// What it lets through at `now`.
    pub fn state(&self, now: Timestamp) -> BreakerState {
        match *self.lock() {
            Inner::Closed { .. } => BreakerState::Closed,
            Inner::Open { until, pause } if now < until && until.saturating_sub(now) <= pause => BreakerState::Open,
            Inner::Open { .. } | Inner::Probing { .. } => BreakerState::HalfOpen,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // The state is whole after each assignment, so a panic elsewhere cannot have left it half changed.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One call's leave to go ahead. Dropped without an outcome (the visitor left), it changes nothing but gives a probe's
/// turn back.
#[derive(Debug)]
pub struct Permit {
    breaker: Breaker,
    probe: bool,
    settled: bool,
}

impl Permit {
    /// The call has begun to go well: a probe lets others through again, with one strike left until it ends well. A
    /// stream can last for minutes, and nobody should wait for its end.
    pub fn begun(&mut self) {
        if std::mem::take(&mut self.probe) {
            let failures = self.breaker.settings.failures.saturating_sub(1);
            let mut inner = self.breaker.lock();
            if let Inner::Probing { .. } = *inner {
                *inner = Inner::Closed { failures };
            }
        }
    }

    /// The call went well: the breaker closes.
    pub fn succeeded(mut self) {
        self.settled = true;
        let mut inner = self.breaker.lock();
        match *inner {
            Inner::Closed { failures: 0 } => {}
            Inner::Closed { .. } => *inner = Inner::Closed { failures: 0 },
            // A call from before the opening that ends well late is no probe and proves nothing about now.
            Inner::Open { .. } | Inner::Probing { .. } if !self.probe => {}
            Inner::Open { .. } | Inner::Probing { .. } => *inner = Inner::Closed { failures: 0 },
        }
    }

    /// The call failed. `wait` is how long the provider asked to be left alone, in microseconds, if it did: then the
    /// breaker opens at once, for that long but no longer than the longest pause.
    pub fn failed(mut self, now: Timestamp, wait: Option<Timestamp>) {
        self.settled = true;
        let settings = self.breaker.settings;
        let mut inner = self.breaker.lock();
        let pause = match *inner {
            Inner::Probing { pause } if self.probe => pause.saturating_mul(2).min(settings.longest_pause),
            Inner::Open { .. } | Inner::Probing { .. } => return,
            Inner::Closed { failures } => {
                let failures = failures.saturating_add(1);
                if failures < settings.failures && wait.is_none() {
                    *inner = Inner::Closed { failures };
                    return;
                }
                settings.pause
            }
        };
        let pause = wait.map_or(pause, |wait| wait.clamp(SECOND, settings.longest_pause));
        *inner = Inner::Open { until: now.saturating_add(pause), pause };
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        if self.probe && !self.settled {
            let mut inner = self.breaker.lock();
            if let Inner::Probing { pause } = *inner {
                // Open until the beginning of time: the next call probes.
                *inner = Inner::Open { until: Timestamp::MIN, pause };
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const T: Timestamp = 1_700_000_000 * SECOND;

    fn breaker() -> Breaker {
        Breaker::new(BreakerSettings { failures: 3, pause: 10 * SECOND, longest_pause: 35 * SECOND })
    }

    fn fail(breaker: &Breaker, now: Timestamp) {
        breaker.admit(now).expect("a permit").failed(now, None);
    }

    fn opened() -> Breaker {
        let breaker = breaker();
        for _ in 0..3 {
            fail(&breaker, T);
        }
        breaker
    }

    #[test]
    fn it_opens_after_failures_in_a_row_and_not_before() {
        let breaker = breaker();
        fail(&breaker, T);
        fail(&breaker, T);
        breaker.admit(T).expect("a permit").succeeded();
        fail(&breaker, T);
        fail(&breaker, T);
        assert_eq!(breaker.state(T), BreakerState::Closed, "a success in between starts the count again");
        fail(&breaker, T);
        assert_eq!(breaker.state(T), BreakerState::Open);
        assert!(breaker.admit(T + 10 * SECOND - 1).is_none());
    }

    #[test]
    fn half_open_lets_one_call_through_and_its_success_closes() {
        let breaker = opened();
        let later = T + 10 * SECOND;
        assert_eq!(breaker.state(later), BreakerState::HalfOpen);
        let probe = breaker.admit(later).expect("the probe");
        assert!(breaker.admit(later).is_none(), "one probe at a time");
        probe.succeeded();
        assert_eq!(breaker.state(later), BreakerState::Closed);
        assert!(breaker.admit(later).is_some() && breaker.admit(later).is_some());
    }

    #[test]
    fn a_failed_probe_doubles_the_pause_up_to_the_longest() {
        let breaker = opened();
        let mut now = T + 10 * SECOND;
        for seconds in [20, 35, 35] {
            fail(&breaker, now);
            assert!(breaker.admit(now + seconds * SECOND - 1).is_none(), "{seconds}");
            now += seconds * SECOND;
            assert_eq!(breaker.state(now), BreakerState::HalfOpen, "{seconds}");
        }
    }

    #[test]
    fn a_dropped_probe_gives_its_turn_back() {
        let breaker = opened();
        let later = T + 10 * SECOND;
        drop(breaker.admit(later).expect("the probe"));
        assert!(breaker.admit(later).is_some(), "the next call probes");
        let calm = self::breaker();
        drop(calm.admit(T));
        assert_eq!(calm.state(T), BreakerState::Closed, "a visitor who leaves is not a failure");
    }

    #[test]
    fn a_probe_that_begins_well_lets_others_through_with_one_strike_left() {
        let breaker = opened();
        let later = T + 10 * SECOND;
        let mut probe = breaker.admit(later).expect("the probe");
        probe.begun();
        assert_eq!(breaker.state(later), BreakerState::Closed);
        drop(probe);
        fail(&breaker, later);
        assert_eq!(breaker.state(later), BreakerState::Open, "one failure opens it again");
        let mut probe = breaker.admit(later + 10 * SECOND).expect("the probe");
        probe.begun();
        probe.succeeded();
        fail(&breaker, later + 10 * SECOND);
        assert_eq!(breaker.state(later + 10 * SECOND), BreakerState::Closed, "a good end wipes the slate");
    }

    #[test]
    fn late_outcomes_of_calls_from_before_the_opening_change_nothing() {
        let breaker = breaker();
        let (early, other) = (breaker.admit(T).expect("a permit"), breaker.admit(T).expect("a permit"));
        for _ in 0..3 {
            fail(&breaker, T);
        }
        early.succeeded();
        assert_eq!(breaker.state(T), BreakerState::Open);
        other.failed(T + 9 * SECOND, None);
        assert_eq!(breaker.state(T + 10 * SECOND), BreakerState::HalfOpen, "the pause was not lengthened");
    }

    #[test]
    fn a_provider_that_asks_for_a_pause_gets_it_at_once_and_bounded() {
        let breaker = breaker();
        breaker.admit(T).expect("a permit").failed(T, Some(20 * SECOND));
        assert!(breaker.admit(T + 20 * SECOND - 1).is_none());
        breaker.admit(T + 20 * SECOND).expect("the probe").failed(T + 20 * SECOND, Some(9_999 * SECOND));
        assert_eq!(breaker.state(T + 55 * SECOND), BreakerState::HalfOpen);
    }

    #[test]
    fn a_clock_set_back_does_not_keep_it_open_for_ever() {
        let breaker = opened();
        assert!(breaker.admit(T - 3600 * SECOND).is_some());
    }
}
