//! The demo's sample website: a small shop, served by the same program on a second port.
//!
//! Its pages are ordinary static files with ordinary headers; two marks in them are replaced: its own origin,
//! and the line that a site's owner pastes.

use axum::Router;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue, X_CONTENT_TYPE_OPTIONS};
use http::{Method, StatusCode};
use rust_embed::Embed;
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// The shop's name.
pub(super) const NAME: &str = "Pellamoor Kettle & Tea";
/// What its chat says first.
pub(super) const GREETING: &str = "Hello! Ask me about our tea, shipping, returns or anything else in the shop.";
/// What its chat offers.
pub(super) const STARTERS: [&str; 3] =
    ["What does shipping to Canada cost?", "How do I return something?", "How do I descale a kettle?"];
/// Where its chat sends those it cannot help.
pub(super) const CONTACT: &str = "Write to hello@pellamoor.example";

#[derive(Embed)]
#[folder = "sample"]
struct Files;

/// What is put into the pages.
#[derive(Debug)]
pub(super) struct Sample {
    pub(super) origin: String,
    pub(super) chat: String,
    pub(super) key: String,
}

type Pages = Arc<BTreeMap<String, (&'static str, Bytes)>>;

/// Serves the shop until the demo stops.
pub(super) async fn serve(listener: TcpListener, sample: Sample, stopping: CancellationToken) {
    let pages: Pages = Arc::new(pages(&sample));
    let router = Router::new().fallback(get_page).with_state(pages);
    let served = axum::serve(listener, router).with_graceful_shutdown(async move { stopping.cancelled().await }).await;
    if let Err(error) = served {
        tracing::error!(%error, "the sample website ended");
    }
}

async fn get_page(State(pages): State<Pages>, request: Request) -> Response {
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return StatusCode::METHOD_NOT_ALLOWED.into_response();
    }
    let path = request.uri().path().trim_matches('/');
    let found = [path.to_owned(), format!("{path}.html"), format!("{path}/index.html"), "index.html".to_owned()]
        .into_iter()
        .filter(|name| path.is_empty() || name != "index.html")
        .find_map(|name| pages.get(&name));
    match found {
        Some((kind, bytes)) => (
            [
                (CONTENT_TYPE, HeaderValue::from_static(kind)),
                (CACHE_CONTROL, HeaderValue::from_static("no-cache")),
                (X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
            ],
            bytes.clone(),
        )
            .into_response(),
        None => (StatusCode::NOT_FOUND, "There is no such page in this shop.").into_response(),
    }
}

fn pages(sample: &Sample) -> BTreeMap<String, (&'static str, Bytes)> {
    let tag = format!("<script src=\"{}/widget.js\" data-site-id=\"{}\" async></script>", sample.chat, sample.key);
    Files::iter()
        .filter_map(|name| {
            let bytes = Files::get(&name)?.data.into_owned();
            let bytes = match String::from_utf8(bytes) {
                Ok(text) => text.replace("{{origin}}", &sample.origin).replace("<!--chatward-widget-->", &tag).into(),
                Err(other) => Bytes::from(other.into_bytes()),
            };
            Some((name.to_string(), (kind_of(&name), bytes)))
        })
        .collect()
}

fn kind_of(name: &str) -> &'static str {
    match name.rsplit('.').next() {
        Some("txt") => "text/plain; charset=utf-8",
        Some("xml") => "application/xml",
        Some("pdf") => "application/pdf",
        _ => crate::ui::kind_of(name),
    }
}
