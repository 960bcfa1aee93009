//! Visitor tokens whose signature was checked already: a visitor sends the same one with every message.
//!
//! Keyed by the digest of the whole token, so that a look-up proves that every byte is one of those that were checked.
//! Only the signature and the form are remembered; the expiry is compared each time, and the session, which a deletion
//! ends at once, is looked up by the caller as ever. What was checked before a rotation is checked again after it.

use crate::app::App;
use crate::ops::tokens::Visitor;
use quick_cache::sync::Cache;
use std::fmt;
use std::sync::Arc;

/// How many tokens are remembered.
const KEPT: usize = 10_000;
/// A longer one is not worth hashing: no token of ours comes near.
const LONGEST: usize = 2048;

/// The bounded cache.
pub struct VerifiedTokens(Cache<[u8; 32], (u64, Arc<Visitor>)>);

impl fmt::Debug for VerifiedTokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VerifiedTokens").field("kept", &self.0.len()).finish()
    }
}

impl Default for VerifiedTokens {
    fn default() -> Self {
        Self(Cache::new(KEPT))
    }
}

/// Who the token speaks for, or nothing when it is not one of ours or no longer holds.
pub fn visitor(app: &App, token: &str) -> Option<Arc<Visitor>> {
    let now = app.clock.now();
    if token.len() > LONGEST {
        return app.tokens.verify_visitor(token, now).map(Arc::new);
    }
    let digest = chatward_vault::digest(token.as_bytes());
    // Read before the check, so that what a rotation overtakes is kept under the number of the keys before it.
    let generation = app.tokens.visitors.generation();
    if let Some((_, known)) = app.verified.0.get(&digest).filter(|(checked, _)| *checked == generation) {
        return (known.expires_at > now).then_some(known);
    }
    let visitor = Arc::new(app.tokens.verify_visitor(token, now)?);
    app.verified.0.insert(digest, (generation, Arc::clone(&visitor)));
    Some(visitor)
}
