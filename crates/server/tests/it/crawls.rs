//! Crawls as the server runs them: from the jobs table to the swapped index, and what a bad day of the site does.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking, as tests do")]

use crate::world::{QUESTION, World};
use axum::Router;
use axum::http::header::CONTENT_TYPE;
use axum::response::Redirect;
use axum::routing::get;
use chatward::jobs::crawls::run_job;
use chatward::ops::crawls::{Progress, Report, run};
use chatward::ops::sites;
use chatward_store::JobState;
use chatward_types::{HOUR, Scope, SiteId};
use std::net::SocketAddr;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

const HOME: &str = "<html lang=en><title>Shop</title><main><h1>Shop</h1><p>A small shop for tea and kettles, open all \
    year round, with a workshop behind it.</p><a href=/delivery>Delivery</a> <a href=/loop>Loop</a> \
    <a href=/empty>Empty</a> <a href=/price.csv>Prices</a> <a href=/broken>Broken</a></main></html>";
const DELIVERY: &str = "<html lang=en><title>Delivery</title><main><h1>Delivery</h1><p>Shipping to Canada costs 31 \
    dollars and takes nine days by surface mail from the harbour.</p></main></html>";

const MOVED: &str = "<html lang=en><title>Moved</title><link rel=canonical href='/proper?person=canary'><main><h1>Moved\
    </h1><p>The page about parcels to Canada has another address now, and this one is kept for old links.</p></main></html>";

/// A site on a socket of its own; aborting the task takes it down.
async fn shop() -> (SocketAddr, JoinHandle<()>) {
    let router = Router::new()
        .route("/", get(|| async { ([(CONTENT_TYPE, "text/html")], HOME) }))
        .route("/delivery", get(|| async { ([(CONTENT_TYPE, "text/html")], DELIVERY) }))
        .route("/loop", get(|| async { Redirect::temporary("/loop") }))
        .route("/empty", get(|| async { ([(CONTENT_TYPE, "text/html")], "") }))
        .route("/price.csv", get(|| async { ([(CONTENT_TYPE, "text/csv")], "a,b") }))
        .route("/broken", get(|| async { ([(CONTENT_TYPE, "text/html")], [0xff_u8, 0xfe, 0x00, 0xd8].as_slice()) }));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    (address, tokio::spawn(async move { axum::serve(listener, router).await.unwrap() }))
}

async fn world(address: SocketAddr, engine: chatward_store::Engine) -> (World, SiteId) {
    let world = World::builder().engine(engine).sample(address).set("crawl.delay_ms", 0).start().await;
    let scope = Scope::of(world.app.owner);
    let site = sites::add(&world.app, &scope, &format!("http://{address}/"), Some("Tea"), &[]).await.unwrap();
    (world, site.id)
}

async fn crawl(world: &World, site: SiteId) -> Report {
    let (progress, _watched) = watch::channel(Progress::default());
    run(&world.app, &Scope::of(world.app.owner), site, &progress, CancellationToken::new()).await.unwrap()
}

async fn answer(world: &World, site: SiteId) -> String {
    let scope = Scope::of(world.app.owner);
    let site = sites::by_id(&world.app, &scope, site).await.unwrap().unwrap();
    chatward::ops::single::ask_once(&world.app, &site, QUESTION).await.unwrap().text
}

#[tokio::test]
async fn each_page_left_out_has_its_reason_and_the_rest_answers() {
    for engine in World::ENGINES {
        let (address, _site) = shop().await;
        let (world, site) = world(address, engine).await;
        let report = crawl(&world, site).await;
        assert!(report.swapped && report.pages == 2, "{report:?}");
        for path in ["/loop", "/empty", "/price.csv", "/broken"] {
            let skipped = report.skipped.iter().find(|skipped| skipped.url.ends_with(path));
            assert!(skipped.is_some_and(|skipped| !skipped.reason.is_empty()), "{path}: {report:?}");
        }
        // The owner's list of sources has both, those that were left out with their reason.
        let sources = world.app.store.list_sources(&Scope::of(world.app.owner), site, None, 200).await.unwrap();
        let of = |state: &str| sources.iter().filter(|page| page.status == state).collect::<Vec<_>>();
        assert_eq!((of("indexed").len(), of("skipped").len()), (2, report.skipped.len()));
        assert!(of("skipped").iter().all(|page| !page.reason.is_empty() && page.chunks == 0), "{sources:?}");
        assert!(answer(&world, site).await.contains("31 dollars"));
    }
}

#[tokio::test]
async fn when_the_site_is_down_the_old_index_still_answers() {
    for engine in World::ENGINES {
        let (address, server) = shop().await;
        let (world, site) = world(address, engine).await;
        assert!(crawl(&world, site).await.swapped);
        server.abort();
        let _ = server.await;
        let report = crawl(&world, site).await;
        assert!(!report.swapped && report.pages == 0, "{report:?}");
        assert!(!report.skipped.is_empty(), "the reason is told: {report:?}");
        assert!(answer(&world, site).await.contains("31 dollars"));
    }
}

#[tokio::test]
async fn a_queued_crawl_is_run_once_and_its_report_kept() {
    for engine in World::ENGINES {
        let (address, _site) = shop().await;
        let (world, site) = world(address, engine).await;
        let app = &world.app;
        let scope = Scope::of(app.owner);
        let job = sites::queue_crawl(app, &scope, site).await.unwrap();
        assert_eq!(sites::queue_crawl(app, &scope, site).await.unwrap(), job, "one open crawl a site");
        let now = app.clock.now();
        let claimed = app.store.claim_job(app.node, now, now + HOUR).await.unwrap().unwrap();
        assert!(app.store.claim_job(app.node, now, now + HOUR).await.unwrap().is_none(), "nobody else gets it");
        run_job(app, &claimed).await.unwrap();
        let row = app.store.get_job(job).await.unwrap().unwrap();
        assert_eq!(row.state, JobState::Done);
        let report: Report = serde_json::from_str(&row.outcome.unwrap()).unwrap();
        assert!(report.swapped);
    }
}

#[tokio::test]
async fn what_is_kept_of_a_crawl_holds_no_query_of_an_address() {
    for engine in World::ENGINES {
        let home =
            HOME.replace("/empty", "/empty?customer=ann%40example.test").replace("/broken", "/moved?token=canary");
        let router = Router::new()
            .route("/", get(move || async move { ([(CONTENT_TYPE, "text/html")], home) }))
            .route("/empty", get(|| async { ([(CONTENT_TYPE, "text/html")], "") }))
            .route("/moved", get(|| async { ([(CONTENT_TYPE, "text/html")], MOVED) }));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let server = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        let (world, site) = world(address, engine).await;
        let app = &world.app;
        let job = sites::queue_crawl(app, &Scope::of(app.owner), site).await.unwrap();
        let now = app.clock.now();
        let claimed = app.store.claim_job(app.node, now, now + HOUR).await.unwrap().unwrap();
        run_job(app, &claimed).await.unwrap();
        let outcome = app.store.get_job(job).await.unwrap().unwrap().outcome.unwrap();
        for kept in ["/empty?…", "/moved?…", "/proper?…"] {
            assert!(outcome.contains(kept), "{kept}: {outcome}");
        }
        for personal in ["customer", "ann%40", "canary", "token="] {
            assert!(!outcome.contains(personal), "{personal}: {outcome}");
        }
        server.abort();
    }
}
