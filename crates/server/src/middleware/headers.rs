//! Security headers: what every response carries, and what its class adds. A handler may set a stricter
//! policy of its own (the frame's `frame-ancestors`); what is already there is kept.

use crate::app::App;
use crate::routes::Class;
use axum::response::Response;
use http::HeaderMap;
use http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, HeaderName, HeaderValue, REFERRER_POLICY, SERVER, VARY,
    X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS, X_XSS_PROTECTION,
};

const PERMISSIONS_POLICY: HeaderName = HeaderName::from_static("permissions-policy");
const OPENER_POLICY: HeaderName = HeaderName::from_static("cross-origin-opener-policy");
const RESOURCE_POLICY: HeaderName = HeaderName::from_static("cross-origin-resource-policy");
const DNS_PREFETCH: HeaderName = HeaderName::from_static("x-dns-prefetch-control");

/// What a page of ours may do: run and style itself from its own files and talk to this origin.
pub const PAGE_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
     img-src 'self'; base-uri 'none'; form-action 'none'; \
     require-trusted-types-for 'script'; trusted-types 'none'";

const NOTHING: HeaderValue = HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'");
const DENIED_FEATURES: HeaderValue = HeaderValue::from_static(
    "accelerometer=(), browsing-topics=(), camera=(), display-capture=(), geolocation=(), gyroscope=(), \
     magnetometer=(), microphone=(), midi=(), payment=(), usb=()",
);

/// Adds what is missing. `class` is absent where no route answered.
pub fn apply(app: &App, class: Option<Class>, response: &mut Response) {
    let headers = response.headers_mut();
    // Only the frame itself names its ancestors; its refusals are framed by nobody.
    let framed = class == Some(Class::Frame) && headers.contains_key(CONTENT_SECURITY_POLICY);
    headers.remove(SERVER);
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("strict-origin-when-cross-origin"));
    headers.insert(PERMISSIONS_POLICY, DENIED_FEATURES);
    headers.insert(DNS_PREFETCH, HeaderValue::from_static("off"));
    if let Some(value) = &app.x_xss_protection {
        headers.insert(X_XSS_PROTECTION, value.clone());
    }
    if !framed {
        headers.insert(X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
    }
    if !headers.contains_key(CONTENT_SECURITY_POLICY) {
        headers.insert(CONTENT_SECURITY_POLICY, content_policy(app, class));
    }
    headers.append(VARY, HeaderValue::from_static("Origin"));
    if matches!(class, Some(Class::Page)) {
        headers.insert(OPENER_POLICY, HeaderValue::from_static("same-origin"));
    }
    // Pages with a COEP policy may include only what says that it may be included.
    let sharing = match class {
        Some(Class::Loader | Class::Frame) => "cross-origin",
        _ => "same-origin",
    };
    headers.insert(RESOURCE_POLICY, HeaderValue::from_static(sharing));
    if !headers.contains_key(CACHE_CONTROL) {
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
}

fn content_policy(app: &App, class: Option<Class>) -> HeaderValue {
    match class {
        Some(Class::Page) => app.page_policy.clone(),
        _ => NOTHING,
    }
}

/// The policy of a page that only `ancestors` may frame; none means `'none'`.
pub fn framed_by<'a>(ancestors: impl Iterator<Item = &'a str>) -> String {
    let mut policy = String::from(PAGE_POLICY);
    policy.push_str("; frame-ancestors");
    let mut any = false;
    for origin in ancestors {
        policy.push(' ');
        policy.push_str(origin);
        any = true;
    }
    if !any {
        policy.push_str(" 'none'");
    }
    policy
}

/// The policy of a page of ours that frames our own pages, and that nobody may frame.
pub fn page_with_frames() -> String {
    format!("{PAGE_POLICY}; frame-src 'self'; frame-ancestors 'none'")
}

/// Copies the RateLimit fields of a decision onto a response.
pub fn add_limit_fields(headers: &mut HeaderMap, decision: &crate::limits::Decision) {
    use std::fmt::Write as _;
    let mut text = String::with_capacity(48);
    let _ = write!(text, "\"address\";r={};t={}", decision.remaining, decision.reset_seconds);
    if let Ok(value) = HeaderValue::from_str(&text) {
        headers.insert(HeaderName::from_static("ratelimit"), value);
    }
    text.clear();
    let _ = write!(text, "\"address\";q={};w={}", decision.limit, decision.window_seconds);
    if let Ok(value) = HeaderValue::from_str(&text) {
        headers.insert(HeaderName::from_static("ratelimit-policy"), value);
    }
    headers.insert(HeaderName::from_static("ratelimit-limit"), HeaderValue::from(decision.limit));
    headers.insert(HeaderName::from_static("ratelimit-remaining"), HeaderValue::from(decision.remaining));
    headers.insert(HeaderName::from_static("ratelimit-reset"), HeaderValue::from(decision.reset_seconds));
}

#[cfg(test)]
mod tests {
    use super::framed_by;

    #[test]
    fn no_origin_means_none() {
        assert!(framed_by(std::iter::empty()).ends_with("frame-ancestors 'none'"));
        let one = framed_by(["https://shop.example"].into_iter());
        assert!(one.ends_with("frame-ancestors https://shop.example"));
    }
}
