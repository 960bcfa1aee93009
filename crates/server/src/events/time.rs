//! Times as text: RFC 3339 in UTC with microseconds, the one form of the log.
//!
//! Owns: the calendar. Never does: read a clock.

use chatward_types::{DAY, Timestamp};

/// `2026-11-21T01:02:03.000004Z`. A year of more than four digits is written as 9999, one before the first as 0000.
pub fn rfc3339(at: Timestamp) -> String {
    let (year, month, day) = date(at.div_euclid(DAY));
    let inside = at.rem_euclid(DAY);
    let (seconds, micro) = (inside / 1_000_000, inside % 1_000_000);
    let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    let mut text = *b"0000-00-00T00:00:00.000000Z";
    let year = year.clamp(0, 9999);
    for (at, digits, mut number) in
        [(0, 4, year), (5, 2, month), (8, 2, day), (11, 2, hour), (14, 2, minute), (17, 2, second), (20, 6, micro)]
    {
        for digit in text[at..at + digits].iter_mut().rev() {
            *digit += u8::try_from(number % 10).unwrap_or_default();
            number /= 10;
        }
    }
    text.map(char::from).iter().collect()
}

/// The time that [`rfc3339`] wrote; `None` for any other text.
pub fn parse(text: &str) -> Option<Timestamp> {
    let part = |from: usize, to: usize| text.get(from..to)?.parse::<i64>().ok();
    let (year, month, day) = (part(0, 4)?, part(5, 7)?, part(8, 10)?);
    let (hour, minute, second, micro) = (part(11, 13)?, part(14, 16)?, part(17, 19)?, part(20, 26)?);
    let at = days(year, month, day) * DAY + (hour * 3600 + minute * 60 + second) * 1_000_000 + micro;
    (rfc3339(at) == text).then_some(at)
}

/// Year, month and day of a day counted from 1970-01-01, in the Gregorian calendar (an era is 400 years).
fn date(day: i64) -> (i64, i64, i64) {
    // Years run from March here, so that the leap day is the last one.
    let shifted = day + 719_468;
    let era = shifted.div_euclid(146_097);
    let of_era = shifted.rem_euclid(146_097);
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (year + era * 400 + i64::from(month <= 2), month, day)
}

/// The day of a date, counted from 1970-01-01.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = year - i64::from(month <= 2);
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let of_year = (153 * (month + if month > 2 { -3 } else { 9 }) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn known_times_are_written_as_everybody_writes_them() {
        assert_eq!(rfc3339(0), "1970-01-01T00:00:00.000000Z");
        assert_eq!(rfc3339(1_700_000_000_123_456), "2023-11-14T22:13:20.123456Z");
        assert_eq!(rfc3339(951_782_400_000_000), "2000-02-29T00:00:00.000000Z");
        assert_eq!(rfc3339(4_107_542_399_999_999), "2100-02-28T23:59:59.999999Z");
        assert_eq!(rfc3339(-62_167_219_200_000_001), "0000-12-31T23:59:59.999999Z");
        assert_eq!(&rfc3339(i64::MAX)[..5], "9999-");
        assert_eq!(parse("2026-02-30T00:00:00.000000Z"), None);
        assert_eq!(parse("yesterday"), None);
    }

    proptest! {
        #[test]
        fn every_time_of_ten_thousand_years_round_trips(at in 0_i64..253_402_300_800_000_000) {
            prop_assert_eq!(parse(&rfc3339(at)), Some(at));
        }

        #[test]
        fn no_text_makes_the_parser_panic(text in ".{0,40}") {
            let _ = parse(&text);
        }
    }
}
