//! Whether a page's content security policy lets the widget in.
//!
//! Owns: as much of CSP level 3 as that needs: lists of policies, the fallbacks of directives, nonces, `strict-dynamic`,
//! and the matching of sources. A page obeys all of its policies, so one that blocks is enough. Never decides what to do.

use url::Url;

/// What the widget needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// The loader.
    Script,
    /// The chat.
    Frame,
    /// The loader's call for a ticket.
    Connect,
}

impl Need {
    /// The directive to change.
    pub fn directive(self) -> &'static str {
        match self {
            Self::Script => "script-src",
            Self::Frame => "frame-src",
            Self::Connect => "connect-src",
        }
    }

    /// The directives that speak of it, the closest first.
    fn chain(self) -> &'static [&'static str] {
        match self {
            Self::Script => &["script-src-elem", "script-src", "default-src"],
            Self::Frame => &["frame-src", "child-src", "default-src"],
            Self::Connect => &["connect-src", "default-src"],
        }
    }
}

/// The policies of a page.
#[derive(Debug, Default)]
pub struct Policies(Vec<Vec<(String, Vec<String>)>>);

impl Policies {
    /// Reads header fields (joined with commas) and `<meta>` elements.
    pub fn read<'a>(texts: impl Iterator<Item = &'a str>) -> Self {
        let policies = texts.flat_map(|text| text.split(',')).take(50).map(|policy| {
            let mut directives: Vec<(String, Vec<String>)> = Vec::new();
            for directive in policy.split(';').take(100) {
                let mut words = directive.split_ascii_whitespace();
                let Some(name) = words.next() else { continue };
                let name = name.to_ascii_lowercase();
                // The first of a name counts.
                if !directives.iter().any(|(known, _)| *known == name) {
                    directives.push((name, words.take(500).map(str::to_owned).collect()));
                }
            }
            directives
        });
        Self(policies.filter(|policy| !policy.is_empty()).collect())
    }

    /// Whether every policy lets a page at `page` load `target`; `nonce` is the script element's.
    pub fn allow(&self, need: Need, target: &Url, page: &Url, nonce: Option<&str>) -> bool {
        self.0.iter().all(|policy| {
            let directive = need.chain().iter().find_map(|name| policy.iter().find(|(known, _)| known == name));
            directive.is_none_or(|(_, sources)| any_allows(sources, need, target, page, nonce))
        })
    }

    /// Whether a policy demands Trusted Types.
    pub fn demand_trusted_types(&self) -> bool {
        self.0.iter().flatten().any(|(name, _)| name == "require-trusted-types-for")
    }
}

fn any_allows(sources: &[String], need: Need, target: &Url, page: &Url, nonce: Option<&str>) -> bool {
    let named = |keyword: &str| sources.iter().any(|source| source.eq_ignore_ascii_case(keyword));
    if need == Need::Script {
        let has_nonce = nonce.is_some_and(|nonce| {
            !nonce.is_empty() && sources.iter().any(|source| *source == format!("'nonce-{nonce}'"))
        });
        if has_nonce {
            return true;
        }
        if named("'strict-dynamic'") {
            return false;
        }
    }
    sources.iter().any(|source| matches(source, target, page))
}

fn matches(source: &str, target: &Url, page: &Url) -> bool {
    if source == "*" {
        return matches!(target.scheme(), "http" | "https") || target.scheme() == page.scheme();
    }
    if source.eq_ignore_ascii_case("'self'") {
        let upgraded = page.scheme() == "http" && target.scheme() == "https" && page.host() == target.host();
        return target.origin() == page.origin() || (upgraded && page.port().is_none() && target.port().is_none());
    }
    if source.starts_with('\'') {
        return false;
    }
    if let Some(scheme) = source.strip_suffix(':') {
        return scheme_fits(scheme, target);
    }
    let (scheme, rest) = match source.split_once("://") {
        Some((scheme, rest)) => (Some(scheme), rest),
        None => (None, source),
    };
    if !scheme_fits(scheme.unwrap_or(page.scheme()), target) {
        return false;
    }
    let (authority, path) = rest.find('/').map_or((rest, ""), |at| rest.split_at(at));
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        _ => (authority, None),
    };
    host_fits(host, target) && port_fits(port, target) && path_fits(path, target)
}

fn scheme_fits(scheme: &str, target: &Url) -> bool {
    scheme.eq_ignore_ascii_case(target.scheme()) || (scheme.eq_ignore_ascii_case("http") && target.scheme() == "https")
}

fn host_fits(host: &str, target: &Url) -> bool {
    let Some(wanted) = target.host_str() else { return false };
    if host == "*" {
        return true;
    }
    match host.strip_prefix('*') {
        Some(end) => {
            end.starts_with('.')
                && wanted.len() > end.len()
                && wanted.to_ascii_lowercase().ends_with(&end.to_ascii_lowercase())
        }
        None => host.eq_ignore_ascii_case(wanted),
    }
}

fn port_fits(port: Option<&str>, target: &Url) -> bool {
    match port {
        Some("*") => true,
        Some(port) => {
            let wanted = target.port_or_known_default().map(|port| port.to_string());
            wanted.as_deref() == Some(port) || (port == "80" && target.scheme() == "https" && target.port().is_none())
        }
        None => target.port().is_none(),
    }
}

fn path_fits(path: &str, target: &Url) -> bool {
    path.is_empty() || path == target.path() || (path.ends_with('/') && target.path().starts_with(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allows(policy: &str, need: Need, nonce: Option<&str>) -> bool {
        let page = Url::parse("https://shop.example/x").expect("a URL");
        let path = match need {
            Need::Script => "widget.js",
            Need::Frame => "embed/key",
            Need::Connect => "api/v1/widget/tickets",
        };
        let target = Url::parse(&format!("https://chat.example/{path}")).expect("a URL");
        Policies::read([policy].into_iter()).allow(need, &target, &page, nonce)
    }

    #[test]
    fn what_a_browser_lets_through_is_let_through() {
        for policy in [
            "",
            "img-src 'none'",
            "script-src https://chat.example",
            "script-src chat.example",
            "SCRIPT-SRC HTTPS://CHAT.EXAMPLE:443",
            "default-src 'self' https:",
            "script-src *",
            "script-src *.example",
            "script-src https://chat.example/",
            "script-src https://chat.example/widget.js",
            "script-src http://chat.example",
            "script-src chat.example:*",
            "default-src 'none'; script-src chat.example",
            "script-src-elem chat.example; script-src 'none'",
            "script-src chat.example; script-src 'none'",
        ] {
            assert!(allows(policy, Need::Script, None), "{policy}");
        }
        assert!(allows("script-src 'nonce-abc' 'strict-dynamic'", Need::Script, Some("abc")));
        assert!(allows("child-src chat.example; default-src 'none'", Need::Frame, None));
        assert!(allows("frame-src chat.example; child-src 'none'", Need::Frame, None));
        assert!(allows("connect-src https://chat.example/api/", Need::Connect, None));
    }

    #[test]
    fn what_a_browser_blocks_is_blocked() {
        for policy in [
            "script-src 'self'",
            "default-src 'self'",
            "script-src 'none'",
            "script-src",
            "script-src chat.example.evil.example",
            "script-src evilchat.example",
            "script-src *.chat.example",
            "script-src https://chat.example:8443",
            "script-src https://chat.example/other.js",
            "script-src 'unsafe-inline' 'unsafe-eval'",
            "script-src data: blob:",
            "script-src chat.example 'strict-dynamic'",
            "script-src chat.example, script-src 'self'",
            "script-src-elem 'self'; script-src chat.example",
        ] {
            assert!(!allows(policy, Need::Script, None), "{policy}");
        }
        assert!(!allows("script-src 'nonce-abc'", Need::Script, Some("xyz")));
        assert!(!allows("script-src 'nonce-abc'", Need::Script, None));
        assert!(!allows("frame-src 'self'; default-src *", Need::Frame, None));
        assert!(!allows("connect-src 'self'", Need::Connect, None));
    }
}
