//! What is asked of a provider and what comes back, in words that no wire format owns.
//!
//! Owns: the request, its passages, and the pieces of an answer. Never does: I/O, or anything of one provider alone.

use std::fmt;
use std::sync::{Arc, OnceLock};

/// Who said a message of the conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    /// The visitor.
    User,
    /// The model, earlier.
    Assistant,
}

impl Role {
    /// The word that chat APIs use.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Assistant => "assistant",
        }
    }
}

/// An earlier turn of the conversation. Prints without its text.
#[derive(Clone, PartialEq, Eq)]
pub struct ChatMessage {
    /// Who said it.
    pub role: Role,
    /// What was said.
    pub text: Arc<str>,
}

/// A passage of the site's knowledge that may hold the answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Passage {
    /// Its number in this answer, from 1; an answer cites it as `[1]`.
    pub number: u32,
    /// The title of its page.
    pub title: Arc<str>,
    /// The address of its page.
    pub url: Arc<str>,
    /// The passage.
    pub text: Arc<str>,
    /// What [`crate::estimate_passage_tokens`] says of the three: a passage is sent again and again, and counted once.
    pub tokens: u32,
    /// How well it fits the question; comparable within one request only.
    pub score: f32,
}

/// Makes the answer from the sources alone: words of the passages with their numbers, or that the site does not say.
/// Whoever found the passages knows which of their sentences answer and in which language to say that none does; it is
/// made only when no model answers.
#[derive(Clone)]
pub struct FromSources(Arc<dyn Fn() -> String + Send + Sync>);

impl fmt::Debug for FromSources {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FromSources")
    }
}

impl FromSources {
    /// Made by `make`, which is called at most once an answer and must be quick.
    pub fn new(make: impl Fn() -> String + Send + Sync + 'static) -> Self {
        Self(Arc::new(make))
    }

    /// The text.
    pub fn text(&self) -> String {
        (self.0)()
    }
}

impl From<&'static str> for FromSources {
    fn from(text: &'static str) -> Self {
        Self::new(move || text.to_owned())
    }
}

/// How the answer should arrive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Delivery {
    /// Piece by piece, as the model writes.
    #[default]
    Streamed,
    /// In one piece. Cheaper for both sides, and a failure at any moment still fails over.
    Whole,
}

/// One question with everything that a model should know to answer it. Prints without what anybody wrote.
#[derive(Clone)]
pub struct ChatRequest {
    /// The rules for the model. The passages are appended to it by this crate, as quoted material.
    pub system: Arc<str>,
    /// The earlier turns, oldest first, without the question. The caller caps their number and length.
    pub messages: Vec<ChatMessage>,
    /// The visitor's question; sent as the last turn.
    pub question: String,
    /// What was found on the site, best first. None means that the site does not say.
    pub passages: Arc<[Passage]>,
    /// What `extractive` answers.
    pub from_sources: FromSources,
    /// The most tokens that the answer may have.
    pub max_output_tokens: u32,
    /// Sampling temperature; left out for models that refuse it.
    pub temperature: f32,
    /// Streamed or whole.
    pub delivery: Delivery,
    /// What [`crate::estimate_request_tokens`] said; empty until it is asked.
    pub counted: OnceLock<u32>,
}

/// What an answer cost in tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Usage {
    /// Tokens of the prompt.
    pub input_tokens: u32,
    /// Tokens of the answer.
    pub output_tokens: u32,
}

/// Why the model stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Finish {
    /// It was done.
    Stop,
    /// It reached `max_output_tokens`: the text ends in the middle.
    Length,
    /// The provider's content filter cut it off.
    Filtered,
    /// The provider gave a reason that is none of these, or none.
    Other,
}

/// An item of an answer. After `Done` there is none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece {
    /// More of the text, never empty: everything that one burst from the provider held, in one piece.
    Text(String),
    /// What the provider says it counted. Some never say.
    Usage(Usage),
    /// The answer is complete.
    Done(Finish),
}

// What people write never reaches a log, not even by a careless `{:?}`.

impl fmt::Debug for ChatMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChatMessage").field("role", &self.role).field("bytes", &self.text.len()).finish()
    }
}

impl fmt::Debug for ChatRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChatRequest")
            .field("messages", &self.messages.len())
            .field("question_bytes", &self.question.len())
            .field("passages", &self.passages.len())
            .field("max_output_tokens", &self.max_output_tokens)
            .field("temperature", &self.temperature)
            .field("delivery", &self.delivery)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_printed_request_shows_nothing_that_anybody_wrote() {
        let canary = ["can", "ary"].concat();
        let request = ChatRequest {
            system: canary.as_str().into(),
            messages: vec![ChatMessage { role: Role::User, text: canary.as_str().into() }],
            question: canary.clone(),
            passages: Arc::from([]),
            from_sources: "From the sources. [1]".into(),
            max_output_tokens: 1,
            temperature: 0.0,
            delivery: Delivery::Whole,
            counted: OnceLock::new(),
        };
        let printed = format!("{request:?} {:?}", request.messages);
        assert!(!printed.contains(&canary) && printed.contains("question_bytes: 6"), "{printed}");
    }
}
