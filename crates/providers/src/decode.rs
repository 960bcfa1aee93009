//! What a chunk of an upstream's answer comes to, whatever its wire format.
//!
//! Owns: the pieces of one burst gathered into one text, and the reader of the format in use. Never does: I/O.

use crate::chat::{Finish, Usage};
use crate::error::FailureClass;
use crate::ollama::OllamaStream;
use crate::openai::OpenAiStream;
use crate::text::TextJoiner;
use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, SeqAccess, Visitor};
use std::fmt;
use std::marker::PhantomData;

/// What has been read and not yet handed out. Prints without the text.
#[derive(Default)]
pub(crate) struct Gathered {
    pub(crate) text: String,
    pub(crate) usage: Option<Usage>,
    pub(crate) finish: Option<Finish>,
    joiner: TextJoiner,
}

impl Gathered {
    /// More of the answer, as a provider's JSON held it.
    pub(crate) fn push_text(&mut self, bytes: &[u8]) {
        // What comes after the end is not part of the answer.
        if self.finish.is_none() {
            self.joiner.push(bytes, &mut self.text);
        }
    }

    /// The answer is complete. Only the first reason counts.
    pub(crate) fn finish(&mut self, finish: Finish) {
        if self.finish.is_none() {
            self.joiner.end(&mut self.text);
            self.finish = Some(finish);
        }
    }
}

impl fmt::Debug for Gathered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gathered")
            .field("bytes", &self.text.len())
            .field("usage", &self.usage)
            .field("finish", &self.finish)
            .finish_non_exhaustive()
    }
}

/// The reader of a streamed answer.
#[derive(Debug)]
pub(crate) enum Reader {
    OpenAi(OpenAiStream),
    Ollama(OllamaStream),
}

impl Reader {
    /// Reads one network chunk.
    pub(crate) fn feed(&mut self, chunk: &[u8], gathered: &mut Gathered) -> Result<(), FailureClass> {
        match self {
            Self::OpenAi(stream) => stream.feed(chunk, gathered),
            Self::Ollama(stream) => stream.feed(chunk, gathered),
        }
    }

    /// The connection said that the body is over.
    pub(crate) fn end(&mut self, gathered: &mut Gathered) -> Result<(), FailureClass> {
        match self {
            Self::OpenAi(stream) => stream.end(gathered)?,
            Self::Ollama(stream) => stream.end(gathered)?,
        }
        if gathered.finish.is_none() { Err(FailureClass::Truncated) } else { Ok(()) }
    }

    /// Whether nothing more can come that matters: then the connection need not be waited for.
    pub(crate) fn is_over(&self, gathered: &Gathered) -> bool {
        match self {
            Self::OpenAi(stream) => stream.saw_done(),
            Self::Ollama(_) => gathered.finish.is_some(),
        }
    }
}

/// The first element of a JSON list; the others are skipped without being kept.
#[derive(Debug)]
pub(crate) struct First<T>(pub(crate) Option<T>);

impl<T> Default for First<T> {
    fn default() -> Self {
        Self(None)
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for First<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct List<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for List<T> {
            type Value = First<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list")
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
                let first = list.next_element()?;
                while list.next_element::<IgnoredAny>()?.is_some() {}
                Ok(First(first))
            }
        }
        deserializer.deserialize_seq(List(PhantomData))
    }
}

/// A count of tokens: absurd ones are cut rather than refused, and never wrap.
pub(crate) fn token_count(count: u64) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}
