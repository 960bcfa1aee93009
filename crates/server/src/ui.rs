//! The pages and files that browsers load from us, embedded at build time and served from memory.
//!
//! Owns: which file stands at which address, its type, its ETag and its compressed copy, made once. The chat page is one
//! constant file; what differs per site is a header, the list of origins that may frame it. The preview is a page with
//! one gap, which takes a key that was looked up before. Never builds a path of the machine from a request.

use crate::app::App;
use crate::client::Client;
use crate::error::ApiResult;
use crate::middleware::headers::{framed_by, page_with_frames};
use crate::ops::sites;
use crate::path::Path;
use axum::Extension;
use axum::body::Body;
use axum::extract::{RawQuery, State};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use chatward_types::Error;
use flate2::Compression;
use flate2::write::GzEncoder;
use http::header::{
    ACCEPT_ENCODING, ACCESS_CONTROL_ALLOW_ORIGIN, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_SECURITY_POLICY,
    CONTENT_TYPE, ETAG, HeaderMap, HeaderValue, IF_NONE_MATCH, VARY,
};
use http::{HeaderName, StatusCode};
use rust_embed::Embed;
use std::collections::BTreeMap;
use std::io::Write as _;
use std::sync::LazyLock;

const EMBEDDER_POLICY: HeaderName = HeaderName::from_static("cross-origin-embedder-policy");
const LOADER: &str = "loader/widget.js";
/// The gap in the preview that takes the site's key.
const KEY_GAP: &str = "__SITE_KEY__";
/// Checked with the server at each use: an update of the program is seen at once.
const CHECKED: HeaderValue = HeaderValue::from_static("no-cache");
/// Kept by nobody.
const NEVER: HeaderValue = HeaderValue::from_static("no-store");
/// An address that names its own contents never changes.
const FOR_EVER: HeaderValue = HeaderValue::from_static("public, max-age=31536000, immutable");

#[derive(Embed)]
#[folder = "../../ui/dist/embed"]
struct EmbedFiles;

#[derive(Embed)]
#[folder = "../../ui/docs"]
struct DocsFiles;

#[derive(Embed)]
#[folder = "../../ui/account"]
struct AccountFiles;

#[derive(Embed)]
#[folder = "../../ui/dist/dashboard"]
struct DashboardFiles;

#[derive(Embed)]
#[folder = "../../ui/dist/loader"]
struct LoaderFiles;

#[derive(Embed)]
#[folder = "../../ui/dist/preview"]
struct PreviewFiles;

#[derive(Embed)]
#[folder = "../../ui/dist/notice"]
struct NoticeFiles;

/// A file in memory with what its response says of it.
struct File {
    kind: &'static str,
    plain: Representation,
    /// Where it is worth it.
    gzip: Option<Representation>,
}

/// One form of a file.
struct Representation {
    bytes: Bytes,
    etag: HeaderValue,
}

/// Every file by its address, read out of the program once.
static FILES: LazyLock<BTreeMap<String, File>> = LazyLock::new(|| {
    let embed = EmbedFiles::iter().map(|name| ("embed", EmbedFiles::get(&name), name));
    let docs = DocsFiles::iter().map(|name| ("docs", DocsFiles::get(&name), name));
    let account = AccountFiles::iter().map(|name| ("account", AccountFiles::get(&name), name));
    let dashboard = DashboardFiles::iter().map(|name| ("dashboard", DashboardFiles::get(&name), name));
    let loader = LoaderFiles::iter().map(|name| ("loader", LoaderFiles::get(&name), name));
    let preview = PreviewFiles::iter().map(|name| ("preview", PreviewFiles::get(&name), name));
    let notice = NoticeFiles::iter().map(|name| ("notice", NoticeFiles::get(&name), name));
    embed
        .chain(docs)
        .chain(account)
        .chain(dashboard)
        .chain(loader)
        .chain(preview)
        .chain(notice)
        .filter_map(|(folder, file, name)| {
            let bytes = Bytes::from(file?.data.into_owned());
            let gzip = compress(&bytes).map(|bytes| Representation { etag: etag_of(&bytes), bytes });
            let plain = Representation { etag: etag_of(&bytes), bytes };
            Some((format!("{folder}/{name}"), File { kind: kind_of(&name), plain, gzip }))
        })
        .collect()
});

/// The address of the loader as it is now: its bytes' digest, cut to what no two versions share by chance.
static LOADER_DIGEST: LazyLock<String> = LazyLock::new(|| {
    FILES.get(LOADER).map_or_else(String::new, |file| {
        chatward_vault::digest(&file.plain.bytes).iter().take(8).map(|byte| format!("{byte:02x}")).collect()
    })
});

/// The preview, cut at its gap.
static PREVIEW: LazyLock<Vec<String>> = LazyLock::new(|| {
    FILES.get("preview/index.html").map_or_else(Vec::new, |file| {
        String::from_utf8_lossy(&file.plain.bytes).split(KEY_GAP).map(str::to_owned).collect()
    })
});

/// The loader's digest in its address, and the digest of its whole contents for `integrity`.
pub fn loader_pin() -> (String, String) {
    use base64::Engine as _;
    let bytes = FILES.get(LOADER).map_or_else(Bytes::new, |file| file.plain.bytes.clone());
    let digest = base64::engine::general_purpose::STANDARD.encode(chatward_vault::digest(&bytes));
    (LOADER_DIGEST.clone(), format!("sha256-{digest}"))
}

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
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> ApiResult<Response> {
    let Some(site) = sites::by_key(&app, &site, &client).await? else {
        return Err(Error::not_found().into());
    };
    let ancestors = site.origins.iter().map(String::as_str);
    let policy = if is_preview(query.as_deref()) { framed_by(["'self'"].into_iter()) } else { framed_by(ancestors) };
    let policy = HeaderValue::from_str(&policy).map_err(Error::internal)?;
    let mut response = serve("embed/index.html", &headers, CHECKED)?;
    response.headers_mut().insert(CONTENT_SECURITY_POLICY, policy);
    // A page with a policy of its own may frame only what has one, too.
    response.headers_mut().insert(EMBEDDER_POLICY, HeaderValue::from_static("require-corp"));
    Ok(response)
}

/// A mock page of ours that carries the chat of a site, to look at before it is installed.
#[utoipa::path(get, path = "/preview/{site}", tag = "pages",
    params(("site" = String, Path, description = "The site's publishable key.")),
    responses(
        (status = 200, description = "The mock page.", content_type = "text/html"),
        (status = 404, description = "No such site.", body = crate::error::ErrorBody)))]
pub async fn get_preview(
    State(app): State<App>,
    Extension(client): Extension<Client>,
    Path(site): Path<String>,
) -> ApiResult<Response> {
    let Some(site) = sites::by_key(&app, &site, &client).await? else {
        return Err(Error::not_found().into());
    };
    // The site's own key and not the request's text, although they are equal: a key needs no escaping.
    let page = PREVIEW.join(&*site.key);
    let policy = HeaderValue::from_str(&page_with_frames()).map_err(Error::internal)?;
    let kind = HeaderValue::from_static(kind_of("index.html"));
    Ok(([(CONTENT_TYPE, kind), (CACHE_CONTROL, CHECKED), (CONTENT_SECURITY_POLICY, policy)], page).into_response())
}

/// The loader that a page includes: the newest.
#[utoipa::path(get, path = "/widget.js", tag = "pages",
    responses((status = 200, description = "The loader script.", content_type = "text/javascript")))]
pub async fn get_loader(headers: HeaderMap) -> ApiResult<Response> {
    serve_loader(&headers, CHECKED)
}

/// The loader at an address that never changes its contents, for `integrity`.
///
/// There is one such address at a time, that of this server's own loader. An update of the server that brings another
/// loader ends it, so a page that pins the loader is changed with each update (`chatward site embed --pinned`). Earlier
/// loaders are not served beside a newer chat: the two speak to one another, nobody has tested that pair, and whatever was
/// mended in the loader would never reach the page.
#[utoipa::path(get, path = "/widget/{digest}/widget.js", tag = "pages",
    params(("digest" = String, Path, description = "The first 16 hexadecimal digits of the file's SHA-256.")),
    responses(
        (status = 200, description = "The loader script of this digest.", content_type = "text/javascript"),
        (status = 404, description = "This server has another loader.", body = crate::error::ErrorBody)))]
pub async fn get_pinned_loader(Path(digest): Path<String>, headers: HeaderMap) -> ApiResult<Response> {
    if digest != *LOADER_DIGEST {
        return Err(Error::not_found().into());
    }
    serve_loader(&headers, FOR_EVER)
}

/// The page that shows this documentation.
#[utoipa::path(get, path = "/docs", tag = "pages",
    responses((status = 200, description = "The documentation of the API.", content_type = "text/html")))]
pub async fn get_docs(headers: HeaderMap) -> ApiResult<Response> {
    serve("docs/docs.html", &headers, CHECKED)
}

/// The page that takes an invitation's token from behind the `#` of its address.
#[utoipa::path(get, path = "/account/accept", tag = "pages",
    responses((status = 200, description = "The page.", content_type = "text/html")))]
pub async fn get_accept(headers: HeaderMap) -> ApiResult<Response> {
    serve("account/index.html", &headers, CHECKED)
}

/// The page that takes a recovery's token from behind the `#` of its address.
#[utoipa::path(get, path = "/account/recover", tag = "pages",
    responses((status = 200, description = "The page.", content_type = "text/html")))]
pub async fn get_recover(headers: HeaderMap) -> ApiResult<Response> {
    serve("account/index.html", &headers, CHECKED)
}

/// The page on which an owner's users look after what is theirs.
#[utoipa::path(get, path = "/dashboard", tag = "pages",
    responses((status = 200, description = "The page. It holds nothing of anybody; users log in on it.",
        content_type = "text/html")))]
pub async fn get_dashboard(headers: HeaderMap) -> ApiResult<Response> {
    // Not even by a browser that goes back: what stood on the page was somebody's.
    serve("dashboard/index.html", &headers, NEVER)
}

/// A script, style or image of our own pages.
#[utoipa::path(get, path = "/assets/{folder}/{file}", tag = "pages",
    params(
        ("folder" = String, Path, description = "`embed`, `docs`, `account`, `dashboard`, `notice` or `preview`."),
        ("file" = String, Path, description = "The file's name.")),
    responses(
        (status = 200, description = "The file."),
        (status = 404, description = "No such file.", body = crate::error::ErrorBody)))]
pub async fn get_asset(Path((folder, file)): Path<(String, String)>, headers: HeaderMap) -> ApiResult<Response> {
    if folder == "loader" {
        return Err(Error::not_found().into());
    }
    serve(&format!("{folder}/{file}"), &headers, CHECKED)
}

/// Any page may run the loader, also under `integrity`, which needs to read it.
fn serve_loader(request: &HeaderMap, caching: HeaderValue) -> ApiResult<Response> {
    let mut response = serve(LOADER, request, caching)?;
    response.headers_mut().insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    Ok(response)
}

fn is_preview(query: Option<&str>) -> bool {
    query.is_some_and(|query| query.split('&').any(|part| part == "preview" || part.starts_with("preview=")))
}

/// Looks the name up in the fixed list; no path of the machine is ever built from it.
fn serve(name: &str, request: &HeaderMap, caching: HeaderValue) -> ApiResult<Response> {
    let Some(file) = FILES.get(name) else {
        return Err(Error::not_found().into());
    };
    let gzip = file.gzip.as_ref().filter(|_| takes_gzip(request));
    let form = gzip.unwrap_or(&file.plain);
    let fields: [(HeaderName, HeaderValue); 4] = [
        (CONTENT_TYPE, HeaderValue::from_static(file.kind)),
        (CACHE_CONTROL, caching),
        (ETAG, form.etag.clone()),
        (VARY, HeaderValue::from_static("Accept-Encoding")),
    ];
    if request.get(IF_NONE_MATCH).is_some_and(|known| known == form.etag) {
        return Ok((StatusCode::NOT_MODIFIED, fields, Body::empty()).into_response());
    }
    let mut response = (fields, form.bytes.clone()).into_response();
    if gzip.is_some() {
        response.headers_mut().insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    Ok(response)
}

/// Whether the client named gzip and did not rule it out.
fn takes_gzip(request: &HeaderMap) -> bool {
    let named = request.get_all(ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok());
    named.flat_map(|value| value.split(',')).any(|coding| {
        let mut parts = coding.split(';').map(str::trim);
        let is_gzip = parts.next().is_some_and(|name| name.eq_ignore_ascii_case("gzip"));
        let is_refused =
            parts.any(|part| part.strip_prefix("q=").is_some_and(|q| q.parse::<f32>().is_ok_and(|q| q <= 0.0)));
        is_gzip && !is_refused
    })
}

/// The compressed copy, where it is smaller by at least a tenth.
fn compress(bytes: &[u8]) -> Option<Bytes> {
    let mut encoder = GzEncoder::new(Vec::with_capacity(bytes.len() / 2), Compression::best());
    encoder.write_all(bytes).ok()?;
    let packed = encoder.finish().ok()?;
    (packed.len() * 10 < bytes.len() * 9).then(|| packed.into())
}

/// The media type of a file's ending.
pub fn kind_of(name: &str) -> &'static str {
    match name.rsplit('.').next() {
        Some("html") => "text/html; charset=utf-8",
        Some("js" | "mjs") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("json") => "application/json",
        Some("svg") => "image/svg+xml",
        _ => "application/octet-stream",
    }
}

fn etag_of(bytes: &[u8]) -> HeaderValue {
    let digest = chatward_vault::digest(bytes);
    let text: String = digest.iter().take(12).map(|byte| format!("{byte:02x}")).collect();
    HeaderValue::from_str(&format!("\"{text}\"")).unwrap_or(HeaderValue::from_static("\"\""))
}
