//! How many tokens a text has, without anybody's vocabulary: for reserving budgets and for answers cut short.
//!
//! Owns: one estimate, meant to be high. Never does: settle a bill; what a provider reports wins over it.

use crate::ChatRequest;

/// An estimate of the tokens of `text` that is above the real count for ordinary prose in any script
/// (about one and a half times for English, twice for Chinese) and near it for digits, code and noise.
///
/// It counts bytes by class: a third of a token for a lower-case letter or space, one for any other ASCII byte, two
/// thirds for a byte of any other script. The counters are bytes and the loop has no branches, so that the compiler
/// counts a whole block at once: a long prompt costs a microsecond.
pub fn estimate_tokens(text: &str) -> u32 {
    /// As much as a counter of one byte can count.
    const BLOCK: usize = 224;
    let (mut light, mut wide) = (0_u64, 0_u64);
    for block in text.as_bytes().chunks(BLOCK) {
        let (mut light_here, mut wide_here) = (0_u8, 0_u8);
        for byte in block {
            light_here += u8::from(byte.is_ascii_lowercase()) | u8::from(*byte == b' ');
            wide_here += u8::from(*byte >= 0x80);
        }
        light += u64::from(light_here);
        wide += u64::from(wide_here);
    }
    let all = text.len() as u64;
    let sixths = 2 * light + 4 * wide + 6 * (all - light - wide);
    u32::try_from(sixths.div_ceil(6)).unwrap_or(u32::MAX)
}

/// What a chat API adds around each message, at most.
const PER_MESSAGE: u32 = 6;

/// An estimate of the tokens of the whole prompt, passages and framing included. A request is counted once: what is
/// changed in it afterwards does not count.
pub fn estimate_request_tokens(request: &ChatRequest) -> u32 {
    *request.counted.get_or_init(|| count_request(request))
}

fn count_request(request: &ChatRequest) -> u32 {
    let mut total = crate::prompt::FRAME_TOKENS
        .saturating_add(estimate_tokens(&request.system))
        .saturating_add(estimate_tokens(&request.question))
        .saturating_add(2 * PER_MESSAGE);
    for message in &request.messages {
        total = total.saturating_add(estimate_tokens(&message.text)).saturating_add(PER_MESSAGE);
    }
    for passage in request.passages.iter() {
        total = total.saturating_add(passage.tokens).saturating_add(PER_MESSAGE);
    }
    total
}

/// The same for a passage: its title, its address and its text.
pub fn estimate_passage_tokens(title: &str, url: &str, text: &str) -> u32 {
    estimate_tokens(title).saturating_add(estimate_tokens(url)).saturating_add(estimate_tokens(text))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_estimate_is_above_known_counts_but_not_absurd() {
        // Real counts by o200k-like vocabularies: about 1 token for 4 to 4.5 bytes of English, 1 to 1.5 per Han character.
        let english = "What does shipping to Canada cost, and how long does it take to arrive there?";
        assert!((17..=40).contains(&estimate_tokens(english)), "{}", estimate_tokens(english));
        let chinese = "运送到加拿大需要多少钱";
        assert!((11..=24).contains(&estimate_tokens(chinese)), "{}", estimate_tokens(chinese));
        assert_eq!(estimate_tokens(""), 0);
        assert_eq!(estimate_tokens("a"), 1, "rounded up");
        assert_eq!(estimate_tokens("7Q+/"), 4, "noise costs a token a byte");
    }

    proptest! {
        #[test]
        fn it_never_exceeds_the_bytes_and_is_never_zero_for_text(text in ".{1,3000}") {
            let tokens = usize::try_from(estimate_tokens(&text)).expect("fits");
            prop_assert!(tokens >= 1 && tokens <= text.len());
        }
    }
}
