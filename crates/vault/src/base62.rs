//! Base62 of 128-bit numbers in exactly 22 characters, and of 32-bit numbers in exactly 6.
//!
//! Owns the alphabet `0-9A-Za-z`, which needs no escaping in a URL, a header, HTML or a shell. Each number has one
//! text and each text at most one number, so that two spellings of the same id cannot exist.

const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const ABSENT: u8 = 0xff;
const VALUES: [u8; 256] = values();

/// Characters of a 128-bit number.
pub(crate) const LONG: usize = 22;
/// Characters of a 32-bit number.
pub(crate) const SHORT: usize = 6;

const fn values() -> [u8; 256] {
    let mut table = [ABSENT; 256];
    let mut i = 0;
    while i < 62 {
        table[ALPHABET[i] as usize] = i as u8;
        i += 1;
    }
    table
}

/// The text of 128 bits, most significant digit first: 22 characters.
pub fn base62_encode(bytes: [u8; 16]) -> String {
    // Three divisions of 128 bits are slow enough; the digits then come from 64-bit halves.
    const CHUNK: u128 = 62_u128.pow(8);
    let number = u128::from_be_bytes(bytes);
    let mut text = String::with_capacity(LONG);
    digits(&mut text, (number / (CHUNK * CHUNK)) as u64, 6);
    digits(&mut text, (number / CHUNK % CHUNK) as u64, 8);
    digits(&mut text, (number % CHUNK) as u64, 8);
    text
}

/// The 128 bits of a text that [`base62_encode`] made; `None` for any other text.
pub fn base62_decode(text: &str) -> Option<[u8; 16]> {
    if text.len() != LONG {
        return None;
    }
    let mut number = 0_u128;
    for byte in text.bytes() {
        let value = VALUES[usize::from(byte)];
        if value == ABSENT {
            return None;
        }
        number = number.checked_mul(62)?.checked_add(u128::from(value))?;
    }
    Some(number.to_be_bytes())
}

/// Whether every character belongs to the alphabet.
pub(crate) fn is_base62(text: &str) -> bool {
    text.bytes().all(|byte| VALUES[usize::from(byte)] != ABSENT)
}

/// Appends a 32-bit number as 6 characters.
pub(crate) fn push_short(text: &mut String, number: u32) {
    digits(text, u64::from(number), SHORT);
}

fn digits(text: &mut String, mut number: u64, count: usize) {
    let mut buffer = [b'0'; LONG];
    for place in buffer[..count].iter_mut().rev() {
        *place = ALPHABET[(number % 62) as usize];
        number /= 62;
    }
    text.extend(buffer[..count].iter().map(|byte| char::from(*byte)));
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_ends_of_the_range_are_exact() {
        assert_eq!(base62_encode([0; 16]), "0".repeat(22));
        let largest = base62_encode([0xff; 16]);
        assert_eq!(base62_decode(&largest), Some([0xff; 16]));
        // One more than the largest number has 22 characters too, and is refused.
        assert_eq!(base62_decode(&"z".repeat(22)), None);
    }

    proptest! {
        #[test]
        fn bytes_round_trip(bytes: [u8; 16]) {
            let text = base62_encode(bytes);
            prop_assert_eq!(text.len(), LONG);
            prop_assert_eq!(base62_decode(&text), Some(bytes));
        }

        #[test]
        fn each_number_has_one_text(text in "[0-9A-Za-z]{22}") {
            if let Some(bytes) = base62_decode(&text) {
                prop_assert_eq!(base62_encode(bytes), text);
            }
        }

        #[test]
        fn no_text_makes_the_decoder_panic(text in ".{0,40}") {
            let _ = base62_decode(&text);
        }
    }
}
