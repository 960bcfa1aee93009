//! What is said of twins, and of pages that need no network to be judged.

use super::judge::report;
use super::{KeyState, Own, Report, Seen, Twin};
use crate::ops::site_settings::Settings;
use crate::ops::sites::Site;
use chatward_egress::{Bytes, Fetched};
use chatward_knowledge::extract::inspect;
use chatward_types::{OwnerId, SiteId, SystemClock};
use chatward_vault::SystemEntropy;
use std::sync::Arc;
use url::Url;

fn site(origins: &[&str]) -> Arc<Site> {
    Arc::new(Site {
        id: SiteId::generate(&SystemClock, &SystemEntropy).expect("an id"),
        owner: OwnerId::generate(&SystemClock, &SystemEntropy).expect("an id"),
        key: "KEY".into(),
        keys: Box::from([]),
        url: "https://shop.example/".into(),
        name: "Tea".into(),
        origins: origins.iter().map(|origin| (*origin).to_owned()).collect(),
        settings: Settings::default(),
        generation: 1,
        rules: std::sync::OnceLock::new(),
    })
}

fn fetched(url: &Url) -> Fetched {
    Fetched {
        final_url: url.clone(),
        status: 200,
        content_type: None,
        etag: None,
        last_modified: None,
        x_robots_tag: None,
        content_security_policy: None,
        location: None,
        body: Bytes::new(),
        redirects: 0,
    }
}

fn judged(page: &str, own: &str, origins: &[&str], twin: Option<(&str, Option<&str>)>) -> Report {
    let words = "word ".repeat(80);
    let html = format!(
        "<html><body><main><p>{words}</p></main><script src=\"{own}/widget.js\" data-site-id=KEY></script></body></html>"
    );
    let url = Url::parse(page).expect("a URL");
    let embedded = inspect(html.as_bytes(), Some("text/html"), &url).expect("a page");
    let fetched = fetched(&url);
    let twin = twin.map(|(origin, led_to)| Twin { origin: origin.to_owned(), led_to: led_to.map(str::to_owned) });
    let keys = vec![("KEY".to_owned(), KeyState::Known(site(origins)))];
    let own = Own { origin: Url::parse(own).expect("a URL"), pin: String::new() };
    report(&own, &Seen { asked: url, fetched, embedded, keys, twin })
}

#[test]
fn a_page_with_the_key_of_before_is_told() {
    let own = Own { origin: Url::parse("http://chat.test").expect("a URL"), pin: String::new() };
    let url = Url::parse("http://shop.test").expect("a URL");
    let embedded = inspect(b"<main>word</main>", Some("text/html"), &url).expect("a page");
    let fetched = fetched(&url);
    let keys = vec![("BEFORE".to_owned(), KeyState::Known(site(&["http://shop.test"])))];
    let report = report(&own, &Seen { asked: url, fetched, embedded, keys, twin: None });
    assert!(codes(&report).contains(&"key_rotated"), "{report:?}");
}

fn codes(report: &Report) -> Vec<&'static str> {
    report.findings.iter().map(|finding| finding.code).collect()
}

#[test]
fn the_twin_with_or_without_www_is_told() {
    const PAGE: &str = "https://shop.example";
    const WWW: &str = "https://www.shop.example";
    let judge = |origins: &[&str], led_to| {
        judged("https://shop.example/", "https://chat.example", origins, Some((WWW, led_to)))
    };
    for (origins, led_to, ok, wanted) in [
        (&[PAGE][..], Some(PAGE), true, vec![]),
        (&[PAGE], None, true, vec!["twin_silent"]),
        (&[PAGE, WWW], Some(WWW), true, vec!["twin_differs"]),
        (&[PAGE], Some(WWW), false, vec!["twin_not_allowed"]),
        (&[PAGE], Some("https://other.example"), true, vec!["twin_elsewhere"]),
    ] {
        let report = judge(origins, led_to);
        assert_eq!((report.ok, codes(&report)), (ok, wanted), "{led_to:?}: {report:?}");
    }
    let told = judge(&[PAGE], Some(WWW));
    assert_eq!(told.findings[0].fix.as_deref(), Some("chatward site set KEY --add-origin https://www.shop.example"));
}

#[test]
fn a_page_of_https_needs_a_server_of_https() {
    let report = judged("https://shop.example/", "http://chat.example", &["https://shop.example"], None);
    assert_eq!((report.ok, codes(&report)), (false, vec!["mixed_content"]));
    assert!(judged("https://shop.example/", "https://chat.example", &["https://shop.example"], None).ok);
}
