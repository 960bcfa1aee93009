//! Fetching: the exact reach, redirects, what is sent and what is handed back.

use crate::raw::{cut_short, fetch_from, raw};
use crate::support::{ok, redirect, serve};
use chatward_egress::{Egress, Fetch, FetchFailure, Reach, Refusal, Resolve, Resolving, Url, is_private};
use std::net::IpAddr;
use std::sync::Arc;

fn url(text: &str) -> Url {
    Url::parse(text).unwrap()
}

#[tokio::test]
async fn the_exact_reach_exists_only_where_it_was_built_in() {
    let site = serve(|_| ok("", "sample")).await;
    let page = url(&format!("http://{}/", site.address));
    let reach = Reach::Exact(site.address);

    let serving = Egress::builder().build().unwrap();
    let error = serving.fetch(Fetch::new(page.clone(), reach)).await.unwrap_err();
    assert_eq!(*error.failure(), FetchFailure::Refused(Refusal::NotTheSocket));
    let error = serving.fetch(Fetch::new(page.clone(), Reach::Public)).await.unwrap_err();
    assert!(matches!(error.failure(), FetchFailure::Refused(_)));
    assert_eq!(site.connections(), 0);

    let demo = Egress::builder().exact_socket(site.address).build().unwrap();
    assert_eq!(&demo.fetch(Fetch::new(page, reach)).await.unwrap().body[..], b"sample");
    let metadata = "169.254.169.254:80".parse().unwrap();
    assert!(Egress::builder().exact_socket(metadata).build().is_err());
}

#[tokio::test]
async fn the_exact_site_cannot_redirect_anywhere_else() {
    let canary = serve(|_| ok("", "reached")).await;
    let elsewhere = canary.address;
    let port = elsewhere.port();
    for target in [
        format!("http://{elsewhere}/"),
        format!("http://localhost:{port}/"),
        format!("http://0x7f000001:{port}/"),
        format!("http://[::ffff:127.0.0.1]:{port}/"),
        "http://169.254.169.254/latest/meta-data/".to_owned(),
        "https://site.example/".to_owned(),
        "file:///etc/passwd".to_owned(),
        format!("//user@{elsewhere}/"),
    ] {
        let site = serve(move |_| redirect(&target)).await;
        let error = fetch_from(site.address, "/", |_| {}).await.unwrap_err();
        assert!(matches!(error.failure(), FetchFailure::Refused(_)), "{error}");
        assert_eq!(site.requests().len(), 1);
    }
    assert_eq!(canary.connections(), 0);
}

#[tokio::test]
async fn redirects_are_followed_five_times_and_not_in_circles() {
    let site = serve(|request| {
        let path = request.split(' ').nth(1).unwrap();
        match path.strip_prefix("/hop/").map(|hop| hop.parse::<u32>().unwrap()) {
            Some(0) => ok("", "arrived"),
            Some(hop) => redirect(&format!("{}", hop - 1)),
            None if path == "/self" => redirect("#fragment"),
            None if path == "/ping" => redirect("/pong"),
            None => redirect("/ping"),
        }
    })
    .await;
    let page = fetch_from(site.address, "/hop/5", |_| {}).await.unwrap();
    assert_eq!((&page.body[..], page.redirects), (&b"arrived"[..], 5));
    assert!(page.final_url.path() == "/hop/0");
    for (path, requests) in [("/hop/6", 6), ("/self", 1), ("/ping", 2)] {
        let before = site.requests().len();
        let error = fetch_from(site.address, path, |_| {}).await.unwrap_err();
        assert_eq!(*error.failure(), FetchFailure::RedirectLoop, "{path}");
        assert_eq!(site.requests().len() - before, requests, "{path}");
    }
}

#[tokio::test]
async fn a_location_that_is_no_address_is_an_error_and_one_that_is_missing_is_an_answer() {
    let site = serve(|request| match request.split(' ').nth(1).unwrap() {
        "/none" => b"HTTP/1.1 301 Moved\r\ncontent-length: 0\r\n\r\n".to_vec(),
        "/two" => b"HTTP/1.1 301 Moved\r\nlocation: /a\r\nlocation: /b\r\ncontent-length: 0\r\n\r\n".to_vec(),
        "/bytes" => b"HTTP/1.1 301 Moved\r\nlocation: /\xff\xfe\r\ncontent-length: 0\r\n\r\n".to_vec(),
        _ => redirect("http://[::1"),
    })
    .await;
    for path in ["/two", "/bytes", "/broken"] {
        let error = fetch_from(site.address, path, |_| {}).await.unwrap_err();
        assert_eq!(*error.failure(), FetchFailure::Protocol, "{path}");
    }
    assert_eq!(fetch_from(site.address, "/none", |_| {}).await.unwrap().status, 301);
}

#[tokio::test]
async fn a_request_says_no_more_than_it_must_and_keeps_no_cookie() {
    let site = serve(|_| {
        ok("set-cookie: a=b; path=/\r\netag: \"e\"\r\nx-robots-tag: noindex\r\nx-robots-tag: nofollow\r\n", "x")
    })
    .await;
    let egress = Egress::builder().exact_socket(site.address).user_agent("Test/1").build().unwrap();
    let page = url(&format!("http://{}/a%20b?c=d#secret-fragment", site.address));
    for own in [None, Some("Own/2".to_owned())] {
        let mut fetch = Fetch::new(page.clone(), Reach::Exact(site.address));
        fetch.accept = "text/html";
        fetch.user_agent = own;
        let fetched = egress.fetch(fetch).await.unwrap();
        assert_eq!(fetched.etag.as_deref(), Some("\"e\""));
        assert_eq!(fetched.x_robots_tag.as_deref(), Some("noindex, nofollow"));
    }
    for (request, agent) in site.requests().iter().zip(["Test/1", "Own/2"]) {
        let mut lines: Vec<_> = request.trim_end().split("\r\n").collect();
        assert_eq!(lines.remove(0), "GET /a%20b?c=d HTTP/1.1");
        lines.sort_unstable();
        let host = format!("host: {}", site.address);
        let agent = format!("user-agent: {agent}");
        assert_eq!(lines, ["accept-encoding: gzip", "accept: text/html", &host, &agent]);
    }
}

#[tokio::test]
async fn what_is_not_http_is_an_error() {
    let many = |n: usize| {
        let mut head = b"HTTP/1.1 200 OK\r\n".to_vec();
        for i in 0..n {
            head.extend(format!("x-{i}: y\r\n").into_bytes());
        }
        head.extend_from_slice(b"content-length: 0\r\n\r\n");
        head
    };
    for (name, answer) in [
        ("nothing", Vec::new()),
        ("garbage", b"\x00\x01\x02\x03 what\r\n\r\n".to_vec()),
        ("http/0.9", b"<html>hello</html>\r\n\r\n".to_vec()),
        ("a mail server", b"220 mail ESMTP\r\n".to_vec()),
        ("cut head", b"HTTP/1.1 200 OK\r\nconte".to_vec()),
        ("cut body", b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nten bytes.".to_vec()),
        ("cut chunks", b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n".to_vec()),
        ("two lengths", b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nxx".to_vec()),
        ("negative length", b"HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\nxx".to_vec()),
        ("101 headers", many(101)),
        ("a header of 64 KiB", {
            let mut head = b"HTTP/1.1 200 OK\r\nx: ".to_vec();
            head.resize(64 * 1024, b'y');
            head.extend_from_slice(b"\r\ncontent-length: 0\r\n\r\n");
            head
        }),
        ("a bad chunk size", b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nfffffffffffffffff\r\n".to_vec()),
    ] {
        let (address, _ends) = raw(move |stream| cut_short(stream, answer.clone())).await;
        let error = fetch_from(address, "/", |_| {}).await.unwrap_err();
        assert_eq!(*error.failure(), FetchFailure::Protocol, "{name}: {error}");
    }
    let fine = many(90);
    let (address, _ends) = raw(move |stream| cut_short(stream, fine.clone())).await;
    assert_eq!(fetch_from(address, "/", |_| {}).await.unwrap().status, 200);
}

#[derive(Debug)]
struct Fixed(Vec<IpAddr>);

impl Resolve for Fixed {
    fn resolve(&self, _: String) -> Resolving {
        let answer = self.0.clone();
        Box::pin(async move { Ok(answer) })
    }
}

/// Without a stage: the ports are the real ones, and nothing may be dialled there.
#[tokio::test]
async fn names_of_strangers_that_resolve_inside_are_refused_by_the_real_connector() {
    for address in ["127.0.0.1", "10.0.0.1", "169.254.169.254", "::1", "::ffff:127.0.0.1", "64:ff9b::a00:1"] {
        let egress = Egress::builder()
            .resolver(Arc::new(Fixed(vec!["8.8.8.8".parse().unwrap(), address.parse().unwrap()])))
            .build()
            .unwrap();
        let error = egress.fetch(Fetch::new(url("https://site.example/"), Reach::Public)).await.unwrap_err();
        assert!(matches!(error.failure(), FetchFailure::Refused(_)), "{address}: {error}");
    }
}

#[tokio::test]
async fn the_systems_resolver_answers_and_fails_in_the_ordinary_way() {
    let resolver = chatward_egress::SystemResolver::default();
    let found = resolver.resolve("localhost".to_owned()).await.unwrap();
    assert!(!found.is_empty() && found.len() <= 16 && found.iter().all(|address| is_private(*address)));
    assert!(resolver.resolve("does-not-exist.invalid".to_owned()).await.is_err());
}

#[tokio::test]
async fn a_port_where_nobody_listens_is_a_connect_failure() {
    let closed = serve(|_| Vec::new()).await.address;
    // The server is gone with the statement's end; its port is closed.
    let error = fetch_from(closed, "/", |_| {}).await.unwrap_err();
    assert!(matches!(error.failure(), FetchFailure::Connect | FetchFailure::Protocol), "{error}");
}
