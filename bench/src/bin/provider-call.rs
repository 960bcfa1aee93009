//! What one call of a provider costs by itself: request written, connection taken from the pool, answer read.
//!
//! Usage: provider-call --url http://HOST:PORT/v1 [--calls 20000] [--concurrency 16]. Run it on one core beside a
//! mock-provider on another; it prints microseconds of its own CPU time for each call, whole and streamed.

use chatward_bench::Failure;
use chatward_bench::options::Options;
use chatward_bench::process::cpu_microseconds;
use chatward_egress::{Egress, Reach};
use chatward_providers::{
    ChatRequest, Deadlines, Delivery, Passage, Piece, Provider, ProviderKind, ProviderSet, ProviderSettings,
    estimate_tokens,
};
use chatward_types::SystemClock;
use std::sync::Arc;

fn main() -> Result<(), Failure> {
    let options = Options::read(std::env::args().skip(1))?;
    let calls: usize = options.number("calls", 20_000)?;
    let concurrency: usize = options.number("concurrency", 16)?;
    let provider = Provider::new(ProviderSettings {
        name: "mock".to_owned(),
        kind: ProviderKind::OpenAiCompatible,
        base_url: Some(options.text("url")?.parse()?),
        model: "bench".to_owned(),
        price: None,
        deadlines: Deadlines::default(),
        reach: Reach::Operator,
    })?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    runtime.block_on(async {
        let egress = Egress::builder().build().map_err(|error| error.to_string())?;
        let set = ProviderSet::new(vec![provider], egress, Arc::new(SystemClock));
        for delivery in [Delivery::Whole, Delivery::Streamed] {
            run(&set, delivery, calls / 10, concurrency).await?;
            let before = cpu_microseconds(std::process::id())?;
            let pieces = run(&set, delivery, calls, concurrency).await?;
            let spent = cpu_microseconds(std::process::id())? - before;
            println!(
                "{delivery:?}: {:.1} µs CPU a call, {:.1} pieces of text a call",
                spent as f64 / calls as f64,
                pieces as f64 / calls as f64
            );
        }
        Ok(())
    })
}

async fn run(set: &ProviderSet, delivery: Delivery, calls: usize, concurrency: usize) -> Result<usize, Failure> {
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..concurrency {
        let (set, request) = (set.clone(), request(delivery));
        tasks.spawn(async move {
            let mut pieces = 0;
            for _ in 0..calls / concurrency {
                let mut answering = set.answer(&request, &|_| None, &()).await;
                if &**answering.provider() != "mock" {
                    return Err("the mock provider did not answer".to_owned());
                }
                while let Some(piece) = answering.next().await {
                    match piece {
                        Ok(Piece::Text(_)) => pieces += 1,
                        Ok(_) => {}
                        Err(error) => return Err(error.to_string()),
                    }
                }
            }
            Ok(pieces)
        });
    }
    let mut pieces = 0;
    while let Some(done) = tasks.join_next().await {
        pieces += done??;
    }
    Ok(pieces)
}

fn request(delivery: Delivery) -> ChatRequest {
    let text: Arc<str> = "Shipping to Canada costs 12 dollars and takes five to eight working days. ".repeat(10).into();
    let passages: Vec<Passage> = (1..=5)
        .map(|number| Passage {
            number,
            title: "Shipping".into(),
            url: "https://shop.example/shipping".into(),
            text: Arc::clone(&text),
            tokens: estimate_tokens(&text),
            score: 1.0,
        })
        .collect();
    ChatRequest {
        system: "Answer from the passages. ".repeat(20).into(),
        messages: Vec::new(),
        question: "What does shipping to Canada cost?".to_owned(),
        from_sources: "Shipping to Canada costs 12 dollars. [1]".into(),
        passages: passages.into(),
        max_output_tokens: 500,
        temperature: 0.2,
        delivery,
        counted: std::sync::OnceLock::new(),
    }
}
