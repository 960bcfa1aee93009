//! Time and randomness as parameters, so that expiry and limits are tested without waiting.

use std::fmt;

/// Microseconds since 1970-01-01T00:00:00Z, as stored in every `BIGINT` time column.
pub type Timestamp = i64;

/// One second in [`Timestamp`] units.
pub const SECOND: Timestamp = 1_000_000;
/// One minute in [`Timestamp`] units.
pub const MINUTE: Timestamp = 60 * SECOND;
/// One hour in [`Timestamp`] units.
pub const HOUR: Timestamp = 60 * MINUTE;
/// One day in [`Timestamp`] units.
pub const DAY: Timestamp = 24 * HOUR;

/// Where stored times, limits and expiry read the time from. Deadlines of real waits use tokio instead.
pub trait Clock: Send + Sync + fmt::Debug {
    /// The present time.
    fn now(&self) -> Timestamp;
}

/// The machine's clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(
        clippy::disallowed_methods,
        reason = "the one place that reads the machine's clock; everything else takes a Clock"
    )]
    fn now(&self) -> Timestamp {
        std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .map_or(0, |elapsed| Timestamp::try_from(elapsed.as_micros()).unwrap_or(Timestamp::MAX))
    }
}

/// Where ids, keys and nonces get their bytes from. The real one lives in the vault crate.
pub trait Entropy: Send + Sync + fmt::Debug {
    /// Fills `buffer` with unpredictable bytes.
    ///
    /// # Errors
    /// [`crate::Kind::Internal`] when the system's source fails.
    fn fill(&self, buffer: &mut [u8]) -> crate::Result<()>;
}
