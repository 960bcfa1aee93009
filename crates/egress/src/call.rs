//! Calling a provider: a credential bound to its host, a deadline for every wait, the body as a stream.
//!
//! Owns: `Egress::call`.
//! Never does: follow a redirect (a 3xx is returned like any answer), repeat a request of which a byte was sent, or
//! let a credential leave for another host or in plain text over the internet.

use crate::body::{BodyStream, Encoding, Source};
use crate::client::{Egress, HttpClient, request_uri};
use crate::error::{CallError, CallFailure};
use crate::exchange::{Outgoing, PlainPool};
use crate::guard::{self, Reach, check_url};
use bytes::Bytes;
use chatward_types::Secret;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HOST, USER_AGENT};
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode, Uri};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper_util::client::legacy::connect::capture_connection;
use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, Sleep, sleep_until};
use url::{Host, Url};

/// No deadline is longer, so that adding one to the present never overflows.
const LONGEST_WAIT: Duration = Duration::from_secs(24 * 60 * 60);

/// A secret and the one host it may be shown to.
#[derive(Debug, Clone)]
pub struct Credential {
    /// The key, sent as `Authorization: Bearer`.
    pub secret: Secret<String>,
    /// The host, as in the URL (`api.openai.com`, `[::1]`), or with a port to bind that too (`127.0.0.1:11434`).
    pub host: String,
}

/// A request to a provider.
#[derive(Debug, Clone)]
pub struct Call {
    /// POST or GET; others are refused.
    pub method: Method,
    /// Where.
    pub url: Url,
    /// How far.
    pub reach: Reach,
    /// The key, if the provider wants one.
    pub credential: Option<Credential>,
    /// The Accept header.
    pub accept: &'static str,
    /// The JSON body; empty for GET.
    pub body: Bytes,
    /// Until there is a connection, pooled or new: name, TCP and TLS. At most 15 s, whatever is set.
    pub connect_deadline: Duration,
    /// From the connection to the response's head.
    pub first_byte_deadline: Duration,
    /// The longest silence inside the body, its first byte included.
    pub between_bytes_deadline: Duration,
    /// From start to end.
    pub total_deadline: Duration,
    /// Cap of the response's body in bytes.
    pub max_response_bytes: usize,
}

impl Call {
    /// A POST of a JSON body with the default deadlines: connect 5 s, first byte 20 s, between bytes 15 s, 120 s in
    /// total, at most 8 MiB.
    pub fn post_json(url: Url, reach: Reach, body: impl Into<Bytes>) -> Self {
        Self { method: Method::POST, body: body.into(), ..Self::get(url, reach) }
    }

    /// A GET with the same defaults.
    pub fn get(url: Url, reach: Reach) -> Self {
        Self {
            method: Method::GET,
            url,
            reach,
            credential: None,
            accept: "*/*",
            body: Bytes::new(),
            connect_deadline: Duration::from_secs(5),
            first_byte_deadline: Duration::from_secs(20),
            between_bytes_deadline: Duration::from_secs(15),
            total_deadline: Duration::from_secs(120),
            max_response_bytes: 8 * 1024 * 1024,
        }
    }
}

/// A provider's answer of any status.
#[derive(Debug)]
pub struct Response {
    /// The HTTP status.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The body, as it comes in.
    pub body: BodyStream,
}

impl Egress {
    /// Calls a provider. Dropping the future, or the response's body, closes the exchange upstream.
    ///
    /// # Errors
    /// The guard's refusal, a credential that does not belong there, or what [`CallFailure`] lists up to the
    /// response's head. An error status is no error here.
    pub fn call(&self, call: Call) -> impl Future<Output = Result<Response, CallError>> + Send {
        // All that needs no waiting is done first, so that nothing of it has room in what waits.
        let start = Instant::now();
        let end = start + call.total_deadline.min(LONGEST_WAIT);
        let waits = Waits {
            connect: start + call.connect_deadline.min(LONGEST_WAIT),
            first_byte: call.first_byte_deadline.min(LONGEST_WAIT),
            end,
        };
        let (between, most) = (call.between_bytes_deadline.min(LONGEST_WAIT), call.max_response_bytes);
        let way = self.way(call);
        async move {
            let timer = Box::pin(sleep_until(waits.connect.min(end)));
            let (head, source, timer) = match way? {
                Way::InPlace(pool, uri, request) => send_in_place(pool, uri, request, waits, timer).await?,
                Way::Pooled(client, request) => Box::pin(send_pooled(client, *request, waits, timer)).await?,
            };
            let (status, headers) = head;
            if Encoding::of(&headers) != Some(Encoding::Identity) {
                return Err(CallError::new(CallFailure::BadEncoding));
            }
            let body = BodyStream::new(source, most, between, end, timer);
            Ok(Response { status: status.as_u16(), headers, body })
        }
    }

    /// The request as it goes out, and what it goes out over.
    fn way(&self, call: Call) -> Result<Way<'_>, CallError> {
        check_url(&call.url, &call.reach)?;
        if call.method != Method::POST && call.method != Method::GET {
            return Err(bad_request());
        }
        let uri = request_uri(&call.url).ok_or_else(bad_request)?;
        let mut headers = HeaderMap::with_capacity(5);
        headers.insert(ACCEPT, HeaderValue::from_static(call.accept));
        headers.insert(USER_AGENT, self.user_agent(None));
        if let Some(credential) = &call.credential {
            headers.insert(AUTHORIZATION, authorization(credential, &call.url, &call.reach)?);
        }
        if call.method == Method::POST {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        if let Some(pool) = self.in_place(&call.url, &call.reach) {
            let host = uri.authority().and_then(|authority| HeaderValue::from_str(authority.as_str()).ok());
            headers.insert(HOST, host.ok_or_else(bad_request)?);
            let request = Outgoing::new(&call.method, &uri, &headers, call.body);
            return Ok(Way::InPlace(pool, uri, request));
        }
        let mut request = Box::new(Request::new(Full::new(call.body)));
        *request.method_mut() = call.method;
        *request.headers_mut() = headers;
        *request.uri_mut() = uri;
        Ok(Way::Pooled(self.client(&call.url, &call.reach)?, request))
    }
}

/// How a request goes out.
enum Way<'a> {
    /// Over a connection that the call drives.
    InPlace(&'a Arc<PlainPool>, Uri, Outgoing),
    /// Over one of the library's.
    Pooled(&'a HttpClient, Box<Request<Full<Bytes>>>),
}

type Timer = Pin<Box<Sleep>>;

/// Until when there must be a connection, how long from then to the response's head, and until when all must be over.
#[derive(Clone, Copy)]
struct Waits {
    connect: Instant,
    first_byte: Duration,
    end: Instant,
}

impl Waits {
    fn timed_out(&self, limit: Instant, failure: CallFailure) -> CallError {
        CallError::new(if self.end <= limit { CallFailure::TotalTimeout } else { failure })
    }

    /// The limit of the wait for the response's head, which begins now.
    fn first_byte(&self, timer: &mut Timer) -> Instant {
        let limit = Instant::now() + self.first_byte;
        timer.as_mut().reset(limit.min(self.end));
        limit
    }
}

/// An answer's head, its body, and the timer for what follows.
type Answer = ((StatusCode, HeaderMap), Source, Timer);

/// Over a connection that this call drives.
#[expect(clippy::manual_async_fn, reason = "an async fn has room for each argument twice, and many of these wait")]
fn send_in_place(
    pool: &Arc<PlainPool>,
    uri: Uri,
    request: Outgoing,
    waits: Waits,
    mut timer: Timer,
) -> impl Future<Output = Result<Answer, CallError>> + Send {
    async move {
        let exchange = tokio::select! {
            biased;
            exchange = pool.connect(&uri) => exchange?,
            () = timer.as_mut() => return Err(waits.timed_out(waits.connect, CallFailure::ConnectTimeout)),
        };
        let limit = waits.first_byte(&mut timer);
        tokio::select! {
            biased;
            answer = pool.send(exchange, &uri, request) => {
                answer.map(|(status, headers, reading)| ((status, headers), Source::InPlace(reading), timer))
            }
            () = timer.as_mut() => Err(waits.timed_out(limit, CallFailure::FirstByteTimeout)),
        }
    }
}

/// Over the library's pool, which drives its connections by itself.
async fn send_pooled(
    client: &HttpClient,
    mut request: Request<Full<Bytes>>,
    waits: Waits,
    mut timer: Timer,
) -> Result<Answer, CallError> {
    let mut connection = capture_connection(&mut request);
    let mut response = pin!(client.request(request));
    let early = tokio::select! {
        biased;
        response = response.as_mut() => Some(response?),
        () = async { drop(connection.wait_for_connection_metadata().await) } => None,
        () = timer.as_mut() => return Err(waits.timed_out(waits.connect, CallFailure::ConnectTimeout)),
    };
    if let Some(response) = early {
        return Ok(answered(response, timer));
    }
    let limit = waits.first_byte(&mut timer);
    tokio::select! {
        biased;
        response = response => Ok(answered(response?, timer)),
        () = timer.as_mut() => Err(waits.timed_out(limit, CallFailure::FirstByteTimeout)),
    }
}

fn answered(response: http::Response<Incoming>, timer: Timer) -> Answer {
    let (head, body) = response.into_parts();
    ((head.status, head.headers), Source::Pooled(body), timer)
}

fn bad_request() -> CallError {
    CallError::new(CallFailure::BadRequest)
}

/// The header, if this credential may go to this URL.
fn authorization(credential: &Credential, url: &Url, reach: &Reach) -> Result<HeaderValue, CallError> {
    let host = url.host_str().unwrap_or_default();
    let port = url.port_or_known_default().unwrap_or_default();
    let bound = &credential.host;
    let same_host = bound.eq_ignore_ascii_case(host)
        || bound
            .rsplit_once(':')
            .is_some_and(|(name, number)| name.eq_ignore_ascii_case(host) && number.parse() == Ok(port));
    if host.is_empty() || !same_host {
        return Err(CallError::new(CallFailure::CredentialHost));
    }
    if url.scheme() != "https" && !plain_stays_private(url, reach) {
        return Err(CallError::new(CallFailure::CredentialPlain));
    }
    let secret = credential.secret.expose();
    // An empty key would make a header that says nothing and hides the mistake.
    if secret.is_empty() {
        return Err(bad_request());
    }
    let mut text = String::with_capacity("Bearer ".len() + secret.len());
    text.push_str("Bearer ");
    text.push_str(secret);
    let mut value = HeaderValue::try_from(text).map_err(|_| bad_request())?;
    value.set_sensitive(true);
    Ok(value)
}

/// True if plain http on this reach cannot leave the operator's networks: the connector lets the operator's reach
/// dial only private addresses without TLS, and an exact socket is what it is.
fn plain_stays_private(url: &Url, reach: &Reach) -> bool {
    match reach {
        Reach::Public => false,
        Reach::Operator => true,
        Reach::Exact(only) => guard::is_private(only.ip()) && !matches!(url.host(), None | Some(Host::Domain(_))),
    }
}
