//! Who is at the other end of a request, as far as the transport tells.

use std::net::IpAddr;
use std::sync::Arc;

/// The client of one request. Jobs and the command line have none.
#[derive(Debug, Clone)]
pub struct Client {
    /// The request's id, in every log line and error body.
    pub request_id: Arc<str>,
    /// The client's address: the peer, or what a trusted proxy says.
    pub address: IpAddr,
    /// The User-Agent, cut to 256 bytes.
    pub user_agent: Option<Arc<str>>,
    /// The pattern of the route, once one is found.
    pub path: Option<&'static str>,
}
