//! Which origins may talk to us at all: our own, and those of every site. Which site an origin belongs to is
//! checked per request by the site itself; this is the set that preflights and the guard ask first.
//!
//! An origin is kept in its serialized form (`https://shop.example`, port only where it is not the default).

use arc_swap::ArcSwap;
use std::collections::HashSet;
use std::sync::Arc;
use url::Url;

/// The most origins that are kept; more are refused when a site is added.
pub const MOST: usize = 100_000;

/// The set, swapped whole when a site changes.
#[derive(Debug)]
pub struct Origins {
    own: Box<str>,
    extra: Vec<Box<str>>,
    known: ArcSwap<HashSet<Box<str>>>,
}

impl Origins {
    /// `own` is the origin of the public URL; `extra` those that the configuration names.
    pub fn new(own: &str, extra: &[String]) -> Self {
        Self {
            own: own.into(),
            extra: extra.iter().map(|origin| origin.as_str().into()).collect(),
            known: ArcSwap::from_pointee(HashSet::new()),
        }
    }

    /// Replaces the sites' origins.
    pub fn replace(&self, origins: impl Iterator<Item = String>) {
        self.known.store(Arc::new(origins.take(MOST).map(String::into_boxed_str).collect()));
    }

    /// Whether `origin` is ours or any site's.
    pub fn is_known(&self, origin: &str) -> bool {
        self.is_ours(origin) || self.known.load().contains(origin)
    }

    /// Whether `origin` is the one that our own pages have, or one that the configuration adds to it.
    pub fn is_ours(&self, origin: &str) -> bool {
        *self.own == *origin || self.extra.iter().any(|known| **known == *origin)
    }

    /// The origin of our own pages.
    pub fn own(&self) -> &str {
        &self.own
    }
}

/// The serialized origin of a URL with a host, or nothing.
pub fn of_url(url: &Url) -> Option<String> {
    matches!(url.scheme(), "http" | "https").then(|| url.origin().ascii_serialization())
}

/// Checks that `text` is an origin and nothing more: scheme, host, perhaps a port; no path, no `*`, no `null`.
pub fn parse(text: &str) -> Option<String> {
    let url = Url::parse(text.trim()).ok()?;
    let bare = url.path() == "/"
        && url.query().is_none()
        && url.fragment().is_none()
        && url.username().is_empty()
        && url.password().is_none();
    if !bare || text.contains('*') {
        return None;
    }
    of_url(&url)
}

/// Whether `text` is an origin in its serialized form, as a browser sends it, and of bounded length.
pub fn is_exact(text: &str) -> bool {
    text.len() <= 300 && parse(text).is_some_and(|origin| origin == text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_origins_are_read() {
        assert_eq!(parse("https://Shop.Example:443/").as_deref(), Some("https://shop.example"));
        assert_eq!(parse("http://localhost:3000").as_deref(), Some("http://localhost:3000"));
        for bad in [
            "*",
            "null",
            "https://*.shop.example",
            "https://a.example/path",
            "ftp://a.example",
            "https://u@a.example",
            "shop.example",
            "https://a.example?x",
        ] {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_look_alike_is_not_known() {
        let origins = Origins::new("http://127.0.0.1:8080", &[]);
        origins.replace(["https://shop.example".to_owned()].into_iter());
        assert!(origins.is_known("https://shop.example"));
        for other in [
            "https://shop.example.evil.example",
            "http://shop.example",
            "https://shop.example:444",
            "https://xshop.example",
        ] {
            assert!(!origins.is_known(other), "{other}");
        }
    }
}
