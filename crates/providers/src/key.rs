//! Whether a text can be a provider's key at all, before anything is sent with it.
//!
//! Owns: the shapes of keys and the marks of placeholders. Never does: repeat the text it was given, not even a part of
//! it: a problem is a constant sentence.

use crate::ProviderKind;
use std::fmt;

/// Why a text is not a usable key. Its text is constant and can be shown and logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum KeyProblem {
    /// There is nothing.
    Empty,
    /// It holds white space, control characters or characters outside ASCII.
    Characters,
    /// It is shorter than any real key.
    TooShort,
    /// It is longer than any real key.
    TooLong,
    /// It is an example that was never replaced.
    Placeholder,
    /// It does not begin as this provider's keys begin.
    Prefix,
    /// It is a key for administration, which must not be used to chat.
    Administrative,
}

impl fmt::Display for KeyProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "the key is empty",
            Self::Characters => {
                "the key holds white space or characters that no key has; check for a line break or quotation marks"
            }
            Self::TooShort => "the key is too short to be real; was it copied whole?",
            Self::TooLong => "the key is longer than 512 characters",
            Self::Placeholder => "the key is a placeholder; replace it with a real one",
            Self::Prefix => "the key does not begin with sk- as OpenAI's keys do",
            Self::Administrative => "the key is an administration key; make a project key for chat",
        })
    }
}

impl std::error::Error for KeyProblem {}

const LONGEST: usize = 512;

/// Checks the shape of a key for a provider of `kind`.
///
/// # Errors
/// The first [`KeyProblem`] found.
pub fn validate_key(kind: ProviderKind, key: &str) -> Result<(), KeyProblem> {
    if key.trim().is_empty() {
        return Err(KeyProblem::Empty);
    }
    // Before the character check: "<your key>" is better called a placeholder than a text with a space.
    if is_placeholder(key) {
        return Err(KeyProblem::Placeholder);
    }
    if !key.bytes().all(|byte| byte.is_ascii_graphic()) || key.contains(['"', '\'', '`']) {
        return Err(KeyProblem::Characters);
    }
    if key.len() > LONGEST {
        return Err(KeyProblem::TooLong);
    }
    match kind {
        ProviderKind::OpenAi => {
            let rest = key.strip_prefix("sk-").ok_or(KeyProblem::Prefix)?;
            if rest.starts_with("admin-") {
                return Err(KeyProblem::Administrative);
            }
            if !rest.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_') {
                return Err(KeyProblem::Characters);
            }
            if key.len() < 40 {
                return Err(KeyProblem::TooShort);
            }
        }
        ProviderKind::OpenAiCompatible | ProviderKind::Ollama | ProviderKind::Extractive => {
            if key.len() < 8 {
                return Err(KeyProblem::TooShort);
            }
        }
    }
    Ok(())
}

/// Long enough that a random key practically never holds one.
const ANYWHERE: &[&str] = &[
    "your-key",
    "your_key",
    "yourkey",
    "your-api",
    "your_api",
    "yourapi",
    "your-openai",
    "your_openai",
    "your-secret",
    "your_secret",
    "your-token",
    "your_token",
    "key-here",
    "key_here",
    "keyhere",
    "-goes-here",
    "_goes_here",
    "changeme",
    "change-me",
    "change_me",
    "replace",
    "placeholder",
    "example",
    "xxxxxx",
    "000000",
    "......",
    "******",
    "redacted",
    "insert-",
    "insert_",
    "123456789",
    "abcdefghi",
    "deadbeef",
];

/// Short enough to occur by chance, so they count only as a whole word between hyphens, underscores or the ends.
const AS_A_WORD: &[&str] = &[
    "xxx",
    "xxxx",
    "xxxxx",
    "todo",
    "fixme",
    "dummy",
    "fake",
    "sample",
    "secret",
    "password",
    "none",
    "null",
    "undefined",
    "abc123",
    "abcdef",
    "key",
    "apikey",
    "demo",
    "mykey",
];

fn is_placeholder(key: &str) -> bool {
    let lower = key.trim().to_ascii_lowercase();
    if lower.contains(['<', '>', '{', '}', '…', '*']) || lower.contains("...") {
        return true;
    }
    if ANYWHERE.iter().any(|mark| lower.contains(mark)) {
        return true;
    }
    if lower.split(['-', '_', ' ']).any(|word| AS_A_WORD.contains(&word)) {
        return true;
    }
    // A real key is random: "sk-aaaaaaaa…" is not one. 16 and more characters of 5 or fewer kinds do not happen.
    let body = lower.rsplit(['-', '_']).next().unwrap_or("");
    body.len() >= 16 && distinct(body) <= 5
}

fn distinct(text: &str) -> u32 {
    text.bytes().fold(0_u128, |seen, byte| seen | 1 << (byte & 0x7f)).count_ones()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A random-looking body made at run time, so that no scanner takes this file for a leak.
    fn body(length: usize) -> String {
        (0..length).map(|index| char::from(b"QzT7vN2kWb9XeHs4MdRj"[(index * 7 + index / 20) % 20])).collect()
    }

    #[test]
    fn good_shapes_pass() {
        for key in [
            ["sk-", &body(48)].concat(),
            ["sk-proj-", &body(48)].concat(),
            ["sk-proj-", &body(74), "_", &body(40), "-", &body(20)].concat(),
            ["sk-svcacct-", &body(60)].concat(),
        ] {
            assert_eq!(validate_key(ProviderKind::OpenAi, &key), Ok(()));
            assert_eq!(validate_key(ProviderKind::OpenAiCompatible, &key), Ok(()));
        }
        for key in [["gsk_", &body(52)].concat(), ["hf_", &body(34)].concat(), body(32), body(8)] {
            assert_eq!(validate_key(ProviderKind::OpenAiCompatible, &key), Ok(()));
            assert_eq!(validate_key(ProviderKind::Ollama, &key), Ok(()));
        }
    }

    #[test]
    fn placeholders_are_refused_for_every_kind() {
        let placeholders = [
            "your-key-here",
            "sk-your-key-here",
            "sk-proj-your-key-here",
            "sk-proj-your-key",
            "YOUR_API_KEY",
            "your_openai_api_key",
            "sk-...",
            "sk-proj-abc123...",
            "sk-dev-...",
            "sk-…",
            "changeme",
            "change-me",
            "ChangeMe123",
            "xxx",
            "sk-xxx",
            "sk-xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
            "<key>",
            "<your key>",
            "{{OPENAI_API_KEY}}",
            "${OPENAI_API_KEY}",
            "replace-with-your-key",
            "sk-placeholder",
            "example-key-example",
            "todo",
            "sk-todo",
            "dummy",
            "sk-fake",
            "api-key-goes-here",
            "sk-1234567890abcdef1234567890abcdef1234567890",
            "********************",
            "sk-00000000000000000000000000000000000000000000",
            "sk-aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
            "sk-abababababababababababababababababababababab",
            "null",
            "undefined",
            "none",
            "my-secret-key",
            "password",
        ];
        for key in placeholders {
            for kind in [ProviderKind::OpenAi, ProviderKind::OpenAiCompatible, ProviderKind::Ollama] {
                assert_eq!(validate_key(kind, key), Err(KeyProblem::Placeholder), "{key}");
            }
        }
    }

    #[test]
    fn the_other_problems_are_named() {
        use KeyProblem::{Administrative, Characters, Empty, Prefix, TooLong, TooShort};
        let openai = |key: &str| validate_key(ProviderKind::OpenAi, key);
        for key in ["", " ", "\n", "\t \n"] {
            assert_eq!(openai(key), Err(Empty));
        }
        let good = ["sk-", &body(48)].concat();
        for bad in [
            format!("{good}\n"),
            format!(" {good}"),
            format!("\"{good}\""),
            format!("{good}\r\nX-Evil: 1"),
            format!("{good}é"),
            format!("{good}\u{0}"),
            format!("{good}/"),
        ] {
            assert_eq!(openai(&bad), Err(Characters), "{bad:?}");
        }
        assert_eq!(openai(&good[..39]), Err(TooShort));
        assert_eq!(openai(&body(48)), Err(Prefix));
        assert_eq!(openai(&["pk-", &body(48)].concat()), Err(Prefix));
        assert_eq!(openai(&["sk-admin-", &body(48)].concat()), Err(Administrative));
        assert_eq!(openai(&["sk-", &body(600)].concat()), Err(TooLong));
        assert_eq!(validate_key(ProviderKind::OpenAiCompatible, &body(7)), Err(TooShort));
    }

    #[test]
    fn random_keys_are_not_taken_for_placeholders() {
        // A small generator of our own: 20,000 keys of 48 base62 characters, all of which must pass.
        let mut state: u64 = 0x9e37_79b9_7f4a_7c15;
        let alphabet = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
        for _ in 0..20_000 {
            let key: String = "sk-"
                .chars()
                .chain((0..48).map(|_| {
                    state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                    char::from(alphabet[usize::try_from(state >> 33).unwrap_or(0) % alphabet.len()])
                }))
                .collect();
            assert_eq!(validate_key(ProviderKind::OpenAi, &key), Ok(()), "{key}");
        }
    }

    #[test]
    fn a_problem_never_repeats_the_key() {
        let canary = ["can", "ary"].concat();
        let problem = validate_key(ProviderKind::OpenAi, &canary).expect_err("refused");
        assert!(!format!("{problem} {problem:?}").contains(&canary));
    }
}
