//! Scripts that write no spaces: their text is indexed as overlapping pairs of characters.
//!
//! Owns: which characters those are, and the forming of pairs.
//! Never does: dictionary segmentation.

use super::{Term, stop};

/// Whether `character` belongs to a script whose words are not separated by spaces.
pub(super) fn has_no_spaces(character: char) -> bool {
    matches!(u32::from(character),
        0x3005..=0x3007 | 0x3040..=0x30ff | 0x31f0..=0x31ff // kana
        | 0x3400..=0x4dbf | 0x4e00..=0x9fff | 0xf900..=0xfaff | 0x2_0000..=0x3_134f // Han
        | 0xac00..=0xd7a3 // Hangul: has spaces, but particles cling to words
        | 0x0e00..=0x0e4e | 0x0e80..=0x0ece // Thai, Lao
        | 0x1000..=0x109f | 0x1780..=0x17d3 // Burmese, Khmer
    )
}

/// A run of such characters; hands out a pair for each two neighbours, and a lone character as it is.
#[derive(Debug, Default)]
pub(super) struct PairRun {
    last: Option<char>,
    length: usize,
}

impl PairRun {
    pub(super) fn push(&mut self, character: char, visit: &mut impl FnMut(Term<'_>)) {
        if let Some(last) = self.last {
            emit(&[last, character], visit);
        }
        self.last = Some(character);
        self.length = self.length.saturating_add(1);
    }

    pub(super) fn end(&mut self, visit: &mut impl FnMut(Term<'_>)) {
        if let (Some(last), 1) = (self.last, self.length) {
            emit(&[last], visit);
        }
        *self = Self::default();
    }
}

fn emit(characters: &[char], visit: &mut impl FnMut(Term<'_>)) {
    let mut buffer = [0_u8; 8];
    let mut length = 0;
    for character in characters {
        length += character.encode_utf8(&mut buffer[length..]).len();
    }
    if let Ok(text) = std::str::from_utf8(&buffer[..length]) {
        let stop = characters.iter().any(|c| stop::is_function_character(*c));
        visit(Term { text, stop, pair: true });
    }
}
