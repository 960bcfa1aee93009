//! The providers against a fake on real sockets.

#![expect(clippy::expect_used, reason = "a test's helpers fail by panicking, as its assertions do")]

mod deadlines;
mod failover;
mod secrets;
mod streaming;

use chatward_egress::{Credential, Egress, Reach};
use chatward_providers::{
    Answering, Attempt, ChatMessage, ChatRequest, Deadlines, Delivery, Observer, Passage, Piece, Provider,
    ProviderError, ProviderKind, ProviderSet, ProviderSettings, Role,
};
use chatward_testkit::provider::FakeProvider;
use chatward_types::{Clock, Timestamp};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};

/// A clock that stands until it is moved.
#[derive(Debug)]
struct TestClock(AtomicI64);

impl TestClock {
    fn new() -> Arc<Self> {
        Arc::new(Self(AtomicI64::new(1_700_000_000_000_000)))
    }
    fn advance(&self, by: Timestamp) {
        self.0.fetch_add(by, Ordering::SeqCst);
    }
}

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        self.0.load(Ordering::SeqCst)
    }
}

/// Writes down what happens, as `name class` or `name answers`.
#[derive(Debug, Default)]
struct Log(Mutex<Vec<String>>);

impl Observer for Log {
    fn observe(&self, attempt: Attempt<'_>) {
        let line = match attempt {
            Attempt::Failed(error) => format!("{} {}", error.provider, error.class),
            Attempt::Answering { provider } => format!("{provider} answers"),
        };
        self.0.lock().expect("the log").push(line);
    }
}

impl Log {
    fn lines(&self) -> Vec<String> {
        self.0.lock().expect("the log").clone()
    }
}

fn settings(kind: ProviderKind, name: &str, fake: &FakeProvider) -> ProviderSettings {
    let base = if kind == ProviderKind::Ollama { fake.ollama_url() } else { fake.openai_url() };
    ProviderSettings {
        name: name.to_owned(),
        kind,
        base_url: Some(base.parse().expect("a URL")),
        model: "gpt-4o-mini".to_owned(),
        price: None,
        deadlines: Deadlines::default(),
        reach: Reach::Operator,
    }
}

fn compatible(name: &str, fake: &FakeProvider) -> Provider {
    Provider::new(settings(ProviderKind::OpenAiCompatible, name, fake)).expect("a provider")
}

fn ollama(name: &str, fake: &FakeProvider) -> Provider {
    Provider::new(settings(ProviderKind::Ollama, name, fake)).expect("a provider")
}

fn egress() -> Egress {
    Egress::builder().build().expect("a way out")
}

fn set(providers: Vec<Provider>) -> ProviderSet {
    ProviderSet::new(providers, egress(), TestClock::new())
}

fn request(delivery: Delivery) -> ChatRequest {
    let passage = Passage {
        number: 1,
        title: "Shipping".into(),
        url: "https://shop.example/shipping".into(),
        text: "Shipping to Canada costs 12 dollars. It takes five days.".into(),
        tokens: 40,
        score: 3.0,
    };
    ChatRequest {
        system: "Answer from the passages.".into(),
        messages: vec![ChatMessage { role: Role::User, text: "Hello".into() }],
        question: "What does shipping to Canada cost?".to_owned(),
        passages: Arc::from([passage]),
        from_sources: "From the sources. [1]".into(),
        max_output_tokens: 500,
        temperature: 0.2,
        delivery,
        counted: std::sync::OnceLock::new(),
    }
}

fn no_keys(_: &str) -> Option<Credential> {
    None
}

/// The rest of an answer: its text, its other pieces, and the error that ended it.
async fn rest(answering: &mut Answering) -> (String, Vec<Piece>, Option<ProviderError>) {
    let (mut text, mut others) = (String::new(), Vec::new());
    while let Some(piece) = answering.next().await {
        match piece {
            Ok(Piece::Text(more)) => text.push_str(&more),
            Ok(other) => others.push(other),
            Err(error) => {
                assert!(answering.next().await.is_none(), "nothing comes after an error");
                return (text, others, Some(error));
            }
        }
    }
    (text, others, None)
}

fn owned<const N: usize>(deltas: [&str; N]) -> Vec<String> {
    deltas.map(str::to_owned).to_vec()
}
