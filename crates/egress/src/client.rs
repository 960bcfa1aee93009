//! TLS settings and connection pools: one HTTP client for each reach, so that no pool ever serves two.
//!
//! Owns: `Egress`, its builder, the rustls configuration and the limits of the HTTP library.
//! Never does: judge an address (the connector does), or share a connection or a TLS session between reaches: a
//! connection that the operator's reach opened to a private host can never carry a stranger's request.

use crate::connector::{CappedConnector, Dialler, GuardedConnector};
use crate::exchange::PlainPool;
use crate::guard::{self, Reach, Refusal};
use crate::resolve::{Resolve, SystemResolver};
use bytes::Bytes;
use chatward_types::{Error, Kind, Result};
use http::{HeaderValue, Uri};
use http_body_util::Full;
use hyper_rustls::HttpsConnectorBuilder;
use hyper_util::client::legacy::Client;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use url::{Position, Url};

pub(crate) type HttpClient = Client<CappedConnector, Full<Bytes>>;

/// Headers of a response together, in bytes. HTTP/1.1 besides allows 100 of them.
pub(crate) const MAX_HEADER_BYTES: usize = 32 * 1024;
/// What a peer may send ahead of our reading, for each HTTP/2 stream and connection.
const STREAM_WINDOW_BYTES: u32 = 256 * 1024;
const CONNECTION_WINDOW_BYTES: u32 = 1024 * 1024;
/// Below the 5 s after which small servers (Node, uvicorn) close an idle connection.
const IDLE_SHORT: Duration = Duration::from_secs(4);
/// Below the 60 s of load balancers, in front of which public providers sit.
const IDLE_LONG: Duration = Duration::from_secs(45);
const IDLE_CONNECTIONS_PUBLIC: usize = 4;
const IDLE_CONNECTIONS_OPERATOR: usize = 128;
/// The demo has one; tests have a few.
const MAX_EXACT_SOCKETS: usize = 8;
const DEFAULT_USER_AGENT: &str = concat!("Chatward/", env!("CARGO_PKG_VERSION"));

/// The way out. Cheap to clone; clones share the pools.
#[derive(Debug, Clone)]
pub struct Egress {
    clients: Arc<Clients>,
}

#[derive(Debug)]
struct Clients {
    public: HttpClient,
    operator_encrypted: HttpClient,
    /// Local model servers, without TLS. They close idle connections much earlier than providers do.
    operator_plain: HttpClient,
    operator_in_place: Arc<PlainPool>,
    exact: Vec<(SocketAddr, HttpClient)>,
    user_agent: HeaderValue,
}

impl Egress {
    /// A builder with the system's resolver and Mozilla's roots.
    pub fn builder() -> EgressBuilder {
        EgressBuilder::default()
    }

    /// The client whose connector holds this reach's rules.
    pub(crate) fn client(&self, url: &Url, reach: &Reach) -> Result<&HttpClient, Refusal> {
        match reach {
            Reach::Public => Ok(&self.clients.public),
            Reach::Operator if url.scheme() == "https" => Ok(&self.clients.operator_encrypted),
            Reach::Operator => Ok(&self.clients.operator_plain),
            Reach::Exact(socket) => self
                .clients
                .exact
                .iter()
                .find_map(|(only, client)| (only == socket).then_some(client))
                .ok_or(Refusal::NotTheSocket),
        }
    }

    /// The connections that a call drives itself: the operator's hosts without TLS.
    pub(crate) fn in_place(&self, url: &Url, reach: &Reach) -> Option<&Arc<PlainPool>> {
        (*reach == Reach::Operator && url.scheme() == "http").then_some(&self.clients.operator_in_place)
    }

    pub(crate) fn user_agent(&self, own: Option<&str>) -> HeaderValue {
        own.and_then(|own| HeaderValue::from_str(own).ok()).unwrap_or_else(|| self.clients.user_agent.clone())
    }
}

/// Settings of an [`Egress`].
#[derive(Debug, Clone)]
pub struct EgressBuilder {
    resolver: Arc<dyn Resolve>,
    own_addresses: Vec<IpAddr>,
    extra_roots_pem: Option<Vec<u8>>,
    user_agent: String,
    exact_sockets: Vec<SocketAddr>,
    pub(crate) dialler: Dialler,
}

impl Default for EgressBuilder {
    fn default() -> Self {
        Self {
            resolver: Arc::new(SystemResolver::default()),
            own_addresses: Vec::new(),
            extra_roots_pem: None,
            user_agent: DEFAULT_USER_AGENT.to_owned(),
            exact_sockets: Vec::new(),
            dialler: Dialler::default(),
        }
    }
}

impl EgressBuilder {
    /// Another resolver. What it answers is judged like the system's.
    #[must_use]
    pub fn resolver(mut self, resolver: Arc<dyn Resolve>) -> Self {
        self.resolver = resolver;
        self
    }

    /// Addresses of ours that the machine does not know by itself, such as the public one of a router in front.
    /// [`Reach::Public`] refuses them on every port; the machine's own interfaces it refuses anyway.
    #[must_use]
    pub fn own_addresses(mut self, addresses: impl IntoIterator<Item = IpAddr>) -> Self {
        self.own_addresses.extend(addresses.into_iter().map(guard::embedded));
        self
    }

    /// Certificates in PEM that are trusted besides Mozilla's roots.
    #[must_use]
    pub fn extra_roots_pem(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.extra_roots_pem = Some(pem.into());
        self
    }

    /// The User-Agent of requests that bring none of their own.
    #[must_use]
    pub fn user_agent(mut self, user_agent: impl Into<String>) -> Self {
        self.user_agent = user_agent.into();
        self
    }

    /// Makes `Reach::Exact(socket)` possible. For the demo's sample site; without this call the reach is refused.
    #[must_use]
    pub fn exact_socket(mut self, socket: SocketAddr) -> Self {
        self.exact_sockets.push(socket);
        self
    }

    /// Builds the clients. It opens nothing and needs no runtime yet.
    ///
    /// # Errors
    /// [`Kind::Invalid`] with a text for the operator: unreadable certificates, a user agent that is no header
    /// value, an exact socket that is a metadata service, or too many of them.
    pub fn build(self) -> Result<Egress> {
        let invalid = |text: &'static str| Error::new(Kind::Invalid, "egress_settings", text);
        let user_agent = HeaderValue::from_str(&self.user_agent)
            .map_err(|error| invalid("The user agent has characters that HTTP forbids.").with_source(error))?;
        if self.exact_sockets.len() > MAX_EXACT_SOCKETS {
            return Err(invalid("Too many exact sockets."));
        }
        if self.exact_sockets.iter().any(|only| guard::is_metadata(only.ip())) {
            return Err(invalid("A metadata service cannot be an exact socket."));
        }
        let roots = Arc::new(self.roots()?);
        let own_addresses: Arc<[IpAddr]> = self.own_addresses.into();
        let connector = |reach| {
            GuardedConnector::new(reach, Arc::clone(&self.resolver), Arc::clone(&own_addresses), self.dialler.clone())
        };
        let client =
            |reach, idle, idle_connections| http_client(connector(reach), tls(&roots)?, idle, idle_connections);
        Ok(Egress {
            clients: Arc::new(Clients {
                public: client(Reach::Public, IDLE_SHORT, IDLE_CONNECTIONS_PUBLIC)?,
                operator_encrypted: client(Reach::Operator, IDLE_LONG, IDLE_CONNECTIONS_OPERATOR)?,
                operator_plain: client(Reach::Operator, IDLE_SHORT, IDLE_CONNECTIONS_OPERATOR)?,
                operator_in_place: PlainPool::new(connector(Reach::Operator), IDLE_SHORT, IDLE_CONNECTIONS_OPERATOR),
                exact: self
                    .exact_sockets
                    .iter()
                    .map(|&only| Ok((only, client(Reach::Exact(only), IDLE_SHORT, IDLE_CONNECTIONS_PUBLIC)?)))
                    .collect::<Result<_>>()?,
                user_agent,
            }),
        })
    }

    fn roots(&self) -> Result<RootCertStore> {
        let mut roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
        if let Some(pem) = &self.extra_roots_pem {
            let invalid = || {
                Error::new(
                    Kind::Invalid,
                    "egress_settings",
                    "The file of extra certificate authorities has no valid PEM certificate, or a broken one.",
                )
            };
            let before = roots.len();
            for certificate in CertificateDer::pem_slice_iter(pem) {
                let certificate = certificate.map_err(|error| invalid().with_source(error))?;
                roots.add(certificate).map_err(|error| invalid().with_source(error))?;
            }
            if roots.len() == before {
                return Err(invalid());
            }
        }
        Ok(roots)
    }
}

/// TLS 1.2 and 1.3 with the provider passed by hand: no process-wide default is read or set.
fn tls(roots: &Arc<RootCertStore>) -> Result<ClientConfig> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    Ok(ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(Error::internal)?
        .with_root_certificates(Arc::clone(roots))
        .with_no_client_auth())
}

#[expect(clippy::disallowed_methods, reason = "the one place that builds HTTP clients, around the guarded connector")]
fn http_client(
    connector: GuardedConnector,
    tls: ClientConfig,
    idle: Duration,
    idle_connections: usize,
) -> Result<HttpClient> {
    let connector = HttpsConnectorBuilder::new()
        .with_tls_config(tls)
        .https_or_http()
        .enable_all_versions()
        .wrap_connector(connector);
    // The library's own retry stays on: it repeats only requests of which nothing has been written, after a
    // pooled connection turned out to be closed. Anything later is the caller's decision.
    Ok(Client::builder(TokioExecutor::new())
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(idle)
        .pool_max_idle_per_host(idle_connections)
        .timer(TokioTimer::new())
        .http1_max_buf_size(MAX_HEADER_BYTES)
        .http2_max_header_list_size(MAX_HEADER_BYTES as u32)
        .http2_initial_stream_window_size(STREAM_WINDOW_BYTES)
        .http2_initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .build(CappedConnector::new(connector)))
}

/// The request target, put together from the parsed parts: the host that was judged is the host that is dialled,
/// whatever a second parser would have made of the text.
pub(crate) fn request_uri(url: &Url) -> Option<Uri> {
    let authority = &url[Position::BeforeHost..Position::AfterPort];
    let uri = Uri::builder()
        .scheme(url.scheme())
        .authority(authority)
        .path_and_query(&url[Position::BeforePath..Position::AfterQuery])
        .build()
        .ok()?;
    (uri.host() == url.host_str() && uri.port_u16() == url.port()).then_some(uri)
}
