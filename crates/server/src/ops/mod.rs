//! What Chatward does, apart from how it is asked: one function an operation, called by HTTP, jobs and CLI alike.
//!
//! Owns every rule that is not about HTTP. Never imports axum, never reads the environment, never writes SQL,
//! and never holds a transaction or a lock across a network call.

pub mod answers;
pub mod budgets;
pub mod changes;
pub mod chat;
pub mod crawls;
pub mod data_keys;
pub mod feedback;
pub mod indexes;
pub mod installation;
pub mod lookup;
pub mod origins;
pub mod prompts;
pub mod sanitize;
pub mod sessions;
pub mod single;
pub mod sites;
pub mod tokens;
pub mod upstreams;
pub mod verified;
