//! Writing JSON text, fast.
//!
//! Owns: strings and numbers of a request's body. serde_json looks at a string byte by byte, which for the passages of a
//! question costs as much as the rest of the call together; here blocks without anything to escape are copied whole. A
//! property test holds the two equal. Never does: know what it writes.

use std::io::Write;

/// Appends `text` with quotation marks.
pub(crate) fn write_string(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    write_text(out, text);
    out.push(b'"');
}

/// Appends `text` as a part of a string.
pub(crate) fn write_text(out: &mut Vec<u8>, text: &str) {
    let mut rest = text.as_bytes();
    while let Some(at) = first_to_escape(rest) {
        out.extend_from_slice(&rest[..at]);
        write_escaped(out, rest[at]);
        rest = &rest[at + 1..];
    }
    out.extend_from_slice(rest);
}

/// Appends a whole number.
pub(crate) fn write_number(out: &mut Vec<u8>, number: u32) {
    // Writing to memory cannot fail.
    let _ = write!(out, "{number}");
}

/// Appends a fraction; what is no number in JSON becomes zero.
pub(crate) fn write_fraction(out: &mut Vec<u8>, number: f32) {
    let _ = write!(out, "{}", if number.is_finite() { number } else { 0.0 });
}

fn first_to_escape(bytes: &[u8]) -> Option<usize> {
    let (blocks, rest) = bytes.as_chunks::<32>();
    // No early exit inside a block, so that the compiler compares all of it at once.
    let clean = blocks.iter().take_while(|block| block.iter().fold(0, |found, byte| found | needs_escape(*byte)) == 0);
    let from = clean.count() * 32;
    debug_assert!(rest.len() <= bytes.len() - from);
    let (words, _) = bytes[from..].as_chunks::<8>();
    for (at, word) in words.iter().enumerate() {
        let found = need_escape(u64::from_le_bytes(*word));
        if found != 0 {
            return Some(from + at * 8 + found.trailing_zeros() as usize / 8);
        }
    }
    let from = from + words.len() * 8;
    bytes[from..].iter().position(|byte| needs_escape(*byte) != 0).map(|at| from + at)
}

/// The same for eight bytes at once: the lowest bit that is set is the highest of the first byte that needs an escape.
/// Bits above that one mean nothing, since a borrow may have set them.
fn need_escape(word: u64) -> u64 {
    const ONES: u64 = u64::from_le_bytes([1; 8]);
    let below = |word: u64, least: u8| word.wrapping_sub(ONES * u64::from(least)) & !word;
    let is = |byte: u8| below(word ^ (ONES * u64::from(byte)), 1);
    (below(word, 0x20) | is(b'"') | is(b'\\')) & (ONES << 7)
}

fn needs_escape(byte: u8) -> u8 {
    u8::from(byte < 0x20) | u8::from(byte == b'"') | u8::from(byte == b'\\')
}

fn write_escaped(out: &mut Vec<u8>, byte: u8) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    match byte {
        b'"' => out.extend_from_slice(b"\\\""),
        b'\\' => out.extend_from_slice(b"\\\\"),
        b'\n' => out.extend_from_slice(b"\\n"),
        b'\r' => out.extend_from_slice(b"\\r"),
        b'\t' => out.extend_from_slice(b"\\t"),
        0x08 => out.extend_from_slice(b"\\b"),
        0x0c => out.extend_from_slice(b"\\f"),
        other => {
            out.extend_from_slice(b"\\u00");
            out.extend([DIGITS[usize::from(other >> 4)], DIGITS[usize::from(other & 0x0f)]]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn written(text: &str) -> String {
        let mut out = Vec::new();
        write_string(&mut out, text);
        String::from_utf8(out).expect("text")
    }

    #[test]
    fn every_ascii_character_is_written_as_serde_json_writes_it() {
        for length in [0, 1, 31, 32, 33, 64] {
            for byte in 0..=0x7f_u8 {
                let text = ["a".repeat(length), char::from(byte).to_string(), "b".repeat(40)].concat();
                assert_eq!(written(&text), serde_json::to_string(&text).expect("JSON"));
            }
        }
    }

    #[test]
    fn fractions_are_numbers_in_json_whatever_they_are() {
        for number in [0.0, -0.0, 0.2, 1.0, 1e-30, f32::MAX, f32::NAN, f32::INFINITY] {
            let mut out = Vec::new();
            write_fraction(&mut out, number);
            let read: f32 = serde_json::from_slice(&out).expect("a number");
            assert!(read == number || !number.is_finite(), "{number}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_written_as_serde_json_writes_it(text in "(?s).{0,200}", tail in "[ -~\n\"\\\\\u{e9}]{0,200}") {
            let text = [text, tail].concat();
            prop_assert_eq!(written(&text), serde_json::to_string(&text).expect("JSON"));
        }
    }
}
