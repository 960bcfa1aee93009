//! Identifiers: `prefix_` and a UUIDv7 in 32 hexadecimal digits. They order by time and are no secrets.

use crate::{Clock, Entropy};
use std::fmt;
use std::marker::PhantomData;
use std::str::FromStr;
use uuid::Uuid;

/// What an id names; gives the prefix of its text form.
pub trait Named: Copy + Send + Sync + 'static {
    /// The prefix without its underscore, such as `site`.
    const PREFIX: &'static str;
}

/// Random bytes of an id.
const RANDOM: usize = 10;

/// A typed identifier.
pub struct Id<T: Named>(Uuid, PhantomData<fn() -> T>);

/// The text is not an id of this kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IdError {
    /// The prefix that was expected.
    pub expected: &'static str,
}

impl<T: Named> Id<T> {
    /// A new id, ordered by the clock's time.
    ///
    /// # Errors
    /// When the entropy source fails.
    pub fn generate(clock: &dyn Clock, entropy: &dyn Entropy) -> crate::Result<Self> {
        let mut random = [0_u8; RANDOM];
        entropy.fill(&mut random)?;
        Ok(Self::of(clock.now(), &random))
    }

    fn of(now: crate::Timestamp, random: &[u8; RANDOM]) -> Self {
        let milliseconds = u64::try_from(now / 1000).unwrap_or(0);
        Self(uuid::Builder::from_unix_timestamp_millis(milliseconds, random).into_uuid(), PhantomData)
    }

    /// The id of these 16 bytes.
    pub fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(Uuid::from_bytes(bytes), PhantomData)
    }

    /// The raw 16 bytes.
    pub fn as_bytes(&self) -> &[u8; 16] {
        self.0.as_bytes()
    }

    /// The text form, without memory of its own.
    pub fn text(&self) -> IdText {
        const { assert!(T::PREFIX.len() < IdText::MOST - 32) };
        let mut bytes = [0; IdText::MOST];
        let (prefix, rest) = bytes.split_at_mut(T::PREFIX.len());
        prefix.copy_from_slice(T::PREFIX.as_bytes());
        rest[0] = b'_';
        self.0.simple().encode_lower(&mut rest[1..]);
        IdText { bytes, length: T::PREFIX.len() + 33 }
    }
}

/// Three new ids of one moment, in this order, for the price of one: asking for randomness costs more than its bytes.
///
/// # Errors
/// When the entropy source fails.
pub fn generate_three<A: Named, B: Named, C: Named>(
    clock: &dyn Clock,
    entropy: &dyn Entropy,
) -> crate::Result<(Id<A>, Id<B>, Id<C>)> {
    let mut random = [[0_u8; RANDOM]; 3];
    entropy.fill(random.as_flattened_mut())?;
    let (now, [a, b, c]) = (clock.now(), random);
    Ok((Id::of(now, &a), Id::of(now, &b), Id::of(now, &c)))
}

/// The text form of an id; reads as a `str`.
#[derive(Debug, Clone, Copy)]
pub struct IdText {
    bytes: [u8; Self::MOST],
    length: usize,
}

impl IdText {
    /// As long as the longest prefix, an underscore and 32 digits may be.
    const MOST: usize = 40;
}

impl std::ops::Deref for IdText {
    type Target = str;

    fn deref(&self) -> &str {
        // A prefix and digits in ASCII are always text.
        str::from_utf8(&self.bytes[..self.length]).unwrap_or_default()
    }
}

impl<T: Named> Clone for Id<T> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<T: Named> Copy for Id<T> {}
impl<T: Named> PartialEq for Id<T> {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}
impl<T: Named> Eq for Id<T> {}
impl<T: Named> PartialOrd for Id<T> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl<T: Named> Ord for Id<T> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.cmp(&other.0)
    }
}
impl<T: Named> std::hash::Hash for Id<T> {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}
impl<T: Named> fmt::Display for Id<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text())
    }
}
impl<T: Named> fmt::Debug for Id<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
impl<T: Named> FromStr for Id<T> {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        let error = IdError { expected: T::PREFIX };
        let digits = text
            .strip_prefix(T::PREFIX)
            .and_then(|rest| rest.strip_prefix('_'))
            .filter(|digits| {
                digits.len() == 32 && digits.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
            })
            .ok_or(error)?;
        Uuid::try_parse(digits).map(|uuid| Self(uuid, PhantomData)).map_err(|_| error)
    }
}
impl<T: Named> serde::Serialize for Id<T> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text())
    }
}
impl<'de, T: Named> serde::Deserialize<'de> for Id<T> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}
impl fmt::Display for IdError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "expected an id of the form {}_ and 32 hexadecimal digits", self.expected)
    }
}
impl std::error::Error for IdError {}

macro_rules! named {
    ($($(#[$doc:meta])* $marker:ident $alias:ident $prefix:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy)]
        pub enum $marker {}
        impl Named for $marker { const PREFIX: &'static str = $prefix; }
        $(#[$doc])*
        pub type $alias = Id<$marker>;
    )*};
}

named! {
    /// A tenant: a person or organisation.
    Owner OwnerId "own";
    /// A person's account with an owner.
    User UserId "usr";
    /// A user's stay on one device.
    Login LoginId "lgn";
    /// A link by which somebody becomes a user.
    Invitation InvitationId "inv";
    /// A program of an owner that proves itself by a token of its own.
    Device DeviceId "dev";
    /// A website with its knowledge and bot settings.
    Site SiteId "site";
    /// The messages of a session.
    Conversation ConversationId "cnv";
    /// One message of a conversation.
    Message MessageId "msg";
    /// A crawled page.
    Page PageId "page";
    /// A judgement on an answer.
    Feedback FeedbackId "fdb";
    /// A record of what an answer cost.
    Usage UsageId "use";
    /// A piece of background work.
    Job JobId "job";
    /// A running server.
    Node NodeId "node";
    /// A signed word that something was erased or handed out.
    Receipt ReceiptId "rcp";
    /// One HTTP request, in the log and in the error body.
    Request RequestId "req";
}

/// The name of a visitor's session: `session_`, base62 of 128 random bits and a MAC.
///
/// Its text is made and checked by the vault (`SessionIds`); here it is only carried.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SessionId(Box<str>);

impl SessionId {
    /// Wraps a text that the vault has made or checked.
    pub fn from_verified(text: impl Into<Box<str>>) -> Self {
        Self(text.into())
    }

    /// The text form.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A session id is a lookup name, but a log should not hand out whole ones.
        write!(f, "{}…", self.0.get(..12).unwrap_or(""))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[derive(Debug)]
    struct Fixed;
    impl Clock for Fixed {
        fn now(&self) -> i64 {
            1_700_000_000_000_000
        }
    }
    impl Entropy for Fixed {
        fn fill(&self, buffer: &mut [u8]) -> crate::Result<()> {
            buffer.fill(7);
            Ok(())
        }
    }

    #[test]
    fn text_round_trips_and_carries_its_prefix() {
        let id = SiteId::generate(&Fixed, &Fixed).expect("an id");
        let text = id.to_string();
        assert!(text.starts_with("site_") && text.len() == 37);
        assert_eq!(*id.text(), text);
        assert_eq!(text.parse::<SiteId>(), Ok(id));
        assert!(text.parse::<OwnerId>().is_err(), "another kind's id is refused");
        assert!(text.to_uppercase().parse::<SiteId>().is_err());
    }

    proptest! {
        #[test]
        fn no_text_makes_the_parser_panic(text in ".{0,64}") {
            let _ = text.parse::<SiteId>();
        }
    }
}
