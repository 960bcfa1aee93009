//! Provider calls: the credential's binding, redirects, reuse of connections, whole and broken bodies.

use crate::raw::{cut_short, ended, fall_silent, raw};
use crate::support::{ok, redirect, serve};
use chatward_egress::{Call, CallFailure, Credential, Egress, Reach, Refusal, Resolve, Resolving, Url};
use chatward_types::Secret;
use std::net::SocketAddr;
use std::sync::Arc;

/// Every name leads to loopback, as that of a model server in a private network might.
#[derive(Debug)]
struct Loopback;

impl Resolve for Loopback {
    fn resolve(&self, _: String) -> Resolving {
        Box::pin(async { Ok(vec![[127, 0, 0, 1].into()]) })
    }
}

fn egress() -> Egress {
    Egress::builder().resolver(Arc::new(Loopback)).build().unwrap()
}

fn key() -> String {
    ["test", "only", "credential", "0001"].join("-")
}

fn call(server: SocketAddr, host: &str, bound_to: &str) -> Call {
    let url = Url::parse(&format!("http://{host}:{}/v1/chat", server.port())).unwrap();
    let mut call = Call::post_json(url, Reach::Operator, "{\"stream\":true}");
    call.credential = Some(Credential { secret: Secret::new(key()), host: bound_to.to_owned() });
    call
}

#[tokio::test]
async fn a_call_carries_its_credential_and_body_and_hands_the_answer_on() {
    let model = serve(|_| ok("content-type: application/json\r\nx-request-id: 7\r\n", "{\"ok\":1}")).await;
    let port = model.address.port();
    for bound in ["model.example".to_owned(), "MODEL.example".to_owned(), format!("model.example:{port}")] {
        let answer = egress().call(call(model.address, "model.example", &bound)).await.unwrap();
        assert_eq!(answer.status, 200);
        assert_eq!(answer.headers["x-request-id"], "7");
        assert_eq!(&answer.body.collect().await.unwrap()[..], b"{\"ok\":1}");
    }
    let request = model.requests().remove(0);
    assert!(request.starts_with("POST /v1/chat HTTP/1.1\r\n"), "{request}");
    assert!(request.contains(&format!("authorization: Bearer {}\r\n", key())));
    assert!(request.contains("content-type: application/json\r\n"));
    assert!(request.contains(&format!("host: model.example:{port}\r\n")));
    assert!(!request.contains("accept-encoding"), "an answer is never compressed");
    assert!(request.ends_with("\r\n\r\n{\"stream\":true}"));
}

#[tokio::test]
async fn a_credential_never_goes_to_another_host() {
    let model = serve(|_| ok("", "{}")).await;
    let other_port = format!("model.example:{}", model.address.port() ^ 1);
    for bound in [
        "api.site.example",
        "example",
        "xmodel.example",
        "model.example.site.example",
        "model.example.",
        "",
        ":",
        &other_port,
        "127.0.0.1",
        "http://model.example",
        "model.example/",
        "model.example@model.example",
    ] {
        let error = egress().call(call(model.address, "model.example", bound)).await.unwrap_err();
        assert_eq!(error.failure(), CallFailure::CredentialHost, "{bound}");
        assert!(!format!("{error} {error:?}").contains(&key()));
    }
    assert_eq!(model.connections(), 0, "nothing was even dialled");
}

#[tokio::test]
async fn a_credential_never_follows_a_redirect() {
    let thief = serve(|_| ok("", "thanks")).await;
    for status in ["301 Moved", "302 Found", "303 See Other", "307 Temporary", "308 Permanent"] {
        let to = format!("http://model.example:{}/", thief.address.port());
        let model =
            serve(move |_| String::from_utf8(redirect(&to)).unwrap().replace("302 Found", status).into_bytes()).await;
        let answer = egress().call(call(model.address, "model.example", "model.example")).await.unwrap();
        assert_eq!(answer.status.to_string(), status[..3]);
    }
    assert_eq!(thief.connections(), 0);
}

#[tokio::test]
async fn a_credential_never_travels_in_plain_text_over_the_internet() {
    let plain = |url: &str, reach| {
        let mut call = Call::post_json(Url::parse(url).unwrap(), reach, "{}");
        let host = call.url.host_str().unwrap().to_owned();
        call.credential = Some(Credential { secret: Secret::new(key()), host });
        call
    };
    let exact: SocketAddr = "8.8.8.8:80".parse().unwrap();
    let egress = Egress::builder().resolver(Arc::new(Loopback)).exact_socket(exact).build().unwrap();
    for (url, reach, failure) in [
        ("http://api.site.example/", Reach::Public, CallFailure::CredentialPlain),
        ("http://8.8.8.8/", Reach::Public, CallFailure::CredentialPlain),
        ("http://8.8.8.8/", Reach::Exact(exact), CallFailure::CredentialPlain),
        ("http://8.8.8.8/", Reach::Operator, CallFailure::Refused(Refusal::PlainHttp)),
    ] {
        let error = egress.call(plain(url, reach)).await.unwrap_err();
        assert_eq!(error.failure(), failure, "{url}");
    }
}

#[tokio::test]
async fn a_credential_that_is_no_header_is_refused_and_none_is_printed() {
    let model = serve(|_| ok("", "{}")).await;
    for secret in [String::new(), format!("{}\r\nx-injected: 1", key()), "\u{0}".to_owned()] {
        let mut call = call(model.address, "model.example", "model.example");
        call.credential = Some(Credential { secret: Secret::new(secret), host: "model.example".into() });
        let shown = format!("{call:?}");
        let error = egress().call(call).await.unwrap_err();
        assert_eq!(error.failure(), CallFailure::BadRequest);
        assert!(!format!("{shown}{error}{error:?}").contains(&key()));
    }
    assert_eq!(model.connections(), 0);
}

#[tokio::test]
async fn other_methods_and_other_reaches_are_refused() {
    let model = serve(|_| ok("", "{}")).await;
    for method in ["CONNECT", "PUT", "DELETE", "TRACE", "OPTIONS"] {
        let mut call = call(model.address, "model.example", "model.example");
        call.method = method.parse().unwrap();
        assert_eq!(egress().call(call).await.unwrap_err().failure(), CallFailure::BadRequest);
    }
    for reach in [Reach::Public, Reach::Exact(model.address)] {
        let mut call = call(model.address, "model.example", "model.example");
        call.reach = reach;
        let failure = egress().call(call).await.unwrap_err().failure();
        assert!(matches!(failure, CallFailure::Refused(_)), "{failure:?}");
    }
    assert_eq!(model.connections(), 0);
}

#[tokio::test]
async fn connections_are_kept_and_reused() {
    let model = serve(|_| ok("", "{}")).await;
    let egress = egress();
    for _ in 0..5 {
        let answer = egress.call(call(model.address, "model.example", "model.example")).await.unwrap();
        answer.body.collect().await.unwrap();
    }
    assert_eq!((model.connections(), model.requests().len()), (1, 5));
}

/// The server answers one request for each connection, offers to keep it, and closes it.
#[tokio::test]
async fn a_pooled_connection_that_was_closed_is_dialled_anew() {
    let (address, mut ends) = raw(|stream| cut_short(stream, ok("", "{}"))).await;
    let egress = egress();
    for _ in 0..5 {
        let answer = egress.call(call(address, "model.example", "model.example")).await.unwrap();
        assert_eq!(&answer.body.collect().await.unwrap()[..], b"{}");
        ended(&mut ends).await;
        // The close has left the server; the runtime sees it when it next looks at its sockets.
        for _ in 0..64 {
            tokio::task::yield_now().await;
        }
    }
}

/// It may have been acted upon: whether to repeat it is for the caller to say.
#[tokio::test]
async fn a_request_that_was_sent_is_never_repeated() {
    let model =
        serve(|request| if request.contains("first") { ok("", "{}") } else { b"connection: close".to_vec() }).await;
    let egress = egress();
    let mut first = call(model.address, "model.example", "model.example");
    first.body = "first".into();
    egress.call(first).await.unwrap().body.collect().await.unwrap();
    let second = call(model.address, "model.example", "model.example");
    let error = egress.call(second).await.unwrap_err();
    assert_eq!(error.failure(), CallFailure::Protocol);
    assert_eq!((model.connections(), model.requests().len()), (1, 2));
}

#[tokio::test]
async fn a_body_cut_short_never_looks_complete() {
    for answer in [
        "HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\ndata: half",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\na\r\ndata: half\r\n",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n20\r\ndata: half",
    ] {
        let (address, _ends) = raw(move |stream| cut_short(stream, answer.into())).await;
        let mut body = egress().call(call(address, "m.example", "m.example")).await.unwrap().body;
        assert_eq!(&body.chunk().await.unwrap().unwrap()[..], b"data: half");
        for _ in 0..3 {
            let error = body.chunk().await.unwrap_err();
            assert_eq!(error.failure(), CallFailure::Protocol, "and it stays an error");
        }
    }
}

#[tokio::test]
async fn a_body_over_its_cap_and_a_compressed_one_are_refused() {
    let model = serve(|_| ok("", "x".repeat(1001))).await;
    let mut over = call(model.address, "m.example", "m.example");
    over.max_response_bytes = 1000;
    let body = egress().call(over).await.unwrap().body;
    assert_eq!(body.collect().await.unwrap_err().failure(), CallFailure::TooLarge);

    let model = serve(|_| ok("content-encoding: gzip\r\n", "x")).await;
    let error = egress().call(call(model.address, "m.example", "m.example")).await.unwrap_err();
    assert_eq!(error.failure(), CallFailure::BadEncoding);
}

#[tokio::test]
async fn pieces_come_in_order_and_the_end_stays_the_end() {
    let pieces = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\none\r\n3\r\ntwo\r\n5\r\nthree\r\n0\r\n\r\n";
    let (address, _ends) = raw(move |stream| cut_short(stream, pieces.into())).await;
    let egress = egress();
    let whole = egress.call(call(address, "m.example", "m.example")).await.unwrap().body;
    assert_eq!(&whole.collect().await.unwrap()[..], b"onetwothree");
    let mut body = egress.call(call(address, "m.example", "m.example")).await.unwrap().body;
    let mut text = Vec::new();
    while let Some(piece) = body.chunk().await.unwrap() {
        assert!(!piece.is_empty());
        text.extend_from_slice(&piece);
    }
    assert_eq!(text, b"onetwothree");
    assert_eq!(body.chunk().await, Ok(None));
}

/// What stands behind a body is no answer to anything: neither handed on nor waited for on the same connection.
#[tokio::test]
async fn an_answer_that_says_more_than_its_body_ends_its_connection() {
    let model = serve(|_| [ok("", "{}"), ok("", "another's")].concat()).await;
    let egress = egress();
    for connections in 1..=3 {
        let answer = egress.call(call(model.address, "m.example", "m.example")).await.unwrap();
        assert_eq!(&answer.body.collect().await.unwrap()[..], b"{}");
        assert_eq!(model.connections(), connections);
    }
}

#[tokio::test]
async fn interim_answers_are_skipped_but_not_without_end() {
    let interim = |count: usize| b"HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n".repeat(count);
    let model = serve(move |_| [b"HTTP/1.1 100 Continue\r\n\r\n".to_vec(), interim(3), ok("", "{}")].concat()).await;
    let answer = egress().call(call(model.address, "m.example", "m.example")).await.unwrap();
    assert_eq!((answer.status, &answer.body.collect().await.unwrap()[..]), (200, &b"{}"[..]));
    for answer in [[interim(20), ok("", "{}")].concat(), b"HTTP/1.1 101 Switching Protocols\r\n\r\n".to_vec()] {
        let model = serve(move |_| answer.clone()).await;
        let error = egress().call(call(model.address, "m.example", "m.example")).await.unwrap_err();
        assert_eq!(error.failure(), CallFailure::Protocol);
    }
}

#[tokio::test]
async fn a_head_that_contradicts_itself_or_never_ends_is_refused() {
    let endless = format!("HTTP/1.1 200 OK\r\nx: {}", "y".repeat(64 * 1024));
    for head in [
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ncontent-length: 3\r\n\r\n3\r\none\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length: 3\r\ncontent-length: 4\r\n\r\none",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: gzip\r\n\r\n",
        "SSH-2.0-server\r\n\r\n",
        &endless,
    ] {
        let first = head.as_bytes().to_vec();
        let (address, mut ends) = raw(move |stream| fall_silent(stream, first.clone())).await;
        let error = egress().call(call(address, "m.example", "m.example")).await.unwrap_err();
        assert_eq!(error.failure(), CallFailure::Protocol, "{:.60}", head);
        ended(&mut ends).await;
    }
}
