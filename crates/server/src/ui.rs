//! The pages and files that browsers load from us, embedded at build time and served from memory.
//!
//! Owns: which file stands at which address, its type and its ETag. The chat page is one constant file; what
//! differs per site is a header, the list of origins that may frame it.

use crate::app::App;
use crate::client::Client;
use crate::error::ApiResult;
use crate::middleware::headers::framed_by;
use crate::ops::sites;
use crate::path::Path;
use axum::Extension;
use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use chatward_types::Error;
use http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, HeaderMap, HeaderValue, IF_NONE_MATCH};
use http::{HeaderName, StatusCode};
use rust_embed::Embed;
use std::collections::BTreeMap;
use std::sync::LazyLock;

#[derive(Embed)]
#[folder = "../../ui/embed"]
struct EmbedFiles;

#[derive(Embed)]
#[folder = "../../ui/docs"]
struct DocsFiles;

#[derive(Embed)]
#[folder = "../../ui/loader"]
struct LoaderFiles;

/// A file in memory with what its response says of it.
struct File {
    kind: &'static str,
    bytes: Bytes,
    etag: HeaderValue,
}

/// Every file by its address, read out of the program once.
static FILES: LazyLock<BTreeMap<String, File>> = LazyLock::new(|| {
    let embed = EmbedFiles::iter().map(|name| ("embed", EmbedFiles::get(&name), name));
    let docs = DocsFiles::iter().map(|name| ("docs", DocsFiles::get(&name), name));
    let loader = LoaderFiles::iter().map(|name| ("loader", LoaderFiles::get(&name), name));
    embed
        .chain(docs)
        .chain(loader)
        .filter_map(|(folder, file, name)| {
            let bytes = Bytes::from(file?.data.into_owned());
            let file = File { kind: kind_of(&name), etag: etag_of(&bytes), bytes };
            Some((format!("{folder}/{name}"), file))
        })
        .collect()
});

/// The chat page of a site, made to be framed by that site's origins and no others.
#[utoipa::path(get, path = "/embed/{site}", tag = "pages",
    params(("site" = String, Path, description = "The site's publishable key.")),
    responses(
        (status = 200, description = "The chat page; its frame-ancestors are the site's origins.", content_type = "text/html"),
        (status = 404, description = "No such site.", body = crate::error::ErrorBody)))]
pub async fn get_embed(
    State(app): State<App>,
    Extension(client): Extension<Client>,
    Path(site): Path<String>,
    headers: HeaderMap,
) -> ApiResult<Response> {
    let Some(site) = sites::by_key(&app, &site, &client).await? else {
        return Err(Error::not_found().into());
    };
    let ancestors = site.origins.iter().map(String::as_str);
    let policy = HeaderValue::from_str(&framed_by(ancestors)).map_err(Error::internal)?;
    let mut response = serve("embed/index.html", &headers)?;
    response.headers_mut().insert(CONTENT_SECURITY_POLICY, policy);
    Ok(response)
}

/// The loader that a page includes.
#[utoipa::path(get, path = "/widget.js", tag = "pages",
    responses((status = 200, description = "The loader script.", content_type = "text/javascript")))]
pub async fn get_loader(headers: HeaderMap) -> ApiResult<Response> {
    serve("loader/widget.js", &headers)
}

/// The page that shows this documentation.
#[utoipa::path(get, path = "/docs", tag = "pages",
    responses((status = 200, description = "The documentation of the API.", content_type = "text/html")))]
pub async fn get_docs(headers: HeaderMap) -> ApiResult<Response> {
    serve("docs/docs.html", &headers)
}

/// A script, style or image of our own pages.
#[utoipa::path(get, path = "/assets/{folder}/{file}", tag = "pages",
    params(
        ("folder" = String, Path, description = "`embed` or `docs`."),
        ("file" = String, Path, description = "The file's name.")),
    responses(
        (status = 200, description = "The file."),
        (status = 404, description = "No such file.", body = crate::error::ErrorBody)))]
pub async fn get_asset(Path((folder, file)): Path<(String, String)>, headers: HeaderMap) -> ApiResult<Response> {
    if folder == "loader" {
        return Err(Error::not_found().into());
    }
    serve(&format!("{folder}/{file}"), &headers)
}

/// Looks the name up in the fixed list; no path of the machine is ever built from it.
fn serve(name: &str, request: &HeaderMap) -> ApiResult<Response> {
    let Some(file) = FILES.get(name) else {
        return Err(Error::not_found().into());
    };
    let fields: [(HeaderName, HeaderValue); 3] = [
        (CONTENT_TYPE, HeaderValue::from_static(file.kind)),
        // Checked with the server at each use: an update of the program is seen at once.
        (CACHE_CONTROL, HeaderValue::from_static("no-cache")),
        (ETAG, file.etag.clone()),
    ];
    if request.get(IF_NONE_MATCH).is_some_and(|known| known == file.etag) {
        return Ok((StatusCode::NOT_MODIFIED, fields, Body::empty()).into_response());
    }
    Ok((fields, file.bytes.clone()).into_response())
}

/// The media type of a file's ending.
pub fn kind_of(name: &str) -> &'static str {
    match name.rsplit('.').next() {
        Some("html") => "text/html; charset=utf-8",
        Some("js" | "mjs") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("svg") => "image/svg+xml",
        _ => "application/octet-stream",
    }
}

fn etag_of(bytes: &[u8]) -> HeaderValue {
    let digest = chatward_vault::digest(bytes);
    let text: String = digest.iter().take(12).map(|byte| format!("{byte:02x}")).collect();
    HeaderValue::from_str(&format!("\"{text}\"")).unwrap_or(HeaderValue::from_static("\"\""))
}
