//! Keys go where they belong, and what providers say about them goes nowhere.

use crate::{Log, compatible, egress, no_keys, ollama, owned, request, rest, set, settings};
use chatward_egress::Credential;
use chatward_providers::{
    Attempt, Delivery, Observer, Piece, Provider, ProviderError, ProviderKind, ProviderSet, UsageSource,
};
use chatward_testkit::provider::{Ending, FakeProvider, Reply};
use chatward_types::{Secret, SystemClock};
use std::sync::{Arc, Mutex};

fn key(host: &str, name: &str) -> Option<Credential> {
    Some(Credential { secret: Secret::new(["not-a-", "real-key-", name].concat()), host: host.to_owned() })
}

#[tokio::test]
async fn each_key_goes_to_its_own_provider_and_nowhere_else() {
    let first = FakeProvider::start(vec![Reply::status(500, "{}")]).await.expect("a fake");
    let second = FakeProvider::start(vec![Reply::text(["ok"])]).await.expect("a fake");
    let third = FakeProvider::start(vec![Reply::text(["never"])]).await.expect("a fake");
    let openai = Provider::new(settings(ProviderKind::OpenAi, "first", &first)).expect("a provider");
    let set = set(vec![openai, ollama("second", &second), compatible("third", &third)]);
    let keys = |name: &str| key("127.0.0.1", name);
    set.answer(&request(Delivery::Whole), &keys, &()).await;
    let seen = |fake: &FakeProvider| {
        fake.received().iter().map(|sent| sent.header("authorization").map(str::to_owned)).collect::<Vec<_>>()
    };
    assert_eq!(seen(&first), [Some("Bearer not-a-real-key-first".to_owned())]);
    assert_eq!(seen(&second), [Some("Bearer not-a-real-key-second".to_owned())]);
    assert!(seen(&third).is_empty());
}

#[tokio::test]
async fn a_key_of_another_host_is_not_sent_and_nothing_else_either() {
    let fake = FakeProvider::start(vec![Reply::text(["stolen"])]).await.expect("a fake");
    let log = Log::default();
    let keys = |_: &str| key("api.openai.com", "x");
    let answering = set(vec![compatible("wrong", &fake)]).answer(&request(Delivery::Whole), &keys, &log).await;
    assert_eq!(&**answering.provider(), "extractive");
    assert_eq!(log.lines()[0], "wrong refused");
    assert_eq!(fake.connections(), 0, "not even a connection");
}

#[tokio::test]
async fn openai_without_a_key_is_not_asked_and_others_are() {
    let fake = FakeProvider::start(vec![Reply::text(["ok"])]).await.expect("a fake");
    let openai = Provider::new(settings(ProviderKind::OpenAi, "openai", &fake)).expect("a provider");
    let log = Log::default();
    set(vec![openai, compatible("local", &fake)]).answer(&request(Delivery::Whole), &no_keys, &log).await;
    assert_eq!(log.lines(), ["openai no_credential", "local answers"]);
    assert_eq!(fake.received().len(), 1);
}

/// Keeps the errors themselves.
#[derive(Default)]
struct Errors(Mutex<Vec<ProviderError>>);

impl Observer for Errors {
    fn observe(&self, attempt: Attempt<'_>) {
        if let Attempt::Failed(error) = attempt {
            self.0.lock().expect("the errors").push(error.clone());
        }
    }
}

fn assert_silent_about(canary: &str, error: &ProviderError) {
    let public = chatward_types::Error::from(error.clone());
    let all = format!("{error} {error:?} {public} {public:?} {} {:?}", public.public(), public.source_line());
    assert!(!all.contains(canary), "{all}");
}

#[tokio::test]
async fn what_a_provider_says_about_an_error_is_never_repeated() {
    const CANARY: &str = "canary-7f3a";
    let body =
        format!("{{\"error\":{{\"message\":\"bad key {CANARY}\",\"type\":\"{CANARY}\",\"code\":\"{CANARY}\"}}}}");
    let header = vec![("x-detail".to_owned(), CANARY.to_owned()), ("retry-after".to_owned(), CANARY.to_owned())];
    let mut replies = vec![
        Reply::Typed("application/json".to_owned(), body.clone()),
        Reply::Typed(format!("text/{CANARY}"), CANARY.to_owned()),
        Reply::Typed("application/json".to_owned(), format!("{{\"choices\":\"{CANARY}\"}}")),
        Reply::Raw(vec![format!("data: {body}\n\n")]),
        Reply::Raw(vec![format!("data: {CANARY}\n\n")]),
    ];
    replies
        .extend([400, 401, 403, 404, 429, 500, 503].map(|status| Reply::Status(status, header.clone(), body.clone())));
    for reply in replies {
        let fake = FakeProvider::start(vec![reply.clone()]).await.expect("a fake");
        let errors = Errors::default();
        let set = set(vec![compatible("one", &fake), ollama("two", &fake)]);
        let mut answering = set.answer(&request(Delivery::Streamed), &no_keys, &errors).await;
        let (text, _, _) = rest(&mut answering).await;
        assert!(!text.contains(CANARY));
        let errors = errors.0.into_inner().expect("the errors");
        assert_eq!(errors.len(), 2, "{reply:?}");
        for error in &errors {
            assert_silent_about(CANARY, error);
        }
    }
    // The same in the middle of a stream.
    let fake = FakeProvider::start(vec![Reply::Gated(owned(["a"]), Ending::Error(CANARY))]).await.expect("a fake");
    fake.release(1);
    let mut answering = set(vec![compatible("one", &fake)]).answer(&request(Delivery::Streamed), &no_keys, &()).await;
    assert_eq!(answering.next().await, Some(Ok(Piece::Text("a".to_owned()))));
    fake.release(1);
    assert_silent_about(CANARY, &rest(&mut answering).await.2.expect("an error"));
    assert!(!format!("{answering:?}").contains(CANARY));
}

#[tokio::test]
async fn a_known_error_code_is_told_in_our_words() {
    let body = "{\"error\":{\"message\":\"m\",\"code\":\"insufficient_quota\"}}";
    let fake = FakeProvider::start(vec![Reply::status(429, body)]).await.expect("a fake");
    let errors = Errors::default();
    set(vec![compatible("one", &fake)]).answer(&request(Delivery::Whole), &no_keys, &errors).await;
    let error = errors.0.into_inner().expect("the errors").remove(0);
    assert_eq!(error.to_string(), "provider one failed: rate_limited (status 429), the account has no credit left");
}

#[tokio::test]
async fn a_visitor_who_leaves_is_charged_for_what_was_used() {
    let fake =
        FakeProvider::start(vec![Reply::Stalled(owned(["some words that were written"]))]).await.expect("a fake");
    let set = ProviderSet::new(vec![compatible("one", &fake)], egress(), Arc::new(SystemClock));
    let mut answering = set.answer(&request(Delivery::Streamed), &no_keys, &()).await;
    assert!(answering.next().await.is_some());
    let (usage, source) = answering.usage();
    assert_eq!(source, UsageSource::Estimated);
    assert!(usage.output_tokens >= 5 && answering.cost() > 0);
    assert_eq!(answering.cost(), answering.price().expect("a price").cost(usage));
}
