//! Names to addresses.
//!
//! Owns: the `Resolve` trait, the system's resolver and its bounds (addresses, time, look-ups at once).
//! Never does: judge an address, or remember one. The connector judges each answer and dials that answer, so a name
//! that changes its mind between two look-ups gains nothing.

use std::fmt;
use std::future::Future;
use std::io;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;

/// At most this many addresses of one answer are considered.
pub(crate) const MAX_ADDRESSES: usize = 16;
/// A name that takes longer to resolve does not exist for us.
pub(crate) const RESOLVE_DEADLINE: Duration = Duration::from_secs(5);
/// Look-ups occupy threads of tokio's blocking pool until the C library gives up, so they are counted.
const LOOKUPS_AT_ONCE: usize = 32;

/// What [`Resolve::resolve`] returns.
pub type Resolving = Pin<Box<dyn Future<Output = io::Result<Vec<IpAddr>>> + Send>>;

/// Turns a host name into addresses. Whatever it answers is judged afterwards.
pub trait Resolve: Send + Sync + fmt::Debug {
    /// The addresses of `host`, a DNS name without a trailing dot, in order of preference.
    fn resolve(&self, host: String) -> Resolving;
}

/// The machine's own resolver (hosts file and DNS).
#[derive(Debug, Clone)]
pub struct SystemResolver {
    lookups: Arc<Semaphore>,
}

impl Default for SystemResolver {
    fn default() -> Self {
        Self { lookups: Arc::new(Semaphore::new(LOOKUPS_AT_ONCE)) }
    }
}

impl Resolve for SystemResolver {
    fn resolve(&self, host: String) -> Resolving {
        let lookups = Arc::clone(&self.lookups);
        Box::pin(async move {
            let permit = lookups.acquire_owned().await.map_err(io::Error::other)?;
            // A task of its own keeps the permit until the look-up has really ended, also when nobody waits any more.
            let lookup = tokio::spawn(async move {
                let found = tokio::net::lookup_host((host, 0)).await;
                drop(permit);
                found.map(|found| found.map(|to| to.ip()).take(MAX_ADDRESSES).collect())
            });
            lookup.await.map_err(io::Error::other)?
        })
    }
}
