//! Origins that asked for a site's chat and were refused, for the owner to see and perhaps to allow.
//!
//! A refused request costs no write: it is counted in bounded memory, and the sums are stored by the background loop, at
//! most 50 origins a site, of which the least recently seen goes. Owns the sums; never allows anything.

use crate::app::App;
use crate::ops::origins;
use crate::ops::sites::Site;
use chatward_store::{RefusedOrigin, SiteRow};
use chatward_types::{Kind, OwnerId, Result, Scope, SiteId, Timestamp};
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

/// The most origins that are kept of a site.
pub const MOST: usize = 50;
/// The most sites that are counted between two flushes; what comes beyond them is not.
const MOST_SITES: usize = 200;

/// What was counted since the last flush.
#[derive(Debug, Default)]
pub struct Refusals(Mutex<HashMap<(OwnerId, SiteId), Vec<RefusedOrigin>>>);

impl Refusals {
    fn add(&self, key: (OwnerId, SiteId), origin: &str, now: Timestamp) {
        let mut sums = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if sums.len() >= MOST_SITES && !sums.contains_key(&key) {
            return;
        }
        let of_site = sums.entry(key).or_default();
        if let Some(sum) = of_site.iter_mut().find(|sum| sum.origin == origin) {
            sum.count += 1;
            sum.last_at = now;
            return;
        }
        if of_site.len() >= MOST
            && let Some(oldest) = (0..of_site.len()).min_by_key(|at| of_site[*at].last_at)
        {
            of_site.swap_remove(oldest);
        }
        of_site.push(RefusedOrigin { origin: origin.to_owned(), count: 1, first_at: now, last_at: now });
    }

    fn take(&self) -> HashMap<(OwnerId, SiteId), Vec<RefusedOrigin>> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// How many sums wait.
    pub fn waiting(&self) -> usize {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).values().map(Vec::len).sum()
    }
}

/// Counts a refusal. What is not exactly an origin is left out: it could not be allowed either.
pub fn note(app: &App, site: &Site, origin: &str) {
    if origins::is_exact(origin) {
        app.refusals.add((site.owner, site.id), origin, app.clock.now());
    }
}

/// Stores what was counted.
///
/// # Errors
/// When the store fails; what was counted of the sites that were not reached is lost, the next refusals count again.
pub async fn flush(app: &App) -> Result<()> {
    for ((owner, site), sums) in app.refusals.take() {
        let most = u32::try_from(MOST).unwrap_or(u32::MAX);
        match app.store.add_refused_origins(&Scope::of(owner), site, &sums, most).await {
            // The site was removed meanwhile.
            Err(error) if error.kind() == Kind::NotFound => {}
            outcome => outcome?,
        }
    }
    Ok(())
}

/// The refused origins of a site that are not among its origins now, the last seen first.
///
/// # Errors
/// When the store fails.
pub async fn list(app: &App, scope: &Scope, site: &SiteRow) -> Result<Vec<RefusedOrigin>> {
    let mut refused = app.store.list_refused_origins(scope, site.id).await?;
    refused.retain(|refused| !site.origins.contains(&refused.origin));
    Ok(refused)
}

#[cfg(test)]
mod tests {
    use super::*;
    use chatward_types::SystemClock;
    use chatward_vault::SystemEntropy;

    fn key() -> (OwnerId, SiteId) {
        let owner = OwnerId::generate(&SystemClock, &SystemEntropy).expect("an id");
        (owner, SiteId::generate(&SystemClock, &SystemEntropy).expect("an id"))
    }

    #[test]
    fn a_flood_of_origins_and_sites_stays_within_its_bounds() {
        let (refusals, one) = (Refusals::default(), key());
        for number in 0..1000 {
            refusals.add(one, &format!("https://{number}.example"), number);
        }
        refusals.add(one, "https://999.example", 2000);
        assert_eq!(refusals.waiting(), MOST);
        for _ in 0..1000 {
            refusals.add(key(), "https://a.example", 1);
        }
        assert_eq!(refusals.waiting(), MOST + MOST_SITES - 1);
        let taken = refusals.take();
        let kept = &taken[&one];
        assert!(kept.iter().all(|sum| sum.first_at >= 950), "the least recently seen went");
        let last = kept.iter().find(|sum| sum.origin == "https://999.example").expect("the last");
        assert_eq!((last.count, last.first_at, last.last_at), (2, 999, 2000));
        assert_eq!(refusals.waiting(), 0);
    }
}
