//! How a visitor comes in from a page: a ticket for a session, with a resume or an identity beside it.
//!
//! Owns: the order. The ticket is spent first, whatever follows; an identity that does not hold ends it; a resume that
//! does not hold, or is another person's, means a new session and nothing worse. Never looks at a request's origin: the
//! caller has made sure that it is our own frame's.

use crate::app::App;
use crate::client::Client;
use crate::ops::sessions::{self, Begun};
use crate::ops::sites::Site;
use crate::ops::{identities, tickets};
use chatward_types::Result;
use std::sync::Arc;

/// A visitor who is in.
#[derive(Debug)]
pub struct Admitted {
    /// The site.
    pub site: Arc<Site>,
    /// The origin of the page.
    pub origin: Box<str>,
    /// The session.
    pub begun: Begun,
    /// Whether it is one from before.
    pub resumed: bool,
}

/// What comes of a ticket.
#[derive(Debug)]
pub enum Admission {
    /// The visitor is in.
    In(Admitted),
    /// The site asks for consent, the visitor has not agreed, and there is no session to go on with. Nothing is stored.
    AskFirst {
        /// The site.
        site: Arc<Site>,
        /// The origin of the page.
        origin: Box<str>,
    },
}

/// Lets a visitor in. `agreed` says that the visitor has agreed to what the site's look asks.
///
/// # Errors
/// As [`tickets::trade`] and [`identities::verify`].
pub async fn by_ticket(
    app: &App,
    ticket: &str,
    resume: Option<&str>,
    identity: Option<&str>,
    agreed: bool,
    client: &Client,
) -> Result<Admission> {
    let tickets::Traded { site, origin } = tickets::trade(app, ticket, client).await?;
    let identity = match identity {
        Some(token) => Some(identities::verify(app, &site, token, client).await?),
        None => None,
    };
    let mut begun = match resume {
        Some(resume) => sessions::resume(app, &site, &origin, resume, client).await?,
        None => None,
    };
    if let Some(back) = &begun {
        let known = identities::of(app, &site.scope(), &back.visitor.session).await?;
        // A person's conversation is for that person alone, also on a machine that several use.
        if known.is_some_and(|known| identity.as_ref().is_none_or(|identity| identity.sub != known.sub)) {
            begun = None;
        }
    }
    let resumed = begun.is_some();
    if !resumed && !agreed && site.settings.consent == Some(true) {
        return Ok(Admission::AskFirst { site, origin });
    }
    let begun = match begun {
        Some(begun) => begun,
        None => sessions::begin(app, &site, &origin, client).await?,
    };
    if let Some(identity) = &identity {
        identities::keep(app, &site, &begun.visitor.session, identity, client).await?;
    }
    Ok(Admission::In(Admitted { site, origin, begun, resumed }))
}
