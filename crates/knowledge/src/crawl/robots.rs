//! robots.txt by RFC 9309.
//!
//! Owns: parsing (the first 500 KiB), choosing the group, matching by the longest rule, `Crawl-delay` and `Sitemap`.
//! Never does: fetching. Which HTTP outcome means what stands in [`Robots::of_status`].

use std::time::Duration;
use url::Url;

/// Bytes that are read; the standard demands at least this many.
const MAX_BYTES: usize = 500 * 1024;
const MAX_RULES: usize = 10_000;
const MAX_SITEMAPS: usize = 50;

/// What a site's robots.txt says to us.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Robots {
    rules: Vec<Rule>,
    refuse_all: bool,
    delay: Option<Duration>,
    sitemaps: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Rule {
    allow: bool,
    /// Normalised bytes, `*` and a final `$` still in them.
    pattern: Vec<u8>,
}

impl Robots {
    /// Everything is allowed.
    pub fn allow_all() -> Self {
        Self { rules: Vec::new(), refuse_all: false, delay: None, sitemaps: Vec::new() }
    }

    /// Nothing is allowed.
    pub fn refuse_all() -> Self {
        Self { refuse_all: true, ..Self::allow_all() }
    }

    /// What an HTTP outcome means: a body with 2xx is read, "there is none" (4xx) allows all, a server in trouble (5xx,
    /// and 429, which says "not now") refuses all.
    pub fn of_status(status: u16, body: &[u8], user_agent: &str) -> Self {
        match status {
            200..=299 => Self::parse(body, user_agent),
            429 => Self::refuse_all(),
            400..=499 => Self::allow_all(),
            // A redirect that leads nowhere counts as missing.
            300..=399 => Self::allow_all(),
            _ => Self::refuse_all(),
        }
    }

    /// Reads a file. `user_agent` is ours; its product name (up to the first `/` or space) is what groups are matched by.
    pub fn parse(body: &[u8], user_agent: &str) -> Self {
        let body = &body[..body.len().min(MAX_BYTES)];
        let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
        let token = product(user_agent);
        let mut own = Self::allow_all();
        let mut others = Self::allow_all();
        let mut named = false;
        let mut sitemaps = Vec::new();
        // Whether the group being read is for us by name, for everybody, or for somebody else.
        let (mut for_us, mut for_all) = (false, false);
        let mut in_agents = false;
        for line in body.split(|byte| matches!(byte, b'\n' | b'\r')) {
            let line = line.split(|byte| *byte == b'#').next().unwrap_or_default();
            let Some(colon) = line.iter().position(|byte| *byte == b':') else {
                continue;
            };
            let key = line[..colon].trim_ascii().to_ascii_lowercase();
            let value = line[colon + 1..].trim_ascii();
            match &*key {
                b"user-agent" | b"useragent" => {
                    if !in_agents {
                        (for_us, for_all) = (false, false);
                    }
                    in_agents = true;
                    let text = String::from_utf8_lossy(value);
                    for_all |= text == "*";
                    if product(&text) == token && !token.is_empty() {
                        for_us = true;
                        named = true;
                    }
                }
                b"allow" | b"disallow" => {
                    in_agents = false;
                    if !value.is_empty() {
                        let rule = Rule { allow: &*key == b"allow", pattern: normalise(value) };
                        own.add(for_us, &rule);
                        others.add(for_all, &rule);
                    }
                }
                b"crawl-delay" => {
                    in_agents = false;
                    let delay = std::str::from_utf8(value)
                        .ok()
                        .and_then(|text| text.parse::<f64>().ok())
                        .filter(|seconds| *seconds > 0.0)
                        .map(|seconds| Duration::from_secs_f64(seconds.min(3_600.0)));
                    if for_us {
                        own.delay = delay.or(own.delay);
                    }
                    if for_all {
                        others.delay = delay.or(others.delay);
                    }
                }
                // Belongs to no group, wherever it stands.
                b"sitemap" if sitemaps.len() < MAX_SITEMAPS => {
                    sitemaps.push(String::from_utf8_lossy(value).into_owned());
                }
                _ => {}
            }
        }
        let mut chosen = if named { own } else { others };
        chosen.sitemaps = sitemaps;
        chosen
    }

    fn add(&mut self, concerned: bool, rule: &Rule) {
        if concerned && self.rules.len() < MAX_RULES {
            self.rules.push(rule.clone());
        }
    }

    /// Whether we may fetch `url`. robots.txt itself may always be fetched.
    pub fn allows(&self, url: &Url) -> bool {
        if url.path() == "/robots.txt" {
            return true;
        }
        if self.refuse_all {
            return false;
        }
        let mut target = url.path().to_owned();
        if let Some(query) = url.query() {
            target.push('?');
            target.push_str(query);
        }
        let target = normalise(target.as_bytes());
        // The longest pattern wins, and allow wins among equals.
        self.rules
            .iter()
            .filter(|rule| matches(&rule.pattern, &target))
            .max_by_key(|rule| (rule.pattern.len(), rule.allow))
            .is_none_or(|rule| rule.allow)
    }

    /// Whether nothing at all may be fetched because the file could not be read.
    pub fn refuses_all(&self) -> bool {
        self.refuse_all
    }

    /// The pause that the site asks for between fetches.
    pub fn delay(&self) -> Option<Duration> {
        self.delay
    }

    /// The sitemaps it names, as written.
    pub fn sitemaps(&self) -> &[String] {
        &self.sitemaps
    }
}

/// `Chatward/1.0 (…)` and `chatward` are the same robot.
fn product(user_agent: &str) -> String {
    user_agent.trim().split(['/', ' ', '\t']).next().unwrap_or_default().to_ascii_lowercase()
}

/// Percent-encodings in one form: those of unreserved characters are decoded, bytes beyond ASCII are encoded, hexadecimal
/// digits are upper-case. Reserved characters stay as they are written, for `%2F` is not `/`.
fn normalise(path: &[u8]) -> Vec<u8> {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    let mut out = Vec::with_capacity(path.len());
    let push_encoded = |out: &mut Vec<u8>, byte: u8| {
        out.extend_from_slice(&[b'%', HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]);
    };
    let mut at = 0;
    while at < path.len() {
        let byte = path[at];
        let decoded = (byte == b'%')
            .then(|| path.get(at + 1..at + 3))
            .flatten()
            .and_then(|digits| std::str::from_utf8(digits).ok())
            .and_then(|digits| u8::from_str_radix(digits, 16).ok());
        match decoded {
            Some(decoded) => {
                if decoded.is_ascii_alphanumeric() || matches!(decoded, b'-' | b'.' | b'_' | b'~') {
                    out.push(decoded);
                } else {
                    push_encoded(&mut out, decoded);
                }
                at += 3;
            }
            None => {
                if byte.is_ascii_graphic() {
                    out.push(byte);
                } else {
                    push_encoded(&mut out, byte);
                }
                at += 1;
            }
        }
    }
    out
}

/// `*` matches anything, a final `$` the end. Linear in the product of the lengths at worst, without recursion.
fn matches(pattern: &[u8], target: &[u8]) -> bool {
    let (pattern, anchored) = match pattern.strip_suffix(b"$") {
        Some(pattern) => (pattern, true),
        None => (pattern, false),
    };
    let (mut p, mut t) = (0, 0);
    let mut retry: Option<(usize, usize)> = None;
    loop {
        if p == pattern.len() && (!anchored || t == target.len()) {
            return true;
        }
        if p < pattern.len() && pattern[p] == b'*' {
            p += 1;
            retry = Some((p, t));
            continue;
        }
        if p < pattern.len() && t < target.len() && pattern[p] == target[t] {
            p += 1;
            t += 1;
            continue;
        }
        match retry {
            Some((star, from)) if from < target.len() => {
                p = star;
                t = from + 1;
                retry = Some((star, t));
            }
            _ => return false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn allows(robots: &str, path: &str) -> bool {
        let url = Url::parse("https://shop.example").unwrap().join(path).unwrap();
        Robots::parse(robots.as_bytes(), "Chatward/0.1 (x)").allows(&url)
    }

    #[test]
    fn the_longest_rule_wins_and_allow_wins_among_equals() {
        let robots = "User-agent: *\nDisallow: /private\nAllow: /private/open\nDisallow: /same\nAllow: /same\n";
        assert!(allows(robots, "/"));
        assert!(!allows(robots, "/private/x"));
        assert!(!allows(robots, "/privateer"));
        assert!(allows(robots, "/private/open/x"));
        assert!(allows(robots, "/same"));
        assert!(!allows("User-agent: *\nDisallow: /", "/anything"));
        assert!(allows("User-agent: *\nDisallow:", "/anything"));
        assert!(allows("", "/anything"));
    }

    #[test]
    fn our_own_group_replaces_the_general_one() {
        let robots = "User-agent: other\nUser-agent: CHATWARD/9\nDisallow: /a\nCrawl-delay: 2\n\n\
                      User-agent: *\nDisallow: /\nCrawl-delay: 9\nSitemap: https://shop.example/map.xml\n\
                      User-agent: chatward\nDisallow: /b\n";
        assert!(!allows(robots, "/a"));
        assert!(!allows(robots, "/b"));
        assert!(allows(robots, "/c"));
        let parsed = Robots::parse(robots.as_bytes(), "Chatward");
        assert_eq!(parsed.delay(), Some(Duration::from_secs(2)));
        assert_eq!(parsed.sitemaps(), ["https://shop.example/map.xml"]);
        // A robot whose name only begins like ours is another robot.
        assert!(allows("User-agent: chatwardbot\nDisallow: /", "/x"));
    }

    #[test]
    fn stars_ends_and_encodings() {
        let robots =
            "User-agent:*\nDisallow: /*.pdf$\nDisallow: /*?sort=\nDisallow: /caf%C3%A9\nDisallow: /%7Etom # home";
        assert!(!allows(robots, "/files/a.pdf"));
        assert!(allows(robots, "/files/a.pdfx"));
        assert!(!allows(robots, "/list?sort=price"));
        assert!(!allows(robots, "/café/menu"));
        assert!(!allows(robots, "/~tom/x"));
        assert!(!allows("User-agent: *\nDisallow: /café", "/caf%c3%a9"));
        assert!(allows("User-agent: *\nDisallow: /a%2Fb", "/a/b"));
        assert!(!allows("user-agent : *\r\ndisallow : /x\r\n", "/x"));
    }

    #[test]
    fn an_outcome_is_judged_as_the_standard_says() {
        let url = Url::parse("https://shop.example/x").unwrap();
        let of = |status| Robots::of_status(status, b"User-agent: *\nDisallow: /x", "c").allows(&url);
        assert!(!of(200));
        assert!(of(404) && of(403) && of(410));
        assert!(!of(500) && !of(503) && !of(429));
    }

    #[test]
    fn only_the_first_500_kib_count() {
        let mut body = b"User-agent: *\nDisallow: /early\n".to_vec();
        body.extend(std::iter::repeat_n(b'#', MAX_BYTES));
        body.extend_from_slice(b"\nDisallow: /late\n");
        let text = String::from_utf8(body).unwrap();
        assert!(!allows(&text, "/early"));
        assert!(allows(&text, "/late"));
    }

    #[test]
    fn a_pattern_of_stars_is_matched_quickly() {
        let pattern = "*a".repeat(200);
        let target = format!("/{}", "a".repeat(5_000));
        let robots = format!("User-agent: *\nDisallow: {pattern}b");
        let began = std::time::Instant::now();
        assert!(allows(&robots, &target));
        assert!(began.elapsed() < Duration::from_secs(2));
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(body in proptest::collection::vec(any::<u8>(), 0..400), path in "/[a-z][a-z*$%/]{0,40}") {
            let url = Url::parse("https://shop.example").unwrap().join(&path).unwrap();
            let _ = Robots::parse(&body, "Chatward").allows(&url);
        }

        #[test]
        fn matching_agrees_with_the_plain_definition(pattern in "/[ab*]{0,8}\\$?", target in "/[ab]{0,10}") {
            fn plain(p: &[u8], t: &[u8], end: bool) -> bool {
                match p.split_first() {
                    None => !end || t.is_empty(),
                    Some((b'*', rest)) => (0..=t.len()).any(|at| plain(rest, &t[at..], end)),
                    Some((c, rest)) => t.first() == Some(c) && plain(rest, &t[1..], end),
                }
            }
            let bytes = pattern.as_bytes();
            let (body, end) = bytes.strip_suffix(b"$").map_or((bytes, false), |body| (body, true));
            prop_assert_eq!(matches(bytes, target.as_bytes()), plain(body, target.as_bytes(), end));
        }
    }
}
