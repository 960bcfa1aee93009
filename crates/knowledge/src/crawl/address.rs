//! Addresses: which belong to the site, which are the same, and which are one of endlessly many.
//!
//! Owns: the site's scope, the form in which an address is fetched, the key under which it counts as seen, and the
//! bounds on its shape.
//! Never does: deciding whether it may be reached; that is the guard's affair, at every fetch.

use super::reason::SkipReason;
use crate::fingerprint::Fingerprint;
use url::{Origin, Url};

const MAX_BYTES: usize = 1_024;
const MAX_PATH_PARTS: usize = 12;
const MAX_PARAMETERS: usize = 4;
/// The same part of a path more often than this is a link that was resolved against itself.
const MAX_SAME_PART: usize = 3;

/// Parameters that change who is counted, not what is shown.
const TRACKING: [&str; 22] = [
    "gclid",
    "gclsrc",
    "dclid",
    "fbclid",
    "msclkid",
    "yclid",
    "twclid",
    "igshid",
    "mc_cid",
    "mc_eid",
    "_ga",
    "_gl",
    "_hsenc",
    "_hsmi",
    "mkt_tok",
    "phpsessid",
    "jsessionid",
    "sid",
    "sessionid",
    "session_id",
    "replytocom",
    "srsltid",
];

/// Endings of files that are no pages.
const FILES: [&str; 46] = [
    "jpg", "jpeg", "png", "gif", "webp", "avif", "svg", "ico", "bmp", "tif", "tiff", "mp3", "mp4", "m4a", "m4v", "mov",
    "avi", "webm", "ogg", "wav", "zip", "gz", "tgz", "bz2", "xz", "7z", "rar", "dmg", "exe", "msi", "apk", "iso",
    "pdf", "doc", "docx", "xls", "xlsx", "ppt", "pptx", "css", "js", "json", "xml", "woff", "woff2", "ics",
];

/// The site that a crawl stays on.
#[derive(Debug, Clone)]
pub(super) struct Scope {
    site: Url,
    origin: Origin,
}

impl Scope {
    pub(super) fn new(site: &Url) -> Self {
        Self { site: site.clone(), origin: site.origin() }
    }

    pub(super) fn site(&self) -> &Url {
        &self.site
    }

    pub(super) fn origin(&self) -> Origin {
        self.origin.clone()
    }

    pub(super) fn contains(&self, url: &Url) -> bool {
        url.origin() == self.origin
    }

    /// The address as this site would write it, or `None` if it belongs to another site. Links to `http` or to the name
    /// with or without `www` are common slips for the site itself, on the usual ports.
    pub(super) fn admit(&self, url: &Url) -> Option<Url> {
        if self.contains(url) {
            return Some(tidy(url.clone()));
        }
        if !is_same_site(&self.site, url) {
            return None;
        }
        let mut own = url.clone();
        own.set_scheme(self.site.scheme()).ok()?;
        own.set_host(self.site.host_str()).ok()?;
        self.contains(&own).then(|| tidy(own))
    }

    /// The scope that a redirect of the start page leads to: the same site under `https`, or with or without `www`.
    pub(super) fn moved_to(&self, landed: &Url) -> Option<Self> {
        let downgrade = self.site.scheme() == "https" && landed.scheme() == "http";
        (!downgrade && (self.contains(landed) || is_same_site(&self.site, landed))).then(|| Self::new(landed))
    }
}

/// Whether two addresses differ only by scheme and `www`, both on their scheme's usual port.
fn is_same_site(one: &Url, other: &Url) -> bool {
    let bare = |url: &Url| url.domain().map(|domain| domain.strip_prefix("www.").unwrap_or(domain).to_owned());
    one.port().is_none()
        && other.port().is_none()
        && matches!(other.scheme(), "http" | "https")
        && bare(one).is_some_and(|domain| bare(other) == Some(domain))
}

/// Without fragment, credentials and tracking parameters.
fn tidy(mut url: Url) -> Url {
    url.set_fragment(None);
    if let Some(query) = url.query() {
        let kept: Vec<&str> = query.split('&').filter(|pair| !pair.is_empty() && !is_tracking(pair)).collect();
        let kept = (!kept.is_empty()).then(|| kept.join("&"));
        if kept.as_deref() != url.query() {
            url.set_query(kept.as_deref());
        }
    }
    url
}

fn is_tracking(pair: &str) -> bool {
    let name = pair.split('=').next().unwrap_or_default().to_ascii_lowercase();
    name.starts_with("utm_") || TRACKING.contains(&name.as_str())
}

/// Two addresses with one key are one page: the order of parameters, encodings of plain letters and a final slash or
/// index file make no difference.
pub(super) fn key(url: &Url) -> u64 {
    let mut fingerprint = Fingerprint::default();
    let path = plain(url.path());
    let path = path
        .strip_suffix("index.html")
        .or_else(|| path.strip_suffix("index.htm"))
        .or_else(|| path.strip_suffix("index.php"))
        .unwrap_or(&path);
    fingerprint = fingerprint.add(path.trim_end_matches('/').as_bytes());
    if let Some(query) = url.query() {
        let mut pairs: Vec<&str> = query.split('&').collect();
        pairs.sort_unstable();
        for pair in pairs {
            fingerprint = fingerprint.add(b"&").add(plain(pair).as_bytes());
        }
    }
    fingerprint.value()
}

/// Percent-encodings of letters, digits and `-._~` decoded.
fn plain(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('%') {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        let byte = rest.get(1..3).and_then(|digits| u8::from_str_radix(digits, 16).ok());
        match byte {
            Some(byte) if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') => {
                out.push(char::from(byte));
                rest = &rest[3..];
            }
            _ => {
                out.push('%');
                rest = &rest[1..];
            }
        }
    }
    out.push_str(rest);
    out
}

/// What numbered addresses have in common: every run of digits is one sign, parameters count by name.
pub(super) struct Shape {
    /// The shape's fingerprint.
    pub(super) value: u64,
    /// There is a number in the path, or a parameter.
    pub(super) varies: bool,
    /// It looks like a date, which never ends.
    pub(super) dated: bool,
}

pub(super) fn shape(url: &Url) -> Shape {
    let mut fingerprint = Fingerprint::default();
    let mut varies = false;
    let mut dated = false;
    let mut after_year = false;
    for part in url.path().split('/').skip(1) {
        let mut last_digit = false;
        fingerprint = fingerprint.add(b"/");
        for byte in part.bytes() {
            if byte.is_ascii_digit() {
                varies = true;
                if !last_digit {
                    fingerprint = fingerprint.add(b"#");
                }
            } else {
                fingerprint = fingerprint.add(&[byte.to_ascii_lowercase()]);
            }
            last_digit = byte.is_ascii_digit();
        }
        dated |= is_dated(part) || (after_year && part.len() <= 2 && is_number(part));
        after_year = is_year(part);
        dated |= ["calendar", "kalender", "calendrier", "calendario"].contains(&part) && url.query().is_some();
    }
    for pair in url.query().unwrap_or_default().split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        varies = true;
        fingerprint = fingerprint.add(b"&").add(name.as_bytes());
        let name = name.to_ascii_lowercase();
        dated |= is_dated(value) || ["month", "year", "day", "date", "week", "monat", "jahr"].contains(&name.as_str());
    }
    Shape { value: fingerprint.value(), varies, dated }
}

fn is_number(part: &str) -> bool {
    !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit())
}

fn is_year(part: &str) -> bool {
    part.len() == 4 && is_number(part) && matches!(&part[..2], "18" | "19" | "20" | "21" | "22" | "23")
}

/// 2026-11 or 2026-11-20.
fn is_dated(part: &str) -> bool {
    let mut pieces = part.split(['-', '.', '_']);
    pieces.next().is_some_and(is_year)
        && pieces.next().is_some_and(|month| month.len() <= 2 && is_number(month))
        && pieces.next().is_none_or(|day| day.len() <= 2 && is_number(day))
}

/// Why an address is not even asked for.
pub(super) fn refuse(url: &Url) -> Option<SkipReason> {
    if url.as_str().len() > MAX_BYTES {
        return Some(SkipReason::Trap("it is too long"));
    }
    let parts: Vec<&str> = url.path().split('/').filter(|part| !part.is_empty()).collect();
    if parts.len() > MAX_PATH_PARTS {
        return Some(SkipReason::Trap("its path is too deep"));
    }
    let most_same = parts.iter().map(|part| parts.iter().filter(|other| *other == part).count()).max();
    if most_same.is_some_and(|count| count > MAX_SAME_PART) {
        return Some(SkipReason::Trap("its path repeats itself"));
    }
    if url.query().is_some_and(|query| query.split('&').count() > MAX_PARAMETERS) {
        return Some(SkipReason::Trap("it has too many parameters"));
    }
    let ending = parts.last().and_then(|last| last.rsplit_once('.')).map(|(_, ending)| ending.to_ascii_lowercase());
    match ending {
        Some(ending) if FILES.contains(&ending.as_str()) => Some(SkipReason::NotHtml(ending.into())),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn url(text: &str) -> Url {
        Url::parse(text).unwrap()
    }

    #[test]
    fn the_scope_is_one_origin_with_its_usual_slips() {
        let scope = Scope::new(&url("https://www.shop.example/start"));
        let admits = |text: &str| scope.admit(&url(text)).map(String::from);
        assert_eq!(admits("https://www.shop.example/a#top").as_deref(), Some("https://www.shop.example/a"));
        assert_eq!(admits("http://shop.example/a").as_deref(), Some("https://www.shop.example/a"));
        assert_eq!(
            admits("https://www.shop.example/a?utm_source=x&b=1&gclid=2").as_deref(),
            Some("https://www.shop.example/a?b=1")
        );
        for other in [
            "https://blog.shop.example/",
            "https://shop.example:8443/",
            "https://shop.example.evil.example/",
            "https://evil.example/",
        ] {
            assert_eq!(admits(other), None, "{other}");
        }
        let local = Scope::new(&url("http://127.0.0.1:8080/"));
        assert!(local.admit(&url("http://127.0.0.1:8081/")).is_none());
        assert!(local.admit(&url("https://127.0.0.1/")).is_none());
    }

    #[test]
    fn a_start_page_may_move_within_its_site_alone() {
        let scope = Scope::new(&url("http://shop.example/"));
        assert!(scope.moved_to(&url("https://www.shop.example/")).is_some());
        assert!(scope.moved_to(&url("https://other.example/")).is_none());
        let secure = Scope::new(&url("https://shop.example/"));
        assert!(secure.moved_to(&url("http://shop.example/")).is_none());
    }

    #[test]
    fn addresses_of_one_page_have_one_key() {
        let same = [
            "https://a.example/shop/",
            "https://a.example/shop",
            "https://a.example/shop/index.html",
            "https://a.example/sh%6Fp",
        ];
        for other in same {
            assert_eq!(key(&url(same[0])), key(&url(other)), "{other}");
        }
        assert_eq!(key(&url("https://a.example/?b=1&a=2")), key(&url("https://a.example/?a=2&b=1")));
        assert_ne!(key(&url("https://a.example/?a=1")), key(&url("https://a.example/?a=2")));
        assert_ne!(key(&url("https://a.example/a")), key(&url("https://a.example/b")));
    }

    #[test]
    fn endless_addresses_are_seen() {
        for trap in [
            format!("https://a.example/{}", "x".repeat(2_000)),
            format!("https://a.example/{}", "a/".repeat(20)),
            "https://a.example/b/c/b/c/b/c/b/c".to_owned(),
            "https://a.example/?a=1&b=2&c=3&d=4&e=5".to_owned(),
        ] {
            assert!(matches!(refuse(&url(&trap)), Some(SkipReason::Trap(_))), "{trap}");
        }
        assert!(matches!(refuse(&url("https://a.example/x.PDF")), Some(SkipReason::NotHtml(_))));
        assert_eq!(refuse(&url("https://a.example/shop/mugs?page=2")), None);
        for dated in ["/events/2026/11/", "/calendar?month=3", "/day/2026-11-20", "/cal/2026/11/20"] {
            assert!(shape(&url("https://a.example").join(dated).unwrap()).dated, "{dated}");
        }
        for plain in ["/product/1234", "/blog/2026/hello", "/about"] {
            assert!(!shape(&url("https://a.example").join(plain).unwrap()).dated, "{plain}");
        }
        let shape_of = |path: &str| shape(&url("https://a.example").join(path).unwrap()).value;
        assert_eq!(shape_of("/p/12/x?page=1"), shape_of("/p/7/x?page=99"));
        assert_ne!(shape_of("/p/12/x"), shape_of("/p/12/y"));
    }

    proptest! {
        #[test]
        fn any_address_is_survived(path in "\\PC{0,60}") {
            if let Ok(url) = Url::parse("https://a.example").unwrap().join(&path) {
                let _ = (key(&url), shape(&url).dated, refuse(&url));
                let _ = Scope::new(&url).admit(&url);
            }
        }
    }
}
