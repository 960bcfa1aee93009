//! `POST /api/v1/widget/messages`: a visitor asks; the answer is streamed as events or given whole as JSON.

use crate::app::App;
use crate::client::Client;
use crate::error::{self, ApiResult};
use crate::json::Json;
use crate::limits::LoadGuard;
use crate::middleware::guard::refuse_session;
use crate::ops::answers::Progress;
use crate::ops::chat::{self, Asked};
use crate::ops::lookup::Citation;
use crate::ops::page_context::PageContext;
use crate::ops::tokens::Visitor;
use crate::ops::{sessions, sites};
use axum::Extension;
use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use chatward_providers::Delivery;
use chatward_types::{Error, EventName, Kind, MessageId, Outcome, Scope, Severity};
use futures_util::stream;
use http::header::{ACCEPT, CACHE_CONTROL, CONTENT_TYPE, HeaderMap};
use serde::{Deserialize, Serialize};
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc::Receiver;
use utoipa::ToSchema;

/// A comment goes out this often while an answer is silent, so that proxies keep the connection.
const HEARTBEAT: Duration = Duration::from_secs(15);

/// A visitor's question.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateMessage {
    /// The question; at most 1000 Unicode scalar values by default.
    #[schema(example = "What does shipping to Canada cost?")]
    pub message: String,
    /// What the page says beside it: at most 8 texts of 200 characters by names of `[a-z_]`. Material for the model,
    /// quoted; it is not stored.
    #[serde(default)]
    #[schema(value_type = Option<std::collections::HashMap<String, String>>)]
    pub context: PageContext,
}

/// A complete answer. In a stream it is the data of the last event, `done`.
#[derive(Debug, Serialize, ToSchema)]
pub struct AnswerView {
    /// The answer's id, for feedback.
    #[schema(value_type = String)]
    pub message_id: MessageId,
    /// The whole text, with `[1]` where it cites.
    pub text: String,
    /// The sources, by the numbers that the text uses.
    pub citations: Vec<Citation>,
    /// Whether the answer reached its longest and stops in the middle.
    pub cut_short: bool,
}

/// Asks a question. With `Accept: text/event-stream` the answer is a stream of `delta` (`{"text"}`), `citations`
/// (`{"citations"}`) and `done` (the whole answer), or of `error` (the error object) where it breaks off; else JSON.
#[utoipa::path(post, path = "/api/v1/widget/messages", tag = "widget", request_body = CreateMessage,
    security(("visitor" = [])),
    responses(
        (status = 200, description = "The answer.", content(
            (AnswerView = "application/json"),
            (String = "text/event-stream", example = "event: delta\ndata: {\"text\":\"Shipping\"}\n\n"))),
        (status = 400, description = "Not JSON.", body = crate::error::ErrorBody),
        (status = 401, description = "No such session, or no such token.", body = crate::error::ErrorBody),
        (status = 403, description = "The page's origin is not the token's.", body = crate::error::ErrorBody),
        (status = 409, description = "The conversation has reached its longest.", body = crate::error::ErrorBody),
        (status = 413, description = "The body is too large.", body = crate::error::ErrorBody),
        (status = 422, description = "A field is missing, unknown or wrong, or the message is too long.", body = crate::error::ErrorBody),
        (status = 429, description = "Too many requests from this address or answers in this session.", body = crate::error::ErrorBody),
        (status = 503, description = "The answer broke off, or the store does not answer.", body = crate::error::ErrorBody)))]
pub async fn create_message(
    State(app): State<App>,
    Extension(client): Extension<Client>,
    Extension(visitor): Extension<Arc<Visitor>>,
    headers: HeaderMap,
    Json(body): Json<CreateMessage>,
) -> ApiResult<Response> {
    let streamed = wants_stream(&headers);
    // They share the connection's buffer, which they would hold for as long as the answer takes.
    drop(headers);
    let delivery = if streamed { Delivery::Streamed } else { Delivery::Whole };
    // In a box, which goes before the answer is waited for.
    let begun = Box::pin(begin(&app, &visitor, &client, body, delivery)).await;
    // Refusals are the visitor's matter; what fails on our side before the answer begins is told like what fails in it.
    if let Err(error) = &begun
        && matches!(error.kind(), Kind::Internal | Kind::Unavailable)
    {
        app.event(EventName::ChatError, Severity::Error, Outcome::Failure)
            .of(&client)
            .site(visitor.owner, visitor.site)
            .session(&visitor.session)
            .detail(error.code())
            .emit();
    }
    let progress = begun?;
    let request_id = Arc::clone(&client.request_id);
    if streamed { Ok(stream_answer(progress, request_id, app.load.enter())) } else { whole_answer(progress).await }
}

async fn begin(
    app: &App,
    visitor: &Visitor,
    client: &Client,
    body: CreateMessage,
    delivery: Delivery,
) -> Result<Receiver<Progress>, Error> {
    let asked = Asked { question: chat::clean(app, &body.message)?, context: body.context };
    let live = sessions::find(app, visitor, client).await?;
    let site = sites::by_id(app, &Scope::of(visitor.owner), visitor.site).await?;
    let (Some(live), Some(site)) = (live, site) else {
        return Err(refuse_session(app, client, Some(visitor)));
    };
    chat::ask(app, site, live, asked, delivery, client.clone()).await
}

fn wants_stream(headers: &HeaderMap) -> bool {
    headers.get(ACCEPT).and_then(|value| value.to_str().ok()).is_some_and(|accept| accept.contains("text/event-stream"))
}

async fn whole_answer(mut progress: Receiver<Progress>) -> ApiResult<Response> {
    while let Some(item) = progress.recv().await {
        match item {
            Progress::Delta(_) => {}
            Progress::Done(answer) => {
                let cited = answer.citations.iter().map(Citation::weight).sum::<usize>();
                // A sixteenth for escapes, so that it is written without growing.
                let mut body = Vec::with_capacity((answer.text.len() + cited) * 17 / 16 + 128);
                let answer = AnswerView {
                    message_id: answer.id,
                    text: answer.text,
                    citations: answer.citations,
                    cut_short: answer.cut_short,
                };
                serde_json::to_writer(&mut body, &answer).map_err(Error::internal)?;
                return Ok(([(CONTENT_TYPE, "application/json")], body).into_response());
            }
            Progress::Failed(error) => return Err((*error).into()),
        }
    }
    Err(Error::internal("an answer ended without its end").into())
}

/// The request counts as running (`in_flight`) until the stream has ended or the client has left.
fn stream_answer(progress: Receiver<Progress>, request_id: Arc<str>, in_flight: LoadGuard) -> Response {
    let events = stream::unfold(Some((progress, request_id, in_flight)), |state| async move {
        let (mut progress, request_id, in_flight) = state?;
        let chunk = match tokio::time::timeout(HEARTBEAT, progress.recv()).await {
            Err(_) => Some((Bytes::from_static(b": still here\n\n"), false)),
            Ok(None) => None,
            Ok(Some(first)) => Some(encode_ready(first, &mut progress, &request_id)),
        };
        let (bytes, is_last) = chunk?;
        let next = (!is_last).then_some((progress, request_id, in_flight));
        Some((Ok::<_, Infallible>(bytes), next))
    });
    (
        [(CONTENT_TYPE, "text/event-stream; charset=utf-8"), (CACHE_CONTROL, "no-store, no-transform")],
        [("x-accel-buffering", "no")],
        Body::from_stream(events),
    )
        .into_response()
}

/// Encodes everything that is ready into one write.
fn encode_ready(first: Progress, progress: &mut Receiver<Progress>, request_id: &str) -> (Bytes, bool) {
    let mut out = Vec::with_capacity(512);
    let mut text = String::new();
    let mut item = Some(first);
    let mut is_last = false;
    while let Some(current) = item.take() {
        match current {
            Progress::Delta(more) => {
                text.push_str(&more);
                item = progress.try_recv().ok();
            }
            last => {
                flush(&mut out, &mut text);
                encode_last(&mut out, last, request_id);
                is_last = true;
            }
        }
    }
    flush(&mut out, &mut text);
    (out.into(), is_last)
}

fn flush(out: &mut Vec<u8>, text: &mut String) {
    if !text.is_empty() {
        event(out, "delta", &Delta { text });
        text.clear();
    }
}

fn encode_last(out: &mut Vec<u8>, last: Progress, request_id: &str) {
    match last {
        Progress::Delta(_) => {}
        Progress::Done(answer) => {
            event(out, "citations", &Citations { citations: &answer.citations });
            event(
                out,
                "done",
                &AnswerView {
                    message_id: answer.id,
                    text: answer.text,
                    citations: answer.citations,
                    cut_short: answer.cut_short,
                },
            );
        }
        Progress::Failed(error) => {
            out.extend_from_slice(b"event: error\ndata: ");
            out.extend_from_slice(error::body_text(&error, request_id).as_bytes());
            out.extend_from_slice(b"\n\n");
        }
    }
}

#[derive(Serialize)]
struct Delta<'a> {
    text: &'a str,
}

#[derive(Serialize)]
struct Citations<'a> {
    citations: &'a [Citation],
}

/// JSON has no raw line ends, so one `data` line always holds it.
fn event(out: &mut Vec<u8>, name: &str, data: &impl Serialize) {
    out.extend_from_slice(b"event: ");
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"\ndata: ");
    if serde_json::to_writer(&mut *out, data).is_err() {
        out.extend_from_slice(b"{}");
    }
    out.extend_from_slice(b"\n\n");
}
