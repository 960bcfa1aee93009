//! The text of an answer out of the bytes of JSON strings, mended where a provider tore it.
//!
//! Owns: a JSON string as bytes without copying it, and the half character at the end of one delta that the next one
//! completes: providers that stream byte by byte cut UTF-8 and surrogate pairs in two.
//! Never does: hold more than five bytes, or drop a good character because of a bad one.

use serde::Deserialize;
use serde::de::{self, Deserializer, Visitor};
use std::borrow::Cow;
use std::fmt;

/// A JSON string, not yet checked to be text. Lone surrogates arrive as their three bytes.
#[derive(Debug)]
pub(crate) struct Raw<'a>(pub(crate) Cow<'a, [u8]>);

impl<'de: 'a, 'a> Deserialize<'de> for Raw<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Bytes;
        impl<'de> Visitor<'de> for Bytes {
            type Value = Raw<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }
            fn visit_borrowed_bytes<E: de::Error>(self, bytes: &'de [u8]) -> Result<Self::Value, E> {
                Ok(Raw(Cow::Borrowed(bytes)))
            }
            fn visit_bytes<E: de::Error>(self, bytes: &[u8]) -> Result<Self::Value, E> {
                Ok(Raw(Cow::Owned(bytes.to_vec())))
            }
        }
        deserializer.deserialize_bytes(Bytes)
    }
}

/// Joins deltas into text.
#[derive(Debug, Default)]
pub(crate) struct TextJoiner {
    /// The beginning of a character (at most 3 bytes) or a first surrogate and the beginning of the second (at most 5).
    kept: Vec<u8>,
}

impl TextJoiner {
    /// Appends `bytes` to `text`, but for a character that is not complete yet.
    pub(crate) fn push(&mut self, bytes: &[u8], text: &mut String) {
        if self.kept.is_empty()
            && let Ok(whole) = std::str::from_utf8(bytes)
        {
            text.push_str(whole);
        } else {
            let mut joined = std::mem::take(&mut self.kept);
            joined.extend_from_slice(bytes);
            self.mend(&joined, text);
        }
    }

    /// No more will come: what is left becomes one replacement character.
    pub(crate) fn end(&mut self, text: &mut String) {
        if !std::mem::take(&mut self.kept).is_empty() {
            text.push(char::REPLACEMENT_CHARACTER);
        }
    }

    fn mend(&mut self, mut rest: &[u8], text: &mut String) {
        loop {
            let error = match std::str::from_utf8(rest) {
                Ok(whole) => return text.push_str(whole),
                Err(error) => error,
            };
            let (good, bad) = rest.split_at(error.valid_up_to());
            text.push_str(std::str::from_utf8(good).unwrap_or_default());
            rest = match surrogate(bad) {
                Surrogate::Pair(character) => {
                    text.push(character);
                    &bad[6..]
                }
                Surrogate::Unfinished => {
                    self.kept = bad.to_vec();
                    return;
                }
                Surrogate::Alone => {
                    text.push(char::REPLACEMENT_CHARACTER);
                    &bad[3..]
                }
                Surrogate::No => match error.error_len() {
                    Some(length) => {
                        text.push(char::REPLACEMENT_CHARACTER);
                        &bad[length..]
                    }
                    None => {
                        self.kept = bad.to_vec();
                        return;
                    }
                },
            };
        }
    }
}

enum Surrogate {
    No,
    Alone,
    Unfinished,
    Pair(char),
}

/// What stands at the start of `bytes`, which are not UTF-8 there. A surrogate in its generalised form has three bytes
/// that begin with ED and A0 or more; two of them, a high and a low, are one character.
fn surrogate(bytes: &[u8]) -> Surrogate {
    let [0xed, second @ 0xa0..=0xbf, rest @ ..] = bytes else {
        return if bytes == [0xed] { Surrogate::Unfinished } else { Surrogate::No };
    };
    let [third @ 0x80..=0xbf, rest @ ..] = rest else {
        return if rest.is_empty() { Surrogate::Unfinished } else { Surrogate::No };
    };
    if *second >= 0xb0 {
        return Surrogate::Alone;
    }
    match rest {
        [] | [0xed] | [0xed, 0xb0..=0xbf] => Surrogate::Unfinished,
        [0xed, fourth @ 0xb0..=0xbf, fifth @ 0x80..=0xbf, ..] => {
            let half = |upper: u8, lower: u8| u32::from(upper & 0x0f) << 6 | u32::from(lower & 0x3f);
            let code = 0x1_0000 + (half(*second, *third) << 10 | half(*fourth, *fifth));
            char::from_u32(code).map_or(Surrogate::Alone, Surrogate::Pair)
        }
        _ => Surrogate::Alone,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn join(parts: &[&[u8]]) -> String {
        let mut joiner = TextJoiner::default();
        let mut text = String::new();
        for part in parts {
            joiner.push(part, &mut text);
            assert!(joiner.kept.len() <= 5, "no more than a character is kept");
        }
        joiner.end(&mut text);
        text
    }

    fn decoded(json: &str) -> Vec<u8> {
        serde_json::from_str::<Raw<'_>>(json).expect("a string").0.into_owned()
    }

    #[test]
    fn a_surrogate_pair_cut_in_two_becomes_its_character() {
        assert_eq!(join(&[&decoded("\"a\\ud83d\""), &decoded("\"\\ude00b\"")]), "a😀b");
        assert_eq!(join(&[&decoded("\"\\ud83d\\ude00\"")]), "😀");
    }

    #[test]
    fn lone_surrogates_and_bad_bytes_become_replacement_characters_and_nothing_else_is_lost() {
        assert_eq!(join(&[&decoded("\"\\ud83d\""), b"x"]), "\u{fffd}x");
        assert_eq!(join(&[&decoded("\"\\ude00x\"")]), "\u{fffd}x");
        assert_eq!(join(&[&decoded("\"x\\ud83d\"")]), "x\u{fffd}");
        assert_eq!(join(&[b"a\xffb"]), "a\u{fffd}b");
        assert_eq!(join(&[b"a\xe2\x82"]), "a\u{fffd}");
        assert_eq!(join(&[&decoded("\"\\ud83d\\ud83d\""), &decoded("\"\\ude00\"")]), "\u{fffd}😀");
    }

    #[test]
    fn a_string_without_escapes_is_borrowed() {
        let raw: Raw<'_> = serde_json::from_str("\"plain é\"").expect("a string");
        assert!(matches!(raw.0, Cow::Borrowed(_)));
    }

    proptest! {
        #[test]
        fn text_cut_anywhere_is_joined_again(text in "[a\u{e9}\u{20ac}\u{1f600}\u{d7ff}]{0,40}", size in 1_usize..6) {
            let parts: Vec<&[u8]> = text.as_bytes().chunks(size).collect();
            prop_assert_eq!(join(&parts), text);
        }

        #[test]
        fn any_bytes_give_the_same_text_however_they_are_cut(bytes in proptest::collection::vec(prop_oneof![Just(0xed_u8), Just(0xa0), Just(0xb0), Just(0x80), any::<u8>()], 0..60), size in 1_usize..6) {
            let parts: Vec<&[u8]> = bytes.chunks(size).collect();
            prop_assert_eq!(join(&parts), join(&[&bytes]));
        }
    }
}
