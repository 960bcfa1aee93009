//! The languages that text is analysed in.
//!
//! Owns: reading a language tag, guessing a page's language from its words, choosing the language of a site.
//! Never does: stemming or stop words themselves (see `words`), translation, or detection beyond what indexing needs.

use rust_stemmers::Algorithm;

/// A language that has a stemmer or texts of its own; all others are [`Language::Other`] and indexed unstemmed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
#[repr(u8)]
pub enum Language {
    /// Any language without a stemmer (Chinese, Polish, Thai, …).
    Other = 0,
    /// English, also the default of a site that does not say.
    #[default]
    English = 1,
    /// German.
    German = 2,
    /// French.
    French = 3,
    /// Spanish.
    Spanish = 4,
    /// Italian.
    Italian = 5,
    /// Portuguese.
    Portuguese = 6,
    /// Dutch.
    Dutch = 7,
    /// Danish.
    Danish = 8,
    /// Swedish.
    Swedish = 9,
    /// Norwegian.
    Norwegian = 10,
    /// Finnish.
    Finnish = 11,
    /// Hungarian.
    Hungarian = 12,
    /// Romanian.
    Romanian = 13,
    /// Russian.
    Russian = 14,
    /// Turkish.
    Turkish = 15,
    /// Greek.
    Greek = 16,
    /// Arabic.
    Arabic = 17,
    /// Chinese (character pairs instead of words).
    Chinese = 18,
    /// Japanese (character pairs instead of words).
    Japanese = 19,
}

/// Tag, language and stemmer, once.
const TABLE: [(&str, Language, Option<Algorithm>); Language::COUNT] = [
    ("und", Language::Other, None),
    ("en", Language::English, Some(Algorithm::English)),
    ("de", Language::German, Some(Algorithm::German)),
    ("fr", Language::French, Some(Algorithm::French)),
    ("es", Language::Spanish, Some(Algorithm::Spanish)),
    ("it", Language::Italian, Some(Algorithm::Italian)),
    ("pt", Language::Portuguese, Some(Algorithm::Portuguese)),
    ("nl", Language::Dutch, Some(Algorithm::Dutch)),
    ("da", Language::Danish, Some(Algorithm::Danish)),
    ("sv", Language::Swedish, Some(Algorithm::Swedish)),
    ("no", Language::Norwegian, Some(Algorithm::Norwegian)),
    ("fi", Language::Finnish, Some(Algorithm::Finnish)),
    ("hu", Language::Hungarian, Some(Algorithm::Hungarian)),
    ("ro", Language::Romanian, Some(Algorithm::Romanian)),
    ("ru", Language::Russian, Some(Algorithm::Russian)),
    ("tr", Language::Turkish, Some(Algorithm::Turkish)),
    ("el", Language::Greek, Some(Algorithm::Greek)),
    ("ar", Language::Arabic, Some(Algorithm::Arabic)),
    ("zh", Language::Chinese, None),
    ("ja", Language::Japanese, None),
];

impl Language {
    /// How many there are.
    pub(crate) const COUNT: usize = 20;

    /// The language of a tag such as `de`, `de-AT` or `EN_us`; a well-formed tag of another language is
    /// [`Language::Other`], an empty or malformed one is `None`.
    pub fn from_tag(tag: &str) -> Option<Self> {
        let primary = tag.trim().split(['-', '_']).next().unwrap_or_default();
        if !(2..=8).contains(&primary.len()) || !primary.bytes().all(|b| b.is_ascii_alphabetic()) {
            return None;
        }
        let primary = primary.to_ascii_lowercase();
        let primary = match primary.as_str() {
            "nb" | "nn" => "no",
            "cmn" | "yue" => "zh",
            other => other,
        };
        Some(TABLE.iter().find(|(known, _, _)| *known == primary).map_or(Self::Other, |(_, language, _)| *language))
    }

    /// The primary tag, `und` for [`Language::Other`].
    pub fn tag(self) -> &'static str {
        TABLE[self as usize].0
    }

    /// The byte in an index segment.
    pub(crate) fn code(self) -> u8 {
        self as u8
    }

    /// The language of a segment's byte.
    pub(crate) fn from_code(code: u8) -> Option<Self> {
        TABLE.get(usize::from(code)).map(|(_, language, _)| *language)
    }

    /// Whether it writes compounds as one word.
    pub(crate) fn compounds(self) -> bool {
        matches!(
            self,
            Self::German
                | Self::Dutch
                | Self::Danish
                | Self::Swedish
                | Self::Norwegian
                | Self::Finnish
                | Self::Hungarian
        )
    }

    pub(crate) fn algorithm(self) -> Option<Algorithm> {
        TABLE[self as usize].2
    }

    /// A page's language: what it declares, else what its script and most frequent small words say.
    /// `None` when the text gives no hint.
    pub fn of_text(text: &str) -> Option<Self> {
        const SAMPLE: usize = 4_000;
        let mut scripts = [0_usize; 6];
        for character in text.chars().take(SAMPLE) {
            match u32::from(character) {
                0x3040..=0x30ff => scripts[0] += 1,
                0x4e00..=0x9fff => scripts[1] += 1,
                0x0400..=0x04ff => scripts[2] += 1,
                0x0370..=0x03ff => scripts[3] += 1,
                0x0600..=0x06ff => scripts[4] += 1,
                0x0041..=0x024f if character.is_alphabetic() => scripts[5] += 1,
                _ => {}
            }
        }
        let [kana, han, cyrillic, greek, arabic, latin] = scripts;
        // One Han character says about as much as three Latin letters.
        if (kana + han) * 3 > latin {
            return Some(if kana * 10 > han { Self::Japanese } else { Self::Chinese });
        }
        for (count, language) in [(cyrillic, Self::Russian), (greek, Self::Greek), (arabic, Self::Arabic)] {
            if count > latin {
                return Some(language);
            }
        }
        crate::words::guess_by_stop_words(text)
    }

    /// The language that most of the given pages are in; English when there are none.
    pub fn of_site(pages: impl IntoIterator<Item = Self>) -> Self {
        let mut counts = [0_usize; TABLE.len()];
        for language in pages {
            counts[language as usize] += 1;
        }
        let best = counts.iter().copied().max().unwrap_or_default();
        if best == 0 {
            return Self::default();
        }
        // On a tie the one that stands first in the table, which is ordered by how common it is.
        let winner = (1..TABLE.len()).chain([0]).find(|&at| counts[at] == best);
        winner.map_or(Self::Other, |at| TABLE[at].1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_in_the_order_of_the_codes() {
        for (at, (tag, language, _)) in TABLE.iter().enumerate() {
            assert_eq!(*language as usize, at);
            assert_eq!(language.tag(), *tag);
            assert_eq!(Language::from_code(language.code()), Some(*language));
        }
        assert_eq!(Language::from_code(200), None);
    }

    #[test]
    fn tags_are_read_by_their_primary_part() {
        assert_eq!(Language::from_tag("de-AT"), Some(Language::German));
        assert_eq!(Language::from_tag(" EN_us "), Some(Language::English));
        assert_eq!(Language::from_tag("nb"), Some(Language::Norwegian));
        assert_eq!(Language::from_tag("pl"), Some(Language::Other));
        assert_eq!(Language::from_tag(""), None);
        assert_eq!(Language::from_tag("1x"), None);
    }

    #[test]
    fn undeclared_text_is_recognised() {
        for (text, language) in [
            ("The parcel is on its way and you will have it in two days.", Language::English),
            ("Das Paket ist auf dem Weg und wird in zwei Tagen bei Ihnen sein.", Language::German),
            ("Le colis est en route et vous le recevrez dans deux jours.", Language::French),
            ("El paquete está en camino y lo recibirá en dos días con el correo.", Language::Spanish),
            ("包裹正在路上，两天内送达。", Language::Chinese),
            ("荷物は配送中で、二日以内に届きます。", Language::Japanese),
            ("Посылка уже в пути и будет у вас через два дня.", Language::Russian),
        ] {
            assert_eq!(Language::of_text(text), Some(language), "{text}");
        }
        assert_eq!(Language::of_text("12345"), None);
    }

    #[test]
    fn a_site_speaks_the_language_of_most_of_its_pages() {
        use Language::{English, German, Other};
        assert_eq!(Language::of_site([German, English, German]), German);
        assert_eq!(Language::of_site([Other, Other, English]), Other);
        assert_eq!(Language::of_site([]), English);
    }
}
