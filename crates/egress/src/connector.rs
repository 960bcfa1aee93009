//! The only way out: resolve, judge every address, dial one that was judged.
//!
//! Owns: the connector of every HTTP client of this crate, and with it the one `connect` call of the product.
//! Never does: dial an address that `guard::check_socket` has not accepted for this dial, resolve a name twice,
//! read a proxy setting. IP literals take the same path as names.

use crate::guard::{self, Reach, Refusal};
use crate::resolve::{MAX_ADDRESSES, RESOLVE_DEADLINE, Resolve};
use http::Uri;
use hyper_rustls::{HttpsConnector, MaybeHttpsStream};
use hyper_util::rt::TokioIo;
use std::fmt;
use std::future::Future;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tower::Service;

/// Resolving, dialling and the TLS handshake together, whatever deadline the caller has set besides.
pub(crate) const CONNECT_CAP: Duration = Duration::from_secs(15);
/// One address gets this long before the next is tried.
const DIAL_DEADLINE: Duration = Duration::from_secs(4);

/// Why there is no connection.
#[derive(Debug)]
pub(crate) enum DialError {
    Refused(Refusal, Option<IpAddr>),
    Dns(io::Error),
    Connect(io::Error),
    Tls(String),
    Timeout,
}

impl fmt::Display for DialError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(refusal, Some(address)) => write!(f, "{refusal} ({address})"),
            Self::Refused(refusal, None) => refusal.fmt(f),
            Self::Dns(error) => write!(f, "the name does not resolve: {error}"),
            Self::Connect(error) => write!(f, "no connection: {error}"),
            Self::Tls(error) => write!(f, "no secure connection: {error}"),
            Self::Timeout => f.write_str("the connection took too long"),
        }
    }
}

impl std::error::Error for DialError {}

/// Opens sockets. Tests stand listeners of their own in for public addresses and read what was dialled.
#[derive(Debug, Clone, Default)]
pub(crate) enum Dialler {
    #[default]
    Tcp,
    #[cfg(test)]
    Stage(Arc<crate::tests::Stage>),
}

impl Dialler {
    #[expect(
        clippy::disallowed_methods,
        reason = "the one place that opens outbound sockets; only `GuardedConnector::dial` calls it"
    )]
    async fn dial(&self, to: SocketAddr) -> io::Result<TcpStream> {
        match self {
            Self::Tcp => TcpStream::connect(to).await,
            #[cfg(test)]
            Self::Stage(stage) => TcpStream::connect(stage.enter(to)).await,
        }
    }
}

/// The connector below TLS; one per reach, fixed when the client is built.
#[derive(Debug, Clone)]
pub(crate) struct GuardedConnector {
    rules: Arc<Rules>,
}

#[derive(Debug)]
struct Rules {
    reach: Reach,
    resolver: Arc<dyn Resolve>,
    own_addresses: Arc<[IpAddr]>,
    dialler: Dialler,
}

impl GuardedConnector {
    pub(crate) fn new(
        reach: Reach,
        resolver: Arc<dyn Resolve>,
        own_addresses: Arc<[IpAddr]>,
        dialler: Dialler,
    ) -> Self {
        Self { rules: Arc::new(Rules { reach, resolver, own_addresses, dialler }) }
    }
}

impl Rules {
    async fn connect(&self, uri: &Uri) -> Result<TcpStream, DialError> {
        let encrypted = uri.scheme() == Some(&http::uri::Scheme::HTTPS);
        let port = uri.port_u16().unwrap_or(if encrypted { 443 } else { 80 });
        let host = uri.host().ok_or(DialError::Refused(Refusal::HostName, None))?;
        let addresses = self.addresses(host).await?;
        // All or nothing: a name that mixes public and private addresses is up to something.
        for &address in &addresses {
            self.judge(SocketAddr::new(address, port), encrypted)
                .map_err(|refusal| DialError::Refused(refusal, Some(address)))?;
        }
        self.dial(&addresses, port).await
    }

    /// The literal, or what the name resolves to at this moment.
    async fn addresses(&self, host: &str) -> Result<Vec<IpAddr>, DialError> {
        let bare = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host);
        if let Ok(literal) = bare.parse::<IpAddr>() {
            return Ok(vec![literal]);
        }
        guard::check_name(host, &self.reach).map_err(|refusal| DialError::Refused(refusal, None))?;
        let answer = timeout(RESOLVE_DEADLINE, self.resolver.resolve(host.to_owned()));
        let mut addresses = match answer.await {
            Ok(Ok(addresses)) => addresses,
            Ok(Err(error)) => return Err(DialError::Dns(error)),
            Err(_) => return Err(DialError::Dns(io::ErrorKind::TimedOut.into())),
        };
        addresses.truncate(MAX_ADDRESSES);
        if addresses.is_empty() {
            return Err(DialError::Dns(io::Error::other("the name has no address")));
        }
        Ok(addresses)
    }

    fn judge(&self, to: SocketAddr, encrypted: bool) -> Result<(), Refusal> {
        guard::check_socket(to, encrypted, &self.reach)?;
        if self.reach == Reach::Public && (self.own_addresses.contains(&guard::embedded(to.ip())) || leads_home(to)) {
            return Err(Refusal::OwnAddress);
        }
        Ok(())
    }

    async fn dial(&self, addresses: &[IpAddr], port: u16) -> Result<TcpStream, DialError> {
        let mut failure = DialError::Timeout;
        for &address in addresses {
            match timeout(DIAL_DEADLINE, self.dialler.dial(SocketAddr::new(address, port))).await {
                Ok(Ok(stream)) => {
                    stream.set_nodelay(true).map_err(DialError::Connect)?;
                    return Ok(stream);
                }
                Ok(Err(error)) => failure = DialError::Connect(error),
                Err(_) => failure = DialError::Timeout,
            }
        }
        Err(failure)
    }
}

/// True if the kernel would deliver to this machine: then the source address it picks is the target itself.
/// Connecting a datagram socket sends nothing. This finds public addresses of ours that no setting names.
fn leads_home(to: SocketAddr) -> bool {
    let any: IpAddr = match to {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    std::net::UdpSocket::bind((any, 0))
        .and_then(|socket| {
            socket.connect(to)?;
            socket.local_addr()
        })
        // No route: the dial will fail by itself.
        .is_ok_and(|from| from.ip() == to.ip())
}

impl Service<Uri> for GuardedConnector {
    type Response = TokioIo<TcpStream>;
    type Error = DialError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, DialError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), DialError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let rules = Arc::clone(&self.rules);
        Box::pin(async move { rules.connect(&uri).await.map(TokioIo::new) })
    }
}

/// TLS above the guarded connector, the whole under one cap: a handshake left in the background ends too.
#[derive(Debug, Clone)]
pub(crate) struct CappedConnector {
    inner: HttpsConnector<GuardedConnector>,
}

impl CappedConnector {
    pub(crate) fn new(inner: HttpsConnector<GuardedConnector>) -> Self {
        Self { inner }
    }
}

impl Service<Uri> for CappedConnector {
    type Response = MaybeHttpsStream<TokioIo<TcpStream>>;
    type Error = DialError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, DialError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), DialError>> {
        // The inner ones are always ready.
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let connecting = self.inner.call(uri);
        Box::pin(async move {
            match timeout(CONNECT_CAP, connecting).await {
                Ok(Ok(stream)) => Ok(stream),
                // What is not our own error comes from the TLS layer.
                Ok(Err(error)) => Err(match error.downcast::<DialError>() {
                    Ok(ours) => *ours,
                    Err(tls) => DialError::Tls(tls.to_string()),
                }),
                Err(_) => Err(DialError::Timeout),
            }
        })
    }
}

#[cfg(test)]
mod own_tests {
    use super::*;

    #[test]
    fn a_socket_of_this_machine_is_recognised() {
        assert!(leads_home(([127, 0, 0, 1], 443).into()));
        assert!(!leads_home(([192, 0, 2, 1], 443).into()), "nobody's address");
    }
}
