//! An OpenAI-compatible provider that costs almost nothing, so that what is measured is what stands before it.
//!
//! `/v1/chat/completions` answers at once: JSON, or with `"stream":true` 64 chunks in one burst. `/silent/…` never
//! answers; `/count` says how many silent requests are open.

use bytes::Bytes;
use chatward_bench::Failure;
use chatward_bench::options::Options;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::{Frame, Incoming};
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use std::cell::Cell;
use std::convert::Infallible;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use tokio::net::TcpListener;
use tokio::task::LocalSet;

const CHUNKS: usize = 64;

type Body = UnsyncBoxBody<Bytes, Infallible>;

struct Answers {
    whole: Bytes,
    burst: Vec<Bytes>,
    silent: Cell<usize>,
}

/// One silent request that is open; counted down however it ends.
struct Open(Rc<Answers>);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.silent.set(self.0.silent.get() - 1);
    }
}

impl Answers {
    fn new() -> Self {
        let usage = r#""usage":{"prompt_tokens":812,"completion_tokens":64,"total_tokens":876}"#;
        let text = "Shipping to Canada costs 12 dollars and takes five to eight working days [1]. Orders above 100 dollars \
            are shipped free of charge [2]. This sentence comes from the mock provider.";
        let whole = format!(
            r#"{{"id":"chatcmpl-bench","object":"chat.completion","created":1767225600,"model":"bench","choices":[{{"index":0,"message":{{"role":"assistant","content":"{text}","refusal":null,"annotations":[]}},"logprobs":null,"finish_reason":"stop"}}],{usage},"service_tier":"default","system_fingerprint":null}}"#
        );
        let head = r#"data: {"id":"chatcmpl-bench","object":"chat.completion.chunk","created":1767225600,"model":"bench","service_tier":"default","system_fingerprint":null,"choices":"#;
        let mut burst: Vec<Bytes> = (0..CHUNKS)
            .map(|number| {
                let word = if number == 0 { "The mock provider says".to_owned() } else { format!(" word{number}") };
                let choice = format!(r#"[{{"index":0,"delta":{{"content":"{word}"}},"logprobs":null,"finish_reason":null}}],"usage":null}}"#);
                format!("{head}{choice}\n\n").into()
            })
            .collect();
        burst.push(
            format!(
                r#"{head}[{{"index":0,"delta":{{}},"logprobs":null,"finish_reason":"stop"}}],"usage":null}}{}"#,
                "\n\n"
            )
            .into(),
        );
        burst.push(format!("{head}[],{usage}}}\n\ndata: [DONE]\n\n").into());
        Self { whole: whole.into(), burst, silent: Cell::new(0) }
    }
}

async fn answer(request: Request<Incoming>, answers: Rc<Answers>) -> Result<Response<Body>, Infallible> {
    let path = request.uri().path().to_owned();
    if path == "/count" {
        return Ok(Response::new(Full::from(answers.silent.get().to_string()).boxed_unsync()));
    }
    let body = request.into_body().collect().await.map(|body| body.to_bytes()).unwrap_or_default();
    if path.starts_with("/silent/") {
        answers.silent.set(answers.silent.get() + 1);
        let _open = Open(Rc::clone(&answers));
        std::future::pending::<()>().await;
    }
    let streamed = contains(&body, b"\"stream\":true");
    let (kind, body) = if streamed {
        ("text/event-stream", Burst(answers.burst.clone().into_iter()).boxed_unsync())
    } else {
        ("application/json", Full::new(answers.whole.clone()).boxed_unsync())
    };
    let mut response = Response::new(body);
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    Ok(response)
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|window| window == part)
}

/// A body whose chunks are all there at once.
struct Burst(std::vec::IntoIter<Bytes>);

impl hyper::body::Body for Burst {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.0.next().map(|chunk| Ok(Frame::data(chunk))))
    }
}

fn main() -> Result<(), Failure> {
    let options = Options::read(std::env::args().skip(1))?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    LocalSet::new().block_on(&runtime, async {
        let listener = TcpListener::bind(options.text("listen")?).await?;
        println!("{{\"listening\":\"http://{}\"}}", listener.local_addr()?);
        let answers = Rc::new(Answers::new());
        loop {
            let (socket, _) = listener.accept().await?;
            socket.set_nodelay(true)?;
            let answers = Rc::clone(&answers);
            tokio::task::spawn_local(async move {
                let service = service_fn(move |request| answer(request, Rc::clone(&answers)));
                // A caller that leaves ends the connection with an error that is of no interest.
                let _ = http1::Builder::new().serve_connection(TokioIo::new(socket), service).await;
            });
        }
    })
}
