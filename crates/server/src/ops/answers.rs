//! The life of one answer, in a task of its own so that it outlives the client's connection.
//!
//! A quick answer is stored together with its question; while a slow one is waited for, the question is stored alone.
//! The answer is acknowledged (`Done`) only after both are committed. A client that leaves has five seconds' grace, then
//! the upstream is cancelled and what there is is stored as interrupted. The reservation is settled with what was really
//! used, on every way out; a way out that forgets to settle spends all of it.

use crate::app::App;
use crate::client::Client;
use crate::ops::chat::{self, Allowance, Content};
use crate::ops::data_keys::OwnerKeys;
use crate::ops::lookup::{Citation, Found};
use crate::ops::sessions::{Answering as PlaceInSession, Live};
use crate::ops::sites::Site;
use chatward_providers::{Answering, Attempt, ChatRequest, Finish, Observer, Piece, Usage, estimate_request_tokens};
use chatward_store::{HotRow, MessageRow, MessageState, Role, UsageRow};
use chatward_types::{Error, EventName, Kind, MessageId, Outcome, Result, Severity, Timestamp, UsageId};
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::mpsc::Sender;
use tokio::time::Instant;

/// How long the upstream goes on after the client has left.
const GRACE: Duration = Duration::from_secs(5);
/// An answer that comes within this is stored in one append with its question, which halves the writing. Before the
/// answer nothing is acknowledged, so that nothing is lost by it.
const TOGETHER: Duration = Duration::from_millis(250);
/// How long a reader may leave the queue full before it counts as gone.
const READER_PATIENCE: Duration = Duration::from_secs(30);
/// The name of the provider that needs nobody.
const FROM_SOURCES: &str = "extractive";
/// The longest answer that is kept.
const MOST_TEXT: usize = 64 * 1024;

/// Everything that one answer needs.
#[derive(Debug)]
pub struct Turn {
    /// When the visitor asked.
    pub asked_at: Timestamp,
    /// The id of the visitor's message.
    pub question_id: MessageId,
    /// The id of the answer.
    pub answer_id: MessageId,
    /// The id of the record of what it cost.
    pub usage_id: UsageId,
    /// The owner's data keys.
    pub keys: OwnerKeys,
    /// The site.
    pub site: Arc<Site>,
    /// The session.
    pub live: Arc<Live>,
    /// What is asked.
    pub request: ChatRequest,
    /// What was found for it.
    pub found: Arc<Found>,
    /// Who asks.
    pub client: Client,
    /// What pays for a provider; without it the sources answer.
    pub allowance: Option<Allowance>,
    /// The session's place for an answer, held until the end.
    pub place_in_session: PlaceInSession,
}

/// What comes out of a running answer, in this order; the last is `Done` or `Failed`.
#[derive(Debug)]
pub enum Progress {
    /// More text.
    Delta(String),
    /// The answer is complete and stored.
    Done(Box<Answer>),
    /// The answer could not be completed or stored.
    Failed(Box<Error>),
}

/// A complete, stored answer.
#[derive(Debug)]
pub struct Answer {
    /// Its id, for feedback.
    pub id: MessageId,
    /// The whole text.
    pub text: String,
    /// Its sources.
    pub citations: Vec<Citation>,
    /// Whether the model was cut off by the token limit.
    pub cut_short: bool,
}

struct Produced {
    text: String,
    state: MessageState,
    provider: String,
    model: String,
    usage: Usage,
    cost: u64,
    cut_short: bool,
    failure: Option<Error>,
}

/// Runs an answer from the stored question to the acknowledged end.
pub async fn run(app: App, mut turn: Box<Turn>, out: Sender<Progress>) {
    let allowance = turn.allowance.take();
    let (reservation, place) = match allowance {
        Some(Allowance { reservation, place }) => (Some(reservation), Some(place)),
        None => (None, None),
    };
    let outcome = store_and_produce(&app, &turn, place.is_some(), &out).await;
    drop(place);
    let progress = match outcome {
        Ok((produced, question)) => {
            if let Some(reservation) = reservation {
                reservation.settle(produced.cost);
            }
            conclude(&app, &turn, produced, question).await
        }
        Err((error, produced)) => {
            // The question could not be stored; what its answer has cost so far is owed all the same.
            if let Some(reservation) = reservation {
                let produced = produced.unwrap_or_else(|| Produced::nothing(&app, &turn.request));
                reservation.settle(produced.cost);
                keep_cost(&app, &turn, &produced).await;
            }
            Err(error)
        }
    };
    let progress = match progress {
        Ok(answer) => {
            app.event(EventName::ChatMessageProcessed, Severity::Info, Outcome::Success)
                .of(&turn.client)
                .site(turn.site.owner, turn.site.id)
                .session(&turn.live.row.id)
                .emit();
            Progress::Done(Box::new(answer))
        }
        // Nobody is there to be told: the visitor's choice, not a failure.
        Err(error) if out.is_closed() => Progress::Failed(Box::new(error)),
        Err(error) => {
            app.event(EventName::ChatError, Severity::Error, Outcome::Failure)
                .of(&turn.client)
                .site(turn.site.owner, turn.site.id)
                .session(&turn.live.row.id)
                .detail(error.code())
                .emit();
            if let Some(source) = error.source_line() {
                tracing::error!(request_id = &*turn.client.request_id, source, "an answer failed");
            }
            Progress::Failed(Box::new(error))
        }
    };
    let _ = tokio::time::timeout(READER_PATIENCE, out.send(progress)).await;
}

/// Whether the question is stored already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Question {
    Stored,
    Waiting,
}

/// Produces the answer, and stores the question meanwhile if that takes long. If the question of a slow answer cannot be
/// stored, the provider's call is dropped; what it came to by then goes with the error.
async fn store_and_produce(
    app: &App,
    turn: &Turn,
    upstream: bool,
    out: &Sender<Progress>,
) -> Result<(Produced, Question), (Error, Option<Produced>)> {
    // Pinned in place: passing it on by value would copy kilobytes for each answer.
    let mut answer = pin!(produce(app, turn, upstream, out));
    if let Ok(produced) = tokio::time::timeout(TOGETHER, answer.as_mut()).await {
        return Ok((produced, Question::Waiting));
    }
    // In a box, which goes as soon as the question is stored: from then on many answers may wait for long.
    let mut question = Box::pin(store_question(app, turn));
    tokio::select! {
        biased;
        outcome = &mut question => {
            drop(question);
            outcome.map_err(|error| (error, None))?;
            Ok((answer.await, Question::Stored))
        }
        produced = &mut answer => match question.await {
            Ok(()) => Ok((produced, Question::Stored)),
            Err(error) => Err((error, Some(produced))),
        },
    }
}

async fn store_question(app: &App, turn: &Turn) -> Result<()> {
    let mut rows = vec![question_row(turn)?];
    if turn.live.touch(turn.asked_at) {
        let session = turn.live.row.id.clone();
        rows.push(HotRow::Touch { scope: turn.site.scope(), session, at: turn.asked_at });
    }
    app.store.append(rows).await?;
    remember_question(app, turn);
    Ok(())
}

/// Stores what an answer cost that is not stored itself. The visitor's error is told before this one.
async fn keep_cost(app: &App, turn: &Turn, produced: &Produced) {
    let Some(row) = usage_row(turn, produced, app.clock.now()) else { return };
    if let Err(error) = app.store.append(vec![row]).await {
        tracing::warn!(source = error.source_line(), "what an answer cost could not be stored");
    }
}

fn usage_row(turn: &Turn, produced: &Produced, at: Timestamp) -> Option<HotRow> {
    if produced.cost == 0 && produced.usage.input_tokens == 0 {
        return None;
    }
    let row = UsageRow {
        id: turn.usage_id,
        site: turn.site.id,
        provider: produced.provider.clone(),
        model: produced.model.clone(),
        input_tokens: i64::from(produced.usage.input_tokens),
        output_tokens: i64::from(produced.usage.output_tokens),
        micro_usd: i64::try_from(produced.cost).unwrap_or(i64::MAX),
        at,
    };
    Some(HotRow::Usage { scope: turn.site.scope(), row })
}

fn question_row(turn: &Turn) -> Result<HotRow> {
    let content = Content { text: turn.request.question.clone(), citations: Vec::new() };
    let row = MessageRow {
        id: turn.question_id,
        conversation: turn.live.row.conversation,
        role: Role::User,
        state: MessageState::Complete,
        provider: String::new(),
        sealed: chat::seal_content(&turn.keys, turn.question_id, &content)?,
        created_at: turn.asked_at,
    };
    Ok(HotRow::Message { scope: turn.site.scope(), row })
}

fn remember_question(app: &App, turn: &Turn) {
    let most = app.config.budgets.upstream_messages;
    turn.live.remember(Role::User, turn.request.question.as_str().into(), most);
}

/// Reads the answer to its end, handing text on as it comes.
async fn produce(app: &App, turn: &Turn, upstream: bool, out: &Sender<Progress>) -> Produced {
    let observer = Failures { app, turn, billed: Mutex::default() };
    let streamed = turn.request.delivery == chatward_providers::Delivery::Streamed;
    let mut left_at: Option<Instant> = None;
    let Some(mut answering) = begin(&observer, upstream, out, &mut left_at).await else {
        return Produced::nothing(app, &turn.request);
    };
    let mut produced = Produced {
        text: String::new(),
        state: MessageState::Interrupted,
        provider: answering.provider().to_string(),
        model: answering.model().to_string(),
        usage: Usage::default(),
        cost: 0,
        cut_short: false,
        failure: None,
    };
    loop {
        let Some(piece) = unless_gone(app, out, &mut left_at, pin!(answering.next())).await else { break };
        match piece {
            Some(Ok(Piece::Text(text))) => {
                if produced.text.len() + text.len() > MOST_TEXT {
                    produced.failure = Some(cut_off("the answer is over its bound"));
                    break;
                }
                produced.text.push_str(&text);
                if streamed && left_at.is_none() {
                    let sent = tokio::time::timeout(READER_PATIENCE, out.send(Progress::Delta(text))).await;
                    if !matches!(sent, Ok(Ok(()))) {
                        left_at = Some(Instant::now());
                    }
                }
            }
            Some(Ok(Piece::Usage(_))) => {}
            Some(Ok(Piece::Done(finish))) => {
                produced.state = MessageState::Complete;
                produced.cut_short = finish == Finish::Length;
                break;
            }
            Some(Err(error)) => {
                app.metrics.count_provider(&produced.provider, error.class.as_str());
                produced.failure = Some(cut_off(error.to_string()));
                break;
            }
            None => {
                produced.failure = Some(cut_off("the answer ended without its end"));
                break;
            }
        }
    }
    if produced.state == MessageState::Interrupted && produced.failure.is_none() {
        let why = if app.halt.is_cancelled() { "the server stopped" } else { "the client left" };
        produced.failure = Some(cut_off(why));
    }
    produced.usage = answering.usage().0;
    let failed = *observer.billed.lock().unwrap_or_else(PoisonError::into_inner);
    produced.cost = answering.cost().saturating_add(failed);
    drop(answering);
    if produced.failure.is_none() {
        app.metrics.count_answered(&produced.provider);
    }
    app.metrics.count_spent(
        &produced.provider,
        produced.usage.input_tokens,
        produced.usage.output_tokens,
        produced.cost,
    );
    produced
}

/// The beginning of an answer, in a box so that nothing keeps room for it while it is waited for.
async fn begin(
    observer: &Failures<'_>,
    upstream: bool,
    out: &Sender<Progress>,
    left_at: &mut Option<Instant>,
) -> Option<Box<Answering>> {
    let Failures { app, turn, .. } = observer;
    if !upstream {
        return Some(Box::new(app.providers.answer_from_sources(&turn.request)));
    }
    let credentials = |name: &str| app.credentials.of(name);
    let answer = app.providers.answer(&turn.request, &credentials, observer);
    unless_gone(app, out, left_at, pin!(answer)).await.map(Box::new)
}

/// Stores the answer with what it cost; only then is it acknowledged.
async fn conclude(app: &App, turn: &Turn, produced: Produced, question: Question) -> Result<Answer> {
    let citations = cite(&turn.found, &produced.provider, &produced.text);
    let active_at = app.clock.now();
    // After its question, however coarse the clock.
    let now = active_at.max(turn.asked_at + 1);
    let scope = turn.site.scope();
    let mut rows = Vec::with_capacity(4);
    let spent: Option<HotRow> = usage_row(turn, &produced, now);
    let content = Content { text: produced.text, citations };
    if question == Question::Waiting {
        rows.push(question_row(turn)?);
    }
    if turn.live.touch(active_at) {
        rows.push(HotRow::Touch { scope, session: turn.live.row.id.clone(), at: active_at });
    }
    if !content.text.is_empty() {
        let row = MessageRow {
            id: turn.answer_id,
            conversation: turn.live.row.conversation,
            role: Role::Assistant,
            state: produced.state,
            provider: produced.provider,
            sealed: chat::seal_content(&turn.keys, turn.answer_id, &content)?,
            created_at: now,
        };
        rows.push(HotRow::Message { scope, row });
    }
    rows.extend(spent.clone());
    match app.store.append(rows).await {
        // The visitor erased the conversation meanwhile. That takes back the words, not what they cost.
        Err(error) if error.kind() == Kind::NotFound => {
            app.store.append(spent.into_iter().collect()).await?;
            return Err(error);
        }
        outcome => outcome?,
    }
    if question == Question::Waiting {
        remember_question(app, turn);
    }
    let most = app.config.budgets.upstream_messages;
    if !content.text.is_empty() {
        turn.live.remember(Role::Assistant, content.text.as_str().into(), most);
    }
    if let Some(failure) = produced.failure {
        return Err(failure);
    }
    Ok(Answer { id: turn.answer_id, text: content.text, citations: content.citations, cut_short: produced.cut_short })
}

/// The sources of an answer: its own where the sources spoke, else those that the model names.
pub(super) fn cite(found: &Found, provider: &str, text: &str) -> Vec<Citation> {
    if provider == FROM_SOURCES { found.answer().citations.clone() } else { found.cited_by(text) }
}

pub(super) fn cut_off(source: impl Into<chatward_types::BoxedSource>) -> Error {
    Error::new(chatward_types::Kind::Unavailable, "answer_interrupted", "The answer broke off. Ask again in a moment.")
        .retry_after(5)
        .with_source(source)
}

/// Waits for `work` unless the server halts or the client has been gone for longer than the grace.
async fn unless_gone<T>(
    app: &App,
    out: &Sender<Progress>,
    left_at: &mut Option<Instant>,
    mut work: Pin<&mut impl Future<Output = T>>,
) -> Option<T> {
    loop {
        let grace_ends = left_at.map(|at| at + GRACE);
        tokio::select! {
            biased;
            done = &mut work => return Some(done),
            () = app.halt.cancelled() => return None,
            () = tokio::time::sleep_until(grace_ends.unwrap_or_else(Instant::now)), if grace_ends.is_some() => return None,
            () = out.closed(), if left_at.is_none() => *left_at = Some(Instant::now()),
        }
    }
}

impl Produced {
    /// The client left before any provider had begun to answer: the one that was asked may still bill the prompt.
    fn nothing(app: &App, request: &ChatRequest) -> Self {
        let usage = Usage { input_tokens: estimate_request_tokens(request), output_tokens: 0 };
        Self {
            text: String::new(),
            state: MessageState::Interrupted,
            provider: String::new(),
            model: String::new(),
            usage,
            cost: chat::highest_cost(app, request),
            cut_short: false,
            failure: Some(cut_off("the client left before the answer began")),
        }
    }
}

/// Turns failed attempts into events, and adds up what they may be billed for.
struct Failures<'a> {
    app: &'a App,
    turn: &'a Turn,
    billed: Mutex<u64>,
}

impl Observer for Failures<'_> {
    fn observe(&self, attempt: Attempt<'_>) {
        let Attempt::Failed(error) = attempt else { return };
        self.app.metrics.count_provider(&error.provider, error.class.as_str());
        if error.class.may_be_billed() {
            let tokens = estimate_request_tokens(&self.turn.request);
            let prompt = Usage { input_tokens: tokens, output_tokens: 0 };
            let asked = self.app.providers.providers().find(|provider| provider.name() == &*error.provider);
            let cost = asked.and_then(|provider| provider.price()).map_or(0, |price| price.cost(prompt));
            let mut billed = self.billed.lock().unwrap_or_else(PoisonError::into_inner);
            *billed = billed.saturating_add(cost);
        }
        self.app
            .event(EventName::ProviderFailed, Severity::Warning, Outcome::Failure)
            .of(&self.turn.client)
            .site(self.turn.site.owner, self.turn.site.id)
            .detail(error.to_string())
            .emit();
    }
}
