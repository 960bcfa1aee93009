//! What an issued secret key may do: a set of five rights.
//!
//! Owns: their words, and the set's one form in the store. Never decides who may hand out which; it says the least role.

use crate::Role;
use std::fmt;
use std::str::FromStr;

/// One thing that an issued secret key may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum KeyScope {
    /// Begin and carry on chat sessions.
    Chat,
    /// Ask models through the gateway.
    Gateway,
    /// Open voice sockets.
    Realtime,
    /// Publish to a feed.
    #[serde(rename = "feed:publish")]
    FeedPublish,
    /// Read and change the owner's sites.
    Manage,
}

impl KeyScope {
    /// Every one of them, in the order of the set's text.
    pub const ALL: [Self; 5] = [Self::Chat, Self::Gateway, Self::Realtime, Self::FeedPublish, Self::Manage];

    /// The word in the store, the API and on the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Chat => "chat",
            Self::Gateway => "gateway",
            Self::Realtime => "realtime",
            Self::FeedPublish => "feed:publish",
            Self::Manage => "manage",
        }
    }

    /// The least role whose user may hand a key with it out: nobody gives away more than they have.
    pub fn least_role(self) -> Role {
        match self {
            Self::Manage => Role::Admin,
            Self::Chat | Self::Gateway | Self::Realtime | Self::FeedPublish => Role::Member,
        }
    }

    fn bit(self) -> u8 {
        1 << (self as u8)
    }
}

impl FromStr for KeyScope {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let found = Self::ALL.into_iter().find(|scope| scope.as_str() == text);
        found.ok_or("expected chat, gateway, realtime, feed:publish or manage")
    }
}

/// What a key may do. A set without a member is never stored.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct KeyScopes(u8);

impl KeyScopes {
    /// Whether this is among them.
    pub fn has(self, scope: KeyScope) -> bool {
        self.0 & scope.bit() != 0
    }

    /// Whether there is none.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Each of them once, in one order.
    pub fn iter(self) -> impl Iterator<Item = KeyScope> {
        KeyScope::ALL.into_iter().filter(move |scope| self.has(*scope))
    }

    /// The text in the store: each word with a semicolon after it, which the table's check takes apart.
    pub fn stored(self) -> String {
        self.iter().fold(String::new(), |text, scope| text + scope.as_str() + ";")
    }

    /// The set that a text of the store stands for.
    ///
    /// # Errors
    /// When the text is no set, or not in the one form.
    pub fn from_stored(text: &str) -> Result<Self, &'static str> {
        let words = text.strip_suffix(';').ok_or("not a set of scopes")?;
        let set = words.split(';').map(str::parse).collect::<Result<Self, _>>()?;
        if set.stored() == text { Ok(set) } else { Err("not a set of scopes in its one form") }
    }
}

impl FromIterator<KeyScope> for KeyScopes {
    fn from_iter<I: IntoIterator<Item = KeyScope>>(scopes: I) -> Self {
        Self(scopes.into_iter().fold(0, |bits, scope| bits | scope.bit()))
    }
}

impl From<KeyScope> for KeyScopes {
    fn from(scope: KeyScope) -> Self {
        Self(scope.bit())
    }
}

impl fmt::Display for KeyScopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, scope) in self.iter().enumerate() {
            f.write_str(if place == 0 { "" } else { "," })?;
            f.write_str(scope.as_str())?;
        }
        Ok(())
    }
}

impl fmt::Debug for KeyScopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyScopes({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_has_one_text_and_only_that_is_read() {
        for bits in 1_u8..32 {
            let set = KeyScopes(bits);
            assert_eq!(KeyScopes::from_stored(&set.stored()), Ok(set));
            assert_eq!(set.iter().collect::<KeyScopes>(), set);
        }
        let both: KeyScopes = [KeyScope::Manage, KeyScope::Chat].into_iter().collect();
        assert_eq!((both.stored().as_str(), both.to_string().as_str()), ("chat;manage;", "chat,manage"));
        assert!(both.has(KeyScope::Chat) && !both.has(KeyScope::Gateway) && !both.is_empty());
        for bad in ["", ";", "manage", "manage;chat;", "chat;chat;", "admin;", "chat;;", "chat; manage;"] {
            assert!(KeyScopes::from_stored(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn nobody_hands_out_managing_below_an_administrator() {
        for scope in KeyScope::ALL {
            assert_eq!(scope.as_str().parse(), Ok(scope));
            assert_eq!(scope.least_role() > Role::Member, scope == KeyScope::Manage);
        }
    }
}
