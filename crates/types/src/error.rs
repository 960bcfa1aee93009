//! The one error type. It knows what went wrong for the caller, not how HTTP says it.

use std::borrow::Cow;
use std::fmt;

/// The cause of an error, for the log and never for the client.
pub type BoxedSource = Box<dyn std::error::Error + Send + Sync + 'static>;

/// What an operation returns.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What kind of thing went wrong; `server/error.rs` alone maps it to a status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// The request cannot be parsed (400).
    Malformed,
    /// The request parses, but a value is not acceptable (422).
    Invalid,
    /// No credential, or one that does not hold (401).
    Unauthenticated,
    /// A known caller may not do this (403).
    Forbidden,
    /// It does not exist, or the caller may not know that it does (404).
    NotFound,
    /// It is in the way of something that is there already (409).
    Conflict,
    /// What the request says about the present state is not so any more (412).
    Precondition,
    /// The body or message is over its cap (413).
    TooLarge,
    /// A limit or budget is used up (429).
    Limited,
    /// The request took too long to arrive (408).
    TooSlow,
    /// The request was addressed to a name that is not ours (421).
    Misdirected,
    /// A part that is needed is not there for now (503).
    Unavailable,
    /// Our own fault; the text is constant (500).
    Internal,
}

/// An error with a text for the client and a source for the log.
pub struct Error {
    kind: Kind,
    code: &'static str,
    public: Cow<'static, str>,
    retry_after_seconds: Option<u32>,
    source: Option<BoxedSource>,
}

impl Error {
    /// An error whose `public` text tells the client what to do next. It must not repeat the client's input.
    pub fn new(kind: Kind, code: &'static str, public: impl Into<Cow<'static, str>>) -> Self {
        Self { kind, code, public: public.into(), retry_after_seconds: None, source: None }
    }

    /// Our own fault: the client gets a constant text, the log gets `source`.
    pub fn internal(source: impl Into<BoxedSource>) -> Self {
        Self::new(
            Kind::Internal,
            "internal",
            "Something went wrong on our side. Try again; if it persists, report the request id.",
        )
        .with_source(source)
    }

    /// A part that is needed (the database, the last provider) does not answer for now.
    pub fn unavailable(source: impl Into<BoxedSource>) -> Self {
        Self::new(
            Kind::Unavailable,
            "unavailable",
            "The service cannot answer at the moment. Try again in a few seconds.",
        )
        .retry_after(2)
        .with_source(source)
    }

    /// Nothing there, or nothing that the caller may know of.
    pub fn not_found() -> Self {
        Self::new(Kind::NotFound, "not_found", "There is nothing here.")
    }

    /// A value that is not acceptable; `public` names the field.
    pub fn invalid(public: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Kind::Invalid, "invalid", public)
    }

    /// Adds the cause for the log.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<BoxedSource>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// Adds the time after which a new attempt makes sense.
    #[must_use]
    pub fn retry_after(mut self, seconds: u32) -> Self {
        self.retry_after_seconds = Some(seconds);
        self
    }

    /// What kind of thing went wrong.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// A stable word for programs, such as `rate_limited`.
    pub fn code(&self) -> &'static str {
        self.code
    }

    /// The text for the client.
    pub fn public(&self) -> &str {
        &self.public
    }

    /// Seconds after which a new attempt makes sense.
    pub fn retry_after_seconds(&self) -> Option<u32> {
        self.retry_after_seconds
    }

    /// The chain of causes on one line, for the log.
    pub fn source_line(&self) -> Option<String> {
        let mut next: Option<&dyn std::error::Error> = self.source.as_deref().map(|e| e as _);
        let mut line = String::new();
        while let Some(error) = next {
            if !line.is_empty() {
                line.push_str(": ");
            }
            line.push_str(&error.to_string());
            next = error.source();
        }
        (!line.is_empty()).then_some(line)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Error")
            .field("kind", &self.kind)
            .field("code", &self.code)
            .field("public", &self.public)
            .field("source", &self.source)
            .finish()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.public)?;
        match self.source_line() {
            Some(line) => write!(f, " [{line}]"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_deref().map(|e| e as _)
    }
}

impl From<std::io::Error> for Error {
    fn from(source: std::io::Error) -> Self {
        Self::internal(source)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_internal_error_shows_its_source_to_the_log_alone() {
        let error = Error::internal(std::io::Error::other("disk of /srv is full"));
        assert!(!error.public().contains("/srv"));
        assert_eq!(error.source_line().as_deref(), Some("disk of /srv is full"));
        assert_eq!(error.kind(), Kind::Internal);
    }
}
