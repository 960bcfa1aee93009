//! OpenAI's chat completions, as OpenAI and the many servers that copy it speak them.
//!
//! Owns: the body sent, the whole answer and the event stream read. Never does: forward anything of an error body; it
//! only recognises a few known codes.

use crate::chat::{ChatRequest, Delivery, Finish, Usage};
use crate::decode::{First, Gathered, token_count};
use crate::error::FailureClass;
use crate::json::{write_fraction, write_number, write_string};
use crate::prompt::write_messages;
use crate::sse::EventStream;
use crate::text::Raw;
use serde::Deserialize;
use serde::de::IgnoredAny;
use std::borrow::Cow;

/// Which of the two spellings of the API a server understands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dialect {
    /// OpenAI itself: `max_completion_tokens`, and no temperature for models that think first.
    OpenAi,
    /// The others: `max_tokens`.
    Compatible,
}

/// Writes the request's body to `out`.
pub(crate) fn write_body(dialect: Dialect, model: &str, request: &ChatRequest, out: &mut Vec<u8>) {
    out.extend_from_slice(b"{\"model\":");
    write_string(out, model);
    out.extend_from_slice(b",\"messages\":");
    write_messages(out, request);
    out.extend_from_slice(match dialect {
        Dialect::OpenAi => b",\"max_completion_tokens\":".as_slice(),
        Dialect::Compatible => b",\"max_tokens\":".as_slice(),
    });
    write_number(out, request.max_output_tokens);
    if dialect == Dialect::Compatible || takes_temperature(model) {
        out.extend_from_slice(b",\"temperature\":");
        write_fraction(out, request.temperature);
    }
    out.extend_from_slice(match request.delivery {
        Delivery::Streamed => b",\"stream\":true,\"stream_options\":{\"include_usage\":true}}".as_slice(),
        Delivery::Whole => b",\"stream\":false}".as_slice(),
    });
}

/// OpenAI's thinking models refuse any temperature but their own.
fn takes_temperature(model: &str) -> bool {
    !["o1", "o3", "o4", "gpt-5"].iter().any(|family| model.starts_with(family)) || model.starts_with("gpt-5-chat")
}

#[derive(Deserialize)]
struct Counts {
    #[serde(default)]
    prompt_tokens: u64,
    #[serde(default)]
    completion_tokens: u64,
}

impl From<Counts> for Usage {
    fn from(counts: Counts) -> Self {
        Self { input_tokens: token_count(counts.prompt_tokens), output_tokens: token_count(counts.completion_tokens) }
    }
}

/// A whole answer, or one event of a stream: they differ in one field's name.
#[derive(Deserialize)]
struct Completion<'a> {
    #[serde(borrow, default)]
    choices: Option<First<Choice<'a>>>,
    #[serde(default)]
    usage: Option<Counts>,
    #[serde(default)]
    error: Option<IgnoredAny>,
}

#[derive(Deserialize)]
struct Choice<'a> {
    #[serde(borrow, default)]
    delta: Option<Message<'a>>,
    #[serde(borrow, default)]
    message: Option<Message<'a>>,
    #[serde(borrow, default)]
    finish_reason: Option<Cow<'a, str>>,
}

#[derive(Deserialize)]
struct Message<'a> {
    #[serde(borrow, default)]
    content: Option<Raw<'a>>,
    #[serde(borrow, default)]
    refusal: Option<Raw<'a>>,
}

impl<'a> Completion<'a> {
    /// The text of an event that holds nothing but text, if it stands in the event as it is, without escapes.
    fn plain_text(&self) -> Option<&'a [u8]> {
        let Some(First(Some(Choice { delta: Some(delta), message: None, finish_reason: None }))) = &self.choices else {
            return None;
        };
        match (delta, &self.usage, &self.error) {
            (Message { content: Some(Raw(Cow::Borrowed(text))), refusal: None }, None, None) => Some(text),
            _ => None,
        }
    }

    fn gather(self, gathered: &mut Gathered) -> Result<(), FailureClass> {
        if self.error.is_some() {
            return Err(FailureClass::Upstream);
        }
        if let Some(Choice { delta, message, finish_reason }) = self.choices.and_then(|choices| choices.0) {
            for message in [delta, message].into_iter().flatten() {
                // A refusal is the model's answer too, in a field of its own.
                for Raw(text) in [message.content, message.refusal].into_iter().flatten() {
                    gathered.push_text(&text);
                }
            }
            if let Some(reason) = finish_reason {
                gathered.finish(finish_of(&reason));
            }
        }
        if let Some(counts) = self.usage {
            gathered.usage = Some(counts.into());
        }
        Ok(())
    }
}

fn finish_of(reason: &str) -> Finish {
    match reason {
        "stop" => Finish::Stop,
        "length" => Finish::Length,
        "content_filter" => Finish::Filtered,
        _ => Finish::Other,
    }
}

/// Reads a whole answer.
pub(crate) fn read_whole(body: &[u8], gathered: &mut Gathered) -> Result<(), FailureClass> {
    let completion: Completion<'_> = serde_json::from_slice(body).map_err(|error| match error.classify() {
        serde_json::error::Category::Eof => FailureClass::Truncated,
        _ => FailureClass::Malformed,
    })?;
    let has_choice = completion.choices.as_ref().is_some_and(|choices| choices.0.is_some());
    completion.gather(gathered)?;
    if !has_choice {
        return Err(FailureClass::Malformed);
    }
    // The JSON is whole, so the answer is, even from a server that gives no reason.
    gathered.finish(Finish::Other);
    Ok(())
}

/// Reads a streamed answer.
#[derive(Debug, Default)]
pub(crate) struct OpenAiStream {
    events: EventStream,
    reader: EventReader,
}

#[derive(Debug, Default)]
struct EventReader {
    done: bool,
    mould: Mould,
}

impl OpenAiStream {
    pub(crate) fn feed(&mut self, chunk: &[u8], gathered: &mut Gathered) -> Result<(), FailureClass> {
        let reader = &mut self.reader;
        self.events.feed(chunk, |data| reader.read(data, gathered))
    }

    pub(crate) fn end(&mut self, gathered: &mut Gathered) -> Result<(), FailureClass> {
        let reader = &mut self.reader;
        // Half an event at the end is a cut, not nonsense.
        self.events.end(|data| reader.read(data, gathered)).map_err(|class| match class {
            FailureClass::Malformed => FailureClass::Truncated,
            other => other,
        })
    }

    /// Whether `[DONE]` was read.
    pub(crate) fn saw_done(&self) -> bool {
        self.reader.done
    }
}

impl EventReader {
    fn read(&mut self, data: &[u8], gathered: &mut Gathered) -> Result<(), FailureClass> {
        if self.done {
            return Ok(());
        }
        if let Some(text) = self.mould.text_of(data) {
            gathered.push_text(text);
            return Ok(());
        }
        if data.trim_ascii() == b"[DONE]" {
            self.done = true;
            gathered.finish(Finish::Other);
            return Ok(());
        }
        let completion: Completion<'_> = serde_json::from_slice(data).map_err(|_| FailureClass::Malformed)?;
        if let Some(text) = completion.plain_text() {
            self.mould.take(data, text);
        }
        completion.gather(gathered)
    }
}

/// What stood around the text of the last event that was parsed. The events of a stream repeat it to the byte, and one
/// that does needs no parsing: between the same bytes, a text without quotation marks, backslashes and control
/// characters is the same string of the same object. It halves the cost of a stream.
#[derive(Debug, Default)]
struct Mould {
    before: Vec<u8>,
    behind: Vec<u8>,
}

impl Mould {
    /// Remembers the bytes around `text`, which is a part of `data`.
    fn take(&mut self, data: &[u8], text: &[u8]) {
        let at = (text.as_ptr() as usize).wrapping_sub(data.as_ptr() as usize);
        self.before.clear();
        self.behind.clear();
        if let (Some(before), Some(behind)) = (data.get(..at), data.get(at.saturating_add(text.len())..)) {
            self.before.extend_from_slice(before);
            self.behind.extend_from_slice(behind);
        }
    }

    fn text_of<'d>(&self, data: &'d [u8]) -> Option<&'d [u8]> {
        if self.behind.is_empty() {
            return None;
        }
        let text = data.strip_prefix(self.before.as_slice())?.strip_suffix(self.behind.as_slice())?;
        text.iter().all(|byte| *byte >= 0x20 && *byte != b'"' && *byte != b'\\').then_some(text)
    }
}

#[derive(Deserialize)]
struct ErrorBody<'a> {
    #[serde(borrow)]
    error: ErrorDetail<'a>,
}

#[derive(Deserialize)]
struct ErrorDetail<'a> {
    #[serde(borrow, default)]
    code: Option<Cow<'a, str>>,
}

/// What a known error code means, in our words. Nothing of the body itself gets out of here.
pub(crate) fn known_reason(body: &[u8]) -> Option<&'static str> {
    let body: ErrorBody<'_> = serde_json::from_slice(body).ok()?;
    Some(match body.error.code?.as_ref() {
        "insufficient_quota" | "billing_hard_limit_reached" => "the account has no credit left",
        "invalid_api_key" => "the key is not valid",
        "account_deactivated" => "the account is deactivated",
        "model_not_found" => "there is no such model, or the key may not use it",
        "context_length_exceeded" => "the prompt is too long for the model",
        "rate_limit_exceeded" => "too many requests or tokens in a minute",
        "unsupported_parameter" | "unsupported_value" => "the model does not take one of the parameters",
        "unsupported_country_region_territory" => "the provider does not serve this country",
        _ => return None,
    })
}

#[cfg(test)]
#[path = "openai_tests.rs"]
mod tests;
