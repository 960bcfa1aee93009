//! The live view of security events: which of them are an owner's.
//!
//! Owns that judgement, the same as `event_search` makes of what is on the disk: an event that names an owner is that owner's,
//! one that names a site its owner's, and one that names neither is shown to the owner that runs the installation. Never
//! keeps an event.

use crate::app::App;
use chatward_types::{Event, OwnerId, Result, Scope, SiteId};
use std::collections::HashMap;

/// Sites whose owner one view remembers.
const REMEMBERED: usize = 256;
/// What one owner may see.
#[derive(Debug)]
pub struct View {
    owner: OwnerId,
    sites: HashMap<SiteId, bool>,
}

impl View {
    /// What this owner may see.
    pub fn of(owner: OwnerId) -> Self {
        Self { owner, sites: HashMap::new() }
    }

    /// Whether an event is this owner's.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn shows(&mut self, app: &App, event: &Event) -> Result<bool> {
        if let Some(owner) = event.owner {
            return Ok(owner == self.owner);
        }
        let Some(site) = event.site else { return Ok(app.owner == self.owner) };
        if let Some(known) = self.sites.get(&site) {
            return Ok(*known);
        }
        let is_theirs = app.store.get_site(&Scope::of(self.owner), site).await?.is_some();
        if self.sites.len() >= REMEMBERED {
            self.sites.clear();
        }
        self.sites.insert(site, is_theirs);
        Ok(is_theirs)
    }
}
