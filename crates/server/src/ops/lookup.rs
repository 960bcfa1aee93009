//! What the site says about a question: the passages for a model, and the answer from the sources alone.
//!
//! Looking up costs microseconds; quoting costs more, so quotes are made only where they are needed: for the pages
//! that an answer cites, and for the whole answer when no model gives one.

use crate::app::App;
use crate::ops::indexes::{self, Chunk, Open};
use crate::ops::sessions::Turn;
use crate::ops::sites::Site;
use chatward_knowledge::answer::{self, ExtractiveAnswer, not_on_this_site};
use chatward_knowledge::{Hit, Language, Query};
use chatward_providers::{Passage, cited_numbers};
use chatward_store::Role;
use chatward_types::Result;
use serde::{Deserialize, Serialize};
use std::sync::{Arc, OnceLock};
use utoipa::ToSchema;

/// How many passages go with a question.
const PASSAGES: usize = 6;
/// The longest quote of a passage none of whose sentences stands out.
const LONGEST_QUOTE: usize = 300;

/// A source of an answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Citation {
    /// The number that the text uses, as in `[1]`.
    pub id: u32,
    /// The title of the page.
    pub title: String,
    /// The address of the page.
    pub url: String,
    /// The words of the page that support the answer.
    pub quote: String,
}

impl Citation {
    /// About how many bytes it is as JSON.
    pub fn weight(&self) -> usize {
        self.title.len() + self.url.len() + self.quote.len() + 64
    }
}

/// What was found for one question.
#[derive(Debug)]
pub struct Found {
    hits: Vec<Hit>,
    passages: Arc<[Passage]>,
    sought: Option<Sought>,
    /// What is said where the site does not answer.
    nothing: String,
    answer: OnceLock<FromSources>,
}

#[derive(Debug)]
struct Sought {
    open: Arc<Open>,
    query: Query,
}

/// The answer without a model.
#[derive(Debug, Default)]
pub struct FromSources {
    /// The text, with `[1]` where it cites.
    pub text: String,
    /// The sources, numbered from 1 without gaps.
    pub citations: Vec<Citation>,
}

/// Looks a question up on a site.
///
/// # Errors
/// When the store fails or the index is damaged.
pub async fn find(app: &App, site: &Site, question: &str, turns: &[Turn]) -> Result<Found> {
    let Some(open) = indexes::of(app, site).await? else {
        let language = site.settings.language.as_deref().and_then(Language::from_tag).unwrap_or_default();
        return Ok(Found {
            hits: Vec::new(),
            passages: Arc::from([]),
            sought: None,
            nothing: nothing(site, language),
            answer: OnceLock::new(),
        });
    };
    let mut query = open.index.analyse(question);
    let mut hits = open.index.search_query(&query, PASSAGES);
    if hits.is_empty()
        && let Some(before) = turns.iter().rev().find(|turn| turn.role == Role::User)
    {
        // "And how long does that take?" has no word of its own to look for; the question before it has.
        query = open.index.analyse(&format!("{} {question}", before.text));
        hits = open.index.search_query(&query, PASSAGES);
    }
    hits.retain(|hit| chunk(&open, hit).is_some());
    let passages = hits
        .iter()
        .zip(1..)
        .filter_map(|(hit, number)| {
            let chunk = chunk(&open, hit)?;
            Some(Passage {
                number,
                title: Arc::clone(&chunk.title),
                url: Arc::clone(&chunk.url),
                text: Arc::clone(&chunk.text),
                tokens: chunk.tokens,
                score: hit.score,
            })
        })
        .collect();
    Ok(Found {
        hits,
        passages,
        nothing: nothing(site, open.index.language()),
        sought: Some(Sought { open, query }),
        answer: OnceLock::new(),
    })
}

impl Found {
    /// The passages for a model, best first.
    pub fn passages(&self) -> Arc<[Passage]> {
        Arc::clone(&self.passages)
    }

    /// The answer from the sources alone, made at the first call.
    pub fn answer(&self) -> &FromSources {
        self.answer.get_or_init(|| match &self.sought {
            Some(sought) => sought.answer(&self.hits, &self.nothing),
            None => FromSources { text: self.nothing.clone(), citations: Vec::new() },
        })
    }

    /// The sources that a model's text names, by the numbers that we issued.
    pub fn cited_by(&self, text: &str) -> Vec<Citation> {
        let Some(sought) = &self.sought else { return Vec::new() };
        cited_numbers(text, &self.passages)
            .into_iter()
            .filter_map(|number| {
                let hit = self.hits.get(usize::try_from(number).ok()?.checked_sub(1)?)?;
                Some(sought.citation(number, chunk(&sought.open, hit)?))
            })
            .collect()
    }
}

impl Sought {
    fn answer(&self, hits: &[Hit], nothing: &str) -> FromSources {
        let mut chunks: Vec<&Chunk> = hits.iter().filter_map(|hit| chunk(&self.open, hit)).collect();
        let mut said = self.say(hits, &chunks);
        let used: Vec<usize> = said.used().iter().map(|number| *number as usize - 1).collect();
        if !used.iter().copied().eq(0..used.len()) {
            // What is quoted is numbered from 1 without gaps, so it goes first; the quotes stay the same.
            let quoted = used.iter().filter_map(|place| chunks.get(*place).copied());
            let others = chunks.iter().enumerate().filter(|(place, _)| !used.contains(place)).map(|(_, chunk)| *chunk);
            chunks = quoted.chain(others).collect();
            said = self.say(hits, &chunks);
        }
        match said {
            ExtractiveAnswer::NotOnThisSite { .. } => FromSources { text: nothing.to_owned(), citations: Vec::new() },
            ExtractiveAnswer::Found { text, used } => FromSources {
                text,
                citations: used
                    .into_iter()
                    .filter_map(|number| Some(self.citation(number, chunks.get(number as usize - 1)?)))
                    .collect(),
            },
        }
    }

    fn say(&self, hits: &[Hit], chunks: &[&Chunk]) -> ExtractiveAnswer {
        let passages: Vec<answer::Passage<'_>> = chunks
            .iter()
            .zip(1..)
            .map(|(chunk, number)| answer::Passage {
                number,
                heading: &chunk.heading,
                text: &chunk.text,
                read: Some(self.open.sentences(chunk)),
            })
            .collect();
        answer::extractive_answer(&self.query, hits, &passages)
    }

    fn citation(&self, number: u32, chunk: &Chunk) -> Citation {
        let read = self.open.sentences(chunk);
        let quote = answer::quote_of(&self.query, &chunk.heading, &chunk.text, read).text;
        Citation {
            id: number,
            title: chunk.title.as_ref().to_owned(),
            url: chunk.url.as_ref().to_owned(),
            quote: if quote.is_empty() { chunk.text.chars().take(LONGEST_QUOTE).collect() } else { quote.to_owned() },
        }
    }
}

fn chunk<'a>(open: &'a Open, hit: &Hit) -> Option<&'a Chunk> {
    open.chunks.get(usize::try_from(hit.ordinal).ok()?)
}

/// That the site does not say, and whom to ask instead where its owner has set that.
fn nothing(site: &Site, language: Language) -> String {
    let sentence = not_on_this_site(language);
    match &site.settings.contact {
        Some(contact) => format!("{sentence}\n\n{contact}"),
        None => sentence.to_owned(),
    }
}
