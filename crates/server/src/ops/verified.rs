//! Tokens whose signature was checked already: a visitor sends the same one with every message, a user with every request.
//!
//! Keyed by the digest of the whole token, so that a look-up proves that every byte is one of those that were checked.
//! Only the signature and the form are remembered; the expiry is compared each time, and the session or the login, which
//! ends at once, is looked up by the caller as ever. What was checked before a rotation is checked again after it.

use crate::app::App;
use crate::ops::logins::AccessClaims;
use crate::ops::tokens::Visitor;
use chatward_types::Timestamp;
use quick_cache::sync::Cache;
use std::fmt;
use std::sync::Arc;

/// What was checked, under which number of the keys.
type Checked<T> = Cache<[u8; 32], (u64, Arc<T>)>;

/// How many tokens are remembered.
const KEPT: usize = 10_000;
/// A longer one is not worth hashing: no token of ours comes near.
const LONGEST: usize = 2048;

/// The bounded caches.
pub struct VerifiedTokens {
    visitors: Checked<Visitor>,
    users: Checked<(AccessClaims, Timestamp)>,
}

impl fmt::Debug for VerifiedTokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (visitors, users) = (self.visitors.len(), self.users.len());
        f.debug_struct("VerifiedTokens").field("visitors", &visitors).field("users", &users).finish()
    }
}

impl Default for VerifiedTokens {
    fn default() -> Self {
        Self { visitors: Cache::new(KEPT), users: Cache::new(KEPT) }
    }
}

/// Who the token speaks for, or nothing when it is not one of ours or no longer holds.
pub fn visitor(app: &App, token: &str) -> Option<Arc<Visitor>> {
    let now = app.clock.now();
    let check = || app.tokens.verify_visitor(token, now);
    let visitor = remembered(&app.verified.visitors, app.tokens.visitors.generation(), token, check)?;
    (visitor.expires_at > now).then_some(visitor)
}

/// What a user's access token says, with the end of the key that signed it; nothing when no key of ours that checks now did.
/// The token's own times are the caller's to compare.
pub fn user(app: &App, token: &str) -> Option<Arc<(AccessClaims, Timestamp)>> {
    let now = app.clock.now();
    let check = || app.tokens.users.check(token, now);
    let found = remembered(&app.verified.users, app.tokens.users.generation(), token, check)?;
    (found.1 > now).then_some(found)
}

/// What `check` found of this token, now or before. `generation` was read before the check, so that what a rotation
/// overtakes is kept under the number of the keys before it.
fn remembered<T>(
    checked: &Checked<T>,
    generation: u64,
    token: &str,
    check: impl FnOnce() -> Option<T>,
) -> Option<Arc<T>> {
    if token.len() > LONGEST {
        return check().map(Arc::new);
    }
    let digest = chatward_vault::digest(token.as_bytes());
    if let Some((_, known)) = checked.get(&digest).filter(|(under, _)| *under == generation) {
        return Some(known);
    }
    let found = Arc::new(check()?);
    checked.insert(digest, (generation, Arc::clone(&found)));
    Some(found)
}
