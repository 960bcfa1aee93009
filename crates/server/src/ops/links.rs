//! Links that carry a token: to a page of ours, with the token behind the `#`.
//!
//! What stands behind the `#` stays in the browser: it is in no request, no log of a proxy and no referrer. Owns the pages'
//! addresses; never stores or logs a link.

use crate::app::App;
use chatward_types::{Result, Secret};

/// Where an invitation is accepted.
pub const ACCEPT: &str = "account/accept";
/// Where a password is set anew.
pub const RECOVER: &str = "account/recover";

/// The address of a page with a token.
///
/// # Errors
/// Never for the pages above.
pub(super) fn with_token(app: &App, page: &str, token: &Secret<String>) -> Result<Secret<String>> {
    let mut url = app.config.public_url.join(page).map_err(chatward_types::Error::internal)?;
    url.set_fragment(Some(token.expose()));
    Ok(Secret::new(url.into()))
}
