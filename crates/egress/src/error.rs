//! What went wrong, in words for the operator, and in one constant text for everybody else.
//!
//! Owns: the failure kinds of fetches and calls, and how the HTTP library's errors fall into them.
//! Never does: carry a secret, a response's body or a header.

use crate::connector::DialError;
use crate::guard::Refusal;
use std::error::Error as StdError;
use std::fmt;
use std::net::IpAddr;
use url::Url;

/// Why a stranger's URL could not be fetched. Strangers get [`FetchError::public`]; this is for the crawl report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FetchFailure {
    /// The guard refused the URL, a redirect's target or an address that a name resolved to.
    Refused(Refusal),
    /// The name does not resolve.
    Dns,
    /// No TCP connection.
    Connect,
    /// No TLS session: certificate, name or protocol.
    Tls,
    /// The deadline passed.
    Timeout,
    /// The body, before or after decompression, is over its cap.
    TooLarge,
    /// Redirects that repeat themselves, or more of them than are followed.
    RedirectLoop,
    /// A redirect to another origin than the one asked for. It was not followed.
    OffSite(Box<Url>),
    /// A content encoding that we did not ask for, or a compressed body that is broken.
    BadEncoding,
    /// What came back is not HTTP as we accept it: malformed, cut short, too many or too large headers.
    Protocol,
}

impl fmt::Display for FetchFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Refused(refusal) => return write!(f, "refused: {refusal}"),
            Self::Dns => "the name does not resolve",
            Self::Connect => "no connection",
            Self::Tls => "no secure connection",
            Self::Timeout => "took too long",
            Self::TooLarge => "too large",
            Self::RedirectLoop => "too many redirects",
            Self::OffSite(to) => return write!(f, "redirects to another site ({to})"),
            Self::BadEncoding => "unusable content encoding",
            Self::Protocol => "not valid HTTP",
        })
    }
}

/// A failed fetch. `Display` is the operator's text with the reason; never show it to whoever chose the URL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FetchError {
    failure: FetchFailure,
    detail: Option<Box<str>>,
}

impl FetchError {
    pub(crate) fn new(failure: FetchFailure) -> Self {
        Self { failure, detail: None }
    }

    fn with_detail(failure: FetchFailure, detail: impl fmt::Display) -> Self {
        Self { failure, detail: Some(detail.to_string().into()) }
    }

    /// What went wrong, for the operator's log and the crawl report.
    pub fn failure(&self) -> &FetchFailure {
        &self.failure
    }

    /// The text for whoever chose the URL: one constant, so that failures cannot be told apart.
    pub fn public(&self) -> &'static str {
        "This address could not be fetched."
    }
}

impl fmt::Display for FetchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.failure.fmt(f)?;
        match &self.detail {
            Some(detail) => write!(f, " [{detail}]"),
            None => Ok(()),
        }
    }
}

impl StdError for FetchError {}

impl From<Refusal> for FetchError {
    fn from(refusal: Refusal) -> Self {
        Self::new(FetchFailure::Refused(refusal))
    }
}

impl From<FetchError> for chatward_types::Error {
    fn from(error: FetchError) -> Self {
        Self::new(chatward_types::Kind::Invalid, "fetch_failed", error.public()).with_source(error)
    }
}

impl From<hyper_util::client::legacy::Error> for FetchError {
    fn from(error: hyper_util::client::legacy::Error) -> Self {
        match Cause::of(&error) {
            Cause::Refused(refusal, address) => {
                let failure = FetchFailure::Refused(refusal);
                match address {
                    Some(address) => Self::with_detail(failure, address),
                    None => Self::new(failure),
                }
            }
            Cause::Dns(why) => Self::with_detail(FetchFailure::Dns, why),
            Cause::Connect(why) => Self::with_detail(FetchFailure::Connect, why),
            Cause::Tls(why) => Self::with_detail(FetchFailure::Tls, why),
            Cause::Timeout => Self::new(FetchFailure::Timeout),
            Cause::Protocol(why) => Self::with_detail(FetchFailure::Protocol, why),
        }
    }
}

impl From<hyper::Error> for FetchError {
    fn from(error: hyper::Error) -> Self {
        Self::with_detail(FetchFailure::Protocol, chain(&error))
    }
}

/// Why a provider call failed, in a form that decides about failover and goes into metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CallFailure {
    /// The guard refused the URL or an address that its name resolved to.
    Refused(Refusal),
    /// The credential is bound to another host. Nothing was sent.
    CredentialHost,
    /// The credential would have travelled in plain text. Nothing was sent.
    CredentialPlain,
    /// The method, the URL or a header is not one that we send. Nothing was sent.
    BadRequest,
    /// The name does not resolve.
    Dns,
    /// No TCP connection.
    Connect,
    /// No TLS session.
    Tls,
    /// No connection within `connect_deadline`.
    ConnectTimeout,
    /// No response head within `first_byte_deadline` of the connection.
    FirstByteTimeout,
    /// A silence longer than `between_bytes_deadline`.
    BetweenBytesTimeout,
    /// Not finished within `total_deadline`.
    TotalTimeout,
    /// The body is over `max_response_bytes`.
    TooLarge,
    /// The response is compressed although we asked for none.
    BadEncoding,
    /// Malformed, or ended before its declared end.
    Protocol,
}

impl CallFailure {
    /// A word for metrics and events.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Refused(_) => "refused",
            Self::CredentialHost => "credential_host",
            Self::CredentialPlain => "credential_plain",
            Self::BadRequest => "bad_request",
            Self::Dns => "dns",
            Self::Connect => "connect",
            Self::Tls => "tls",
            Self::ConnectTimeout => "connect_timeout",
            Self::FirstByteTimeout => "first_byte_timeout",
            Self::BetweenBytesTimeout => "between_bytes_timeout",
            Self::TotalTimeout => "total_timeout",
            Self::TooLarge => "too_large",
            Self::BadEncoding => "bad_encoding",
            Self::Protocol => "protocol",
        }
    }
}

/// A failed provider call. `Display` is for the operator's log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallError {
    failure: CallFailure,
    detail: Option<Box<str>>,
}

impl CallError {
    pub(crate) fn new(failure: CallFailure) -> Self {
        Self { failure, detail: None }
    }

    /// [`CallFailure::Protocol`], with what the peer did.
    pub(crate) fn protocol(why: impl fmt::Display) -> Self {
        Self::with_detail(CallFailure::Protocol, why)
    }

    fn with_detail(failure: CallFailure, detail: impl fmt::Display) -> Self {
        Self { failure, detail: Some(detail.to_string().into()) }
    }

    /// What went wrong.
    pub fn failure(&self) -> CallFailure {
        self.failure
    }
}

impl fmt::Display for CallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.failure {
            CallFailure::Refused(refusal) => write!(f, "refused: {refusal}")?,
            other => f.write_str(other.as_str())?,
        }
        match &self.detail {
            Some(detail) => write!(f, " [{detail}]"),
            None => Ok(()),
        }
    }
}

impl StdError for CallError {}

impl From<Refusal> for CallError {
    fn from(refusal: Refusal) -> Self {
        Self::new(CallFailure::Refused(refusal))
    }
}

impl From<hyper_util::client::legacy::Error> for CallError {
    fn from(error: hyper_util::client::legacy::Error) -> Self {
        Cause::of(&error).into()
    }
}

impl From<DialError> for CallError {
    fn from(error: DialError) -> Self {
        Cause::from(&error).into()
    }
}

impl From<Cause> for CallError {
    fn from(cause: Cause) -> Self {
        match cause {
            Cause::Refused(refusal, address) => {
                let failure = CallFailure::Refused(refusal);
                match address {
                    Some(address) => Self::with_detail(failure, address),
                    None => Self::new(failure),
                }
            }
            Cause::Dns(why) => Self::with_detail(CallFailure::Dns, why),
            Cause::Connect(why) => Self::with_detail(CallFailure::Connect, why),
            Cause::Tls(why) => Self::with_detail(CallFailure::Tls, why),
            Cause::Timeout => Self::new(CallFailure::ConnectTimeout),
            Cause::Protocol(why) => Self::with_detail(CallFailure::Protocol, why),
        }
    }
}

impl From<hyper::Error> for CallError {
    fn from(error: hyper::Error) -> Self {
        Self::with_detail(CallFailure::Protocol, chain(&error))
    }
}

/// The HTTP library's error, sorted.
enum Cause {
    Refused(Refusal, Option<IpAddr>),
    Dns(String),
    Connect(String),
    Tls(String),
    Timeout,
    Protocol(String),
}

impl Cause {
    fn of(error: &hyper_util::client::legacy::Error) -> Self {
        match error.source().and_then(|source| source.downcast_ref::<DialError>()) {
            Some(error) => error.into(),
            None => Self::Protocol(chain(error)),
        }
    }
}

impl From<&DialError> for Cause {
    fn from(error: &DialError) -> Self {
        match error {
            DialError::Refused(refusal, address) => Self::Refused(*refusal, *address),
            DialError::Dns(why) => Self::Dns(why.to_string()),
            DialError::Connect(why) => Self::Connect(why.to_string()),
            DialError::Tls(why) => Self::Tls(why.clone()),
            DialError::Timeout => Self::Timeout,
        }
    }
}

/// An error and its sources on one line.
fn chain(error: &(dyn StdError + 'static)) -> String {
    let mut line = error.to_string();
    let mut next = error.source();
    while let Some(source) = next {
        line.push_str(": ");
        line.push_str(&source.to_string());
        next = source.source();
    }
    line
}
