//! What all issued keys have in common: the word of their environment, and six characters of check at the end.
//!
//! Owns the check, a CRC-32. It is no protection: it lets a mistyped key be told from an unknown one without a look-up,
//! and a scanner recognise a key.

use crate::base62::{SHORT, push_short};
use chatward_types::Environment;

/// The environment that a key's word names.
pub(crate) fn environment_of(word: &str) -> Option<Environment> {
    [Environment::Development, Environment::Staging, Environment::Production]
        .into_iter()
        .find(|environment| environment.key_word() == word)
}

/// Appends the check of everything before it.
pub(crate) fn push_check(text: &mut String) {
    let check = crc32(text.as_bytes());
    push_short(text, check);
}

/// Whether the last characters are the check of those before.
pub(crate) fn has_check(text: &str) -> bool {
    let Some((covered, check)) = text.len().checked_sub(SHORT).and_then(|at| text.split_at_checked(at)) else {
        return false;
    };
    let mut expected = String::with_capacity(SHORT);
    push_short(&mut expected, crc32(covered.as_bytes()));
    expected == check
}

/// CRC-32 as in Ethernet and zip (reflected, polynomial 0xEDB88320).
fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |mut state, byte| {
        state ^= u32::from(*byte);
        for _ in 0..8 {
            state = (state >> 1) ^ (0xEDB8_8320 & (state & 1).wrapping_neg());
        }
        state
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_check_is_the_published_crc() {
        assert_eq!(crc32(b"123456789"), 0xCBF4_3926);
    }

    #[test]
    fn a_short_or_foreign_text_has_no_check() {
        for text in ["", "abc", "abcdef", "ab\u{e9}\u{e9}\u{e9}d"] {
            assert!(!has_check(text), "{text}");
        }
        let mut text = "abc".to_owned();
        push_check(&mut text);
        assert!(has_check(&text));
    }
}
