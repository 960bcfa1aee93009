//! What Chatward does, apart from how it is asked: one function an operation, called by HTTP, jobs and CLI alike.
//!
//! Owns every rule that is not about HTTP. Never imports axum, never reads the environment, never writes SQL,
//! and never holds a transaction or a lock across a network call.

pub mod acting;
pub mod admission;
pub mod answers;
pub mod backoff;
pub mod blocks;
pub mod budgets;
pub mod changes;
pub mod chat;
pub mod crawls;
pub mod data_keys;
pub mod exports;
pub mod feedback;
pub mod identities;
pub mod indexes;
pub mod installation;
pub mod invitations;
pub mod issued_keys;
pub mod lockdown;
pub mod logins;
pub mod look;
pub mod lookup;
pub mod notice;
pub mod opaque;
pub mod origins;
pub mod page_check;
pub mod page_context;
pub mod passwords;
pub mod prompts;
pub mod receipts;
pub mod refusals;
pub mod resumes;
pub mod sanitize;
pub mod sessions;
pub mod setup;
pub mod signing;
pub mod single;
pub mod site_changes;
pub mod site_settings;
pub mod sites;
pub mod tickets;
pub mod tokens;
pub mod trail;
pub mod trail_heads;
pub mod trail_verify;
pub mod upstreams;
pub mod users;
pub mod verified;
