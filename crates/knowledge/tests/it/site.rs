//! A web server for tests: a closure answers each path, and what was asked is remembered.

use bytes::Bytes;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Instant;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use url::Url;

/// An answer.
#[derive(Debug, Clone)]
pub(crate) enum Reply {
    /// Status, headers, body.
    Plain(u16, Vec<(String, String)>, Bytes),
    /// A body that never ends.
    Endless,
    /// Nothing at all, for ever.
    Silent,
    /// A body that breaks off.
    Cut,
}

impl Reply {
    pub(crate) fn status(status: u16) -> Self {
        Self::Plain(status, Vec::new(), Bytes::new())
    }

    pub(crate) fn bytes(content_type: &str, body: Vec<u8>) -> Self {
        Self::Plain(200, vec![("content-type".into(), content_type.into())], body.into())
    }

    pub(crate) fn html(body: String) -> Self {
        Self::bytes("text/html; charset=utf-8", body.into_bytes())
    }

    pub(crate) fn xml(body: &str) -> Self {
        Self::bytes("application/xml", body.as_bytes().to_vec())
    }

    pub(crate) fn text(body: &str) -> Self {
        Self::bytes("text/plain", body.as_bytes().to_vec())
    }

    pub(crate) fn redirect(to: &str) -> Self {
        Self::status(302).with("location", to)
    }

    pub(crate) fn and_status(mut self, to: u16) -> Self {
        if let Self::Plain(status, ..) = &mut self {
            *status = to;
        }
        self
    }

    pub(crate) fn with(mut self, name: &str, value: &str) -> Self {
        if let Self::Plain(_, headers, _) = &mut self {
            headers.push((name.into(), value.into()));
        }
        self
    }
}

/// An ordinary page.
pub(crate) fn page(title: &str, body: &str) -> String {
    format!(
        "<!doctype html><html lang=en><title>{title}</title><body><main><h1>{title}</h1>{body}</main></body></html>"
    )
}

#[derive(Debug, Default)]
struct Seen {
    paths: Vec<String>,
    agents: Vec<String>,
    times: Vec<Instant>,
}

/// A running server; it ends when dropped.
#[derive(Debug)]
pub(crate) struct Site {
    pub(crate) address: SocketAddr,
    seen: Arc<Mutex<Seen>>,
    serving: Option<JoinHandle<()>>,
}

impl Site {
    pub(crate) async fn serve(answer: impl Fn(&str) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Arc::new(Mutex::new(Seen::default()));
        let answer = Arc::new(answer);
        let noted = Arc::clone(&seen);
        let serving = tokio::spawn(async move {
            // Connections end with the server.
            let mut connections = tokio::task::JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let (answer, seen) = (Arc::clone(&answer), Arc::clone(&noted));
                connections.spawn(async move {
                    let service = service_fn(move |request: Request<Incoming>| {
                        let reply = note(&seen, &request, &*answer);
                        async move { Ok::<_, Infallible>(respond(reply).await) }
                    });
                    let _ = hyper::server::conn::http1::Builder::new()
                        .serve_connection(TokioIo::new(stream), service)
                        .await;
                });
            }
        });
        Self { address, seen, serving: Some(serving) }
    }

    /// An address at which nobody listens any more.
    pub(crate) fn nowhere(address: SocketAddr) -> Self {
        Self { address, seen: Arc::default(), serving: None }
    }

    pub(crate) async fn stop(mut self) {
        if let Some(serving) = self.serving.take() {
            serving.abort();
            let _ = serving.await;
        }
    }

    pub(crate) fn url(&self, path: &str) -> Url {
        Url::parse(&format!("http://{}{path}", self.address)).unwrap()
    }

    pub(crate) fn count(&self, path: &str) -> usize {
        self.seen.lock().unwrap().paths.iter().filter(|seen| *seen == path).count()
    }

    pub(crate) fn total(&self) -> usize {
        self.seen.lock().unwrap().paths.len()
    }

    pub(crate) fn first_path(&self) -> Option<String> {
        self.seen.lock().unwrap().paths.first().cloned()
    }

    pub(crate) fn user_agents(&self) -> Vec<String> {
        self.seen.lock().unwrap().agents.clone()
    }

    pub(crate) fn times(&self) -> Vec<Instant> {
        self.seen.lock().unwrap().times.clone()
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        if let Some(serving) = &self.serving {
            serving.abort();
        }
    }
}

fn note(seen: &Mutex<Seen>, request: &Request<Incoming>, answer: &dyn Fn(&str) -> Reply) -> Reply {
    let path = request.uri().path_and_query().map_or("/", |path| path.as_str());
    let agent = request.headers().get("user-agent").and_then(|agent| agent.to_str().ok()).unwrap_or_default();
    let mut seen = seen.lock().unwrap();
    seen.paths.push(path.to_owned());
    seen.agents.push(agent.to_owned());
    seen.times.push(Instant::now());
    answer(path)
}

type Body = BoxBody<Bytes, io::Error>;

async fn respond(reply: Reply) -> Response<Body> {
    match reply {
        Reply::Plain(status, headers, body) => {
            let mut response = Response::builder().status(status);
            for (name, value) in headers {
                response = response.header(name, value);
            }
            response.body(Full::new(body).map_err(|never| match never {}).boxed()).unwrap()
        }
        Reply::Silent => std::future::pending().await,
        Reply::Endless => {
            let piece = Bytes::from("<p>on and on</p>".repeat(1_000));
            let frames = futures_util::stream::repeat_with(move || Ok(Frame::data(piece.clone())));
            html(StreamBody::new(frames).boxed())
        }
        Reply::Cut => {
            let frames = futures_util::stream::iter([
                Ok(Frame::data(Bytes::from_static(b"<p>it breaks"))),
                Err(io::Error::other("cut")),
            ]);
            html(StreamBody::new(frames).boxed())
        }
    }
}

fn html(body: Body) -> Response<Body> {
    Response::builder().header("content-type", "text/html").body(body).unwrap()
}
