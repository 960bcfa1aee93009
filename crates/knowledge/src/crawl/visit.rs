//! One page: fetched, read and cut.
//!
//! Owns: the order of the checks on a fetched page, and reading it on a blocking thread within a deadline.
//! Never does: deciding what is fetched next (see `run`).

use super::address::Scope;
use super::frontier::Target;
use super::reason::SkipReason;
use super::repeated::Repeated;
use super::{CrawlRequest, CrawledPage};
use crate::chunk::chunk;
use crate::extract::{self, Extracted};
use crate::fingerprint::Fingerprint;
use chatward_egress::{Egress, Fetch, Fetched};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::time::{Instant, sleep_until, timeout};
use url::Url;

const ACCEPT: &str = "text/html,application/xhtml+xml;q=0.9,*/*;q=0.1";
/// Beyond the deadline that extraction keeps by itself.
const GRACE: Duration = Duration::from_secs(2);

/// What a visit brought home.
#[derive(Debug)]
pub(super) struct Visited {
    pub(super) target: Target,
    /// Bytes of the body.
    pub(super) bytes: usize,
    pub(super) outcome: Result<Read, SkipReason>,
}

/// A page that was read, before duplicates are told.
#[derive(Debug)]
pub(super) struct Read {
    pub(super) page: CrawledPage,
    pub(super) links: Vec<Url>,
    pub(super) canonical: Option<Url>,
    pub(super) no_index: bool,
    /// Fingerprint of all text.
    pub(super) content: u64,
    pub(super) empty: bool,
}

/// What all visits of a crawl share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) egress: Egress,
    pub(super) request: CrawlRequest,
    pub(super) repeated: Mutex<Repeated>,
}

/// Visits a page, not before `at`. `stay` keeps redirects on the site.
pub(super) async fn visit(shared: Arc<Shared>, target: Target, at: Instant, stay: Option<Scope>) -> Visited {
    sleep_until(at).await;
    let limits = &shared.request.limits;
    let fetch = Fetch {
        url: target.url.clone(),
        reach: shared.request.reach,
        accept: ACCEPT,
        same_origin_only: stay.as_ref().map(Scope::origin),
        max_bytes: limits.page_bytes,
        deadline: limits.fetch_time,
        user_agent: Some(shared.request.user_agent.clone()),
    };
    match shared.egress.fetch(fetch).await {
        Err(error) => Visited { target, bytes: 0, outcome: Err(SkipReason::from(&error)) },
        Ok(fetched) => {
            let bytes = fetched.body.len();
            let outcome = read(Arc::clone(&shared), fetched, target.depth).await;
            Visited { target, bytes, outcome }
        }
    }
}

async fn read(shared: Arc<Shared>, fetched: Fetched, depth: usize) -> Result<Read, SkipReason> {
    if fetched.status != 200 {
        return Err(SkipReason::Status(fetched.status));
    }
    if fetched.body.is_empty() {
        return Err(SkipReason::Empty);
    }
    // The thread cannot be stopped from outside; extraction looks at the clock itself, so this second deadline only
    // frees the crawl from a thread that the machine does not let run.
    let reading = tokio::task::spawn_blocking(move || digest(&shared, &fetched, depth));
    match timeout(extract::DEADLINE + GRACE, reading).await {
        Ok(Ok(outcome)) => outcome,
        Ok(Err(failed)) => {
            tracing::error!(error = %failed, "reading a page failed");
            Err(SkipReason::Internal)
        }
        Err(_) => Err(SkipReason::TooSlow),
    }
}

fn digest(shared: &Shared, fetched: &Fetched, depth: usize) -> Result<Read, SkipReason> {
    let url = &fetched.final_url;
    let mut extracted = extract::extract(&fetched.body, fetched.content_type.as_deref(), url)?;
    if let Some(header) = &fetched.x_robots_tag {
        obey(&mut extracted, header);
    }
    let content = extracted
        .blocks
        .iter()
        .fold(Fingerprint::default(), |fingerprint, block| fingerprint.add(block.text.as_bytes()).add(b"\n"))
        .value();
    let empty = extracted.is_empty();
    if !extracted.no_index {
        shared.repeated.lock().unwrap_or_else(PoisonError::into_inner).remove_from(&mut extracted.blocks);
    }
    let chunks = chunk(&extracted);
    Ok(Read {
        page: CrawledPage {
            url: url.clone(),
            title: extracted.title,
            language: extracted.language,
            chunks,
            bytes: fetched.body.len(),
            depth,
        },
        links: extracted.links,
        canonical: extracted.canonical,
        no_index: extracted.no_index,
        content,
        empty,
    })
}

/// `X-Robots-Tag: noindex`, or `X-Robots-Tag: chatward: noindex`; a part for another robot is not for us.
fn obey(extracted: &mut Extracted, header: &str) {
    let mut for_us = true;
    for part in header.split(',') {
        let directive = match part.split_once(':') {
            // unavailable_after: a date, max-snippet: a number
            Some((name, _)) if name.trim().eq_ignore_ascii_case("unavailable_after") || name.contains("max-") => {
                continue;
            }
            Some((robot, directive)) => {
                for_us = robot.trim().eq_ignore_ascii_case("chatward");
                directive
            }
            None => part,
        };
        if for_us {
            extracted.no_index |= extract::says(directive, "noindex");
            if extract::says(directive, "nofollow") {
                extracted.no_follow = true;
                extracted.links.clear();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn robots_headers_for_others_are_not_for_us() {
        let no_index = |header: &str| {
            let mut extracted = Extracted::default();
            obey(&mut extracted, header);
            extracted.no_index
        };
        assert!(no_index("noindex, nofollow"));
        assert!(no_index("none"));
        assert!(no_index("chatward: noindex"));
        assert!(no_index("otherbot: nofollow, chatward: noindex"));
        assert!(!no_index("otherbot: noindex, nofollow"));
        assert!(!no_index("unavailable_after: 25 Jun 2030 15:00:00 GMT, max-snippet: 10"));
        assert!(no_index("max-snippet: 10, noindex"));
    }
}
