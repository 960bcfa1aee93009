//! The provider that needs nobody: it says what was quoted from the sources.
//!
//! Owns: handing that text out, and finding the citations in anybody's text. Never does: I/O, invention, or a word
//! about the site that is not on it.

use crate::chat::{ChatRequest, Finish, Passage, Piece, Usage};

/// The whole answer, made at once.
pub(crate) fn answer(request: &ChatRequest) -> [Piece; 3] {
    [Piece::Text(request.from_sources.text()), Piece::Usage(Usage::default()), Piece::Done(Finish::Stop)]
}

/// The numbers of the passages that `text` cites, in the order of their first mention. `[1]`, `[1, 2]` and `[1][2]`
/// count; a number that no passage has does not: a model may invent one.
pub fn cited_numbers(text: &str, passages: &[Passage]) -> Vec<u32> {
    let mut numbers = Vec::new();
    let mut rest = text;
    while let Some(open) = rest.find('[') {
        rest = &rest[open + 1..];
        let Some(close) = rest.find([']', '[']) else { break };
        if rest.as_bytes()[close] == b']' && close <= 32 {
            for part in rest[..close].split(',') {
                if let Ok(number) = part.trim().parse::<u32>()
                    && passages.iter().any(|passage| passage.number == number)
                    && !numbers.contains(&number)
                {
                    numbers.push(number);
                }
            }
        }
        rest = &rest[close..];
    }
    numbers
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::sync::Arc;

    fn passage(number: u32, score: f32, text: &str) -> Passage {
        Passage { number, title: Arc::from("t"), url: Arc::from("u"), text: Arc::from(text), tokens: 1, score }
    }

    #[test]
    fn citations_are_found_and_invented_ones_are_not() {
        let passages = [passage(1, 1.0, "a"), passage(2, 1.0, "b"), passage(12, 1.0, "c")];
        for (text, expected) in [
            ("So it is [2], and so [1][12]. Again [2].", vec![2, 1, 12]),
            ("Both [1, 2] and [ 12 ].", vec![1, 2, 12]),
            ("None [3], [0], [], [x], [-1], [1.5], 1], [1", vec![]),
            ("[[1]] and [a[2]", vec![1, 2]),
            ("", vec![]),
        ] {
            assert_eq!(cited_numbers(text, &passages), expected, "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_the_search_panic(text in "[\\[\\]0-9, é]{0,60}") {
            let _ = cited_numbers(&text, &[passage(1, 1.0, "a")]);
        }
    }
}
