//! Crawls of real servers, well-behaved and hostile.

use crate::site::{Reply, Site, page};
use chatward_egress::{Egress, Reach};
use chatward_knowledge::{
    CrawlEnd, CrawlEvent, CrawlLimits, CrawlReport, CrawlRequest, CrawledPage, SkipReason, crawl,
};
use std::collections::HashMap;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use url::Url;

struct Crawled {
    report: CrawlReport,
    pages: Vec<CrawledPage>,
    skips: HashMap<String, SkipReason>,
    most_chunks: usize,
}

impl Crawled {
    fn paths(&self) -> Vec<&str> {
        let mut paths: Vec<&str> = self.pages.iter().map(|page| page.url.path()).collect();
        paths.sort_unstable();
        paths
    }

    fn text(&self) -> String {
        let chunks = self.pages.iter().flat_map(|page| &page.chunks);
        chunks.map(|chunk| chunk.text.as_str()).collect::<Vec<_>>().join("\n")
    }

    fn skip(&self, path: &str) -> &SkipReason {
        self.skips.get(path).unwrap_or_else(|| panic!("{path} was not skipped: {:?}", self.skips))
    }
}

fn quick() -> CrawlLimits {
    CrawlLimits {
        delay: Duration::ZERO,
        time: Duration::from_secs(60),
        fetch_time: Duration::from_secs(10),
        ..CrawlLimits::default()
    }
}

async fn run(site: &Site, limits: CrawlLimits) -> Crawled {
    run_from(site, "/", limits).await
}

async fn run_from(site: &Site, path: &str, limits: CrawlLimits) -> Crawled {
    let egress = Egress::builder().exact_socket(site.address).build().unwrap();
    let request = CrawlRequest {
        start: site.url(path),
        reach: Reach::Exact(site.address),
        limits,
        user_agent: chatward_knowledge::crawl::USER_AGENT.to_owned(),
    };
    let (sender, mut receiver) = mpsc::channel(4);
    // As a server runs it: on a task of its own, so that the future must be Send.
    let crawling = tokio::spawn(async move { crawl(&egress, request, sender, CancellationToken::new()).await });
    let collecting = async {
        let (mut pages, mut skips, mut most_chunks) = (Vec::new(), HashMap::new(), 0);
        while let Some(event) = receiver.recv().await {
            match event {
                CrawlEvent::Page(page) => pages.push(*page),
                CrawlEvent::Skipped { url, reason } => {
                    let path = url[url::Position::BeforePath..].to_owned();
                    assert!(!reason.to_string().is_empty());
                    skips.insert(path, reason);
                }
                CrawlEvent::Progress(progress) => most_chunks = progress.chunks,
            }
        }
        (pages, skips, most_chunks)
    };
    let (report, (pages, skips, most_chunks)) = tokio::join!(crawling, collecting);
    let report = report.unwrap();
    assert_eq!(report.pages, pages.len());
    assert_eq!(report.chunks, pages.iter().map(|page| page.chunks.len()).sum::<usize>());
    Crawled { report, pages, skips, most_chunks }
}

fn links(paths: impl IntoIterator<Item = String>) -> String {
    let items: String = paths.into_iter().map(|path| format!("<li><a href='{path}'>{path}</a></li>")).collect();
    page("Links", &format!("<p>Some links of ours.</p><ul>{items}</ul>"))
}

#[tokio::test]
async fn a_small_site_is_read_whole_in_breadth() {
    let site = Site::serve(|path| match path {
        "/" => Reply::html(links(
            ["/shipping", "/help", "https://other.example/", "/logo.png", "/shipping#rates"].map(String::from),
        )),
        "/shipping" => Reply::html(page("Shipping", "<h2>Canada</h2><p>Shipping to Canada costs $14.90.</p>")),
        "/help" => Reply::html(page("Help", "<p>Ask us anything.</p><a href='/help/deep'>more</a>")),
        "/help/deep" => Reply::html(page("Deep", "<p>Deep down.</p>")),
        "/hidden" => Reply::html(page("Hidden", "<p>Only the sitemap knows this.</p>")),
        "/sitemap.xml" => Reply::xml("<urlset><url><loc>/hidden</loc></url></urlset>"),
        _ => Reply::status(404),
    })
    .await;
    let crawled = run(&site, quick()).await;
    assert_eq!(crawled.report.end, CrawlEnd::Complete);
    assert!(crawled.report.is_usable());
    assert_eq!(crawled.paths(), ["/", "/help", "/help/deep", "/hidden", "/shipping"]);
    let shipping = crawled.pages.iter().find(|page| page.url.path() == "/shipping").unwrap();
    assert_eq!(shipping.title, "Shipping");
    assert_eq!(shipping.chunks[0].text, "Shipping to Canada costs $14.90.");
    assert!(shipping.chunks[0].heading.ends_with("Canada"));
    assert_eq!(shipping.depth, 1);
    assert!(matches!(crawled.skip("/logo.png"), SkipReason::NotHtml(_)));
    assert_eq!(crawled.most_chunks, crawled.report.chunks);
    assert_eq!(crawled.report.language.tag(), "en");
    let agents = site.user_agents();
    assert!(!agents.is_empty() && agents.iter().all(|agent| agent.starts_with("Chatward/")), "{agents:?}");
    assert_eq!(site.count("/shipping"), 1, "nothing is fetched twice");
    assert_eq!(site.first_path().as_deref(), Some("/robots.txt"));
}

#[tokio::test]
async fn a_site_that_is_down_ends_with_a_reason() {
    let site = Site::serve(|_| Reply::status(200)).await;
    let address = site.address;
    site.stop().await;
    let down = Site::nowhere(address);
    let crawled = run(&down, quick()).await;
    assert_eq!(crawled.report.end, CrawlEnd::StartFailed);
    assert!(!crawled.report.is_usable());
    assert_eq!(*crawled.skip("/"), SkipReason::Unreachable("no connection"));
}

#[tokio::test]
async fn a_start_page_that_fails_is_named() {
    for (reply, expected) in [
        (Reply::status(500), SkipReason::Status(500)),
        (Reply::status(404), SkipReason::Status(404)),
        (Reply::bytes("text/html", vec![]), SkipReason::Empty),
        (Reply::bytes("application/pdf", b"%PDF".to_vec()), SkipReason::NotHtml("application/pdf".into())),
        (Reply::redirect("/"), SkipReason::RedirectLoop),
        (Reply::html("<div>".repeat(100_000)), SkipReason::TooDeep),
    ] {
        let site = Site::serve(move |path| if path == "/" { reply.clone() } else { Reply::status(404) }).await;
        let crawled = run(&site, quick()).await;
        assert_eq!(crawled.report.end, CrawlEnd::StartFailed);
        assert_eq!(*crawled.skip("/"), expected);
    }
}

#[tokio::test]
async fn every_hostile_page_has_its_reason_and_the_others_are_kept() {
    let latin = encoding("<html><title>Latin</title><p>Öffnungszeiten: täglich außer Montag für alle Gäste.</p>");
    let utf_16: Vec<u8> = "<html><title>Wide</title><p>Größe der Tücher in UTF-16.</p>"
        .encode_utf16()
        .flat_map(u16::to_le_bytes)
        .collect();
    let site = Site::serve(move |path| match path {
        "/" => Reply::html(links(
            [
                "/good",
                "/huge",
                "/endless",
                "/loop-a",
                "/chain-0",
                "/away",
                "/inside",
                "/data",
                "/latin",
                "/utf16",
                "/noise",
                "/deep",
                "/noindex",
                "/header",
                "/slow",
                "/empty",
                "/script",
                "/gone",
                "/broken",
                "/attributes",
            ]
            .map(String::from),
        )),
        "/good" => Reply::html(page("Good", "<p>The good page answers.</p>")),
        "/huge" => Reply::html("<p>word </p>".repeat(400_000)),
        "/endless" => Reply::Endless,
        "/loop-a" => Reply::redirect("/loop-b"),
        "/loop-b" => Reply::redirect("/loop-a"),
        "/away" => Reply::redirect("http://127.0.0.1:9/elsewhere"),
        "/inside" => Reply::redirect("http://169.254.169.254/latest/meta-data/"),
        "/data" => Reply::bytes("application/octet-stream", vec![0, 1, 2, 3]),
        "/latin" => Reply::bytes("text/html", latin.clone()),
        "/utf16" => Reply::bytes("text/html", utf_16.clone()),
        "/noise" => Reply::bytes(
            "text/html; charset=utf-8",
            (0..20_000_u32).map(|at| (at.wrapping_mul(2_654_435_761) >> 23) as u8).collect(),
        ),
        "/deep" => Reply::html("<div>".repeat(100_000)),
        "/noindex" => {
            Reply::html("<meta name=robots content=noindex><p>Secret page.</p><a href=/from-noindex>x</a>".to_owned())
        }
        "/from-noindex" => Reply::html(page("Linked", "<p>Found through a page that is not indexed.</p>")),
        "/header" => Reply::html("<p>Secret too.</p>".to_owned()).with("x-robots-tag", "noindex"),
        "/slow" => Reply::Silent,
        "/empty" => Reply::html("<html><body></body></html>".to_owned()),
        "/script" => Reply::html("<div id=app></div><script>render('text')</script>".to_owned()),
        "/gone" => Reply::status(410),
        "/broken" => Reply::Cut,
        "/attributes" => {
            Reply::html(format!("<p{}>x</p>", (0..50_000).map(|at| format!(" a{at}=1")).collect::<String>()))
        }
        chain if chain.starts_with("/chain-") => {
            let at: u32 = chain[7..].parse().unwrap();
            Reply::redirect(&format!("/chain-{}", at + 1))
        }
        _ => Reply::status(404),
    })
    .await;
    let limits = CrawlLimits { fetch_time: Duration::from_millis(1_500), ..quick() };
    let crawled = run(&site, limits).await;
    assert_eq!(crawled.report.end, CrawlEnd::Complete, "{:?}", crawled.skips);
    assert_eq!(crawled.paths(), ["/", "/from-noindex", "/good", "/latin", "/utf16"]);
    assert!(crawled.text().contains("täglich außer Montag"));
    assert!(crawled.text().contains("Größe der Tücher"));
    assert!(!crawled.text().contains("Secret"));
    assert_eq!(*crawled.skip("/huge"), SkipReason::TooLarge);
    assert!(matches!(crawled.skip("/endless"), SkipReason::TooLarge | SkipReason::Timeout));
    assert_eq!(*crawled.skip("/loop-a"), SkipReason::RedirectLoop);
    assert_eq!(*crawled.skip("/chain-0"), SkipReason::RedirectLoop);
    assert!(matches!(crawled.skip("/away"), SkipReason::OffSite(_) | SkipReason::Refused(_)));
    assert!(matches!(crawled.skip("/inside"), SkipReason::Refused(_)));
    assert!(matches!(crawled.skip("/data"), SkipReason::NotHtml(_)));
    assert_eq!(*crawled.skip("/noise"), SkipReason::BadEncoding);
    assert_eq!(*crawled.skip("/deep"), SkipReason::TooDeep);
    assert_eq!(*crawled.skip("/noindex"), SkipReason::NoIndex);
    assert_eq!(*crawled.skip("/header"), SkipReason::NoIndex);
    assert_eq!(*crawled.skip("/slow"), SkipReason::Timeout);
    assert_eq!(*crawled.skip("/empty"), SkipReason::Empty);
    assert_eq!(*crawled.skip("/script"), SkipReason::Empty);
    assert_eq!(*crawled.skip("/gone"), SkipReason::Status(410));
    assert_eq!(*crawled.skip("/broken"), SkipReason::Unreachable("not valid HTTP"));
    assert_eq!(*crawled.skip("/attributes"), SkipReason::TooLarge);
}

fn encoding(text: &str) -> Vec<u8> {
    encoding_rs::WINDOWS_1252.encode(text).0.into_owned()
}

#[tokio::test]
async fn robots_are_obeyed() {
    let site = Site::serve(|path| match path {
        "/robots.txt" => {
            Reply::text("User-agent: *\nDisallow: /\n\nUser-agent: Chatward\nDisallow: /private\nSitemap: /map.xml\n")
        }
        "/map.xml" => Reply::xml("<urlset><url><loc>/private/in-map</loc></url><url><loc>/mapped</loc></url></urlset>"),
        "/" => Reply::html(links(["/private/a", "/open", "/moved"].map(String::from))),
        "/open" | "/mapped" => Reply::html(page(path, &format!("<p>Open page {path}.</p>"))),
        "/moved" => Reply::redirect("/private/b"),
        _ => Reply::html(page("Private", "<p>Private text.</p>")),
    })
    .await;
    let crawled = run(&site, quick()).await;
    assert_eq!(crawled.paths(), ["/", "/mapped", "/open"]);
    assert_eq!(*crawled.skip("/private/a"), SkipReason::Robots);
    assert_eq!(*crawled.skip("/private/in-map"), SkipReason::Robots);
    assert_eq!(*crawled.skip("/moved"), SkipReason::Robots);
    assert_eq!(site.count("/private/a"), 0, "a disallowed page is not even asked for");
}

#[tokio::test]
async fn robots_that_refuse_everything_end_the_crawl() {
    for (status, body, expected) in [
        (200, "User-agent: *\nDisallow: /", SkipReason::Robots),
        (503, "", SkipReason::RobotsUnavailable),
        (429, "", SkipReason::RobotsUnavailable),
    ] {
        let site = Site::serve(move |path| match path {
            "/robots.txt" => Reply::text(body).and_status(status),
            _ => Reply::html(page("Home", "<p>Hello there.</p>")),
        })
        .await;
        let crawled = run(&site, quick()).await;
        assert_eq!(crawled.report.end, CrawlEnd::StartFailed);
        assert_eq!(*crawled.skip("/"), expected);
        assert_eq!(site.count("/"), 0);
    }
}

#[tokio::test]
async fn a_crawl_delay_is_kept() {
    let site = Site::serve(|path| match path {
        "/robots.txt" => Reply::text("User-agent: *\nCrawl-delay: 0.2\n"),
        "/" => Reply::html(links(["/a", "/b", "/c"].map(String::from))),
        "/sitemap.xml" => Reply::status(404),
        other => Reply::html(page(other, &format!("<p>Page {other}.</p>"))),
    })
    .await;
    let crawled = run(&site, quick()).await;
    assert_eq!(crawled.pages.len(), 4);
    let times = site.times();
    // robots.txt itself comes before the delay is known.
    let gaps: Vec<Duration> = times.windows(2).skip(1).map(|pair| pair[1] - pair[0]).collect();
    assert!(gaps.len() >= 4 && gaps.iter().all(|gap| *gap >= Duration::from_millis(150)), "{gaps:?}");
}

#[tokio::test]
async fn traps_end_at_budgets() {
    let site = Site::serve(|path| match path {
        "/" => Reply::html(links((0..10_000).map(|at| format!("/word-{}", letters(at))))),
        "/robots.txt" | "/sitemap.xml" => Reply::status(404),
        // Every page leads to ever more.
        other => Reply::html(page(other, &format!("<p>Page {other}.</p><a href='{other}-on'>on</a>"))),
    })
    .await;
    let limits = CrawlLimits { pages: 30, queue: 500, ..quick() };
    let crawled = run(&site, limits).await;
    assert_eq!(crawled.report.end, CrawlEnd::PageBudget);
    assert_eq!(crawled.pages.len(), 30);
    assert!(crawled.report.left > 4_000, "{}", crawled.report.left);
    assert!(crawled.report.is_usable());
    assert!(site.total() < 50, "{}", site.total());
}

#[tokio::test]
async fn a_calendar_does_not_crowd_out_the_site() {
    let site = Site::serve(|path| {
        let bare = path.split('?').next().unwrap_or(path);
        match bare {
            "/" => Reply::html(links(["/calendar?month=1", "/archive/2026/01/", "/about", "/loop/"].map(String::from))),
            "/calendar" => {
                let month: u32 = path.rsplit('=').next().and_then(|month| month.parse().ok()).unwrap_or(1);
                let text = format!("<p>Month {month}</p><a href='/calendar?month={}'>next</a>", month + 1);
                Reply::html(page("Calendar", &text))
            }
            "/about" => Reply::html(page("About", "<p>About us.</p>")),
            archive if archive.starts_with("/archive/") => {
                let month: u32 =
                    archive.trim_end_matches('/').rsplit('/').next().and_then(|part| part.parse().ok()).unwrap_or(1);
                Reply::html(page(
                    "Archive",
                    &format!("<p>Archive {month}</p><a href='/archive/2026/{:02}/'>next</a>", month % 90 + 1),
                ))
            }
            looping if looping.starts_with("/loop/") => {
                Reply::html(page("Loop", &format!("<p>{looping}</p><a href='again/'>again</a>")))
            }
            _ => Reply::status(404),
        }
    })
    .await;
    let crawled = run(&site, quick()).await;
    assert_eq!(crawled.report.end, CrawlEnd::Complete);
    assert!(crawled.paths().contains(&"/about"));
    assert!(crawled.pages.len() < 45, "{}", crawled.pages.len());
    assert!(crawled.skips.values().any(|reason| matches!(reason, SkipReason::Trap(_))));
}

#[tokio::test]
async fn one_content_is_kept_once() {
    let site = Site::serve(|path| match path.split('?').next().unwrap_or(path) {
        "/" => Reply::html(links(
            ["/mug", "/mug?ref=home", "/mug/", "/copy", "/old", "/print", "/mug?utm_source=x"].map(String::from),
        )),
        "/mug" | "/mug/" | "/copy" => Reply::html(page("Mug", "<p>A mug for tea.</p>")),
        "/old" => Reply::redirect("/mug"),
        "/print" => Reply::html("<link rel=canonical href='/proper'><title>P</title><p>Printed text.</p>".to_owned()),
        "/proper" => Reply::html("<link rel=canonical href='/proper'><title>P</title><p>Proper text.</p>".to_owned()),
        _ => Reply::status(404),
    })
    .await;
    let crawled = run(&site, CrawlLimits { concurrency: 1, ..quick() }).await;
    assert_eq!(crawled.paths(), ["/", "/mug", "/proper"]);
    assert!(matches!(crawled.skip("/mug?ref=home"), SkipReason::Duplicate(_)));
    assert!(matches!(crawled.skip("/copy"), SkipReason::Duplicate(_)));
    assert!(matches!(crawled.skip("/old"), SkipReason::Duplicate(_)));
    assert!(matches!(crawled.skip("/print"), SkipReason::Canonical(_)));
    assert!(!crawled.skips.contains_key("/mug/"), "a final slash is the same address");
}

#[tokio::test]
async fn bytes_and_depth_are_bounded() {
    let filler = "Long text of the page. ".repeat(4_000);
    let site = Site::serve(move |path| match path {
        "/robots.txt" | "/sitemap.xml" => Reply::status(404),
        "/" => Reply::html(links((0..50).map(|at| format!("/{}", letters(at))))),
        other => Reply::html(page(other, &format!("<p>{other} {filler}</p>"))),
    })
    .await;
    let limits = CrawlLimits { page_bytes: 200_000, total_bytes: 600_000, concurrency: 2, ..quick() };
    let crawled = run(&site, limits).await;
    assert_eq!(crawled.report.end, CrawlEnd::ByteBudget);
    assert!(crawled.report.bytes <= 600_000 + 200_000, "{}", crawled.report.bytes);
    assert!(crawled.report.left > 0);

    let chain = Site::serve(|path| match path {
        "/robots.txt" | "/sitemap.xml" => Reply::status(404),
        other => Reply::html(page(
            other,
            &format!("<p>Page {other}</p><a href='{}x'>on</a>", other.trim_end_matches('/').to_owned() + "/"),
        )),
    })
    .await;
    let crawled = run(&chain, CrawlLimits { depth: 2, ..quick() }).await;
    assert_eq!(crawled.pages.len(), 3);
    assert!(crawled.pages.iter().all(|page| page.depth <= 2));
    assert_eq!(crawled.report.left, 1);
}

#[tokio::test]
async fn time_and_cancellation_end_a_crawl_at_once() {
    let site = Site::serve(|path| match path {
        "/" => Reply::html(links((0..20).map(|at| format!("/{}", letters(at))))),
        "/robots.txt" | "/sitemap.xml" => Reply::status(404),
        _ => Reply::Silent,
    })
    .await;
    let began = Instant::now();
    let crawled = run(&site, CrawlLimits { time: Duration::from_millis(700), ..quick() }).await;
    assert_eq!(crawled.report.end, CrawlEnd::TimeBudget);
    assert_eq!(crawled.pages.len(), 1);
    assert!(began.elapsed() < Duration::from_secs(8));

    let egress = Egress::builder().exact_socket(site.address).build().unwrap();
    let request = CrawlRequest {
        start: site.url("/"),
        reach: Reach::Exact(site.address),
        limits: quick(),
        user_agent: "Chatward".to_owned(),
    };
    let cancel = CancellationToken::new();
    let (sender, mut receiver) = mpsc::channel(1);
    let crawling = crawl(&egress, request.clone(), sender, cancel.clone());
    let cancelling = async {
        while let Some(event) = receiver.recv().await {
            if matches!(event, CrawlEvent::Page(_)) {
                cancel.cancel();
            }
        }
    };
    let (report, ()) = tokio::join!(crawling, cancelling);
    assert_eq!(report.end, CrawlEnd::Cancelled);
    assert!(!report.is_usable());

    // A receiver that is gone is a cancellation, too.
    let (sender, receiver) = mpsc::channel(1);
    drop(receiver);
    let report = crawl(&egress, request, sender, CancellationToken::new()).await;
    assert_eq!(report.end, CrawlEnd::Cancelled);
}

#[tokio::test]
async fn a_site_that_dies_on_the_way_is_not_asked_for_ever() {
    let site = Site::serve(|path| match path {
        "/" => Reply::html(links((0..60).map(|at| format!("/{}", letters(at))))),
        "/robots.txt" | "/sitemap.xml" => Reply::status(404),
        _ => Reply::status(500),
    })
    .await;
    let crawled = run(&site, CrawlLimits { concurrency: 2, ..quick() }).await;
    assert_eq!(crawled.report.end, CrawlEnd::SiteFailing);
    assert!(!crawled.report.is_usable());
    assert!(site.total() < 30, "{}", site.total());
}

#[tokio::test]
async fn a_demo_crawl_reaches_no_other_socket() {
    let other = Site::serve(|_| Reply::html(page("Other", "<p>Never.</p>"))).await;
    let elsewhere = other.url("/secret");
    let site = Site::serve(move |path| match path {
        "/robots.txt" => Reply::text(&format!("Sitemap: {elsewhere}\n")),
        "/" => Reply::html(links([elsewhere.to_string(), "/jump".to_owned()])),
        "/jump" => Reply::redirect(elsewhere.as_str()),
        _ => Reply::status(404),
    })
    .await;
    let crawled = run(&site, quick()).await;
    assert_eq!(crawled.paths(), ["/"]);
    assert!(matches!(crawled.skip("/jump"), SkipReason::Refused(_) | SkipReason::OffSite(_)));
    assert_eq!(other.total(), 0);
}

#[tokio::test]
async fn a_private_address_is_refused_for_the_public_reach() {
    let site = Site::serve(|_| Reply::html(page("Home", "<p>Never read.</p>"))).await;
    let egress = Egress::builder().build().unwrap();
    for start in
        [site.url("/"), Url::parse("http://localhost/").unwrap(), Url::parse("http://169.254.169.254/").unwrap()]
    {
        let request = CrawlRequest { start, reach: Reach::Public, limits: quick(), user_agent: "Chatward".to_owned() };
        let (sender, mut receiver) = mpsc::channel(64);
        let report = crawl(&egress, request, sender, CancellationToken::new()).await;
        assert_eq!(report.end, CrawlEnd::StartFailed);
        let mut refused = false;
        while let Some(event) = receiver.recv().await {
            refused |= matches!(event, CrawlEvent::Skipped { reason: SkipReason::Refused(_), .. });
        }
        assert!(refused);
    }
    assert_eq!(site.total(), 0);
}

/// A name without digits, so that it has a shape of its own.
fn letters(mut at: usize) -> String {
    let mut name = String::new();
    for _ in 0..4 {
        name.push(char::from(b'a' + (at % 26) as u8));
        at /= 26;
    }
    name
}
