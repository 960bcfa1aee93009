//! The words of the privacy notice in the interface's languages.
//!
//! Owns: the tables, cut from ui/strings.json by ui/build.mjs; plural forms; which language is spoken. Never does: know
//! what the notice says.

use crate::ops::site_settings::{INTERFACE_LANGUAGES, Settings};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::sync::LazyLock;

/// A text, or one for each plural form of its language.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Text {
    One(String),
    Forms(BTreeMap<String, String>),
}

static TABLES: LazyLock<BTreeMap<String, BTreeMap<String, Text>>> = LazyLock::new(|| {
    // The file is part of the program; a test reads every word of it.
    serde_json::from_str(include_str!("../../../../../ui/dist/words/notice.json")).unwrap_or_default()
});

/// One language.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Words {
    /// Its code, such as `de`.
    pub(super) language: &'static str,
}

impl Words {
    /// What is asked for, then the site's own language, among those that the owner offers; else the first of these.
    pub(super) fn chosen(asked: Option<&str>, settings: &Settings) -> Self {
        let offered =
            |code: &&'static str| settings.languages.is_empty() || settings.languages.iter().any(|one| one == code);
        let wishes = [asked, settings.language.as_deref()];
        let first = settings.languages.first().and_then(|tag| known(tag)).unwrap_or("en");
        let language = wishes.into_iter().flatten().filter_map(known).find(offered).unwrap_or(first);
        Self { language }
    }

    /// Whether it is written from right to left.
    pub(super) fn is_right_to_left(self) -> bool {
        matches!(self.language, "ar" | "he")
    }

    /// A text with its `{gaps}` filled; a gap that is not among the values stays.
    pub(super) fn say(self, key: &str, values: &[(&str, &str)]) -> String {
        fill(self.text(key, None), values)
    }

    /// The same in the plural form of a number, which fills `{n}`.
    pub(super) fn count(self, key: &str, number: u32) -> String {
        fill(self.text(key, Some(number)), &[("n", &number.to_string())])
    }

    fn text(self, key: &str, number: Option<u32>) -> &'static str {
        let find = |language: &str| TABLES.get(language).and_then(|table| table.get(key));
        match find(self.language).or_else(|| find("en")) {
            Some(Text::One(text)) => text,
            Some(Text::Forms(forms)) => {
                let form = number.map_or("other", |number| plural_form(self.language, number));
                forms.get(form).or_else(|| forms.get("other")).map_or("", String::as_str)
            }
            None => "",
        }
    }
}

/// The interface's language of a BCP 47 tag.
fn known(tag: &str) -> Option<&'static str> {
    let base = tag.split(['-', '_']).next().unwrap_or_default().to_ascii_lowercase();
    INTERFACE_LANGUAGES.into_iter().find(|code| *code == base)
}

/// In one pass: what fills a gap is not looked at again.
fn fill(text: &str, values: &[(&str, &str)]) -> String {
    let mut out = String::with_capacity(text.len() + 32);
    let mut rest = text;
    while let Some(start) = rest.find('{') {
        out.push_str(&rest[..start]);
        let gap = &rest[start..];
        let end = gap.find('}').map_or(gap.len(), |end| end + 1);
        let name = gap[..end].trim_matches(['{', '}']);
        let value = values.iter().find(|(known, _)| *known == name);
        out.push_str(value.map_or(&gap[..end], |(_, value)| value));
        rest = &gap[end..];
    }
    out.push_str(rest);
    out
}

/// The category of a whole number, <https://www.unicode.org/cldr/charts/latest/supplemental/language_plural_rules.html>.
fn plural_form(language: &str, n: u32) -> &'static str {
    let (tens, hundreds) = (n % 10, n % 100);
    match language {
        "zh" | "ja" => "other",
        "fr" | "pt" if n <= 1 => "one",
        "fr" | "pt" | "es" | "it" if n != 0 && n.is_multiple_of(1_000_000) => "many",
        "pl" if n == 1 => "one",
        "pl" if (2..=4).contains(&tens) && !(12..=14).contains(&hundreds) => "few",
        "pl" => "many",
        "ar" if n == 0 => "zero",
        "ar" | "he" if n == 2 => "two",
        "ar" if (3..=10).contains(&hundreds) => "few",
        "ar" if (11..=99).contains(&hundreds) => "many",
        "fr" | "pt" => "other",
        _ if n == 1 => "one",
        _ => "other",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_language_says_everything() {
        let english: Vec<&String> = TABLES["en"].keys().collect();
        assert!(english.len() > 30, "{english:?}");
        for language in INTERFACE_LANGUAGES {
            assert_eq!(TABLES[language].keys().collect::<Vec<_>>(), english, "{language}");
            for number in [0, 1, 2, 3, 5, 11, 22, 100, 101, 1_000_000] {
                let text = Words { language }.count("noticeDays", number);
                assert!(!text.is_empty() && !text.contains('{'), "{language} {number}: {text}");
            }
        }
    }

    #[test]
    fn plural_forms_are_those_of_the_language() {
        let forms = |language: &'static str, numbers: &[u32]| {
            numbers.iter().map(|number| plural_form(language, *number)).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(forms("en", &[0, 1, 2]), "other one other");
        assert_eq!(forms("fr", &[0, 1, 2, 1_000_000]), "one one other many");
        assert_eq!(forms("pl", &[1, 2, 5, 12, 22, 25, 0]), "one few many many few many many");
        assert_eq!(forms("ar", &[0, 1, 2, 3, 11, 100, 103]), "zero one two few many other few");
        assert_eq!(forms("he", &[1, 2, 3]), "one two other");
        assert_eq!(forms("ja", &[1, 2]), "other other");
    }

    #[test]
    fn the_language_is_the_wish_then_the_sites_among_those_offered() {
        let chosen = |asked: Option<&str>, language: Option<&str>, languages: &[&str]| {
            let languages = languages.iter().map(|one| (*one).to_owned()).collect();
            let settings = Settings { language: language.map(str::to_owned), languages, ..Settings::default() };
            Words::chosen(asked, &settings).language
        };
        assert_eq!(chosen(None, None, &[]), "en");
        assert_eq!(chosen(None, Some("de-AT"), &[]), "de");
        assert_eq!(chosen(Some("pt-BR"), Some("de"), &[]), "pt");
        assert_eq!(chosen(Some("ja"), Some("sv"), &["it", "fr"]), "it");
        assert_eq!(chosen(Some("xx\"><script>"), None, &[]), "en");
    }

    #[test]
    fn what_fills_a_gap_is_not_filled_again() {
        assert_eq!(fill("{a} and {b}{c}", &[("a", "{b}"), ("b", "1")]), "{b} and 1{c}");
        assert_eq!(fill("{a", &[("a", "1")]), "1");
    }
}
