//! All outbound HTTP of the product: the crawler's, the providers', and whatever else an owner or operator names.
//!
//! Owns: the rules on where a request may go (`guard`), the only connector (`connector`), TLS and the pools
//! (`client`, `exchange`), fetching strangers' URLs (`fetch`) and calling providers with a credential (`call`).
//! Never does: keep a cookie, read a proxy variable or any other environment variable, follow a redirect without
//! judging it afresh, send a credential to a host it is not bound to, or return a body without a cap.
//! Nothing else in the workspace opens outbound sockets; clippy.toml bans the calls, and the connector judges IP
//! literals and resolved names alike in the moment it dials.

mod body;
mod call;
mod client;
mod connector;
mod error;
mod exchange;
mod fetch;
mod guard;
mod resolve;
#[cfg(test)]
mod tests;

pub use body::BodyStream;
pub use call::{Call, Credential, Response};
pub use client::{Egress, EgressBuilder};
pub use error::{CallError, CallFailure, FetchError, FetchFailure};
pub use fetch::{Fetch, Fetched};
pub use guard::{MAX_URL_BYTES, Reach, Refusal, check_url, is_global_unicast, is_metadata, is_private};
pub use resolve::{Resolve, Resolving, SystemResolver};

// What callers need to name in order to use this crate.
pub use bytes::Bytes;
pub use http::{HeaderMap, Method};
pub use url::{Origin, Url};
