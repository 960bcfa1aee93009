//! From what was found to what is said without a model.
//!
//! Owns: whether the site answers a question at all, which sentences do, and the extractive answer with its markers.
//! Never does: inventing or rephrasing. Every sentence of an answer stands in a passage, word for word; what is not
//! on the site is said not to be.

mod phrases;
mod quote;

pub use phrases::not_on_this_site;
pub use quote::{Sentences, best_quote, quote, quote_of};

use crate::index::{Hit, Query};
use crate::language::Language;

/// The share of a question that one chunk must cover.
const COVERED: f32 = 0.55;
/// The same for languages in pairs of characters, where a question has many more of them.
const COVERED_PAIRS: f32 = 0.4;
/// Passages that an answer quotes at most.
const MAX_QUOTED: usize = 3;
/// What a further passage must reach of the first one's measure to be quoted too.
const FURTHER: f32 = 0.75;

/// A retrieved chunk, as an answer cites it.
#[derive(Debug, Clone, Copy)]
pub struct Passage<'a> {
    /// The number of its citation, `[1]`.
    pub number: u32,
    /// The headings above it; a question in a heading makes the text below its answer.
    pub heading: &'a str,
    /// The chunk's text.
    pub text: &'a str,
    /// The same, if it was read before.
    pub read: Option<&'a Sentences>,
}

/// An answer made of quotes, or the plain statement that there is none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ExtractiveAnswer {
    /// One to three quotes.
    Found {
        /// The quotes, each followed by its marker, with an empty line between.
        text: String,
        /// The numbers of the passages that are quoted.
        used: Vec<u32>,
    },
    /// The site does not say.
    NotOnThisSite {
        /// The sentence that says so, in the site's language.
        text: &'static str,
    },
}

impl ExtractiveAnswer {
    /// What the visitor reads.
    pub fn text(&self) -> &str {
        match self {
            Self::Found { text, .. } => text,
            Self::NotOnThisSite { text } => text,
        }
    }

    /// The numbers of the passages that are quoted.
    pub fn used(&self) -> &[u32] {
        match self {
            Self::Found { used, .. } => used,
            Self::NotOnThisSite { .. } => &[],
        }
    }
}

/// Whether the site answers the question: one of the best hits has most of what the question is about.
pub fn is_answerable(query: &Query, hits: &[Hit]) -> bool {
    let words = query.meaning_words();
    if words == 0 {
        return false;
    }
    let enough = match query.language() {
        Language::Chinese | Language::Japanese => COVERED_PAIRS,
        _ => COVERED,
    };
    hits.iter().take(5).any(|hit| hit.coverage >= enough)
}

/// Answers by quoting. `passages` are the chunks of the hits, best first; the site's language is the query's.
pub fn extractive_answer(query: &Query, hits: &[Hit], passages: &[Passage<'_>]) -> ExtractiveAnswer {
    let none = ExtractiveAnswer::NotOnThisSite { text: not_on_this_site(query.language()) };
    if !is_answerable(query, hits) {
        return none;
    }
    let mut quotes: Vec<(f32, u32, &str)> = passages
        .iter()
        .take(8)
        .map(|passage| {
            let quote = match passage.read {
                Some(read) => quote_of(query, passage.heading, passage.text, read),
                None => quote(query, passage.heading, passage.text),
            };
            (quote.measure, passage.number, quote.text)
        })
        .filter(|(_, _, text)| !text.is_empty())
        .collect();
    // Stable: among equals the better hit stays first.
    quotes.sort_by(|one, other| other.0.total_cmp(&one.0));
    let Some(&(best, ..)) = quotes.first() else {
        return none;
    };
    let mut text = String::new();
    let mut used: Vec<u32> = Vec::new();
    let mut quoted: Vec<&str> = Vec::new();
    for (measure, number, quote) in quotes {
        let repeats = quoted.iter().any(|other| other.contains(quote) || quote.contains(other));
        if used.len() >= MAX_QUOTED || measure < best * FURTHER || repeats {
            continue;
        }
        if !text.is_empty() {
            text.push_str("\n\n");
        }
        text.push_str(quote);
        text.push_str(&format!(" [{number}]"));
        used.push(number);
        quoted.push(quote);
    }
    ExtractiveAnswer::Found { text, used }
}

#[cfg(test)]
mod tests;
