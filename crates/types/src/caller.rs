//! Who is asking, and whose rows they may touch.

use crate::{OwnerId, SessionId, SiteId};
use std::fmt;
use std::str::FromStr;

/// The tenant whose rows a query may see. Every store function that is not named `admin_*` takes one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Scope {
    owner: OwnerId,
}

impl Scope {
    /// The rows of one owner.
    pub fn of(owner: OwnerId) -> Self {
        Self { owner }
    }

    /// The owner.
    pub fn owner(&self) -> OwnerId {
        self.owner
    }
}

/// Who is asking, after authentication.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Caller {
    /// Nobody in particular.
    Anonymous,
    /// A visitor with a valid token.
    Visitor {
        /// The tenant of the site.
        owner: OwnerId,
        /// The site that the token was minted for.
        site: SiteId,
        /// The visitor's session.
        session: SessionId,
    },
    /// A person at this machine's command line.
    Operator,
    /// A background job working for one owner.
    Job {
        /// The tenant it works for.
        owner: OwnerId,
    },
}

/// What a user of an owner may do; each role may do what those before it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Sees.
    Viewer,
    /// Changes sites.
    Member,
    /// Invites people.
    Admin,
    /// Whoever set the installation up; at least one stays.
    Owner,
}

impl Role {
    /// The word in the store, the API and on the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Member => "member",
            Self::Admin => "admin",
            Self::Owner => "owner",
        }
    }
}

impl FromStr for Role {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "viewer" => Ok(Self::Viewer),
            "member" => Ok(Self::Member),
            "admin" => Ok(Self::Admin),
            "owner" => Ok(Self::Owner),
            _ => Err("expected viewer, member, admin or owner"),
        }
    }
}

/// Which environment an installation, or a key, is made for. `Production` forbids unsafe settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Environment {
    /// A developer's machine.
    #[default]
    Development,
    /// A rehearsal of production.
    Staging,
    /// The open internet.
    Production,
}

impl Environment {
    /// The word in issued keys: `dev`, `test` or `live`.
    pub fn key_word(self) -> &'static str {
        match self {
            Self::Development => "dev",
            Self::Staging => "test",
            Self::Production => "live",
        }
    }
}

impl fmt::Display for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Development => "development",
            Self::Staging => "staging",
            Self::Production => "production",
        })
    }
}

impl FromStr for Environment {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "development" => Ok(Self::Development),
            "staging" => Ok(Self::Staging),
            "production" => Ok(Self::Production),
            _ => Err("expected development, staging or production"),
        }
    }
}
