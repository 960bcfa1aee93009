//! The open sockets: how many there are of whom, and whom a change concerns.
//!
//! Owns: the caps in all, per address, per credential and of those that have not proved themselves, and the list by id
//! through which a change wakes the sockets that it concerns. Bounded by the cap in all. Never ends a socket: it wakes
//! the one that looks (`watch`).

use super::Caller;
use crate::config;
use crate::limits::{ConnectionCaps, ConnectionCounter, ConnectionGuard};
use chatward_types::{Error, Kind, Timestamp};
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};

/// The open sockets.
#[derive(Debug)]
pub struct Sockets {
    counter: Arc<ConnectionCounter>,
    caps: ConnectionCaps,
    unproven: Arc<Semaphore>,
    per_credential: usize,
    by_subject: Arc<Mutex<BySubject>>,
}

type BySubject = HashMap<String, Vec<Arc<Standing>>>;

/// How long a socket holds, and how it is told to look again.
#[derive(Debug)]
pub struct Standing {
    expires_at: AtomicI64,
    pub(super) wake: Notify,
}

/// A socket's place among those that are open.
#[derive(Debug)]
pub(super) struct Seat {
    _counted: ConnectionGuard,
    /// Held until the socket has proved itself.
    unproven: Option<OwnedSemaphorePermit>,
}

/// A socket in the list; it leaves the list when this is dropped.
#[derive(Debug)]
pub(super) struct Listed {
    list: Arc<Mutex<BySubject>>,
    subjects: Vec<String>,
    pub(super) standing: Arc<Standing>,
}

impl Standing {
    /// When it ends, in microseconds.
    pub fn expires_at(&self) -> Timestamp {
        self.expires_at.load(Ordering::Acquire)
    }

    /// Holds longer from now on, by a token that was renewed.
    pub fn extend(&self, expires_at: Timestamp) {
        self.expires_at.store(expires_at, Ordering::Release);
        self.wake.notify_one();
    }
}

impl Seat {
    /// Makes room for another that has to prove itself.
    pub(super) fn proven(&mut self) {
        self.unproven = None;
    }
}

impl Sockets {
    /// None open.
    pub fn new(settings: &config::Sockets) -> Self {
        Self {
            counter: Arc::new(ConnectionCounter::new()),
            caps: ConnectionCaps { total: settings.max, per_address: Some(settings.max_per_address) },
            unproven: Arc::new(Semaphore::new(settings.max / 2)),
            per_credential: settings.max_per_credential,
            by_subject: Arc::default(),
        }
    }

    /// Sockets open now.
    pub fn open(&self) -> usize {
        self.counter.total()
    }

    /// A place for a socket of this address.
    pub(super) fn seat(&self, address: IpAddr, is_proven: bool) -> Result<Seat, Error> {
        let full = || {
            Error::new(Kind::Unavailable, "sockets_full", "There are too many connections. Try again in a moment.")
                .retry_after(30)
        };
        let unproven = match is_proven {
            true => None,
            false => Some(Arc::clone(&self.unproven).try_acquire_owned().map_err(|_| full())?),
        };
        match self.counter.try_open(address, self.caps) {
            Some(counted) => Ok(Seat { _counted: counted, unproven }),
            None if self.counter.total() >= self.caps.total => Err(full()),
            None => Err(Error::new(
                Kind::Limited,
                "sockets_limited",
                "This network address has too many open connections. Close one, then try again.",
            )
            .retry_after(30)),
        }
    }

    /// Puts a socket into the list; nothing when its credential has too many already.
    pub(super) fn list(&self, caller: &Caller) -> Option<Listed> {
        let subjects = caller.subjects();
        let standing = Arc::new(Standing { expires_at: AtomicI64::new(caller.expires_at()), wake: Notify::new() });
        let mut list = lock(&self.by_subject);
        if list.get(&caller.credential()).is_some_and(|open| open.len() >= self.per_credential) {
            return None;
        }
        for subject in &subjects {
            list.entry(subject.clone()).or_default().push(Arc::clone(&standing));
        }
        drop(list);
        Some(Listed { list: Arc::clone(&self.by_subject), subjects, standing })
    }

    /// Makes the sockets that this id concerns look again whether they hold.
    pub fn wake(&self, subject: &str) {
        for standing in lock(&self.by_subject).get(subject).into_iter().flatten() {
            standing.wake.notify_one();
        }
    }

    /// Makes every socket look again.
    pub fn wake_all(&self) {
        for standing in lock(&self.by_subject).values().flatten() {
            standing.wake.notify_one();
        }
    }
}

impl Drop for Listed {
    fn drop(&mut self) {
        let mut list = lock(&self.list);
        for subject in &self.subjects {
            if let Some(open) = list.get_mut(subject) {
                open.retain(|other| !Arc::ptr_eq(other, &self.standing));
                if open.is_empty() {
                    list.remove(subject);
                }
            }
        }
    }
}

/// Nothing can panic while it is held; if it did, the list would still be whole.
fn lock(list: &Mutex<BySubject>) -> MutexGuard<'_, BySubject> {
    list.lock().unwrap_or_else(PoisonError::into_inner)
}
