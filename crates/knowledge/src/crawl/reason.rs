//! Why a page was not taken, in words for the site's owner.
//!
//! Owns: the reasons and their texts.
//! Never does: tell more about a refused address than the guard does; the texts of network failures are for the
//! operator and the owner, who chose the address, not for strangers.

use chatward_egress::{FetchError, FetchFailure, Refusal};
use std::fmt;
use url::Url;

/// Said of names that do not resolve and of addresses that are not the public internet's, alike.
const NOWHERE: &str = "it leads to no host on the public internet";

/// Why a page was skipped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SkipReason {
    /// robots.txt disallows it.
    Robots,
    /// robots.txt could not be read although the server is there, which must be taken as a no to everything.
    RobotsUnavailable,
    /// The page asks not to be indexed.
    NoIndex,
    /// Not HTML; the type it declares.
    NotHtml(Box<str>),
    /// No readable text; it may need scripts to show any.
    Empty,
    /// The same content as another page of this crawl.
    Duplicate(Box<Url>),
    /// The page says that another address is its proper one, which is crawled instead.
    Canonical(Box<Url>),
    /// An HTTP status other than 200.
    Status(u16),
    /// More bytes, tags or attributes than are read.
    TooLarge,
    /// Elements nested more deeply than browsers go.
    TooDeep,
    /// Reading took too long.
    TooSlow,
    /// Too much of it is unreadable in any plausible encoding.
    BadEncoding,
    /// Fetching took too long.
    Timeout,
    /// Redirects that do not end.
    RedirectLoop,
    /// A redirect to another site.
    OffSite(Box<Url>),
    /// The address looks like one of endlessly many; the text says how.
    Trap(&'static str),
    /// The guard refuses the address.
    Refused(Box<str>),
    /// The server could not be reached or does not speak HTTP properly; the text says which.
    Unreachable(&'static str),
    /// A fault of ours while reading the page.
    Internal,
}

impl SkipReason {
    /// A stable word for programs and the stored row.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Robots => "robots",
            Self::RobotsUnavailable => "robots_unavailable",
            Self::NoIndex => "noindex",
            Self::NotHtml(_) => "not_html",
            Self::Empty => "empty",
            Self::Duplicate(_) => "duplicate",
            Self::Canonical(_) => "canonical",
            Self::Status(_) => "status",
            Self::TooLarge => "too_large",
            Self::TooDeep => "too_deep",
            Self::TooSlow => "too_slow",
            Self::BadEncoding => "bad_encoding",
            Self::Timeout => "timeout",
            Self::RedirectLoop => "redirect_loop",
            Self::OffSite(_) => "off_site",
            Self::Trap(_) => "trap",
            Self::Refused(_) => "refused",
            Self::Unreachable(_) => "unreachable",
            Self::Internal => "internal",
        }
    }

    /// Whether the page should have worked (a failure), or was left out on purpose.
    pub fn is_failure(&self) -> bool {
        !matches!(
            self,
            Self::Robots
                | Self::NoIndex
                | Self::NotHtml(_)
                | Self::Empty
                | Self::Duplicate(_)
                | Self::Canonical(_)
                | Self::OffSite(_)
                | Self::Trap(_)
        )
    }

    /// Whether the site as a whole seems to be unwell, or set on keeping us busy.
    pub(super) fn is_outage(&self) -> bool {
        match self {
            Self::Timeout | Self::TooSlow | Self::Unreachable(_) => true,
            Self::Refused(why) => **why == *NOWHERE,
            Self::Status(status) => *status >= 500 || *status == 429,
            _ => false,
        }
    }
}

impl fmt::Display for SkipReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Robots => f.write_str("robots.txt disallows it"),
            Self::RobotsUnavailable => f.write_str("robots.txt could not be read, so nothing may be crawled"),
            Self::NoIndex => f.write_str("the page asks not to be indexed (noindex)"),
            Self::NotHtml(what) => write!(f, "not an HTML page ({what})"),
            Self::Empty => f.write_str("no readable text; the page may need JavaScript"),
            Self::Duplicate(of) => write!(f, "the same content as {of}"),
            Self::Canonical(to) => write!(f, "the page names {to} as its proper address"),
            Self::Status(status) => write!(f, "the server answered with status {status}"),
            Self::TooLarge => f.write_str("too large"),
            Self::TooDeep => f.write_str("its elements are nested too deeply"),
            Self::TooSlow => f.write_str("reading it took too long"),
            Self::BadEncoding => f.write_str("its text is unreadable (wrong encoding)"),
            Self::Timeout => f.write_str("the server took too long"),
            Self::RedirectLoop => f.write_str("it redirects in a loop or too often"),
            Self::OffSite(to) => write!(f, "it redirects to another site ({to})"),
            Self::Trap(how) => write!(f, "the address looks like one of endlessly many ({how})"),
            Self::Refused(why) => write!(f, "the address may not be fetched: {why}"),
            Self::Unreachable(why) => write!(f, "the server could not be reached: {why}"),
            Self::Internal => f.write_str("an internal error while reading it"),
        }
    }
}

impl From<&FetchError> for SkipReason {
    fn from(error: &FetchError) -> Self {
        match error.failure() {
            // What the network told us is one text: whether a name exists inside, and where it leads, is nobody's
            // business. The other refusals follow from the address as it was written.
            FetchFailure::Dns | FetchFailure::Refused(Refusal::NotPublic | Refusal::Metadata | Refusal::OwnAddress) => {
                Self::Refused(NOWHERE.into())
            }
            FetchFailure::Refused(refusal) => Self::Refused(refusal.to_string().into()),
            FetchFailure::Connect => Self::Unreachable("no connection"),
            FetchFailure::Tls => Self::Unreachable("no secure connection"),
            FetchFailure::Timeout => Self::Timeout,
            FetchFailure::TooLarge => Self::TooLarge,
            FetchFailure::RedirectLoop => Self::RedirectLoop,
            FetchFailure::OffSite(to) => Self::OffSite(to.clone()),
            FetchFailure::BadEncoding => Self::BadEncoding,
            FetchFailure::Protocol => Self::Unreachable("not valid HTTP"),
        }
    }
}
