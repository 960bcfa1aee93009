//! Recovery codes: what lets a user in whose second factor is lost.
//!
//! Owns their form: 80 random bits in sixteen letters and digits without those that look alike, in groups of four; small
//! and large letters, hyphens and spaces are one. The store has keyed hashes of them, and the use of one removes it.

use crate::app::App;
use chatward_types::{OwnerId, Result, Secret, UserId};

/// How many a user has after each making.
pub const NUMBER: usize = 10;
const BYTES: usize = 10;
const LETTERS: usize = 16;
/// Crockford's base32, without i, l, o and u.
const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

/// New codes of a user.
#[derive(Debug)]
pub struct Fresh {
    /// To be shown this once.
    pub codes: Vec<Secret<String>>,
    /// To be stored.
    pub hashes: Vec<[u8; 32]>,
}

/// New codes.
///
/// # Errors
/// When the entropy source fails.
pub fn generate(app: &App, owner: OwnerId, user: UserId) -> Result<Fresh> {
    let mut codes = Vec::with_capacity(NUMBER);
    let mut hashes = Vec::with_capacity(NUMBER);
    for _ in 0..NUMBER {
        let mut bytes = [0; BYTES];
        app.entropy.fill(&mut bytes)?;
        let code = Secret::new(bytes);
        hashes.push(app.account_keys.recovery_code(owner, user, &code));
        codes.push(written(&code));
        zeroize::Zeroize::zeroize(&mut bytes);
    }
    Ok(Fresh { codes, hashes })
}

/// The hash of what a text is, if it has the form of a code.
pub fn hash(app: &App, owner: OwnerId, user: UserId, text: &str) -> Option<[u8; 32]> {
    read(text).map(|code| app.account_keys.recovery_code(owner, user, &code))
}

fn written(code: &Secret<[u8; BYTES]>) -> Secret<String> {
    let mut text = String::with_capacity(LETTERS + 3);
    for five in code.expose().chunks(5) {
        let bits = five.iter().fold(0_u64, |bits, byte| bits << 8 | u64::from(*byte));
        for place in (0..8).rev() {
            if place % 4 == 3 && !text.is_empty() {
                text.push('-');
            }
            text.push(char::from(ALPHABET[(bits >> (5 * place)) as usize & 31]));
        }
    }
    Secret::new(text)
}

fn read(text: &str) -> Option<Secret<[u8; BYTES]>> {
    let letters = text.bytes().filter(|byte| !matches!(byte, b' ' | b'-')).map(|byte| {
        let plain = match byte.to_ascii_lowercase() {
            b'o' => b'0',
            b'i' | b'l' => b'1',
            other => other,
        };
        ALPHABET.iter().position(|letter| *letter == plain)
    });
    let values: Secret<Vec<u8>> =
        Secret::new(letters.map(|value| value.and_then(|value| u8::try_from(value).ok())).collect::<Option<_>>()?);
    if values.expose().len() != LETTERS {
        return None;
    }
    let mut code = [0; BYTES];
    for (half, eight) in code.chunks_mut(5).zip(values.expose().chunks(8)) {
        let bits = eight.iter().fold(0_u64, |bits, value| bits << 5 | u64::from(*value));
        half.copy_from_slice(&bits.to_be_bytes()[3..]);
    }
    Some(Secret::new(code))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_read_as_people_write_it() {
        let code = Secret::new([0x00, 0x44, 0x32, 0x14, 0xc7, 0xff, 0xee, 0xdd, 0xcc, 0xbb]);
        let text = written(&code);
        assert_eq!(text.expose(), "0123-4567-zzqd-vk5v");
        let same = |written: &str| read(written).is_some_and(|read| read.expose() == code.expose());
        for as_written in ["0123-4567-zzqd-vk5v", "01234567ZZQDVK5V", " o1 23-45 67 ZZqd vk5v", "oI23-4567-zzqd-vk5v"] {
            assert!(same(as_written), "{as_written}");
        }
        for other in
            ["", "0123-4567-zzqd-vk5", "0123-4567-zzqd-vk5vv", "0123-4567-zzqd-vk5u", "123456", "ä123-4567-zzqd-vk5v"]
        {
            assert!(read(other).is_none(), "{other}");
        }
    }
}
