//! Ollama's own chat API: one JSON object a line.
//!
//! Owns: the body sent, and the lines read. Never does: take an answer as complete without `"done": true`.

use crate::chat::{ChatRequest, Delivery, Finish, Usage};
use crate::decode::{Gathered, token_count};
use crate::error::FailureClass;
use crate::json::{write_fraction, write_number, write_string};
use crate::lines::Lines;
use crate::prompt::write_messages;
use crate::text::Raw;
use serde::Deserialize;
use serde::de::IgnoredAny;
use std::borrow::Cow;

/// Writes the request's body to `out`.
pub(crate) fn write_body(model: &str, request: &ChatRequest, out: &mut Vec<u8>) {
    out.extend_from_slice(b"{\"model\":");
    write_string(out, model);
    out.extend_from_slice(b",\"messages\":");
    write_messages(out, request);
    out.extend_from_slice(match request.delivery {
        Delivery::Streamed => b",\"stream\":true,\"options\":{\"num_predict\":".as_slice(),
        Delivery::Whole => b",\"stream\":false,\"options\":{\"num_predict\":".as_slice(),
    });
    write_number(out, request.max_output_tokens);
    out.extend_from_slice(b",\"temperature\":");
    write_fraction(out, request.temperature);
    out.extend_from_slice(b"}}");
}

#[derive(Deserialize)]
struct Line<'a> {
    #[serde(borrow, default)]
    message: Option<Message<'a>>,
    #[serde(default)]
    done: bool,
    #[serde(borrow, default)]
    done_reason: Option<Cow<'a, str>>,
    #[serde(default)]
    prompt_eval_count: Option<u64>,
    #[serde(default)]
    eval_count: Option<u64>,
    #[serde(default)]
    error: Option<IgnoredAny>,
}

#[derive(Deserialize)]
struct Message<'a> {
    #[serde(borrow, default)]
    content: Option<Raw<'a>>,
}

impl Line<'_> {
    fn gather(self, gathered: &mut Gathered) -> Result<(), FailureClass> {
        if self.error.is_some() {
            return Err(FailureClass::Upstream);
        }
        if let Some(Raw(text)) = self.message.and_then(|message| message.content) {
            gathered.push_text(&text);
        }
        if self.done && gathered.finish.is_none() {
            gathered.finish(match self.done_reason.as_deref() {
                Some("stop") => Finish::Stop,
                Some("length") => Finish::Length,
                _ => Finish::Other,
            });
            if self.prompt_eval_count.is_some() || self.eval_count.is_some() {
                gathered.usage = Some(Usage {
                    input_tokens: token_count(self.prompt_eval_count.unwrap_or(0)),
                    output_tokens: token_count(self.eval_count.unwrap_or(0)),
                });
            }
        }
        Ok(())
    }
}

/// Reads a whole answer: the same object as a line, with everything in it.
pub(crate) fn read_whole(body: &[u8], gathered: &mut Gathered) -> Result<(), FailureClass> {
    let line: Line<'_> = serde_json::from_slice(body).map_err(|error| match error.classify() {
        serde_json::error::Category::Eof => FailureClass::Truncated,
        _ => FailureClass::Malformed,
    })?;
    line.gather(gathered)?;
    if gathered.finish.is_none() { Err(FailureClass::Truncated) } else { Ok(()) }
}

/// Reads a streamed answer.
#[derive(Debug, Default)]
pub(crate) struct OllamaStream {
    lines: Lines,
}

impl OllamaStream {
    pub(crate) fn feed(&mut self, chunk: &[u8], gathered: &mut Gathered) -> Result<(), FailureClass> {
        self.lines.feed(chunk, |line| read_line(line, gathered))
    }

    pub(crate) fn end(&mut self, gathered: &mut Gathered) -> Result<(), FailureClass> {
        // Half a line at the end is a cut, not nonsense.
        read_line(&self.lines.take_partial(), gathered).map_err(|class| match class {
            FailureClass::Malformed => FailureClass::Truncated,
            other => other,
        })
    }
}

fn read_line(line: &[u8], gathered: &mut Gathered) -> Result<(), FailureClass> {
    if line.trim_ascii().is_empty() || gathered.finish.is_some() {
        return Ok(());
    }
    let line: Line<'_> = serde_json::from_slice(line).map_err(|_| FailureClass::Malformed)?;
    line.gather(gathered)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::sync::Arc;

    fn read(chunks: &[&[u8]]) -> (Result<(), FailureClass>, Gathered) {
        let (mut stream, mut gathered) = (OllamaStream::default(), Gathered::default());
        let mut outcome = chunks.iter().try_for_each(|chunk| stream.feed(chunk, &mut gathered));
        if outcome.is_ok() {
            outcome = stream.end(&mut gathered);
        }
        (outcome, gathered)
    }

    fn line(text: &str) -> String {
        format!(
            "{}\n",
            serde_json::json!({"model": "m", "message": {"role": "assistant", "content": text}, "done": false})
        )
    }

    const DONE: &str = "{\"model\":\"m\",\"message\":{\"role\":\"assistant\",\"content\":\"\"},\"done\":true,\"done_reason\":\"length\",\"prompt_eval_count\":26,\"eval_count\":298}\n";

    #[test]
    fn the_body_is_what_ollama_takes() {
        let request = ChatRequest {
            system: "Rules".into(),
            messages: Vec::new(),
            question: "Q".to_owned(),
            passages: Arc::from([]),
            from_sources: "From the sources. [1]".into(),
            max_output_tokens: 77,
            temperature: 0.5,
            delivery: Delivery::Streamed,
            counted: std::sync::OnceLock::new(),
        };
        let mut out = Vec::new();
        write_body("llama3.2", &request, &mut out);
        let body: serde_json::Value = serde_json::from_slice(&out).expect("JSON");
        assert_eq!(body["options"], serde_json::json!({"num_predict": 77, "temperature": 0.5}));
        assert_eq!((&body["model"], &body["stream"]), (&"llama3.2".into(), &true.into()));
        assert_eq!(body["messages"][1], serde_json::json!({"role": "user", "content": "Q"}));
    }

    #[test]
    fn done_is_required_and_carries_the_counts() {
        let (outcome, gathered) = read(&[line("Hi ").as_bytes(), line("you").as_bytes(), DONE.as_bytes()]);
        assert_eq!(outcome, Ok(()));
        assert_eq!((gathered.text.as_str(), gathered.finish), ("Hi you", Some(Finish::Length)));
        assert_eq!(gathered.usage, Some(Usage { input_tokens: 26, output_tokens: 298 }));
        let (_, cut) = read(&[line("Hi ").as_bytes()]);
        assert_eq!(cut.finish, None, "without it there is no end");
        assert_eq!(read(&[line("Hi").as_bytes(), b"{\"mess"]).0, Err(FailureClass::Truncated));
        let (outcome, gathered) = read(&[DONE.trim_end().as_bytes()]);
        assert_eq!((outcome, gathered.finish), (Ok(()), Some(Finish::Length)), "a last line without its end is read");
    }

    #[test]
    fn errors_and_nonsense_are_failures() {
        assert_eq!(read(&[b"{\"error\":\"model not found\"}\n"]).0, Err(FailureClass::Upstream));
        assert_eq!(read(&[b"<html>\n"]).0, Err(FailureClass::Malformed));
        let mut gathered = Gathered::default();
        assert_eq!(
            read_whole(b"{\"message\":{\"content\":\"x\"},\"done\":false}", &mut gathered),
            Err(FailureClass::Truncated)
        );
        assert_eq!(read_whole(b"{\"message\":{\"con", &mut Gathered::default()), Err(FailureClass::Truncated));
        let mut gathered = Gathered::default();
        assert_eq!(read_whole(DONE.as_bytes(), &mut gathered), Ok(()));
    }

    proptest! {
        #[test]
        fn where_the_network_cuts_makes_no_difference(text in "[a\u{e9}\u{1f600}\"\\\\ ]{0,30}", size in 1_usize..64) {
            let stream = [line(&text).as_str(), DONE].concat();
            let chunks: Vec<&[u8]> = stream.as_bytes().chunks(size).collect();
            let (outcome, gathered) = read(&chunks);
            prop_assert_eq!(outcome, Ok(()));
            prop_assert_eq!(gathered.text, text);
        }

        #[test]
        fn no_bytes_make_the_readers_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = read(&[&bytes, b"\n"]);
            let _ = read_whole(&bytes, &mut Gathered::default());
        }
    }
}
