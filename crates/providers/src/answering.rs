//! An answer on its way out.
//!
//! Owns: handing out pieces, all that one burst held together, and knowing what has been used so far.
//! Never does: ask another provider: the first piece exists before this does, so a failure from here on is told.

use crate::breaker::Permit;
use crate::chat::{Finish, Piece, Usage};
use crate::decode::Gathered;
use crate::error::{FailureClass, ProviderError};
use crate::estimate::estimate_tokens;
use crate::price::Price;
use crate::upstream::{Live, LiveState};
use chatward_types::Clock;
use std::fmt;
use std::sync::Arc;

/// Where a count of tokens is from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum UsageSource {
    /// The provider said so.
    Reported,
    /// Nobody said; estimated from the prompt and what has been handed out, on the high side.
    Estimated,
}

/// An answer of one provider. Dropping it cancels the call upstream. Prints without its text.
pub struct Answering {
    provider: Arc<str>,
    model: Arc<str>,
    price: Option<Price>,
    ready: Gathered,
    live: Option<Live>,
    /// What ends it once everything ready is handed out.
    failed: Option<FailureClass>,
    over: bool,
    permit: Option<Permit>,
    clock: Arc<dyn Clock>,
    reported: Option<Usage>,
    estimated: Usage,
}

/// What an [`Answering`] is made of.
pub(crate) struct Beginning {
    pub(crate) provider: Arc<str>,
    pub(crate) model: Arc<str>,
    pub(crate) price: Option<Price>,
    pub(crate) ready: Gathered,
    pub(crate) live: Option<Live>,
    pub(crate) permit: Option<Permit>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) estimated_input_tokens: u32,
}

impl Answering {
    pub(crate) fn new(beginning: Beginning) -> Self {
        let Beginning { provider, model, price, ready, live, permit, clock, estimated_input_tokens } = beginning;
        let mut answering = Self {
            provider,
            model,
            price,
            ready,
            live,
            failed: None,
            over: false,
            permit,
            clock,
            reported: None,
            estimated: Usage { input_tokens: estimated_input_tokens, output_tokens: 0 },
        };
        answering.note_progress();
        answering
    }

    /// The configured name of the provider that answers.
    pub fn provider(&self) -> &Arc<str> {
        &self.provider
    }

    /// Its model.
    pub fn model(&self) -> &Arc<str> {
        &self.model
    }

    /// What it costs, if it costs anything.
    pub fn price(&self) -> Option<&Price> {
        self.price.as_ref()
    }

    /// The next piece; none after `Done` or an error. An answer that ends without having said that it is complete ends
    /// with an error, never with `Done`. May be dropped while waiting without losing anything.
    pub async fn next(&mut self) -> Option<Result<Piece, ProviderError>> {
        loop {
            if let Some(piece) = self.next_ready() {
                return Some(piece);
            }
            self.live.as_mut()?.read_burst(&mut self.ready).await;
            self.note_progress();
        }
    }

    /// The next piece if it is there without waiting: call it after [`Answering::next`] until it gives none, and write
    /// what it gave in one go. None does not mean the end.
    pub fn next_ready(&mut self) -> Option<Result<Piece, ProviderError>> {
        if self.over {
            return None;
        }
        if !self.ready.text.is_empty() {
            let text = std::mem::take(&mut self.ready.text);
            self.estimated.output_tokens = self.estimated.output_tokens.saturating_add(estimate_tokens(&text));
            return Some(Ok(Piece::Text(text)));
        }
        if let Some(usage) = self.ready.usage.take() {
            self.reported = Some(usage);
            return Some(Ok(Piece::Usage(usage)));
        }
        if self.live.is_some() {
            return None;
        }
        self.over = true;
        if let Some(class) = self.failed.take() {
            return Some(Err(ProviderError { provider: self.provider.clone(), class, status: None, reason: None }));
        }
        Some(Ok(Piece::Done(self.ready.finish.unwrap_or(Finish::Other))))
    }

    /// What has been used so far, for settling a budget: at the end, after an error, or when the visitor left.
    pub fn usage(&self) -> (Usage, UsageSource) {
        match self.ready.usage.or(self.reported) {
            Some(usage) => (usage, UsageSource::Reported),
            None => (self.estimated, UsageSource::Estimated),
        }
    }

    /// What has been spent so far in micro US dollars.
    pub fn cost(&self) -> u64 {
        self.price.map_or(0, |price| price.cost(self.usage().0))
    }

    /// Lets the connection and the breaker's permit go as soon as nothing more will come.
    fn note_progress(&mut self) {
        match self.live.as_ref().map(|live| live.state) {
            Some(LiveState::Reading) => {}
            None | Some(LiveState::Over) => {
                self.live = None;
                if let Some(permit) = self.permit.take() {
                    permit.succeeded();
                }
            }
            Some(LiveState::Failed(class)) => {
                self.live = None;
                self.failed = Some(class);
                if let Some(permit) = self.permit.take() {
                    permit.failed(self.clock.now(), None);
                }
            }
        }
    }
}

impl fmt::Debug for Answering {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Answering")
            .field("provider", &self.provider)
            .field("model", &self.model)
            .field("ready", &self.ready)
            .field("failed", &self.failed)
            .field("over", &self.over)
            .finish_non_exhaustive()
    }
}
