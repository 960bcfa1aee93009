//! The providers in their order: the next is asked when one fails, until one begins to answer.
//!
//! Owns: failover, and one breaker for each provider. Never does: fail over once a piece exists, count concurrent calls,
//! or fail: `extractive` is always last and needs nobody.

use crate::answering::{Answering, Beginning};
use crate::breaker::{Breaker, BreakerSettings, BreakerState};
use crate::chat::{ChatRequest, Piece, Usage};
use crate::decode::Gathered;
use crate::error::{Attempt, FailureClass, Observer, ProviderError};
use crate::estimate::estimate_request_tokens;
use crate::extractive;
use crate::provider::{Provider, ProviderKind, Upstream};
use crate::upstream::Failure;
use chatward_egress::{Credential, Egress};
use chatward_types::Clock;
use std::sync::Arc;

/// An ordered list of providers that ends with `extractive`. Cheap to clone; clones share the breakers.
#[derive(Debug, Clone)]
pub struct ProviderSet {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    members: Vec<Member>,
    egress: Egress,
    clock: Arc<dyn Clock>,
    extractive: Arc<str>,
}

#[derive(Debug)]
struct Member {
    provider: Provider,
    breaker: Breaker,
}

impl ProviderSet {
    /// A set in the order of `providers`. Nothing behind an `extractive` could ever be asked, so it ends there; where
    /// none is given, one is added.
    pub fn new(providers: Vec<Provider>, egress: Egress, clock: Arc<dyn Clock>) -> Self {
        Self::with_breakers(providers, egress, clock, BreakerSettings::default())
    }

    /// The same with other settings of the breakers.
    pub fn with_breakers(
        providers: Vec<Provider>,
        egress: Egress,
        clock: Arc<dyn Clock>,
        settings: BreakerSettings,
    ) -> Self {
        let members = providers
            .into_iter()
            .take_while(|provider| !matches!(provider, Provider::Extractive))
            .chain([Provider::Extractive])
            .map(|provider| Member { provider, breaker: Breaker::new(settings) })
            .collect();
        Self { inner: Arc::new(Inner { members, egress, clock, extractive: Arc::from("extractive") }) }
    }

    /// The providers in order, `extractive` last.
    pub fn providers(&self) -> impl Iterator<Item = &Provider> {
        self.inner.members.iter().map(|member| &member.provider)
    }

    /// What each provider's breaker lets through now, for metrics and readiness.
    pub fn breakers(&self) -> impl Iterator<Item = (&str, BreakerState)> {
        let now = self.inner.clock.now();
        self.inner.members.iter().map(move |member| (member.provider.name(), member.breaker.state(now)))
    }

    /// The most that one answer can cost with any provider of the set, in micro US dollars: what to reserve.
    pub fn dearest_cost(&self, usage: Usage) -> u64 {
        self.providers().filter_map(Provider::price).map(|price| price.cost(usage)).max().unwrap_or(0)
    }

    /// The answer of the first provider that begins one. `credentials` is asked for the key of a provider by its name;
    /// a key that belongs to another host is refused by the egress crate. Dropping the future cancels the call.
    pub async fn answer(
        &self,
        request: &ChatRequest,
        credentials: &(dyn Fn(&str) -> Option<Credential> + Sync),
        observer: &dyn Observer,
    ) -> Answering {
        for Member { provider, breaker } in &self.inner.members {
            let Some(upstream) = provider.upstream() else { break };
            match self.attempt(upstream, breaker, request, credentials).await {
                Ok(answering) => {
                    observer.observe(Attempt::Answering { provider: &upstream.name });
                    return answering;
                }
                Err(error) => observer.observe(Attempt::Failed(&error)),
            }
        }
        observer.observe(Attempt::Answering { provider: &self.inner.extractive });
        self.answer_from_sources(request)
    }

    /// The answer of `extractive`, without asking anybody: what a visitor gets when a budget is used up.
    pub fn answer_from_sources(&self, request: &ChatRequest) -> Answering {
        let mut ready = Gathered::default();
        for piece in extractive::answer(request) {
            match piece {
                Piece::Text(text) => ready.text = text,
                Piece::Usage(usage) => ready.usage = Some(usage),
                Piece::Done(finish) => ready.finish(finish),
            }
        }
        Answering::new(Beginning {
            provider: self.inner.extractive.clone(),
            model: self.inner.extractive.clone(),
            price: None,
            ready,
            live: None,
            permit: None,
            clock: self.inner.clock.clone(),
            estimated_input_tokens: 0,
        })
    }

    async fn attempt(
        &self,
        upstream: &Upstream,
        breaker: &Breaker,
        request: &ChatRequest,
        credentials: &(dyn Fn(&str) -> Option<Credential> + Sync),
    ) -> Result<Answering, ProviderError> {
        let error = |failure: Failure| ProviderError {
            provider: upstream.name.clone(),
            class: failure.class,
            status: failure.status,
            reason: failure.reason,
        };
        let credential = credentials(&upstream.name);
        if credential.is_none() && upstream.kind == ProviderKind::OpenAi {
            return Err(error(FailureClass::NoCredential.into()));
        }
        let clock = &self.inner.clock;
        let Some(mut permit) = breaker.admit(clock.now()) else {
            return Err(error(FailureClass::CircuitOpen.into()));
        };
        match upstream.ask(&self.inner.egress, credential, request).await {
            Ok(begun) => {
                permit.begun();
                Ok(Answering::new(Beginning {
                    provider: upstream.name.clone(),
                    model: upstream.model.clone(),
                    price: Some(upstream.price).filter(|price| !price.is_free()),
                    ready: begun.gathered,
                    live: begun.live,
                    permit: Some(permit),
                    clock: clock.clone(),
                    estimated_input_tokens: estimate_request_tokens(request),
                }))
            }
            Err(failure) => {
                if failure.class.counts_against_provider() {
                    permit.failed(clock.now(), failure.wait);
                }
                Err(error(failure))
            }
        }
    }
}
