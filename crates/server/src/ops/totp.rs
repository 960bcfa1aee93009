//! One-time codes by the time of day (RFC 6238): SHA-1, six digits, a step of 30 seconds, which is what every
//! authenticator program knows. <https://www.rfc-editor.org/rfc/rfc6238>
//!
//! Owns: what a secret is, its code at a time, and the two forms in which it is handed to a program. The algorithm is
//! thirty lines over the vault's HMAC, so no crate is needed for it. Never stores a secret, nor knows which codes were taken.

use chatward_types::{Entropy, Result, SECOND, Secret, Timestamp};
use chatward_vault::{equal_constant_time, hmac_sha1};
use std::fmt::Write as _;

/// 160 bits, as RFC 4226 recommends.
pub type Key = Secret<[u8; 20]>;

const STEP: Timestamp = 30 * SECOND;
const DIGITS: u32 = 6;
const BASE32: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

/// A new secret.
///
/// # Errors
/// When the entropy source fails.
pub fn generate(entropy: &dyn Entropy) -> Result<Key> {
    let mut bytes = [0; 20];
    entropy.fill(&mut bytes)?;
    let key = Secret::new(bytes);
    zeroize::Zeroize::zeroize(&mut bytes);
    Ok(key)
}

/// The step that a time belongs to.
pub fn step_at(now: Timestamp) -> i64 {
    now.div_euclid(STEP)
}

/// The code of a step.
pub fn code(key: &Key, step: i64) -> String {
    format!("{:0width$}", truncated(key, step) % 10_u32.pow(DIGITS), width = DIGITS as usize)
}

/// The step whose code this is: the one of `now`, the one before or the one after, since clocks differ and people are slow.
pub fn step_of(key: &Key, text: &str, now: Timestamp) -> Option<i64> {
    let current = step_at(now);
    // All three are computed, whichever it is.
    let found = [current - 1, current, current + 1]
        .map(|step| equal_constant_time(code(key, step).as_bytes(), text.as_bytes()).then_some(step));
    found.into_iter().flatten().next_back()
}

/// The secret for typing in: base32 without padding (RFC 4648).
pub fn base32(key: &Key) -> Secret<String> {
    let mut text = String::with_capacity(32);
    for five in key.expose().chunks(5) {
        let bits = five.iter().fold(0_u64, |bits, byte| bits << 8 | u64::from(*byte));
        for place in (0..8).rev() {
            text.push(char::from(BASE32[(bits >> (5 * place)) as usize & 31]));
        }
    }
    Secret::new(text)
}

/// The secret for a QR code: an `otpauth` address that names the server and the account.
pub fn address(key: &Key, server: &str, account: &str) -> Secret<String> {
    let (server, account) = (encoded(server), encoded(account));
    let secret = base32(key);
    Secret::new(format!(
        "otpauth://totp/{server}:{account}?secret={}&issuer={server}&algorithm=SHA1&digits={DIGITS}&period={}",
        secret.expose(),
        STEP / SECOND
    ))
}

/// The dynamic truncation of RFC 4226: 31 bits at a place that the last byte names.
fn truncated(key: &Key, step: i64) -> u32 {
    let mac = hmac_sha1(key, &step.to_be_bytes());
    let at = usize::from(mac[19] & 15);
    u32::from_be_bytes([mac[at] & 0x7f, mac[at + 1], mac[at + 2], mac[at + 3]])
}

fn encoded(text: &str) -> String {
    text.bytes().fold(String::with_capacity(text.len()), |mut out, byte| {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            out.push(char::from(byte));
        } else {
            // Writing into a String cannot fail.
            let _ = write!(out, "%{byte:02X}");
        }
        out
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The secret of RFC 6238, appendix B.
    fn published() -> Key {
        Secret::new(*b"12345678901234567890")
    }

    #[test]
    fn codes_are_those_of_appendix_b() {
        for (seconds, step, eight_digits) in [
            (59, 0x1, "94287082"),
            (1_111_111_109, 0x0235_23EC, "07081804"),
            (1_111_111_111, 0x0235_23ED, "14050471"),
            (1_234_567_890, 0x0273_EF07, "89005924"),
            (2_000_000_000, 0x03F9_40AA, "69279037"),
            (20_000_000_000, 0x27BC_86AA, "65353130"),
        ] {
            assert_eq!(step_at(seconds * SECOND), step, "{seconds}");
            assert_eq!(format!("{:08}", truncated(&published(), step) % 100_000_000), eight_digits, "{seconds}");
            assert_eq!(code(&published(), step), &eight_digits[2..], "six digits of the same number");
        }
    }

    #[test]
    fn one_step_either_way_is_taken_and_no_more() {
        let (key, now) = (published(), 1_800_000_000 * SECOND);
        let current = step_at(now);
        for (step, found) in [(-2, false), (-1, true), (0, true), (1, true), (2, false)] {
            let step = current + step;
            assert_eq!(step_of(&key, &code(&key, step), now), found.then_some(step), "{step}");
        }
        let right = code(&key, current);
        for wrong in
            ["", "0", &right[..5], &format!("{right}0"), &format!("0{right}"), &right.replace(&right[..1], "x")]
        {
            assert_eq!(step_of(&key, wrong, now), None, "{wrong}");
        }
        assert_eq!(step_of(&Secret::new([7; 20]), &right, now), None, "another secret");
    }

    #[test]
    fn the_forms_for_programs_are_the_usual_ones() {
        assert_eq!(base32(&published()).expose(), "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ");
        let address = address(&published(), "Chatward chat.example", "ann+x@example.test");
        assert_eq!(
            address.expose(),
            "otpauth://totp/Chatward%20chat.example:ann%2Bx%40example.test?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ\
             &issuer=Chatward%20chat.example&algorithm=SHA1&digits=6&period=30"
        );
    }
}
