//! Upstream model providers: their wire formats, streaming, failover and prices.
//!
//! Owns: what is sent to a provider and how its answer is read (OpenAI-compatible chat completions, Ollama's chat,
//! and `extractive`, which quotes passages and needs nobody); the order in which providers are asked, the circuit
//! breaker of each, the table of prices, the shape of keys.
//! Never does: keep a secret (a `Credential` arrives with each call and is bound to its host), open a socket of its
//! own (all HTTP is `chatward-egress`), retry after a piece has been handed out, show an upstream's words about an
//! error to anybody, or count how many calls run at once (that ceiling is the caller's).

mod answering;
mod breaker;
mod chat;
mod decode;
mod error;
mod estimate;
mod extractive;
mod json;
mod key;
mod lines;
mod ollama;
mod openai;
mod price;
mod prices;
mod prompt;
mod provider;
mod set;
mod sse;
mod text;
mod upstream;

pub use answering::{Answering, UsageSource};
pub use breaker::{Breaker, BreakerSettings, BreakerState, Permit};
pub use chat::{ChatMessage, ChatRequest, Delivery, Finish, FromSources, Passage, Piece, Role, Usage};
pub use error::{Attempt, FailureClass, Observer, ProviderError, SettingsError};
pub use estimate::{estimate_passage_tokens, estimate_request_tokens, estimate_tokens};
pub use extractive::cited_numbers;
pub use key::{KeyProblem, validate_key};
pub use price::Price;
pub use prices::{PRICES_AS_OF, PRICES_SOURCE, UNKNOWN_MODEL_PRICE, price_of};
pub use provider::{Deadlines, Provider, ProviderKind, ProviderSettings};
pub use set::ProviderSet;
