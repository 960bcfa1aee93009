//! Times and spans as people write them on the command line: `90s`, `15m`, `2h`, `7d`; `2026-11-21`, `2026-11-21T01:02:03Z`.
//!
//! Owns: that reading. Never does: read a clock; the caller says what now is.

use super::Failure;
use crate::events;
use chatward_types::{DAY, HOUR, MINUTE, SECOND, Timestamp};

/// A span, in microseconds; more than nothing and at most ten years.
pub(super) fn span(text: &str) -> Result<Timestamp, Failure> {
    let wrong = || Failure::Usage("write a span such as 90s, 15m, 2h or 7d, at most 3650d".to_owned());
    let text = text.trim();
    let (number, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit()).ok_or_else(wrong)?);
    let unit = match unit {
        "s" => SECOND,
        "m" => MINUTE,
        "h" => HOUR,
        "d" => DAY,
        _ => return Err(wrong()),
    };
    let span = number.parse::<i64>().ok().and_then(|number| number.checked_mul(unit)).ok_or_else(wrong)?;
    if (1..=3650 * DAY).contains(&span) { Ok(span) } else { Err(wrong()) }
}

/// A time: a date, a time in UTC, or a span back from `now`.
pub(super) fn time(text: &str, now: Timestamp) -> Result<Timestamp, Failure> {
    let text = text.trim();
    if let Ok(span) = span(text) {
        return Ok(now - span);
    }
    let whole = match text.strip_suffix('Z') {
        Some(start) if start.contains('.') => text.to_owned(),
        Some(start) => format!("{start}.000000Z"),
        None => format!("{text}T00:00:00.000000Z"),
    };
    events::parse_time(&whole).ok_or_else(|| {
        Failure::Usage(
            "write a time such as 2026-11-21, 2026-11-21T01:02:03Z, or a span back from now such as 2h".to_owned(),
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_and_times_are_read_and_nonsense_is_refused() {
        assert_eq!(span("90s").ok(), Some(90 * SECOND));
        assert_eq!(span("7d").ok(), Some(7 * DAY));
        for bad in ["", "h", "1", "0s", "1w", "-1h", "99999999999999999999d", "4000d", "1é"] {
            assert!(span(bad).is_err(), "{bad}");
        }
        let day = 1_795_219_200 * SECOND;
        assert_eq!(time("2026-11-21", 0).ok(), Some(day));
        assert_eq!(time("2026-11-21T00:00:01Z", 0).ok(), Some(day + SECOND));
        assert_eq!(time("2h", 10 * HOUR).ok(), Some(8 * HOUR));
        assert!(time("yesterday", 0).is_err() && time("2026-02-30", 0).is_err());
    }
}
