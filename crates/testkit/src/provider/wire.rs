//! The fake provider's bytes: both wire formats, and every way of breaking them.
//!
//! Owns: heads, chunks and bodies as they go out. Never does: read anything, or know about scripts and counters.

use super::{Ending, Received, Reply};
use serde_json::json;
use std::io;
use tokio::io::AsyncWriteExt;
use tokio::net::tcp::OwnedWriteHalf;
use tokio::sync::Semaphore;

const HALF_A_CHUNK: &[u8] = b"ff\r\ndata: {\"cho";

/// What happens to the connection after a reply.
pub(super) enum After {
    NextRequest,
    Close,
}

/// Which of the four forms the caller asked for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Format {
    ollama: bool,
    streamed: bool,
}

impl Format {
    pub(super) fn of(received: &Received) -> Self {
        Self {
            ollama: received.path == "/api/chat",
            // Ollama streams unless told otherwise.
            streamed: received.json()["stream"].as_bool().unwrap_or(received.path == "/api/chat"),
        }
    }

    fn content_type(self) -> &'static str {
        match (self.streamed, self.ollama) {
            (true, true) => "application/x-ndjson",
            (true, false) => "text/event-stream; charset=utf-8",
            (false, _) => "application/json",
        }
    }

    /// The body of an answer in the parts that go out as chunks.
    fn parts(self, deltas: &[String]) -> Vec<String> {
        let mut parts: Vec<String> =
            if self.streamed { deltas.iter().map(|delta| self.delta(delta)).collect() } else { Vec::new() };
        parts.push(self.end(deltas));
        parts
    }

    fn delta(self, text: &str) -> String {
        if self.ollama {
            let message = json!({"role": "assistant", "content": text});
            format!(
                "{}\n",
                json!({"model": "fake", "created_at": "2026-01-01T00:00:00Z", "message": message, "done": false})
            )
        } else {
            let choice = json!({"index": 0, "delta": {"content": text}, "logprobs": null, "finish_reason": null});
            let event = json!({"id": "chatcmpl-fake", "object": "chat.completion.chunk", "created": 1, "model": "fake", "choices": [choice], "usage": null});
            format!("data: {event}\n\n")
        }
    }

    fn error(self, text: &str) -> String {
        let error = json!({"error": {"message": text, "code": text}});
        if self.ollama { format!("{error}\n") } else { format!("data: {error}\n\n") }
    }

    fn end(self, deltas: &[String]) -> String {
        let (input, output) = (42, deltas.len());
        let text = if self.streamed { String::new() } else { deltas.concat() };
        if self.ollama {
            let message = json!({"role": "assistant", "content": text});
            format!(
                "{}\n",
                json!({"model": "fake", "message": message, "done": true, "done_reason": "stop", "prompt_eval_count": input, "eval_count": output})
            )
        } else if self.streamed {
            let stop = json!({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}], "usage": null});
            let usage = json!({"choices": [], "usage": {"prompt_tokens": input, "completion_tokens": output}});
            format!("data: {stop}\n\ndata: {usage}\n\ndata: [DONE]\n\n")
        } else {
            let choice =
                json!({"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"});
            json!({"id": "chatcmpl-fake", "choices": [choice], "usage": {"prompt_tokens": input, "completion_tokens": output}}).to_string()
        }
    }
}

pub(super) async fn write_reply(
    writer: &mut OwnedWriteHalf,
    reply: Reply,
    format: Format,
    gate: &Semaphore,
) -> io::Result<After> {
    let kind = format.content_type();
    match reply {
        Reply::Text(deltas) => write_parts(writer, kind, format.parts(&deltas)).await,
        Reply::Raw(parts) => write_parts(writer, kind, parts).await,
        Reply::Burst(deltas) => {
            let mut bytes = head(200, kind, &[("transfer-encoding", "chunked")]).into_bytes();
            for part in format.parts(&deltas) {
                bytes.extend_from_slice(&chunk(part.as_bytes()));
            }
            bytes.extend_from_slice(b"0\r\n\r\n");
            writer.write_all(&bytes).await?;
            Ok(After::NextRequest)
        }
        Reply::Torn(deltas, size) => {
            let whole = format.parts(&deltas).concat();
            begin(writer, kind).await?;
            for piece in whole.as_bytes().chunks(size.max(1)) {
                writer.write_all(&chunk(piece)).await?;
            }
            end(writer).await
        }
        Reply::Gated(deltas, ending) => {
            begin(writer, kind).await?;
            let mut parts: Vec<String> = deltas.iter().map(|delta| format.delta(delta)).collect();
            parts.push(match ending {
                Ending::Complete => format.end(&deltas),
                Ending::Error(text) => format.error(text),
                Ending::Truncated | Ending::Cut => String::new(),
            });
            for part in parts {
                gate.acquire().await.map_err(io::Error::other)?.forget();
                if !part.is_empty() {
                    writer.write_all(&chunk(part.as_bytes())).await?;
                }
            }
            if ending == Ending::Cut {
                writer.write_all(HALF_A_CHUNK).await?;
                return Ok(After::Close);
            }
            end(writer).await
        }
        Reply::Slow(deltas, pause) => {
            begin(writer, kind).await?;
            for part in format.parts(&deltas) {
                tokio::time::sleep(pause).await;
                writer.write_all(&chunk(part.as_bytes())).await?;
            }
            end(writer).await
        }
        Reply::Truncated(deltas) => {
            write_parts(writer, kind, deltas.iter().map(|delta| format.delta(delta)).collect()).await
        }
        Reply::Cut(deltas) => {
            begin(writer, kind).await?;
            for delta in &deltas {
                writer.write_all(&chunk(format.delta(delta).as_bytes())).await?;
            }
            writer.write_all(HALF_A_CHUNK).await?;
            Ok(After::Close)
        }
        Reply::Stalled(deltas) => {
            begin(writer, kind).await?;
            for delta in &deltas {
                writer.write_all(&chunk(format.delta(delta).as_bytes())).await?;
            }
            std::future::pending().await
        }
        Reply::Silent => std::future::pending().await,
        Reply::Status(status, headers, body) => {
            let length = body.len().to_string();
            let mut fields: Vec<(&str, &str)> =
                headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
            fields.push(("content-length", &length));
            writer.write_all(head(status, "application/json", &fields).as_bytes()).await?;
            writer.write_all(body.as_bytes()).await?;
            Ok(After::NextRequest)
        }
        Reply::Garbage => {
            writer.write_all(b"\x00\x01\x02 this is not HTTP \xff\xfe\r\n\r\n").await?;
            Ok(After::Close)
        }
        Reply::HugeLine(bytes) => write_parts(writer, kind, vec!["x".repeat(bytes)]).await,
        Reply::Typed(kind, body) => write_parts(writer, &kind, vec![body]).await,
    }
}

async fn write_parts(writer: &mut OwnedWriteHalf, kind: &str, parts: Vec<String>) -> io::Result<After> {
    begin(writer, kind).await?;
    for part in parts {
        writer.write_all(&chunk(part.as_bytes())).await?;
    }
    end(writer).await
}

async fn begin(writer: &mut OwnedWriteHalf, kind: &str) -> io::Result<()> {
    writer.write_all(head(200, kind, &[("transfer-encoding", "chunked")]).as_bytes()).await
}

async fn end(writer: &mut OwnedWriteHalf) -> io::Result<After> {
    writer.write_all(b"0\r\n\r\n").await?;
    Ok(After::NextRequest)
}

fn head(status: u16, kind: &str, fields: &[(&str, &str)]) -> String {
    let mut head = format!("HTTP/1.1 {status} Fake\r\n");
    if !kind.is_empty() {
        head.push_str(&format!("content-type: {kind}\r\n"));
    }
    for (name, value) in fields {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str("\r\n");
    head
}

fn chunk(bytes: &[u8]) -> Vec<u8> {
    [format!("{:x}\r\n", bytes.len()).as_bytes(), bytes, b"\r\n"].concat()
}
