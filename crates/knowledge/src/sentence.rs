//! Where sentences end.
//!
//! Owns: splitting text into lines and lines into sentences, as ranges of the text, so that a quote stays verbatim.
//! Never does: changing the text.

use std::ops::Range;

/// After these a full stop ends no sentence. Lower-case, without the stop.
const ABBREVIATIONS: [&str; 44] = [
    "mr", "mrs", "ms", "dr", "prof", "st", "no", "nr", "vs", "etc", "e.g", "i.e", "approx", "incl", "excl", "inc",
    "ltd", "co", "dept", "est", "max", "min", "tel", "fig", "z.b", "z. b", "bzw", "ca", "ggf", "inkl", "exkl", "usw",
    "str", "mo", "di", "mi", "do", "fr", "sa", "so", "p. ex", "p.ej", "sr", "sra",
];

/// The sentences of `text` in order, without the spaces around them. No sentence spans a line break.
pub(crate) fn sentences(text: &str) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let mut line_from = 0;
    for line in text.split_inclusive('\n') {
        split_line(text, line_from, line, &mut found);
        line_from += line.len();
    }
    found
}

fn split_line(text: &str, offset: usize, line: &str, found: &mut Vec<Range<usize>>) {
    let mut from = 0;
    let mut at = 0;
    while let Some(skipped) = line.as_bytes()[at..].iter().position(|byte| may_end(*byte)) {
        at += skipped;
        let Some(character) = line[at..].chars().next() else { break };
        at += character.len_utf8();
        let wide = matches!(character, '。' | '！' | '？' | '．' | '।' | '۔');
        if !wide && !matches!(character, '.' | '!' | '?' | '…') {
            continue;
        }
        while let Some(next) = line[at..].chars().next().filter(|next| CLOSING.contains(*next)) {
            at += next.len_utf8();
        }
        let rest = &line[at..];
        let spaced = rest.chars().next().is_none_or(char::is_whitespace);
        if wide || (spaced && !goes_on(&line[from..at], rest)) {
            push(text, offset + from..offset + at, found);
            from = at;
        }
    }
    push(text, offset + from..offset + line.len(), found);
}

/// What may follow the end within a sentence.
const CLOSING: &str = ".!?…\"')]”’»」』！？";

/// Whether a character that ends sentences may begin with this byte; all of them begin on a character's boundary.
fn may_end(byte: u8) -> bool {
    matches!(byte, b'.' | b'!' | b'?' | 0xe2 | 0xe3 | 0xef | 0xe0 | 0xdb)
}

/// Whether what looks like an end is none: an abbreviation, or the next word begins small.
fn goes_on(sentence: &str, rest: &str) -> bool {
    let next = rest.trim_start().chars().next();
    next.is_none_or(char::is_lowercase) || ends_with_abbreviation(sentence, next)
}

fn push(text: &str, range: Range<usize>, found: &mut Vec<Range<usize>>) {
    let piece = &text[range.clone()];
    let start = range.start + (piece.len() - piece.trim_start().len());
    let trimmed = piece.trim();
    if !trimmed.is_empty() {
        found.push(start..start + trimmed.len());
    }
}

fn ends_with_abbreviation(sentence: &str, next: Option<char>) -> bool {
    let Some(before) = sentence.trim_end().strip_suffix('.') else {
        return false;
    };
    if next.is_none() {
        return false;
    }
    let last = before.rsplit([' ', '(', '\u{a0}']).next().unwrap_or(before);
    let mut letters = last.chars();
    // An initial: "J. Smith".
    if let (Some(only), None) = (letters.next(), letters.next()) {
        return only.is_uppercase();
    }
    if last.len() > 8 {
        return false;
    }
    let last = last.to_lowercase();
    ABBREVIATIONS.contains(&last.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn split(text: &str) -> Vec<&str> {
        sentences(text).into_iter().map(|range| &text[range]).collect()
    }

    #[test]
    fn sentences_end_where_readers_think_they_do() {
        assert_eq!(
            split("Shipping costs CA$14.90. It takes 5 days! Really?"),
            ["Shipping costs CA$14.90.", "It takes 5 days!", "Really?"]
        );
        assert_eq!(split("Ask Dr. Smith, e.g. by phone. Thanks."), ["Ask Dr. Smith, e.g. by phone.", "Thanks."]);
        assert_eq!(split("One line\n  another line. \n\n"), ["One line", "another line."]);
        assert_eq!(split("运费为十元。两天送达。"), ["运费为十元。", "两天送达。"]);
        assert_eq!(
            split("Version 2.5 is out… at last. He said “Yes.” Then (really!) he left."),
            ["Version 2.5 is out… at last.", "He said “Yes.”", "Then (really!) he left."]
        );
        assert!(split(" \n ").is_empty());
    }

    proptest! {
        #[test]
        fn nothing_is_lost_or_doubled(text in "[a-c .!?\n。é]{0,120}") {
            let ranges = sentences(&text);
            let joined: String = ranges.iter().map(|range| &text[range.clone()]).collect();
            let squeeze = |text: &str| text.chars().filter(|c| !c.is_whitespace()).collect::<String>();
            prop_assert_eq!(squeeze(&joined), squeeze(&text));
            prop_assert!(ranges.windows(2).all(|pair| pair[0].end <= pair[1].start));
        }
    }
}
