//! The settings of answering: money, messages, providers, crawling.
//!
//! Owns: the sections' structs. Never does: relate one setting to another; that is `rules.rs`.

use super::error::ConfigError;
use super::kinds::{choice, name, secret, span, text, web_address};
use super::layers::Fallback::{Derived, Required, Text, Unset};
use super::layers::Layers;
use super::section::{Section, key, section, setting};
use super::shape::{Shape, Simple, dollars, number, optional, quoted, whole, wrong};
use chatward_types::Secret;
use std::time::Duration;
use url::Url;

section! {
    /// Money and load. At a cap the answer is quoted from the site's own pages, without a provider.
    Budgets "budgets" {
        /// US dollars a site may cost a day.
        site_daily_micro_usd as "site_daily_usd": i64 = Text("1.0"), dollars(1_000_000.0), [];
        /// US dollars the installation may cost a day.
        installation_daily_micro_usd as "installation_daily_usd": i64 = Text("5.0"), dollars(1_000_000.0), [];
        /// The share of a budget at which a warning is logged.
        warn_at: f32 = Text("0.8"), number(0.01, 1.0), [];
        /// Provider calls at the same time.
        concurrent_calls: usize = Text("64"), whole(1, 100_000), [];
        /// Tokens of an answer.
        output_tokens: u32 = Text("500"), whole(16, 32_768), [];
        /// Messages of a conversation that a provider sees.
        upstream_messages: usize = Text("10"), whole(1, 100), [];
    }
}

section! {
    /// What a visitor may write.
    Messages "messages" {
        /// Unicode characters of a message; a longer one is refused, never cut.
        max_characters: usize = Text("1000"), whole(1, 32_768), [];
        /// Messages of a conversation.
        max_conversation: usize = Text("200"), whole(2, 10_000), [];
    }
}

/// What a provider speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProviderKind {
    /// Quotes the site's own pages; needs no key and costs nothing.
    Extractive,
    /// OpenAI itself.
    OpenAi,
    /// Another service that speaks OpenAI's chat completions.
    OpenAiCompatible,
    /// An Ollama server.
    Ollama,
}

section! {
    /// Providers in the order in which they are asked. `extractive` is always there, last.
    ///
    /// A key that is not in the file is read from `CHATWARD_PROVIDER_<NAME>_API_KEY` (or …_API_KEY_FILE).
    /// OLLAMA_BASE_URL (and OLLAMA_MODEL) and OPENAI_API_KEY (and OPENAI_MODEL, OPENAI_BASE_URL) complete the provider
    /// of their kind, or add one at the end, Ollama first.
    ProviderConfig "providers" {
        /// The name in logs, metrics and usage records.
        name: String = Required, name(32), [];
        /// What it speaks.
        kind: ProviderKind = Required, choice(&[
            ("extractive", ProviderKind::Extractive),
            ("openai", ProviderKind::OpenAi),
            ("openai-compatible", ProviderKind::OpenAiCompatible),
            ("ollama", ProviderKind::Ollama),
        ]), [];
        /// Its address. The key is sent to this host alone.
        base_url: Option<Url> = Derived("`https://api.openai.com/v1` for openai, `http://127.0.0.1:11434` for ollama"),
            optional(web_address()), [];
        /// The model.
        model: String = Derived("`gpt-4o-mini` for openai, `llama3.2` for ollama"), text(128), [];
        /// Its key.
        api_key: Option<Secret<String>> = Unset("no key is sent"), optional(secret("the provider's key")), [];
        /// US dollars a million tokens of input.
        input_usd_per_million: Option<f64> = Unset("the built-in price table"), optional(price()), [];
        /// US dollars a million tokens of output.
        output_usd_per_million: Option<f64> = Unset("the built-in price table"), optional(price()), [];
        /// How long connecting may take.
        connect_deadline: Duration = Text("5s"), span("50ms", "1m"), [];
        /// How long the first byte of an answer may take.
        first_byte_deadline: Duration = Text("20s"), span("50ms", "10m"), [];
        /// How long the next bytes of an answer may take.
        between_bytes_deadline: Duration = Text("15s"), span("50ms", "10m"), [];
        /// How long a whole answer may take.
        total_deadline: Duration = Text("2m"), span("100ms", "1h"), [];
    }
}

section! {
    /// Reading a site.
    Crawl "crawl" {
        /// Pages of a site.
        max_pages: usize = Text("200"), whole(1, 100_000), [];
        /// Bytes of a page, decompressed.
        max_page_bytes: usize = Text("2097152"), whole(1024, 67_108_864), [];
        /// Bytes of a crawl, decompressed.
        max_total_bytes: usize = Text("67108864"), whole(1024, 4_294_967_296), [];
        /// Links from the start page.
        max_depth: u32 = Text("8"), whole(0, 100), [];
        /// Minutes of a crawl.
        max_minutes: u32 = Text("10"), whole(1, 1440), [];
        /// Milliseconds between two requests to a site.
        delay_ms: u64 = Text("100"), whole(0, 60_000), [];
        /// How the crawler names itself, in its requests and to robots.txt.
        user_agent: String = Text("ChatwardBot/0.1"), user_agent(), [];
    }
}

fn user_agent() -> Simple<String> {
    Simple {
        expects: "a text of at most 128 visible ASCII characters".into(),
        read: Box::new(|text| {
            if text.len() > 128 || !text.bytes().all(|b| b == b' ' || b.is_ascii_graphic()) {
                return wrong("is not a user agent", "write at most 128 visible ASCII characters");
            }
            Ok(text.to_owned())
        }),
        show: |value| quoted(value),
    }
}

/// A price in dollars, kept as given.
struct Price;

fn price() -> Price {
    Price
}

impl Shape for Price {
    type Out = f64;
    fn read(&self, raw: &super::shape::Raw) -> Result<f64, super::shape::Wrong> {
        dollars(100_000.0).read(raw).map(|micro| micro as f64 / 1e6)
    }
    fn show(&self, value: &f64) -> Option<String> {
        Some(format!("{value:?}"))
    }
    fn expects(&self) -> String {
        dollars(100_000.0).expects()
    }
}
