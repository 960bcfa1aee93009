//! What an owner names is crawled from the public internet or not at all (IN-08): no loopback, private or metadata
//! address, no listener of ours, by literal, encoding, name or redirect; and the report does not say what is there.
//!
//! The table of hostile addresses and the rebinding tests stand in the egress crate; these show that the server uses it.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking, as tests do")]

use crate::world::World;
use axum::Router;
use axum::http::header::LOCATION;
use axum::response::Html;
use axum::routing::get;
use chatward::ops::crawls::{self, Progress, Report};
use chatward::ops::sites;
use chatward_egress::{Resolve, Resolving};
use chatward_types::Scope;
use http::StatusCode;
use std::collections::BTreeSet;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// A server with something worth reading, and a count of its visits.
struct Inside {
    address: SocketAddr,
    visits: Arc<AtomicUsize>,
}

impl Inside {
    async fn start() -> Self {
        let visits = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&visits);
        let router = Router::new().fallback(move || {
            counted.fetch_add(1, Ordering::SeqCst);
            async {
                Html("<title>Inside</title><h1>Inside</h1><p>The canary of the intranet sings here every day.</p>")
            }
        });
        Self { address: listen(router).await, visits }
    }

    fn visits(&self) -> usize {
        self.visits.load(Ordering::SeqCst)
    }
}

/// Names whose owners point them inside; all others do not exist.
#[derive(Debug)]
struct Names;

impl Resolve for Names {
    fn resolve(&self, host: String) -> Resolving {
        Box::pin(async move {
            let address: IpAddr = match host.as_str() {
                "loopback.example" => [127, 0, 0, 1].into(),
                "private.example" => [10, 1, 2, 3].into(),
                "metadata.example" => [169, 254, 169, 254].into(),
                _ => return Err(io::ErrorKind::NotFound.into()),
            };
            Ok(vec![address])
        })
    }
}

async fn listen(router: Router) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await });
    address
}

/// Adds a site with this address and crawls it as its owner would.
async fn crawl(world: &World, url: &str) -> Report {
    let scope = Scope::of(world.app.owner);
    let site = sites::add(&world.app, &scope, url, None, &[]).await.unwrap();
    let (progress, _watched) = watch::channel(Progress::default());
    let report = crawls::run(&world.app, &scope, site.id, &progress, CancellationToken::new()).await.unwrap();
    sites::remove(&world.app, &scope, site.id).await.unwrap();
    report
}

#[tokio::test]
async fn no_address_inside_is_crawled_and_the_reports_are_alike() {
    let inside = Inside::start().await;
    let world = World::builder().resolver(Names).start().await;
    let reasons = |hosts: &'static [&'static str], port: Option<u16>| {
        let world = &world;
        async move {
            let mut reasons = BTreeSet::new();
            for host in hosts {
                let url = port.map_or_else(|| format!("http://{host}/"), |port| format!("http://{host}:{port}/"));
                let report = crawl(world, &url).await;
                assert!(!report.swapped && report.pages == 0, "{url}: {report:?}");
                assert_eq!(report.skipped.len(), 1, "{url}: {report:?}");
                reasons.insert(report.skipped[0].reason.clone());
            }
            reasons
        }
    };
    // What only the network knows is one text, whether the name leads inside or nowhere.
    let unknown = reasons(&["nowhere.example"], None).await;
    let led_inside = ["loopback.example", "private.example", "metadata.example", "127.0.0.1", "2130706433"];
    let led_inside = reasons(Box::leak(Box::new(led_inside)), None).await;
    assert_eq!(led_inside, unknown);
    let literals = ["10.1.2.3", "169.254.169.254", "0x7f.1", "[::1]", "[::ffff:127.0.0.1]", "[fd00:ec2::254]"];
    assert_eq!(reasons(Box::leak(Box::new(literals)), None).await, unknown);
    // So is what follows from the text alone, wherever it would have led.
    let ports = ["127.0.0.1", "loopback.example", "nowhere.example", "0x7f000001", "93.184.216.34"];
    let ports: &[&str] = Box::leak(Box::new(ports));
    assert_eq!(reasons(ports, Some(inside.address.port())).await.len(), 1);
    assert_eq!(inside.visits(), 0, "somebody inside was asked");
    assert_eq!(reasons(ports, Some(world.address.port())).await.len(), 1);
    assert_eq!(reasons(ports, Some(world.admin_address.port())).await.len(), 1);
}

#[tokio::test]
async fn a_site_cannot_send_the_crawler_inside() {
    let inside = Inside::start().await;
    let target = format!("http://{}/secret", inside.address);
    let (start, linked) = (target.clone(), target.clone());
    let away = move || async move { (StatusCode::FOUND, [(LOCATION, target)]) };
    let links = format!(
        "<title>Shop</title><p>We sell tea in small tins since 1987.</p><a href=\"/jump\">a</a><a href=\"{linked}\">b</a>"
    );
    let shop = Router::new()
        .route("/", get(move || async move { Html(links) }))
        .route("/jump", get(away))
        .route("/robots.txt", get(move || async move { format!("Sitemap: {start}\n") }));
    let socket = listen(shop).await;
    let world = World::builder().sample(socket).set("crawl.delay_ms", 0).start().await;
    let report = crawl(&world, &format!("http://{socket}/")).await;
    assert!(report.swapped && report.pages == 1, "the shop itself is read: {report:?}");
    assert!(report.skipped.iter().any(|page| page.url.ends_with("/jump")), "{report:?}");
    assert_eq!(inside.visits(), 0, "somebody inside was asked");
}
