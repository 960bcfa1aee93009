//! `chatward site check` against real pages over real HTTP: each thing that can be wrong, and a page that is right.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking, as tests do")]

use crate::world::World;
use axum::Router;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::http::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderMap, HeaderName, LOCATION};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use chatward::ops::page_check::{Level, Report, visit};
use chatward::ops::{issued_keys, sites};
use chatward::ui::loader_pin;
use chatward_store::SiteRow;
use chatward_types::{Environment, KeyScope, Scope};
use chatward_vault::{PublishableKey, SystemEntropy};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use tokio::net::TcpListener;

/// A page: its status, its headers, its text.
#[derive(Clone)]
struct Page(u16, Vec<(HeaderName, String)>, String);

type Pages = Arc<Mutex<BTreeMap<String, Page>>>;

async fn serve(State(pages): State<Pages>, Path(name): Path<String>) -> Response {
    let Some(Page(status, fields, text)) = pages.lock().unwrap().get(&name).cloned() else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, "text/html".parse().unwrap());
    for (name, value) in fields {
        headers.insert(name, value.parse().unwrap());
    }
    (StatusCode::from_u16(status).unwrap(), headers, text).into_response()
}

struct Shop {
    world: World,
    site: SiteRow,
    pages: Pages,
    address: SocketAddr,
}

const WORDS: &str = "A small shop for tea and kettles, open all year round, with a workshop behind it where we mend what \
    others throw away. We ship to every country that the post goes to, and take anything unused back within thirty \
    days. Write to us before you send something, so that we know it is coming.";

impl Shop {
    async fn open() -> Self {
        let pages = Pages::default();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = Router::new().route("/{name}", get(serve)).with_state(pages.clone());
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        let world = World::builder().sample(address).start().await;
        let scope = Scope::of(world.app.owner);
        let site = sites::add(&world.app, &scope, &format!("http://{address}/"), Some("Tea"), &[]).await.unwrap();
        Self { world, site, pages, address }
    }

    fn snippet(&self, key: &str) -> String {
        format!("<script src=\"{}/widget.js\" data-site-id=\"{key}\" async></script>", self.world.own_origin())
    }

    async fn check(&self, fields: &[(HeaderName, &str)], head: &str, body: &str) -> Report {
        let text =
            format!("<html><head><title>Tea</title>{head}</head><body><main><p>{WORDS}</p></main>{body}</body></html>");
        let fields = fields.iter().map(|(name, value)| (name.clone(), (*value).to_owned())).collect();
        self.check_page(Page(200, fields, text)).await
    }

    async fn check_page(&self, page: Page) -> Report {
        self.pages.lock().unwrap().insert("page".to_owned(), page);
        visit(&self.world.app, &format!("http://{}/page", self.address), &loader_pin().0).await.unwrap()
    }
}

fn problems(report: &Report) -> Vec<&'static str> {
    report.findings.iter().filter(|finding| finding.level == Level::Problem).map(|finding| finding.code).collect()
}

fn notes(report: &Report) -> Vec<&'static str> {
    report.findings.iter().filter(|finding| finding.level == Level::Note).map(|finding| finding.code).collect()
}

#[tokio::test]
async fn a_page_with_the_snippet_is_well() {
    let shop = Shop::open().await;
    let (own, key) = (shop.world.own_origin(), shop.site.publishable_key.clone());
    let report = shop.check(&[], "", &shop.snippet(&key)).await;
    assert!(report.ok && report.findings.is_empty(), "{report:?}");
    let policy = format!("default-src 'self'; script-src 'self' {own}; frame-src {own}; connect-src 'self' {own}");
    let report = shop.check(&[(CONTENT_SECURITY_POLICY, &policy)], "", &shop.snippet(&key)).await;
    assert!(report.ok, "{report:?}");
    let pinned = format!(
        "<script src=\"{own}/widget/{}/widget.js\" integrity=\"x\" data-site-id=\"{key}\"></script>",
        loader_pin().0
    );
    assert!(shop.check(&[], "", &pinned).await.ok);
    let managed = format!(
        "<script>var s=document.createElement('script');s.src='{own}/widget.js';s.setAttribute('data-site-id','{key}');</script>"
    );
    assert!(shop.check(&[], "", &managed).await.ok, "the form for tag managers");
    let trusted = [(CONTENT_SECURITY_POLICY, "require-trusted-types-for 'script'")];
    let report = shop.check(&trusted, "<meta name=robots content=noindex>", &shop.snippet(&key)).await;
    assert!(report.ok, "{report:?}");
    assert_eq!(notes(&report), ["trusted_types", "noindex"]);
}

#[tokio::test]
async fn each_thing_that_is_wrong_is_told_with_what_to_do() {
    let shop = Shop::open().await;
    let (own, key) = (shop.world.own_origin(), shop.site.publishable_key.clone());
    let good = shop.snippet(&key);
    let unknown = PublishableKey::generate(Environment::Development, &SystemEntropy).unwrap().to_string();
    let foreign = PublishableKey::generate(Environment::Production, &SystemEntropy).unwrap().to_string();
    let scope = Scope::of(shop.world.app.owner);
    let made = issued_keys::create(&shop.world.app, &scope, KeyScope::Manage, "", None).await.unwrap();
    let secret = made.text.expose().clone();
    let meta = |policy: &str| format!("<meta http-equiv=Content-Security-Policy content=\"{policy}\">");
    let script_heavy =
        "<html><head><script src=a.js></script><script src=b.js></script></head><body><div id=app></div>";
    for (what, head, body, wanted) in [
        ("nothing", String::new(), String::new(), vec!["snippet_missing"]),
        ("an unknown key", String::new(), shop.snippet(&unknown), vec!["key_unknown"]),
        ("another environment's key", String::new(), shop.snippet(&foreign), vec!["key_environment"]),
        ("a mistyped key", String::new(), shop.snippet(&key[..key.len() - 1]), vec!["key_malformed"]),
        ("a secret key", String::new(), shop.snippet(&secret), vec!["key_secret"]),
        ("no key", String::new(), format!("<script src=\"{own}/widget.js\"></script>"), vec!["key_missing"]),
        ("two keys", String::new(), format!("{good}{}", shop.snippet(&unknown)), vec!["key_unknown", "key_twice"]),
        ("another server", String::new(), good.replace(&own, "http://chat.test"), vec!["script_elsewhere"]),
        (
            "an old pin",
            String::new(),
            good.replace("/widget.js", "/widget/0000000000000000/widget.js"),
            vec!["pin_outdated"],
        ),
        ("scripts", meta("script-src 'self'"), good.clone(), vec!["csp_blocks"]),
        ("frames", meta(&format!("default-src 'self' {own}; frame-src 'none'")), good.clone(), vec!["csp_blocks"]),
        ("calls", meta("connect-src 'self'"), good.clone(), vec!["csp_blocks"]),
        ("everything", meta("default-src 'self'"), good.clone(), vec!["csp_blocks"; 3]),
    ] {
        let report = shop.check(&[], &head, &body).await;
        assert_eq!(problems(&report), wanted, "{what}: {report:?}");
        assert!(!report.ok && report.findings.iter().all(|finding| finding.fix.is_some()), "{what}: {report:?}");
        assert!(!format!("{report:?}").contains(&secret[20..]), "{what}: the secret is not repeated");
    }
    let both = [(CONTENT_SECURITY_POLICY, "script-src *")];
    assert_eq!(
        problems(&shop.check(&both, &meta("script-src 'none'"), &good).await),
        ["csp_blocks"],
        "each must allow"
    );
    let report = shop.check_page(Page(200, Vec::new(), format!("{script_heavy}{good}"))).await;
    assert_eq!(problems(&report), ["scripts_only"]);
    let report =
        shop.check_page(Page(503, Vec::new(), format!("<html><body><p>{WORDS}</p>{good}</body></html>"))).await;
    assert_eq!(problems(&report), ["status"]);
    let report = shop.check_page(Page(200, vec![(CONTENT_TYPE, "application/json".to_owned())], "{}".to_owned())).await;
    assert_eq!(problems(&report), ["unreadable"]);

    let mut row = shop.world.app.store.get_site(&scope, shop.site.id).await.unwrap().unwrap();
    row.origins = vec!["http://elsewhere.test".to_owned()];
    sites::update(&shop.world.app, &scope, &row).await.unwrap();
    let report = shop.check(&[], "", &good).await;
    assert_eq!(problems(&report), ["origin_not_allowed"]);
    let line = format!("chatward site set {key} --add-origin http://{}", shop.address);
    assert_eq!(report.findings[0].fix.as_deref(), Some(&*line));
}

#[tokio::test]
async fn a_redirect_is_told_and_a_private_address_is_not_visited() {
    let shop = Shop::open().await;
    let good = shop.snippet(&shop.site.publishable_key);
    let text = format!("<html><body><main><p>{WORDS}</p></main>{good}</body></html>");
    shop.pages.lock().unwrap().insert("home".to_owned(), Page(200, Vec::new(), text));
    let report = shop.check_page(Page(302, vec![(LOCATION, "/home".to_owned())], String::new())).await;
    assert_eq!((report.ok, notes(&report)), (true, vec!["redirected"]), "{report:?}");
    assert!(report.final_url.ends_with("/home"));
    for address in
        ["http://127.0.0.1:1/", "http://169.254.169.254/latest", "ftp://shop.test", "http://", "http://10.0.0.1/"]
    {
        let error = visit(&shop.world.app, address, "x").await.expect_err(address);
        assert_eq!(error.kind(), chatward_types::Kind::Invalid, "{address}");
    }
}
