//! Fetching a stranger's URL: GET, redirects by hand, one deadline and one cap over all of it.
//!
//! Owns: `Egress::fetch`.
//! Never does: send a credential or a cookie, follow a redirect that the guard or the caller's origin refuses, or
//! read anything but the body and a few headers.

use crate::body::{Encoding, read_page};
use crate::client::{Egress, request_uri};
use crate::error::{FetchError, FetchFailure};
use crate::guard::{Reach, check_url};
use bytes::Bytes;
use http::header::{
    ACCEPT, ACCEPT_ENCODING, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, HeaderName, LAST_MODIFIED, LOCATION,
    USER_AGENT,
};
use http::{HeaderMap, HeaderValue, Request, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use std::time::Duration;
use tokio::time::timeout;
use url::{Origin, Url};

/// Redirects that are followed; one more is a loop.
const MAX_REDIRECTS: u8 = 5;
const X_ROBOTS_TAG: HeaderName = HeaderName::from_static("x-robots-tag");

/// What to fetch, and how much of it.
#[derive(Debug, Clone)]
pub struct Fetch {
    /// Where.
    pub url: Url,
    /// How far.
    pub reach: Reach,
    /// The Accept header.
    pub accept: &'static str,
    /// If given, a redirect to another origin ends the fetch with [`FetchFailure::OffSite`].
    pub same_origin_only: Option<Origin>,
    /// Cap of the body in bytes, on the wire and decompressed.
    pub max_bytes: usize,
    /// From the first look-up to the last byte, redirects included.
    pub deadline: Duration,
    /// The User-Agent, if not the one of the [`Egress`].
    pub user_agent: Option<String>,
}

impl Fetch {
    /// A fetch of at most 2 MiB in 20 s that follows redirects to any public origin.
    pub fn new(url: Url, reach: Reach) -> Self {
        Self {
            url,
            reach,
            accept: "*/*",
            same_origin_only: None,
            max_bytes: 2 * 1024 * 1024,
            deadline: Duration::from_secs(20),
            user_agent: None,
        }
    }
}

/// A response of any status except the redirects that were followed.
#[derive(Debug, Clone)]
pub struct Fetched {
    /// Where it came from, after redirects, without a fragment.
    pub final_url: Url,
    /// The HTTP status.
    pub status: u16,
    /// The Content-Type, as sent.
    pub content_type: Option<String>,
    /// The ETag, as sent.
    pub etag: Option<String>,
    /// The Last-Modified date, as sent.
    pub last_modified: Option<String>,
    /// All X-Robots-Tag fields, joined with commas.
    pub x_robots_tag: Option<String>,
    /// All Content-Security-Policy fields, joined with commas.
    pub content_security_policy: Option<String>,
    /// The Location of a 3xx answer that is no redirect to follow, or of a 201.
    pub location: Option<String>,
    /// The body, decompressed.
    pub body: Bytes,
    /// How many redirects were followed.
    pub redirects: u8,
}

impl Egress {
    /// Fetches a stranger's URL.
    ///
    /// # Errors
    /// All failures have the same [`FetchError::public`] text; the reason is for the operator alone.
    pub async fn fetch(&self, request: Fetch) -> Result<Fetched, FetchError> {
        let deadline = request.deadline;
        timeout(deadline, self.follow(request)).await.unwrap_or_else(|_| Err(FetchError::new(FetchFailure::Timeout)))
    }

    async fn follow(&self, request: Fetch) -> Result<Fetched, FetchError> {
        let user_agent = self.user_agent(request.user_agent.as_deref());
        let mut visited: Vec<Url> = Vec::with_capacity(1);
        let mut url = request.url.clone();
        url.set_fragment(None);
        loop {
            let response = self.get(&url, &request, user_agent.clone()).await?;
            let Some(next) = redirect_target(&url, &response)? else {
                let redirects = u8::try_from(visited.len()).unwrap_or(MAX_REDIRECTS);
                return read(url, response, request.max_bytes, redirects).await;
            };
            // Before the origin is compared, so that a hostile target is reported as one.
            check_url(&next, &request.reach)?;
            if request.same_origin_only.as_ref().is_some_and(|origin| *origin != next.origin()) {
                return Err(FetchError::new(FetchFailure::OffSite(Box::new(next))));
            }
            visited.push(url);
            if visited.len() > usize::from(MAX_REDIRECTS) || visited.contains(&next) {
                return Err(FetchError::new(FetchFailure::RedirectLoop));
            }
            url = next;
        }
    }

    /// One hop. Nothing is remembered from the hop before: the URL is judged here and its addresses when dialled.
    async fn get(
        &self,
        url: &Url,
        request: &Fetch,
        user_agent: HeaderValue,
    ) -> Result<http::Response<Incoming>, FetchError> {
        check_url(url, &request.reach)?;
        let client = self.client(url, &request.reach)?;
        let mut outgoing = Request::new(Full::default());
        *outgoing.uri_mut() = request_uri(url).ok_or_else(|| FetchError::new(FetchFailure::Protocol))?;
        let headers = outgoing.headers_mut();
        headers.insert(ACCEPT, HeaderValue::from_static(request.accept));
        headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("gzip"));
        headers.insert(USER_AGENT, user_agent);
        Ok(client.request(outgoing).await?)
    }
}

/// The target of a redirect, or `None` if the response is to be read.
fn redirect_target(base: &Url, response: &http::Response<Incoming>) -> Result<Option<Url>, FetchError> {
    let redirects = matches!(
        response.status(),
        StatusCode::MOVED_PERMANENTLY
            | StatusCode::FOUND
            | StatusCode::SEE_OTHER
            | StatusCode::TEMPORARY_REDIRECT
            | StatusCode::PERMANENT_REDIRECT
    );
    let Some(location) = response.headers().get(LOCATION).filter(|_| redirects) else {
        return Ok(None);
    };
    let protocol = || FetchError::new(FetchFailure::Protocol);
    // Two of them are a quarrel between a site and its proxy; there is no right one.
    if response.headers().get_all(LOCATION).iter().count() > 1 {
        return Err(protocol());
    }
    let location = std::str::from_utf8(location.as_bytes()).map_err(|_| protocol())?;
    let mut next = base.join(location).map_err(|_| protocol())?;
    next.set_fragment(None);
    Ok(Some(next))
}

async fn read(
    final_url: Url,
    response: http::Response<Incoming>,
    max_bytes: usize,
    redirects: u8,
) -> Result<Fetched, FetchError> {
    let (head, body) = response.into_parts();
    let encoding = Encoding::of(&head.headers).ok_or_else(|| FetchError::new(FetchFailure::BadEncoding))?;
    let body = read_page(body, encoding, max_bytes).await?;
    Ok(Fetched {
        final_url,
        status: head.status.as_u16(),
        content_type: text(&head.headers, &CONTENT_TYPE),
        etag: text(&head.headers, &ETAG),
        last_modified: text(&head.headers, &LAST_MODIFIED),
        x_robots_tag: text(&head.headers, &X_ROBOTS_TAG),
        content_security_policy: text(&head.headers, &CONTENT_SECURITY_POLICY),
        location: text(&head.headers, &LOCATION),
        body,
        redirects,
    })
}

/// The values of a header, joined with commas; bytes that are not UTF-8 are replaced.
fn text(headers: &HeaderMap, name: &HeaderName) -> Option<String> {
    let values: Vec<_> = headers.get_all(name).iter().map(|value| String::from_utf8_lossy(value.as_bytes())).collect();
    (!values.is_empty()).then(|| values.join(", "))
}
