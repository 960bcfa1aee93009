//! What is said of a page that was seen.
//!
//! Owns: every finding, its words and its remedy. Pure: what was fetched and looked up comes in, a report goes out.

use super::policy::{Need, Policies};
use super::{Finding, KeyState, Level, Own, Report, Seen};
use chatward_egress::Fetched;
use chatward_knowledge::extract::{Embedded, Script};
use url::Url;

/// Less text than this, with at least so many scripts, is a page that only scripts fill.
const LITTLE_TEXT: usize = 200;
const MANY_SCRIPTS: usize = 3;

/// The keys that stand in a page, each once, in order; at most 20.
pub(super) fn keys_in(embedded: &Embedded) -> Vec<String> {
    let attributes =
        embedded.scripts.iter().filter(|script| is_loader(script)).filter_map(|script| script.site.clone());
    let inline = embedded.scripts.iter().filter_map(key_in_text);
    let elements = embedded.elements.iter().filter(|key| !key.is_empty()).cloned();
    let mut keys: Vec<String> = Vec::new();
    for key in attributes.chain(inline).chain(elements) {
        if !keys.contains(&key) && keys.len() < 20 {
            keys.push(key);
        }
    }
    keys
}

/// A page that could not be read as HTML.
pub(super) fn unreadable(asked: &Url, fetched: &Fetched, reason: &str) -> Report {
    let finding = problem("unreadable", format!("The page cannot be read ({reason}, status {}).", fetched.status))
        .fix("Give the address of an ordinary page of the site.");
    whole(asked, fetched, vec![finding.done()])
}

/// Everything that there is to say.
pub(super) fn report(own: &Own, seen: &Seen) -> Report {
    let mut findings = Vec::new();
    let out = &mut findings;
    address(seen, out);
    snippet(own, seen, out);
    keys(seen, out);
    policies(own, seen, out);
    origins(seen, out);
    content(seen, out);
    findings.sort_by_key(|finding| finding.level != Level::Problem);
    whole(&seen.asked, &seen.fetched, findings)
}

fn whole(asked: &Url, fetched: &Fetched, findings: Vec<Finding>) -> Report {
    Report {
        url: asked.to_string(),
        final_url: fetched.final_url.to_string(),
        ok: findings.iter().all(|finding| finding.level != Level::Problem),
        findings,
    }
}

fn address(seen: &Seen, out: &mut Vec<Finding>) {
    let fetched = &seen.fetched;
    if fetched.status != 200 {
        let text = format!("The page answers with status {}.", fetched.status);
        out.push(problem("status", text).fix("Check a page that visitors see.").done());
    }
    if fetched.redirects > 0 {
        let text = format!("{} leads to {} ({} redirects).", seen.asked, fetched.final_url, fetched.redirects);
        out.push(note("redirected", text).done());
    }
}

fn snippet(own: &Own, seen: &Seen, out: &mut Vec<Finding>) {
    let loaders: Vec<&Script> = seen.embedded.scripts.iter().filter(|script| is_loader(script)).collect();
    let by_script = seen.embedded.scripts.iter().any(|script| key_in_text(script).is_some());
    if loaders.is_empty() && !by_script {
        let managed = seen
            .embedded
            .scripts
            .iter()
            .any(|script| host_of(script).is_some_and(|host| host.ends_with("googletagmanager.com")));
        let text = if managed {
            "The snippet is not in the page. A tag manager may add it later; this check runs no scripts and cannot see that."
        } else {
            "The snippet is not in the page."
        };
        out.push(
            problem("snippet_missing", text)
                .fix("`chatward site embed SITE` prints it and says where to put it.")
                .done(),
        );
    }
    for script in loaders {
        let Some(src) = &script.src else { continue };
        if src.origin() != own.origin.origin() {
            let text = format!(
                "The script is loaded from {}, and this server is {}.",
                origin_text(src),
                origin_text(&own.origin)
            );
            out.push(
                problem("script_elsewhere", text)
                    .fix("Paste the snippet of this server, or check with the server that it names.")
                    .done(),
            );
        } else if src.path() != "/widget.js" && src.path() != format!("/widget/{}/widget.js", own.pin) {
            let text =
                "The pinned address of the script is of another version of Chatward; this server no longer has it.";
            out.push(
                problem("pin_outdated", text).fix("Print it again with `chatward site embed SITE --pinned`.").done(),
            );
        }
        if script.site.as_deref().unwrap_or_default().is_empty() && seen.embedded.elements.is_empty() {
            let text = "The script has no data-site-id, so the chat does not know whose it is.";
            out.push(problem("key_missing", text).fix("Paste the snippet whole.").done());
        }
    }
    if seen.fetched.final_url.scheme() == "https" && own.origin.scheme() == "http" {
        let text = format!(
            "The page is https and this server's address is {}: browsers block that.",
            origin_text(&own.origin)
        );
        out.push(problem("mixed_content", text).fix("Set public_url to the https address of this server.").done());
    }
}

fn keys(seen: &Seen, out: &mut Vec<Finding>) {
    for (key, state) in &seen.keys {
        // What may be a secret is not repeated.
        let shown: String = key.chars().take(14).filter(|c| !c.is_control()).collect();
        match state {
            KeyState::Known(site) if *key != *site.key => {
                let text =
                    format!("The page has a key that {} had before; it is honoured for a while only.", site.name);
                out.push(note("key_rotated", text).fix("Paste the new one: chatward site embed SITE").done());
            }
            KeyState::Known(_) => {}
            KeyState::Unknown => {
                let text = format!("No site of this server has the key {shown}….");
                out.push(problem("key_unknown", text).fix("Copy the key from `chatward site list`.").done());
            }
            KeyState::OtherEnvironment => {
                let text = format!("The key {shown}… is of another environment (live, test or dev) than this server.");
                out.push(
                    problem("key_environment", text)
                        .fix("Copy the key from `chatward site list` on this server.")
                        .done(),
                );
            }
            KeyState::Secret => {
                let text = "A SECRET key stands in the page, where everybody can read it.";
                out.push(
                    problem("key_secret", text)
                        .fix("Revoke it now with `chatward key revoke KEY`, and use the site's publishable key.")
                        .done(),
                );
            }
            KeyState::Malformed(why) => {
                let text = format!("What stands as the key is none: {why}.");
                out.push(problem("key_malformed", text).fix("Copy the key from `chatward site list`.").done());
            }
        }
    }
    if seen.keys.len() > 1 {
        let text = format!("The page names {} different keys.", seen.keys.len());
        out.push(problem("key_twice", text).fix("Keep one snippet.").done());
    }
}

fn policies(own: &Own, seen: &Seen, out: &mut Vec<Finding>) {
    let header = seen.fetched.content_security_policy.as_deref();
    let policies = Policies::read(header.into_iter().chain(seen.embedded.policies.iter().map(String::as_str)));
    let page = &seen.fetched.final_url;
    let loader = seen.embedded.scripts.iter().find(|script| is_loader(script));
    let nonce = loader.and_then(|script| script.nonce.as_deref());
    let at = |path: &str| own.origin.join(path).unwrap_or_else(|_| own.origin.clone());
    let key = seen.keys.first().map_or("key", |(key, _)| key.as_str());
    let script = loader.and_then(|script| script.src.clone()).filter(|src| src.origin() == own.origin.origin());
    for (need, target) in [
        (Need::Script, script.unwrap_or_else(|| at("/widget.js"))),
        (Need::Frame, at(&format!("/embed/{key}"))),
        (Need::Connect, at("/api/v1/widget/tickets")),
    ] {
        if !policies.allow(need, &target, page, nonce) {
            let directive = need.directive();
            let text = format!("The page's Content-Security-Policy blocks the widget ({directive}).");
            out.push(
                problem("csp_blocks", text).fix(format!("Add {} to {directive}.", origin_text(&own.origin))).done(),
            );
        }
    }
    if policies.demand_trusted_types() {
        out.push(
            note(
                "trusted_types",
                "The page demands Trusted Types; the loader writes no markup and needs no policy of its own.",
            )
            .done(),
        );
    }
}

fn origins(seen: &Seen, out: &mut Vec<Finding>) {
    let page = seen.fetched.final_url.origin().ascii_serialization();
    let site = seen.keys.iter().find_map(|(_, state)| match state {
        KeyState::Known(site) => Some(site),
        _ => None,
    });
    if let Some(site) = site
        && !site.has_origin(&page)
    {
        let text = format!("{page} is not among the origins of the site {}.", site.name);
        out.push(problem("origin_not_allowed", text).fix(add_origin(&site.key, &page)).done());
    }
    let Some(twin) = &seen.twin else { return };
    match &twin.led_to {
        None => out.push(note("twin_silent", format!("{} does not answer.", twin.origin)).done()),
        Some(led_to) if *led_to == page => {}
        Some(led_to) if *led_to == twin.origin => {
            let allowed = site.is_none_or(|site| site.has_origin(&twin.origin));
            let text = format!("{page} and {} both answer, and neither leads to the other.", twin.origin);
            match (allowed, site) {
                (false, Some(site)) => {
                    let text = format!("{text} The chat is not allowed on the second.");
                    out.push(problem("twin_not_allowed", text).fix(add_origin(&site.key, &twin.origin)).done());
                }
                _ => out.push(note("twin_differs", text).done()),
            }
        }
        Some(led_to) => out.push(note("twin_elsewhere", format!("{} leads to {led_to}.", twin.origin)).done()),
    }
}

fn content(seen: &Seen, out: &mut Vec<Finding>) {
    let scripts = seen.embedded.scripts.len();
    if seen.embedded.text_characters < LITTLE_TEXT && scripts >= MANY_SCRIPTS {
        let text = format!(
            "Without scripts the page says little ({} characters, {scripts} scripts): a crawl cannot read it.",
            seen.embedded.text_characters
        );
        out.push(
            problem("scripts_only", text)
                .fix("Render the pages on the server, or give the chat its knowledge from other pages.")
                .done(),
        );
    }
    let robots = seen.fetched.x_robots_tag.as_deref().is_some_and(|tag| tag.to_ascii_lowercase().contains("noindex"));
    if robots || seen.embedded.no_index {
        out.push(note("noindex", "The page asks not to be indexed, so the chat does not answer from it.").done());
    }
}

/// The exact line that allows an origin.
pub(super) fn add_origin(key: &str, origin: &str) -> String {
    format!("chatward site set {key} --add-origin {origin}")
}

fn is_loader(script: &Script) -> bool {
    script.src.as_ref().is_some_and(|src| src.path().ends_with("/widget.js") && (script.site.is_some() || is_ours(src)))
}

/// An address that looks like ours even where the key was left out.
fn is_ours(src: &Url) -> bool {
    src.path() == "/widget.js" || src.path().starts_with("/widget/")
}

/// The key that an inline script gives the loader, as the snippet for tag managers does.
fn key_in_text(script: &Script) -> Option<String> {
    if !script.inline.contains("widget.js") {
        return None;
    }
    let at = ["cw_pk_", "cw_sk_"].iter().find_map(|start| script.inline.find(start))?;
    let rest = script.inline.get(at..)?;
    Some(rest.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').take(120).collect())
}

fn host_of(script: &Script) -> Option<&str> {
    script.src.as_ref().and_then(Url::host_str)
}

fn origin_text(url: &Url) -> String {
    url.origin().ascii_serialization()
}

/// A finding in the making.
struct Draft(Finding);

impl Draft {
    fn fix(mut self, fix: impl Into<String>) -> Self {
        self.0.fix = Some(fix.into());
        self
    }

    fn done(self) -> Finding {
        self.0
    }
}

fn problem(code: &'static str, text: impl Into<String>) -> Draft {
    Draft(Finding { level: Level::Problem, code, text: text.into(), fix: None })
}

fn note(code: &'static str, text: impl Into<String>) -> Draft {
    Draft(Finding { level: Level::Note, code, text: text.into(), fix: None })
}
