//! Bodies: caps on the wire and decompressed, encodings, and the time they may take.

use crate::raw::{drip, ended, fall_silent, fetch_from, raw};
use crate::support::{ok, serve};
use chatward_egress::FetchFailure;
use flate2::Compression;
use flate2::write::GzEncoder;
use std::io::Write;
use std::time::{Duration, Instant};

const CAP: usize = 64 * 1024;
/// Longer than any test may take; who waits for it has missed an earlier end.
const LONG: Duration = Duration::from_secs(60);

fn gzip(plain: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(plain).unwrap();
    encoder.finish().unwrap()
}

async fn failure_of(headers: &'static str, body: Vec<u8>) -> FetchFailure {
    let site = serve(move |_| ok(headers, &body)).await;
    let outcome = fetch_from(site.address, "/", |fetch| fetch.max_bytes = CAP).await;
    outcome.unwrap_err().failure().clone()
}

#[tokio::test]
async fn gzip_is_undone_and_padding_behind_it_ignored() {
    let text = "a page ".repeat(1000);
    for padding in ["", "\0\0\0\0"] {
        let mut body = gzip(text.as_bytes());
        body.extend_from_slice(padding.as_bytes());
        let site = serve(move |_| ok("content-encoding: GZip\r\n", &body)).await;
        let page = fetch_from(site.address, "/", |fetch| fetch.max_bytes = CAP).await.unwrap();
        assert_eq!(page.body, text.as_bytes());
    }
}

#[tokio::test]
async fn a_bomb_is_stopped_at_the_cap() {
    let bomb = gzip(&vec![0; 32 * 1024 * 1024]);
    assert!(bomb.len() < CAP, "it is small on the wire: {}", bomb.len());
    assert_eq!(failure_of("content-encoding: gzip\r\n", bomb).await, FetchFailure::TooLarge);
    // One byte over the cap is over, the cap itself is not.
    let over = gzip(&vec![0; CAP + 1]);
    assert_eq!(failure_of("content-encoding: gzip\r\n", over).await, FetchFailure::TooLarge);
    let exact = gzip(&vec![0; CAP]);
    let site = serve(move |_| ok("content-encoding: gzip\r\n", &exact)).await;
    let page = fetch_from(site.address, "/", |fetch| fetch.max_bytes = CAP).await.unwrap();
    assert_eq!(page.body.len(), CAP);
}

#[tokio::test]
async fn broken_and_unwanted_encodings_are_refused() {
    let whole = gzip(b"hello, hello, hello");
    let cut = whole[..whole.len() - 1].to_vec();
    let mut wrong_sum = whole.clone();
    let sum = wrong_sum.len() - 8;
    wrong_sum[sum] ^= 1;
    for (headers, body) in [
        ("content-encoding: gzip\r\n", cut),
        ("content-encoding: gzip\r\n", wrong_sum),
        ("content-encoding: gzip\r\n", b"not gzip at all".to_vec()),
        ("content-encoding: gzip\r\n", Vec::new()),
        ("content-encoding: br\r\n", whole.clone()),
        ("content-encoding: deflate\r\n", whole.clone()),
        ("content-encoding: zstd\r\n", whole.clone()),
        ("content-encoding: gzip, gzip\r\n", gzip(&whole)),
        ("content-encoding: gzip\r\ncontent-encoding: gzip\r\n", gzip(&whole)),
        ("content-encoding: identity\r\ncontent-encoding: gzip\r\n", whole.clone()),
        ("content-encoding: \u{e9}\r\n", whole),
    ] {
        assert_eq!(failure_of(headers, body).await, FetchFailure::BadEncoding, "{headers}");
    }
}

#[tokio::test]
async fn a_declared_length_over_the_cap_is_refused_before_the_body() {
    let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", 10_u64.pow(12));
    let (address, mut ends) = raw(move |stream| fall_silent(stream, head.clone().into_bytes())).await;
    let begun = Instant::now();
    let error = fetch_from(address, "/", |fetch| fetch.deadline = LONG).await.unwrap_err();
    assert_eq!(*error.failure(), FetchFailure::TooLarge);
    assert!(begun.elapsed() < LONG / 2);
    ended(&mut ends).await;
}

#[tokio::test]
async fn an_endless_body_ends_at_the_cap() {
    let chunk = [format!("{:x}\r\n", 8192).into_bytes(), vec![b'x'; 8192], b"\r\n".to_vec()].concat();
    // Padding behind a small page, without end.
    let padded = [b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\n\r\n".to_vec(), gzip(b"small")].concat();
    for (head, piece) in [
        (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n".to_vec(), chunk),
        (b"HTTP/1.1 200 OK\r\n\r\n".to_vec(), vec![b'x'; 8192]),
        (padded, vec![0; 8192]),
    ] {
        let (address, mut ends) = raw(move |stream| drip(stream, head.clone(), piece.clone(), Duration::ZERO)).await;
        let outcome = fetch_from(address, "/", |fetch| {
            fetch.max_bytes = CAP;
            fetch.deadline = LONG;
        });
        assert_eq!(*outcome.await.unwrap_err().failure(), FetchFailure::TooLarge);
        ended(&mut ends).await;
    }
}

/// Each of these would go on for ever, a little at a time.
#[tokio::test]
async fn what_is_slow_ends_at_the_deadline_and_the_peer_is_hung_up_on() {
    let pause = Duration::from_millis(5);
    for (name, first, piece) in [
        ("silence", "", ""),
        ("slow head", "HTTP/1.1 200 OK\r\n", "x: y\r\n"),
        ("slow body", "HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n", "x"),
        ("slow chunks", "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n", "1\r\nx\r\n"),
        ("stalled body", "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf", ""),
        ("informational answers", "", "HTTP/1.1 103 Early Hints\r\n\r\n"),
    ] {
        let (address, mut ends) = raw(move |stream| drip(stream, first.into(), piece.into(), pause)).await;
        let begun = Instant::now();
        let outcome = fetch_from(address, "/", |fetch| fetch.deadline = Duration::from_millis(150));
        let error = outcome.await.unwrap_err();
        assert_eq!(*error.failure(), FetchFailure::Timeout, "{name}: {error}");
        assert!(begun.elapsed() >= Duration::from_millis(150) && begun.elapsed() < LONG / 2);
        ended(&mut ends).await;
    }
}

/// The deadline is one for all hops: a chain of slow redirects does not add up.
#[tokio::test]
async fn redirects_share_the_deadline() {
    let (address, _ends) = raw(|mut stream| async move {
        for hop in 0.. {
            if crate::support::read_request(&mut stream).await.is_none() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(80)).await;
            let answer = crate::support::redirect(&format!("/{hop}"));
            if tokio::io::AsyncWriteExt::write_all(&mut stream, &answer).await.is_err() {
                break;
            }
        }
    })
    .await;
    let outcome = fetch_from(address, "/", |fetch| fetch.deadline = Duration::from_millis(200));
    assert_eq!(*outcome.await.unwrap_err().failure(), FetchFailure::Timeout);
}

#[tokio::test]
async fn an_endless_head_is_refused_long_before_the_deadline() {
    let flood = "x-flood: yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy\r\n".repeat(16);
    let (address, mut ends) =
        raw(move |stream| drip(stream, b"HTTP/1.1 200 OK\r\n".to_vec(), flood.clone().into_bytes(), Duration::ZERO))
            .await;
    let error = fetch_from(address, "/", |fetch| fetch.deadline = LONG).await.unwrap_err();
    assert_eq!(*error.failure(), FetchFailure::Protocol, "{error}");
    ended(&mut ends).await;
}
