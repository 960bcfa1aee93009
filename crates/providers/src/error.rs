//! What can go wrong with a provider, in words that may be shown, logged and counted.
//!
//! Owns: the classes of failure and the reports about attempts. Never does: carry a byte that a provider sent: an
//! upstream's error text can hold a key or somebody's message, so a class, a status and a constant are all there is.

use chatward_types::Error;
use std::fmt;
use std::sync::Arc;

/// How an attempt failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FailureClass {
    /// There is no key for a provider that needs one. Nothing was sent.
    NoCredential,
    /// Its breaker is open after many failures. Nothing was sent.
    CircuitOpen,
    /// Our own guard refused the address, or the key belongs to another host. Nothing was sent.
    Refused,
    /// No connection (name, route, TLS), or it broke before an answer began.
    Connect,
    /// No answer began in time.
    FirstByteTimeout,
    /// An answer stalled, or took too long in total.
    Timeout,
    /// The provider refuses the key (401, 403).
    Unauthorized,
    /// The provider limits us, or the account has no money left (429, 402).
    RateLimited,
    /// The provider refuses this one request (400, 413, 422).
    Rejected,
    /// The provider has no such model or address (404, 405, 410), or sent us elsewhere (3xx).
    NotFound,
    /// The provider is in trouble (5xx, or an error in the middle of a stream).
    Upstream,
    /// The answer is not of the kind that was asked for (an HTML page, say).
    WrongContentType,
    /// The answer cannot be read.
    Malformed,
    /// A line or the whole answer is larger than its bound.
    TooLarge,
    /// The answer ended without saying that it was complete.
    Truncated,
    /// The answer is complete and holds no text.
    Empty,
}

impl FailureClass {
    /// A stable word for metrics and events.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NoCredential => "no_credential",
            Self::CircuitOpen => "circuit_open",
            Self::Refused => "refused",
            Self::Connect => "connect",
            Self::FirstByteTimeout => "first_byte_timeout",
            Self::Timeout => "timeout",
            Self::Unauthorized => "unauthorized",
            Self::RateLimited => "rate_limited",
            Self::Rejected => "rejected",
            Self::NotFound => "not_found",
            Self::Upstream => "upstream",
            Self::WrongContentType => "wrong_content_type",
            Self::Malformed => "malformed",
            Self::TooLarge => "too_large",
            Self::Truncated => "truncated",
            Self::Empty => "empty",
        }
    }

    /// Whether the provider may bill for an attempt that failed like this: it had the request and did not refuse it.
    /// Whoever keeps a budget settles the estimated prompt then, rather than nothing.
    pub fn may_be_billed(self) -> bool {
        match self {
            Self::FirstByteTimeout
            | Self::Timeout
            | Self::WrongContentType
            | Self::Malformed
            | Self::TooLarge
            | Self::Truncated
            | Self::Empty => true,
            Self::NoCredential
            | Self::CircuitOpen
            | Self::Refused
            | Self::Connect
            | Self::Unauthorized
            | Self::RateLimited
            | Self::Rejected
            | Self::NotFound
            | Self::Upstream => false,
        }
    }

    /// Whether it says something about the provider rather than about this one request.
    pub(crate) fn counts_against_provider(self) -> bool {
        !matches!(self, Self::Rejected | Self::Empty | Self::NoCredential | Self::CircuitOpen)
    }
}

impl fmt::Display for FailureClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A provider failed. Its text is made of our own words, the provider's configured name and a number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProviderError {
    /// The configured name of the provider.
    pub provider: Arc<str>,
    /// How it failed.
    pub class: FailureClass,
    /// The HTTP status, if it came to that.
    pub status: Option<u16>,
    /// A known reason that the provider's error code stood for, in our words.
    pub reason: Option<&'static str>,
}

impl fmt::Display for ProviderError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "provider {} failed: {}", self.provider, self.class)?;
        if let Some(status) = self.status {
            write!(f, " (status {status})")?;
        }
        match self.reason {
            Some(reason) => write!(f, ", {reason}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for ProviderError {}

impl From<ProviderError> for Error {
    fn from(error: ProviderError) -> Self {
        Self::unavailable(error)
    }
}

/// What happened to one provider while an answer was sought.
#[derive(Debug, Clone, Copy)]
pub enum Attempt<'a> {
    /// It was asked, or could not even be, and the next one is tried.
    Failed(&'a ProviderError),
    /// It answers: its first piece is there, or its whole answer.
    Answering {
        /// The configured name of the provider.
        provider: &'a str,
    },
}

/// Who is told of attempts, as they happen. Must not block.
pub trait Observer: Send + Sync {
    /// Takes note of one.
    fn observe(&self, attempt: Attempt<'_>);
}

/// Takes no note of anything.
impl Observer for () {
    fn observe(&self, _: Attempt<'_>) {}
}

/// A provider's settings cannot be used. Its text names the setting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SettingsError {
    /// `base_url` is missing.
    NoBaseUrl,
    /// `base_url` is not http or https, has no host, or holds a user name, a query or a fragment.
    BaseUrl,
    /// `model` is missing or longer than 256 bytes.
    Model,
    /// `name` is missing or longer than 64 bytes.
    Name,
}

impl fmt::Display for SettingsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoBaseUrl => "base_url is missing: this kind of provider needs one",
            Self::BaseUrl => {
                "base_url must be an http or https address with a host and without user name, query or fragment"
            }
            Self::Model => "model must name a model, in at most 256 bytes",
            Self::Name => "name must be 1 to 64 bytes long",
        })
    }
}

impl std::error::Error for SettingsError {}
