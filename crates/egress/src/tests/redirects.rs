//! A public site that redirects into every class of address it could not be asked for directly.

use super::support::{ok, redirect, serve};
use super::{PUBLIC, Script, Theatre};
use crate::guard::hostile::HOSTILE;
use crate::{Fetch, FetchFailure, Reach, Refusal, Url};
use std::sync::{Arc, Mutex};

#[tokio::test]
async fn no_redirect_leads_to_a_hostile_address() {
    let target = Arc::new(Mutex::new(String::new()));
    let site = serve({
        let target = Arc::clone(&target);
        move |_| redirect(&target.lock().unwrap())
    })
    .await;
    let script = Script::of(&[
        ("site.example", &[&[PUBLIC]]),
        // Should one of these names pass, its look-up would lead inside.
        ("localhost", &[&["127.0.0.1"]]),
        ("metadata.google.internal", &[&["169.254.169.254"]]),
    ]);
    let theatre = Theatre::new(&[("93.184.216.34:80", &site)], script).await;
    for hostile in HOSTILE {
        // As a header, the text must be one; the table's others are judged by `check_url`.
        if !hostile.bytes().all(|b| (0x20..0x7f).contains(&b)) {
            continue;
        }
        *target.lock().unwrap() = (*hostile).to_owned();
        let start = Url::parse("http://site.example/start").unwrap();
        let error = theatre.egress.fetch(Fetch::new(start, Reach::Public)).await.unwrap_err();
        assert!(matches!(error.failure(), FetchFailure::Refused(_) | FetchFailure::Protocol), "{hostile}: {error}");
    }
    let strangers = theatre.stage.dialled().iter().filter(|to| to.ip().to_string() != PUBLIC).count();
    assert_eq!(strangers, 0);
    assert_eq!(theatre.canary.connections(), 0);
    assert!(site.requests().len() > 80, "the table was really served");
}

#[tokio::test]
async fn redirects_to_names_that_lead_inside_are_refused() {
    let site = serve(|request| {
        redirect(if request.starts_with("GET /one ") {
            "http://inside.example/"
        } else {
            "//metadata.example/latest/meta-data/"
        })
    })
    .await;
    let script = Script::of(&[
        ("site.example", &[&[PUBLIC]]),
        ("inside.example", &[&["192.168.0.10"]]),
        ("metadata.example", &[&["169.254.169.254"]]),
    ]);
    let theatre = Theatre::new(&[("93.184.216.34:80", &site)], script).await;
    for (path, refusal) in [("one", Refusal::NotPublic), ("two", Refusal::Metadata)] {
        let start = Url::parse(&format!("http://site.example/{path}")).unwrap();
        let error = theatre.egress.fetch(Fetch::new(start, Reach::Public)).await.unwrap_err();
        assert_eq!(*error.failure(), FetchFailure::Refused(refusal));
    }
    assert_eq!(theatre.canary.connections(), 0);
}

#[tokio::test]
async fn a_redirect_between_public_sites_is_followed_or_reported_as_the_caller_wishes() {
    let site = serve(|_| redirect("http://other.example/page#part")).await;
    let other = serve(|_| ok("content-type: text/html\r\n", "<p>there</p>")).await;
    let script = Script::of(&[("site.example", &[&[PUBLIC]]), ("other.example", &[&["93.184.216.35"]])]);
    let actors = [("93.184.216.34:80", &site), ("93.184.216.35:80", &other)];
    let theatre = Theatre::new(&actors, script).await;
    let start = Url::parse("http://site.example/").unwrap();
    let mut fetch = Fetch::new(start.clone(), Reach::Public);
    let page = theatre.egress.fetch(fetch.clone()).await.unwrap();
    assert_eq!((page.final_url.as_str(), page.redirects), ("http://other.example/page", 1));
    assert_eq!(page.content_type.as_deref(), Some("text/html"));

    fetch.same_origin_only = Some(start.origin());
    let error = theatre.egress.fetch(fetch).await.unwrap_err();
    let FetchFailure::OffSite(to) = error.failure() else { panic!("{error}") };
    assert_eq!(to.as_str(), "http://other.example/page");
    assert_eq!(other.requests().len(), 1, "only the first fetch went there");
}
