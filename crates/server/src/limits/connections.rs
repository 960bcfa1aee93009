//! How many connections are open, in all and per address (RATE-08).
//!
//! Owns the two counts, and how many of the connections rest (`listen::resting`); a connection's guard gives its place back
//! however the connection ends. The table has one entry per address with an open connection, so the cap in total bounds it.
//! Never closes anything itself.

use super::key::network_of;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// How many connections may be open at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConnectionCaps {
    /// In all.
    pub total: usize,
    /// From one address (an IPv6 /64 is one); `None` for a trusted proxy, behind which everybody stands.
    pub per_address: Option<usize>,
}

/// The open connections.
#[derive(Debug, Default)]
pub struct ConnectionCounter {
    open: Mutex<Open>,
    resting: AtomicUsize,
}

#[derive(Debug, Default)]
struct Open {
    total: usize,
    per_address: HashMap<IpAddr, usize>,
}

/// One open connection; its place is free again when this is dropped.
#[derive(Debug)]
pub struct ConnectionGuard {
    counter: Arc<ConnectionCounter>,
    network: IpAddr,
}

/// One connection that rests, until this is dropped.
#[derive(Debug)]
pub struct RestGuard(Arc<ConnectionCounter>);

impl ConnectionCounter {
    /// No connection open.
    pub fn new() -> Self {
        Self::default()
    }

    /// Counts a connection from `address`; `None` when a cap is reached.
    pub fn try_open(self: &Arc<Self>, address: IpAddr, caps: ConnectionCaps) -> Option<ConnectionGuard> {
        let network = network_of(address);
        let mut open = self.lock();
        if open.total >= caps.total {
            return None;
        }
        let of_address = open.per_address.get(&network).copied().unwrap_or(0);
        if caps.per_address.is_some_and(|cap| of_address >= cap) {
            return None;
        }
        open.total += 1;
        open.per_address.insert(network, of_address + 1);
        Some(ConnectionGuard { counter: self.clone(), network })
    }

    /// Connections open now.
    pub fn total(&self) -> usize {
        self.lock().total
    }

    /// Connections open now from this address (or its /64).
    pub fn of_address(&self, address: IpAddr) -> usize {
        self.lock().per_address.get(&network_of(address)).copied().unwrap_or(0)
    }

    /// Connections whose answer is silent, and which hold no buffers meanwhile.
    pub fn resting(&self) -> usize {
        self.resting.load(Ordering::Relaxed)
    }

    fn lock(&self) -> MutexGuard<'_, Open> {
        // Nothing can panic while it is held; if it did, the counts would still be whole.
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ConnectionGuard {
    /// Counts this connection as resting.
    pub fn rest(&self) -> RestGuard {
        self.counter.resting.fetch_add(1, Ordering::Relaxed);
        RestGuard(Arc::clone(&self.counter))
    }
}

impl Drop for RestGuard {
    fn drop(&mut self) {
        self.0.resting.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Drop for ConnectionGuard {
    fn drop(&mut self) {
        let mut open = self.counter.lock();
        open.total -= 1;
        if let Some(count) = open.per_address.get_mut(&self.network) {
            *count -= 1;
            if *count == 0 {
                open.per_address.remove(&self.network);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn caps(total: usize, per_address: usize) -> ConnectionCaps {
        ConnectionCaps { total, per_address: Some(per_address) }
    }

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn an_address_has_its_cap_and_gets_its_places_back() {
        let counter = Arc::new(ConnectionCounter::new());
        let caps = caps(100, 2);
        let first = counter.try_open(address("192.0.2.1"), caps).unwrap();
        let _second = counter.try_open(address("::ffff:192.0.2.1"), caps).unwrap();
        assert!(counter.try_open(address("192.0.2.1"), caps).is_none());
        assert!(counter.try_open(address("192.0.2.2"), caps).is_some());
        drop(first);
        assert!(counter.try_open(address("192.0.2.1"), caps).is_some());
        assert_eq!(counter.of_address(address("192.0.2.1")), 1);
    }

    #[test]
    fn a_64_is_one_address() {
        let counter = Arc::new(ConnectionCounter::new());
        let _held = counter.try_open(address("2001:db8::1"), caps(10, 1)).unwrap();
        assert!(counter.try_open(address("2001:db8::2"), caps(10, 1)).is_none());
        assert!(counter.try_open(address("2001:db8:0:1::2"), caps(10, 1)).is_some());
    }

    #[test]
    fn the_total_holds_for_trusted_proxies_too() {
        let counter = Arc::new(ConnectionCounter::new());
        let trusted = ConnectionCaps { total: 3, per_address: None };
        let held: Vec<_> = (0..3).map(|_| counter.try_open(address("10.0.0.1"), trusted).unwrap()).collect();
        assert!(counter.try_open(address("10.0.0.1"), trusted).is_none());
        assert!(counter.try_open(address("10.0.0.2"), trusted).is_none());
        drop(held);
        assert_eq!(counter.total(), 0);
        assert!(counter.lock().per_address.is_empty(), "entries outlive their connections");
    }

    #[test]
    fn under_contention_the_caps_are_exact() {
        let counter = Arc::new(ConnectionCounter::new());
        let held: usize = std::thread::scope(|scope| {
            let openers: Vec<_> = (0..8_u8)
                .map(|i| {
                    let counter = &counter;
                    scope.spawn(move || {
                        (0..1000)
                            .filter_map(|_| counter.try_open(IpAddr::from([192, 0, 2, i % 2]), caps(1500, 1000)))
                            .map(std::mem::forget)
                            .count()
                    })
                })
                .collect();
            openers.into_iter().map(|opener| opener.join().unwrap()).sum()
        });
        assert_eq!((held, counter.total()), (1500, 1500));
    }
}
