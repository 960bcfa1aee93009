//! One call to one upstream: the request sent, the status judged, the answer read.
//!
//! Owns: how HTTP's and the egress crate's outcomes become classes of failure, and reading a burst at once.
//! Never does: try again, try another, or keep anything of an error body but a known code's meaning.

use crate::chat::{ChatRequest, Delivery};
use crate::decode::{Gathered, Reader};
use crate::error::FailureClass;
use crate::ollama::{self, OllamaStream};
use crate::openai::{self, OpenAiStream};
use crate::provider::{ProviderKind, Upstream};
use chatward_egress::{BodyStream, Call, CallError, CallFailure, Credential, Egress, HeaderMap, Response};
use chatward_types::{SECOND, Timestamp};
use futures_util::future::poll_fn;
use std::future::Future;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;
use tokio::time::{Instant, timeout, timeout_at};

/// The most that an answer may weigh on the wire. 500 tokens streamed are about 150 KB.
const LARGEST_ANSWER: usize = 4 * 1024 * 1024;
/// The most of an error body that is looked at, and for how long.
const LARGEST_ERROR: usize = 16 * 1024;
const ERROR_BODY_DEADLINE: Duration = Duration::from_secs(2);
/// Where a burst is cut, so that what has come is handed out while more is coming.
const LARGEST_BURST: usize = 32 * 1024;
const LONGEST_BURST: Duration = Duration::from_micros(500);

/// A failed call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) class: FailureClass,
    pub(crate) status: Option<u16>,
    pub(crate) reason: Option<&'static str>,
    /// How long the provider asks to be left alone, in microseconds.
    pub(crate) wait: Option<Timestamp>,
}

impl From<FailureClass> for Failure {
    fn from(class: FailureClass) -> Self {
        Self { class, status: None, reason: None, wait: None }
    }
}

/// An answer that has begun.
#[derive(Debug)]
pub(crate) struct Begun {
    /// What is there already; never empty.
    pub(crate) gathered: Gathered,
    /// What is still to come, unless that was all.
    pub(crate) live: Option<Live>,
}

impl Upstream {
    /// Asks, and waits for the first text, or in whole delivery for all of it.
    pub(crate) async fn ask(
        &self,
        egress: &Egress,
        credential: Option<Credential>,
        request: &ChatRequest,
    ) -> Result<Begun, Failure> {
        let begun_at = Instant::now();
        let response = egress.call(self.call(credential, request)).await.map_err(|error| class_of_head(&error))?;
        if !(200..300).contains(&response.status) {
            return Err(failure_of(response).await);
        }
        let asked_for = request.delivery;
        match self.delivery_of(&response.headers, asked_for).ok_or(FailureClass::WrongContentType)? {
            Delivery::Whole => self.read_whole(response.body).await,
            Delivery::Streamed => {
                let limit = begun_at + self.deadlines.first_piece.max(self.deadlines.first_byte);
                let begin = self.begin_stream(response.body, limit, asked_for);
                begin.await
            }
        }
    }

    fn call(&self, credential: Option<Credential>, request: &ChatRequest) -> Call {
        let mut body = Vec::with_capacity(capacity_for(request));
        match self.kind {
            ProviderKind::Ollama => ollama::write_body(&self.model, request, &mut body),
            _ => openai::write_body(self.dialect, &self.model, request, &mut body),
        }
        Call {
            credential,
            accept: match (request.delivery, self.kind) {
                (Delivery::Whole, _) => "application/json",
                (Delivery::Streamed, ProviderKind::Ollama) => "application/x-ndjson",
                (Delivery::Streamed, _) => "text/event-stream",
            },
            connect_deadline: self.deadlines.connect,
            first_byte_deadline: self.deadlines.first_byte,
            between_bytes_deadline: self.deadlines.between_bytes,
            total_deadline: self.deadlines.total,
            max_response_bytes: LARGEST_ANSWER,
            ..Call::post_json(self.endpoint.clone(), self.reach, body)
        }
    }

    /// How the answer comes, by what the server says it is. One that ignores `stream` and sends JSON is understood; one
    /// that says nothing is taken at its word.
    fn delivery_of(&self, headers: &HeaderMap, asked_for: Delivery) -> Option<Delivery> {
        let Some(value) = headers.get("content-type") else {
            return Some(asked_for);
        };
        let value = value.to_str().ok()?;
        let kind = value.split(';').next().unwrap_or("").trim();
        let is = |name: &str| kind.eq_ignore_ascii_case(name);
        match self.kind {
            // Both of its forms are lines of JSON, and some proxies call either one plain JSON.
            ProviderKind::Ollama if is("application/x-ndjson") || is("application/json") => Some(asked_for),
            ProviderKind::Ollama => None,
            _ if is("application/json") => Some(Delivery::Whole),
            _ if is("text/event-stream") => Some(Delivery::Streamed),
            _ => None,
        }
    }

    async fn read_whole(&self, body: BodyStream) -> Result<Begun, Failure> {
        let body = body.collect().await.map_err(|error| class_of_body(&error))?;
        let mut gathered = Gathered::default();
        match self.kind {
            ProviderKind::Ollama => ollama::read_whole(&body, &mut gathered)?,
            _ => openai::read_whole(&body, &mut gathered)?,
        }
        if gathered.text.trim().is_empty() {
            return Err(FailureClass::Empty.into());
        }
        Ok(Begun { gathered, live: None })
    }

    async fn begin_stream(&self, body: BodyStream, limit: Instant, asked_for: Delivery) -> Result<Begun, Failure> {
        let reader = match self.kind {
            ProviderKind::Ollama => Reader::Ollama(OllamaStream::default()),
            _ => Reader::OpenAi(OpenAiStream::default()),
        };
        let mut live = Live { body, reader, state: LiveState::Reading };
        let mut gathered = Gathered::default();
        let begin = async {
            while live.is_reading() && (gathered.text.trim().is_empty() || asked_for == Delivery::Whole) {
                live.read_burst(&mut gathered).await;
            }
        };
        match asked_for {
            // A server that streams although it was not asked to: the total deadline alone holds.
            Delivery::Whole => begin.await,
            Delivery::Streamed => timeout_at(limit, begin).await.map_err(|_| FailureClass::FirstByteTimeout)?,
        }
        match live.state {
            // Nothing has been handed out, so a failure right behind the first text is still a failed attempt.
            LiveState::Failed(class) => Err(class.into()),
            LiveState::Over if gathered.text.trim().is_empty() => Err(FailureClass::Empty.into()),
            LiveState::Over => Ok(Begun { gathered, live: None }),
            LiveState::Reading => Ok(Begun { gathered, live: Some(live) }),
        }
    }
}

/// A streamed answer under way. Dropping it closes the exchange upstream.
#[derive(Debug)]
pub(crate) struct Live {
    body: BodyStream,
    reader: Reader,
    pub(crate) state: LiveState,
}

/// How far it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LiveState {
    Reading,
    Over,
    Failed(FailureClass),
}

impl Live {
    pub(crate) fn is_reading(&self) -> bool {
        self.state == LiveState::Reading
    }

    /// Waits for the next bytes, and takes with them all that is there already: a burst of many small chunks becomes
    /// one text and one write to the visitor. Afterwards `state` tells how far it is; what was read before a failure
    /// is in `gathered`. May be dropped at any await without losing bytes.
    pub(crate) async fn read_burst(&mut self, gathered: &mut Gathered) {
        let outcome = self.body.chunk().await;
        let mut taken = self.take(outcome, gathered);
        let began = Instant::now();
        while self.is_reading() && taken < LARGEST_BURST && began.elapsed() < LONGEST_BURST {
            let turns = u8::from(!self.body.is_in_place());
            let Some(outcome) = ready_soon(self.body.chunk(), turns).await else { break };
            taken += self.take(outcome, gathered);
        }
        // After `[DONE]` the end of the body was given a chance above, so that the connection can be used again.
        if self.is_reading() && self.reader.is_over(gathered) {
            self.state = LiveState::Over;
        }
    }

    fn take(&mut self, outcome: Result<Option<chatward_egress::Bytes>, CallError>, gathered: &mut Gathered) -> usize {
        let (taken, outcome) = match outcome {
            Ok(Some(chunk)) => (chunk.len(), self.reader.feed(&chunk, gathered)),
            Ok(None) => {
                let ended = self.reader.end(gathered);
                if ended.is_ok() {
                    self.state = LiveState::Over;
                }
                (0, ended)
            }
            Err(error) => (0, Err(class_of_body(&error))),
        };
        if let Err(class) = outcome {
            // Once the model has said why it stopped, the answer is complete; what breaks afterwards costs only the
            // count of its tokens.
            self.state = if gathered.finish.is_some() { LiveState::Over } else { LiveState::Failed(class) };
        }
        taken
    }
}

/// What `future` gives at once, or after the connection's own task has had so many turns; else nothing.
async fn ready_soon<T>(future: impl Future<Output = T>, mut turns: u8) -> Option<T> {
    let mut future = pin!(future);
    poll_fn(|context| match future.as_mut().poll(context) {
        Poll::Ready(value) => Poll::Ready(Some(value)),
        Poll::Pending if turns == 0 => Poll::Ready(None),
        Poll::Pending => {
            turns -= 1;
            context.waker().wake_by_ref();
            Poll::Pending
        }
    })
    .await
}

/// A close upper bound, so that the body is written without growing.
fn capacity_for(request: &ChatRequest) -> usize {
    let turns: usize = request.messages.iter().map(|message| message.text.len() + 40).sum();
    let passages: usize =
        request.passages.iter().map(|passage| passage.text.len() + passage.title.len() + passage.url.len() + 24).sum();
    let text = request.system.len() + request.question.len() + turns + passages;
    // A sixteenth for escapes (line breaks, quotation marks), and the frame.
    text + text / 16 + 1024
}

fn class_of_head(error: &CallError) -> FailureClass {
    match error.failure() {
        CallFailure::Refused(_)
        | CallFailure::CredentialHost
        | CallFailure::CredentialPlain
        | CallFailure::BadRequest => FailureClass::Refused,
        CallFailure::Dns
        | CallFailure::Connect
        | CallFailure::Tls
        | CallFailure::ConnectTimeout
        | CallFailure::Protocol => FailureClass::Connect,
        CallFailure::FirstByteTimeout => FailureClass::FirstByteTimeout,
        CallFailure::BetweenBytesTimeout | CallFailure::TotalTimeout => FailureClass::Timeout,
        CallFailure::TooLarge => FailureClass::TooLarge,
        CallFailure::BadEncoding => FailureClass::WrongContentType,
    }
}

/// Inside the body, a broken connection is a truncated answer.
fn class_of_body(error: &CallError) -> FailureClass {
    match class_of_head(error) {
        FailureClass::Connect => FailureClass::Truncated,
        other => other,
    }
}

async fn failure_of(response: Response) -> Failure {
    let Response { status, headers, mut body } = response;
    let class = match status {
        401 | 403 => FailureClass::Unauthorized,
        402 | 429 => FailureClass::RateLimited,
        404 | 405 | 410 => FailureClass::NotFound,
        400..=499 => FailureClass::Rejected,
        300..=399 => FailureClass::NotFound,
        _ => FailureClass::Upstream,
    };
    let wait = headers
        .get("retry-after")
        .filter(|_| matches!(status, 429 | 503))
        .and_then(|value| value.to_str().ok()?.trim().parse::<u32>().ok())
        .map(|seconds| Timestamp::from(seconds) * SECOND);
    // Read to its end if that is near, so that the connection can be used again; only a known code's meaning is kept.
    let mut text = Vec::new();
    let read = async {
        while let Ok(Some(chunk)) = body.chunk().await {
            if text.len() + chunk.len() > LARGEST_ERROR {
                break;
            }
            text.extend_from_slice(&chunk);
        }
    };
    let _ = timeout(ERROR_BODY_DEADLINE, read).await;
    Failure { class, status: Some(status), reason: openai::known_reason(&text), wait }
}
