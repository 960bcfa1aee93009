//! Money. Every provider call is reserved before it starts and settled when it ends, per site and for the
//! installation, per UTC day; at a cap the answer comes from the sources alone.
//!
//! A node takes a slice of the day's budget from the store in one conditional update (so no number of nodes,
//! addresses or requests can take more than the cap), hands out reservations from the slice in memory, and
//! gives back what it did not use. A crash forfeits at most the open slices until the day ends: the error
//! is always towards spending less. Amounts are micro US dollars.

use chatward_store::Store;
use chatward_types::{DAY, Result, SECOND, SiteId, Timestamp};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// The most purses that are open at once; a site beyond it waits for the sweep of yesterday's.
const MOST_PURSES: usize = 100_000;
/// A slice is this part of the cap, and at least the amount asked for.
const SLICES: u64 = 64;

/// The caps of a day.
#[derive(Debug, Clone, Copy)]
pub struct Caps {
    /// Per site.
    pub site: u64,
    /// For the whole installation.
    pub installation: u64,
    /// The part of a cap at which a warning is due.
    pub warn_at: f64,
}

/// How a request for money ended.
#[derive(Debug)]
pub enum Reserved {
    /// Go ahead; settle when done.
    Granted(Reservation),
    /// The named budget is used up for today.
    Exhausted(&'static str),
}

/// Money put aside for one answer. Dropped without [`Reservation::settle`], all of it counts as spent.
#[derive(Debug)]
pub struct Reservation {
    budgets: Arc<Inner>,
    names: [Arc<str>; 2],
    day: i64,
    amount: u64,
    nearly_used_up: Option<&'static str>,
}

/// The purses of this node.
#[derive(Debug, Clone)]
pub struct Budgets(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    store: Store,
    caps: Caps,
    purses: Mutex<HashMap<Arc<str>, Purse>>,
}

#[derive(Debug, Default)]
struct Purse {
    day: i64,
    /// Taken from the store and not reserved.
    available: u64,
    /// The warning of this day is out.
    warned: bool,
    /// When the store last said that the day's budget is used up; it is not asked again for a second.
    refused_at: Option<Timestamp>,
}

enum Taken {
    Yes {
        /// The warning mark was passed just now.
        near_cap: bool,
    },
    No,
}

impl Budgets {
    /// Budgets with the given caps, kept in `store`.
    pub fn new(store: Store, caps: Caps) -> Self {
        Self(Arc::new(Inner { store, caps, purses: Mutex::default() }))
    }

    /// Puts `amount` aside for an answer of `site`.
    ///
    /// # Errors
    /// When the store fails; the caller must not spend then.
    pub async fn reserve(&self, site: SiteId, amount: u64, now: Timestamp) -> Result<Reserved> {
        let day = now.div_euclid(DAY);
        let site_name: Arc<str> = Arc::from(format!("site:{site}"));
        let whole: Arc<str> = Arc::from("installation");
        if amount == 0 {
            // A model on the operator's own machine: there is nothing to account for.
            return Ok(Reserved::Granted(Reservation {
                budgets: Arc::clone(&self.0),
                names: [site_name, whole],
                day,
                amount,
                nearly_used_up: None,
            }));
        }
        let site_taken = self.0.take(&site_name, amount, self.0.caps.site, now).await?;
        let Taken::Yes { near_cap } = site_taken else {
            return Ok(Reserved::Exhausted("site"));
        };
        let mut nearly_used_up = near_cap.then_some("site");
        match self.0.take(&whole, amount, self.0.caps.installation, now).await {
            Ok(Taken::Yes { near_cap }) => {
                if near_cap {
                    nearly_used_up = Some("installation");
                }
                Ok(Reserved::Granted(Reservation {
                    budgets: Arc::clone(&self.0),
                    names: [site_name, whole],
                    day,
                    amount,
                    nearly_used_up,
                }))
            }
            Ok(Taken::No) => {
                self.0.give(&site_name, day, amount);
                Ok(Reserved::Exhausted("installation"))
            }
            Err(error) => {
                self.0.give(&site_name, day, amount);
                Err(error)
            }
        }
    }

    /// Gives every unreserved slice back to the store: at shutdown, and for days that are over.
    ///
    /// # Errors
    /// When the store fails; the slices stay forfeited then.
    pub async fn give_back(&self, before_day: i64) -> Result<()> {
        let due: Vec<(Arc<str>, i64, u64)> = {
            let mut purses = self.0.purses.lock().unwrap_or_else(PoisonError::into_inner);
            let due = purses
                .iter()
                .filter(|(_, purse)| purse.day < before_day)
                .map(|(name, purse)| (Arc::clone(name), purse.day, purse.available))
                .collect();
            purses.retain(|_, purse| purse.day >= before_day);
            due
        };
        for (name, day, amount) in due.into_iter().filter(|(_, _, amount)| *amount > 0) {
            self.0.store.return_budget(&name, day, signed(amount)).await?;
        }
        Ok(())
    }
}

impl Reservation {
    /// Ends the reservation: `spent` is what the answer cost, the rest is free again.
    pub fn settle(mut self, spent: u64) {
        let rest = self.amount.saturating_sub(spent);
        let over = spent.saturating_sub(self.amount);
        for name in &self.names {
            if over > 0 {
                self.budgets.overspent(name, self.day, over);
            } else {
                self.budgets.give(name, self.day, rest);
            }
        }
        self.amount = 0;
    }

    /// The budget that passed its warning mark with this reservation, if one did.
    pub fn nearly_used_up(&self) -> Option<&'static str> {
        self.nearly_used_up
    }

    /// What was put aside.
    pub fn amount(&self) -> u64 {
        self.amount
    }
}

impl Inner {
    async fn take(&self, name: &Arc<str>, amount: u64, cap: u64, now: Timestamp) -> Result<Taken> {
        let day = now.div_euclid(DAY);
        if self.take_from_purse(name, day, amount) {
            return Ok(Taken::Yes { near_cap: false });
        }
        if self.was_just_refused(name, day, now) {
            return Ok(Taken::No);
        }
        let slice = (cap / SLICES).max(amount);
        for wanted in [slice, amount] {
            if self.store.take_budget(name, day, signed(wanted), signed(cap)).await? > 0 {
                self.give(name, day, wanted - amount);
                let taken = self.store.budget_taken(name, day).await?;
                #[expect(clippy::cast_precision_loss, reason = "a mark, not an account")]
                let past_mark = taken as f64 >= cap as f64 * self.caps.warn_at;
                return Ok(Taken::Yes { near_cap: past_mark && self.mark_warned(name, day) });
            }
        }
        // The last of the budget may lie in this node's purse, given back while the store was asked.
        if self.take_from_purse(name, day, amount) {
            return Ok(Taken::Yes { near_cap: false });
        }
        self.note_refusal(name, day, now);
        Ok(Taken::No)
    }

    fn was_just_refused(&self, name: &str, day: i64, now: Timestamp) -> bool {
        let purses = self.purses.lock().unwrap_or_else(PoisonError::into_inner);
        purses.get(name).is_some_and(|purse| purse.day == day && purse.refused_at.is_some_and(|at| now - at < SECOND))
    }

    fn note_refusal(&self, name: &Arc<str>, day: i64, now: Timestamp) {
        self.give(name, day, 0);
        let mut purses = self.purses.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(purse) = purses.get_mut(name) {
            purse.refused_at = Some(now);
        }
    }

    fn take_from_purse(&self, name: &Arc<str>, day: i64, amount: u64) -> bool {
        let mut purses = self.purses.lock().unwrap_or_else(PoisonError::into_inner);
        match purses.get_mut(name) {
            Some(purse) if purse.day == day && purse.available >= amount => {
                purse.available -= amount;
                true
            }
            _ => false,
        }
    }

    fn give(&self, name: &Arc<str>, day: i64, amount: u64) {
        let mut purses = self.purses.lock().unwrap_or_else(PoisonError::into_inner);
        if purses.len() >= MOST_PURSES && !purses.contains_key(name) {
            return;
        }
        let purse = purses.entry(Arc::clone(name)).or_default();
        if purse.day < day {
            // Yesterday's rest is forfeited: it has no value today.
            *purse = Purse { day, ..Purse::default() };
        }
        if purse.day == day {
            purse.available = purse.available.saturating_add(amount);
        }
    }

    /// An answer cost more than was reserved (a provider that ignores its output cap): the purse pays.
    fn overspent(&self, name: &Arc<str>, day: i64, amount: u64) {
        let mut purses = self.purses.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(purse) = purses.get_mut(name).filter(|purse| purse.day == day) {
            purse.available = purse.available.saturating_sub(amount);
        }
    }

    fn mark_warned(&self, name: &str, day: i64) -> bool {
        let mut purses = self.purses.lock().unwrap_or_else(PoisonError::into_inner);
        match purses.get_mut(name).filter(|purse| purse.day == day && !purse.warned) {
            Some(purse) => {
                purse.warned = true;
                true
            }
            None => false,
        }
    }
}

fn signed(amount: u64) -> i64 {
    i64::try_from(amount).unwrap_or(i64::MAX)
}
