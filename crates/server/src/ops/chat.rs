//! One question of a visitor, from the checked text to the running answer.
//!
//! Path: places and caps are checked, passages are found, money and a provider's place are reserved, and then a
//! task of its own (see `answers`) stores, asks, streams and settles, whatever becomes of the client.

use crate::app::App;
use crate::client::Client;
use crate::ops::answers::{self, Progress, Turn};
use crate::ops::budgets::{Reservation, Reserved};
use crate::ops::data_keys::OwnerKeys;
use crate::ops::lookup::{self, Citation, Found};
use crate::ops::page_context::PageContext;
use crate::ops::sessions::Live;
use crate::ops::sites::Site;
use crate::ops::{prompts, sanitize};
use chatward_providers::{ChatMessage, ChatRequest, Delivery, FromSources, Provider, Usage, estimate_request_tokens};
use chatward_store::{MessageRow, Role};
use chatward_types::{Error, EventName, Kind, MessageId, Outcome, Result, Severity, generate_three};
use serde::{Deserialize, Serialize};
use std::sync::{Arc, OnceLock};
use tokio::sync::{OwnedSemaphorePermit, mpsc};

/// How many items of an answer wait for a slow reader.
const QUEUE: usize = 32;

/// What a message holds besides its row: sealed as JSON.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Content {
    /// The text.
    pub text: String,
    /// The sources, for an answer.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub citations: Vec<Citation>,
}

/// What pays for and carries the provider's call; absent when the sources alone must answer.
#[derive(Debug)]
pub struct Allowance {
    /// The money put aside.
    pub reservation: Reservation,
    /// One of the installation's places for a provider's call.
    pub place: OwnedSemaphorePermit,
}

/// What a visitor asks.
#[derive(Debug, Default)]
pub struct Asked {
    /// The question, checked and cleaned.
    pub question: String,
    /// What the page says beside it.
    pub context: PageContext,
}

/// Checks and cleans a visitor's text.
///
/// # Errors
/// [`Kind::Invalid`] when it is empty or longer than the limit; nothing is cut silently.
pub fn clean(app: &App, text: &str) -> Result<String> {
    let most = app.config.messages.max_characters;
    if text.chars().count() > most {
        return Err(Error::new(
            Kind::Invalid,
            "message_too_long",
            format!("The message is too long: {most} characters are the most. Shorten it and send it again."),
        ));
    }
    let text = sanitize::clean_message(text);
    let text = text.trim();
    if text.is_empty() {
        return Err(Error::new(Kind::Invalid, "message_empty", "Field `message` is empty. Write a question."));
    }
    Ok(text.to_owned())
}

/// Starts the answer to `question`. What comes out of the channel ends with `Done` or `Failed`.
///
/// # Errors
/// Before anything is stored or spent: a full conversation, too many answers at once, or a store that fails.
pub async fn ask(
    app: &App,
    site: Arc<Site>,
    live: Arc<Live>,
    Asked { question, context }: Asked,
    delivery: Delivery,
    client: Client,
) -> Result<mpsc::Receiver<Progress>> {
    let place_in_session = live.begin_answer()?;
    let upstream = app.config.budgets.upstream_messages;
    let (turns, stored) = live.history(app, upstream).await?;
    if stored.saturating_add(2) > app.config.messages.max_conversation {
        return Err(Error::new(
            Kind::Conflict,
            "conversation_full",
            "This conversation has reached its longest. Delete it or start a new session.",
        ));
    }
    if turns.len() < stored && live.is_first_trimming() {
        app.event(EventName::HistoryTrimmed, Severity::Info, Outcome::Success)
            .of(&client)
            .site(site.owner, site.id)
            .session(&live.row.id)
            .detail("turns beyond the newest are no longer told to the provider")
            .emit();
    }
    let found = Arc::new(lookup::find(app, &site, &question, &turns).await?);
    let request = request(app, &site, turns, Asked { question, context }, &found, delivery);
    let allowance = reserve(app, &site, &request, Some(&client)).await;
    let (question_id, answer_id, usage_id) = generate_three(app.clock.as_ref(), app.entropy.as_ref())?;
    let turn = Box::new(Turn {
        asked_at: app.clock.now(),
        question_id,
        answer_id,
        usage_id,
        keys: crate::ops::data_keys::of(app, &site.scope()).await?,
        site,
        live,
        request,
        found,
        client,
        allowance,
        place_in_session,
    });
    let (sender, receiver) = mpsc::channel(QUEUE);
    // Boxed here, where it is small: as it is it would be copied whole from hand to hand.
    app.tasks.spawn(Box::pin(answers::run(app.clone(), turn, sender)));
    Ok(receiver)
}

/// What the providers are asked.
pub fn request(
    app: &App,
    site: &Site,
    turns: Vec<crate::ops::sessions::Turn>,
    Asked { question, context }: Asked,
    found: &Arc<Found>,
    delivery: Delivery,
) -> ChatRequest {
    let sources = Arc::clone(found);
    let messages = turns.into_iter().map(|turn| ChatMessage {
        role: match turn.role {
            Role::User => chatward_providers::Role::User,
            Role::Assistant => chatward_providers::Role::Assistant,
        },
        text: turn.text,
    });
    ChatRequest {
        system: prompts::system(site, &context),
        messages: messages.collect(),
        question,
        passages: found.passages(),
        from_sources: FromSources::new(move || sources.answer().text.clone()),
        max_output_tokens: app.config.budgets.output_tokens,
        temperature: 0.2,
        delivery,
        counted: OnceLock::new(),
    }
}

/// Opens a stored message.
///
/// # Errors
/// When the row was changed or its key is gone.
pub fn open_content(keys: &OwnerKeys, row: &MessageRow) -> Result<Content> {
    let bytes = keys.open(&row.id.text(), &row.sealed)?;
    serde_json::from_slice(&bytes).map_err(Error::internal)
}

/// Seals a message's content for its row.
///
/// # Errors
/// When the entropy source fails.
pub fn seal_content(keys: &OwnerKeys, id: MessageId, content: &Content) -> Result<Vec<u8>> {
    let cited = content.citations.iter().map(Citation::weight).sum::<usize>();
    // A sixteenth for escapes.
    let mut bytes = Vec::with_capacity((content.text.len() + cited) * 17 / 16 + 64);
    serde_json::to_writer(&mut bytes, content).map_err(Error::internal)?;
    keys.seal(&id.text(), &bytes)
}

/// Puts money and a provider's place aside. Without either, the sources answer and the owner is told why.
pub async fn reserve(app: &App, site: &Site, request: &ChatRequest, client: Option<&Client>) -> Option<Allowance> {
    // The last provider is always `extractive`; with none before it there is nothing to pay for.
    if app.providers.providers().count() < 2 {
        return None;
    }
    let report = |name, severity, detail: &'static str| {
        let event = app.event(name, severity, Outcome::Refused).site(site.owner, site.id).detail(detail);
        match client {
            Some(client) => event.of(client).emit(),
            None => event.emit(),
        }
    };
    let Ok(place) = Arc::clone(&app.provider_places).try_acquire_owned() else {
        app.metrics.count_provider_place_refused();
        report(EventName::BudgetExhausted, Severity::Warning, "every place for a provider's call is taken");
        return None;
    };
    match app.budgets.reserve(site.id, highest_cost(app, request), app.clock.now()).await {
        Ok(Reserved::Granted(reservation)) => {
            if let Some(which) = reservation.nearly_used_up() {
                app.event(EventName::BudgetWarning, Severity::Warning, Outcome::Success)
                    .site(site.owner, site.id)
                    .detail(format!("the daily budget of the {which} is nearly used up"))
                    .emit();
            }
            Some(Allowance { reservation, place })
        }
        Ok(Reserved::Exhausted("site")) => {
            report(EventName::BudgetExhausted, Severity::Warning, "the site's daily budget is used up");
            None
        }
        Ok(Reserved::Exhausted(_)) => {
            report(EventName::BudgetExhausted, Severity::Error, "the installation's daily budget is used up");
            None
        }
        Err(error) => {
            // Without an account of the money nothing is spent; the sources still answer.
            tracing::error!(source = error.source_line(), "the budget cannot be read; answering from sources");
            report(EventName::ChatError, Severity::Error, "the budget cannot be read");
            None
        }
    }
}

/// What the answer costs at most: every provider may be asked, and each may bill its prompt.
pub fn highest_cost(app: &App, request: &ChatRequest) -> u64 {
    let usage = Usage { input_tokens: estimate_request_tokens(request), output_tokens: request.max_output_tokens };
    app.providers.providers().filter_map(Provider::price).map(|price| price.cost(usage)).sum()
}
