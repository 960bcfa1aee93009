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
    aliases: Vec<Box<str>>,
    extra: Vec<Box<str>>,
    known: ArcSwap<HashSet<Box<str>>>,
}

impl Origins {
    /// `own` is the origin of the public URL, `aliases` other names of this server on a developer's machine; `extra`
    /// those that the configuration names.
    pub fn new(own: &str, aliases: &[String], extra: &[String]) -> Self {
        let boxed = |list: &[String]| list.iter().map(|origin| origin.as_str().into()).collect();
        Self {
            own: own.into(),
            aliases: boxed(aliases),
            extra: boxed(extra),
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
        self.is_own(origin) || self.extra.iter().any(|known| **known == *origin)
    }

    /// Whether `origin` is that of pages which we serve ourselves. Others run other people's scripts, whatever the
    /// configuration allows them.
    pub fn is_own(&self, origin: &str) -> bool {
        *self.own == *origin || self.aliases.iter().any(|known| **known == *origin)
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
    // The URL standard lets a host hold `;`, `$` or a quotation mark. No name has them, and an origin is printed in
    // commands and stands in policies.
    if let Some(url::Host::Domain(name)) = url.host()
        && !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_'))
    {
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
            "https://x;$({curl,-s,evil.example})",
            "https://a;sandbox",
            "https://a'b.example",
            "https://a`b.example",
        ] {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn what_the_configuration_allows_is_not_a_page_of_ours() {
        let list = |one: &str| [one.to_owned()];
        let origins =
            Origins::new("https://chat.example", &list("http://localhost:3001"), &list("https://shop.example"));
        assert!(origins.is_ours("https://shop.example") && !origins.is_own("https://shop.example"));
        assert!(origins.is_own("https://chat.example") && origins.is_own("http://localhost:3001"));
    }

    #[test]
    fn a_look_alike_is_not_known() {
        let origins = Origins::new("http://127.0.0.1:8080", &[], &[]);
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
