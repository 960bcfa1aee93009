//! Cutting a page into chunks: the unit that is indexed, retrieved and quoted.
//!
//! Owns: their size, what they share with their neighbour, and that no chunk crosses a heading.
//! Never does: reading markup or counting tokens.

use crate::extract::Extracted;
use crate::sentence::sentences;

/// Characters that a chunk aims at.
pub const TARGET_CHARS: usize = 900;
/// Characters that no chunk exceeds.
pub const MAX_CHARS: usize = 1_200;
/// Chunks of one page at most.
pub const MAX_CHUNKS: usize = 1_000;
/// The last sentence of a chunk is repeated in the next one if it is no longer than this.
const OVERLAP_CHARS: usize = 160;

/// A piece of a page under one heading.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chunk {
    /// The headings above it, outermost first, joined by ` › `.
    pub heading: String,
    /// Its text; a line for each paragraph, list item or table row.
    pub text: String,
}

/// Cuts a page into chunks in reading order.
pub fn chunk(page: &Extracted) -> Vec<Chunk> {
    let mut chunks = Chunks::default();
    for block in &page.blocks {
        if chunks.full() {
            break;
        }
        if chunks.heading != *block.heading_path {
            chunks.close(false);
            chunks.heading = block.heading_path.to_string();
        }
        let length = block.text.chars().count();
        if length <= MAX_CHARS {
            chunks.add(&block.text, length, '\n');
            continue;
        }
        for (at, range) in sentences(&block.text).into_iter().enumerate() {
            let separator = if at == 0 { '\n' } else { ' ' };
            for piece in pieces(&block.text[range]) {
                chunks.add(piece, piece.chars().count(), separator);
            }
        }
    }
    chunks.close(false);
    chunks.done
}

#[derive(Debug, Default)]
struct Chunks {
    done: Vec<Chunk>,
    heading: String,
    text: String,
    chars: usize,
    /// The chunk holds more than what it shares with the one before.
    grown: bool,
}

impl Chunks {
    fn full(&self) -> bool {
        self.done.len() >= MAX_CHUNKS
    }

    fn add(&mut self, piece: &str, chars: usize, separator: char) {
        if self.grown && self.chars + chars > TARGET_CHARS {
            self.close(true);
        }
        if !self.grown && self.chars + chars + 1 > MAX_CHARS {
            // What is shared must not push the chunk over its size.
            self.text.clear();
            self.chars = 0;
        }
        if !self.text.is_empty() {
            self.text.push(separator);
            self.chars += 1;
        }
        self.text.push_str(piece);
        self.chars += chars;
        self.grown = true;
    }

    fn close(&mut self, share: bool) {
        let text = std::mem::take(&mut self.text);
        let grown = std::mem::take(&mut self.grown);
        self.chars = 0;
        if !grown || self.full() {
            return;
        }
        if share {
            let last = sentences(&text).pop().map(|range| &text[range]).unwrap_or_default();
            let chars = last.chars().count();
            if chars <= OVERLAP_CHARS {
                self.text = last.to_owned();
                self.chars = chars;
            }
        }
        self.done.push(Chunk { heading: self.heading.clone(), text });
    }
}

/// A sentence that no chunk could hold, cut at spaces where it has any.
fn pieces(sentence: &str) -> Vec<&str> {
    let mut found = Vec::new();
    let mut rest = sentence;
    while let Some((end, _)) = rest.char_indices().nth(TARGET_CHARS) {
        let cut = rest[..end].rfind(' ').filter(|&at| at > end / 2).unwrap_or(end);
        let (piece, left) = rest.split_at(cut);
        found.push(piece.trim());
        rest = left.trim_start();
    }
    if !rest.is_empty() {
        found.push(rest);
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::extract::Block;
    use proptest::prelude::*;

    fn page(blocks: &[(&str, &str)]) -> Extracted {
        Extracted {
            blocks: blocks
                .iter()
                .map(|(heading, text)| Block { heading_path: (*heading).into(), text: (*text).to_owned() })
                .collect(),
            ..Extracted::default()
        }
    }

    #[test]
    fn a_heading_starts_a_chunk_and_short_blocks_share_one() {
        let chunks = chunk(&page(&[
            ("Shipping", "We ship worldwide."),
            ("Shipping", "Canada: $14.90"),
            ("Shipping › Customs", "You pay customs."),
        ]));
        assert_eq!(chunks.len(), 2);
        assert_eq!(chunks[0].heading, "Shipping");
        assert_eq!(chunks[0].text, "We ship worldwide.\nCanada: $14.90");
        assert_eq!(chunks[1].heading, "Shipping › Customs");
    }

    #[test]
    fn a_long_section_is_cut_at_sentences_and_shares_one() {
        let text =
            (0..60).map(|at| format!("This is sentence number {at} of the section.")).collect::<Vec<_>>().join(" ");
        let chunks = chunk(&page(&[("Long", &text)]));
        assert!(chunks.len() > 2);
        for pair in chunks.windows(2) {
            let last = sentences(&pair[0].text).pop().unwrap();
            assert!(pair[1].text.starts_with(&pair[0].text[last]));
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn no_chunk_is_too_large_and_no_word_is_lost(
            blocks in proptest::collection::vec(("[AB]", "[a-e .é]{0,3000}"), 0..6)
        ) {
            let blocks: Vec<(&str, &str)> = blocks.iter().map(|(h, t)| (h.as_str(), t.as_str())).collect();
            let chunks = chunk(&page(&blocks));
            for chunk in &chunks {
                prop_assert!(chunk.text.chars().count() <= MAX_CHARS);
            }
            let all: String = chunks.iter().map(|chunk| chunk.text.as_str()).collect::<Vec<_>>().join(" ");
            for (_, text) in &blocks {
                // Cut words aside, every short word stands somewhere.
                for word in text.split([' ', '.']).filter(|word| (1..20).contains(&word.len())) {
                    prop_assert!(all.contains(word));
                }
            }
        }
    }
}
