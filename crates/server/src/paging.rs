//! Lists page by page: how many, and where the next page begins.
//!
//! Owns the form of a cursor: opaque to clients, who only hand it back. It names a place within rows that the caller may see
//! anyway, so nobody gains by making one up; what is none of ours is refused.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chatward_types::{Error, Kind, Result};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Items of a page where the client does not say.
const USUAL: u32 = 50;
/// The most items of a page.
pub const MOST: u32 = 200;
/// Characters of a cursor.
const LONGEST: usize = 1024;

/// How many items a page has.
///
/// # Errors
/// [`Kind::Invalid`] for none or too many.
pub fn size(limit: Option<u32>) -> Result<u32> {
    match limit {
        None => Ok(USUAL),
        Some(limit) if (1..=MOST).contains(&limit) => Ok(limit),
        Some(_) => Err(Error::invalid("Parameter `limit` takes 1 to 200.")),
    }
}

/// The place that a cursor names.
///
/// # Errors
/// [`Kind::Malformed`] for what is no cursor of this list.
pub fn place<T: DeserializeOwned>(cursor: Option<&str>) -> Result<Option<T>> {
    let Some(text) = cursor else { return Ok(None) };
    let bytes = if text.len() > LONGEST { None } else { URL_SAFE_NO_PAD.decode(text).ok() };
    // No text of ours holds NUL, which PostgreSQL cannot compare.
    let bytes = bytes.filter(|bytes| !bytes.windows(6).any(|part| part == b"\\u0000"));
    match bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok()) {
        Some(place) => Ok(Some(place)),
        None => Err(Error::new(
            Kind::Malformed,
            "malformed_cursor",
            "Parameter `cursor` takes the `next_cursor` of the page before, and nothing else.",
        )),
    }
}

/// The cursor of the page after `items`, of which one more than `limit` were read; the one too many goes.
///
/// # Errors
/// When the place cannot be written, which does not happen.
pub fn next<T, P: Serialize>(items: &mut Vec<T>, limit: u32, place: impl Fn(&T) -> P) -> Result<Option<String>> {
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    if items.len() <= limit {
        return Ok(None);
    }
    items.truncate(limit);
    items.last().map(|last| cursor(&place(last))).transpose()
}

/// A place as a cursor.
///
/// # Errors
/// When it cannot be written, which does not happen.
pub fn cursor<P: Serialize>(place: &P) -> Result<String> {
    let bytes = serde_json::to_vec(place).map_err(Error::internal)?;
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_follow_each_other_and_end() {
        let read = |after: Option<u32>| (after.map_or(0, |last| last + 1)..7).take(4).collect::<Vec<u32>>();
        let (mut seen, mut cursor) = (Vec::new(), None);
        loop {
            let mut page = read(place(cursor.as_deref()).expect("a place"));
            cursor = next(&mut page, 3, |last| *last).expect("a cursor");
            seen.push(page);
            if cursor.is_none() {
                break;
            }
        }
        assert_eq!(seen, [vec![0, 1, 2], vec![3, 4, 5], vec![6]]);
    }

    #[test]
    fn what_is_no_cursor_or_size_is_refused() {
        for bad in ["", "x", "%", "bnVsbA=", &"A".repeat(2000)] {
            assert!(place::<u32>(Some(bad)).is_err(), "{bad}");
        }
        let nul = cursor(&"a\0b").expect("a cursor");
        assert!(place::<String>(Some(&nul)).is_err());
        assert!(size(Some(0)).is_err() && size(Some(201)).is_err());
        assert_eq!((size(None).ok(), size(Some(200)).ok()), (Some(50), Some(200)));
    }
}
