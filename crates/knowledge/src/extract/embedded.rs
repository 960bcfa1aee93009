//! What a page embeds and what it allows itself: its scripts, its policies in `<meta>`, how much it says without scripts.
//!
//! Owns: [`Embedded`], for telling an owner what is wrong with a page; caps on all of it.
//! Never does: judging a page, running a script, or fetching what a page names.

use super::{DEADLINE, open, page};
use crate::crawl::SkipReason;
use dom_query::{Document, NodeRef};
use std::time::Instant;
use url::Url;

const MAX_SCRIPTS: usize = 1_000;
const MAX_POLICIES: usize = 20;
const MAX_VALUE: usize = 4_096;
/// Characters of an inline script that are kept.
const MAX_INLINE: usize = 16 * 1024;

/// What a page embeds and allows.
#[derive(Debug, Clone, Default)]
pub struct Embedded {
    /// Its scripts, in order.
    pub scripts: Vec<Script>,
    /// The `site-id` of each `<chatward-chat>` element.
    pub elements: Vec<String>,
    /// The content security policies that it declares in `<meta>`.
    pub policies: Vec<String>,
    /// How many characters of main text it has without running scripts.
    pub text_characters: usize,
    /// It asks not to be indexed.
    pub no_index: bool,
}

/// A script of a page.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Script {
    /// Where it is loaded from; absent for an inline script, and for an address that is none.
    pub src: Option<Url>,
    /// Its `data-site-id`.
    pub site: Option<String>,
    /// Its `nonce`.
    pub nonce: Option<String>,
    /// Its text where it is inline, cut.
    pub inline: String,
}

/// Reads a page within [`DEADLINE`].
///
/// # Errors
/// As [`super::extract`].
pub fn inspect(html: &[u8], content_type: Option<&str>, url: &Url) -> Result<Embedded, SkipReason> {
    let deadline = Instant::now() + DEADLINE;
    let document = open(html, content_type, deadline)?;
    let read = page::read(&document, url, deadline)?;
    let base = document.select("base[href]").nodes().first().and_then(|node| value(node, "href"));
    let base = base.and_then(|href| url.join(&href).ok()).unwrap_or_else(|| url.clone());
    Ok(Embedded {
        scripts: scripts(&document, &base),
        elements: document
            .select("chatward-chat")
            .nodes()
            .iter()
            .take(MAX_SCRIPTS)
            .map(|node| value(node, "site-id").unwrap_or_default())
            .collect(),
        policies: document
            .select("meta[http-equiv]")
            .nodes()
            .iter()
            .filter(|node| {
                value(node, "http-equiv").is_some_and(|name| name.eq_ignore_ascii_case("content-security-policy"))
            })
            .filter_map(|node| value(node, "content"))
            .take(MAX_POLICIES)
            .collect(),
        text_characters: read.blocks.iter().map(|block| block.text.chars().count()).sum(),
        no_index: read.no_index,
    })
}

fn scripts(document: &Document, base: &Url) -> Vec<Script> {
    let script = |node: &NodeRef<'_>| {
        let src = value(node, "src");
        let inline =
            if src.is_some() { String::new() } else { node.immediate_text().chars().take(MAX_INLINE).collect() };
        Script {
            src: src.and_then(|src| base.join(src.trim()).ok()),
            site: value(node, "data-site-id"),
            nonce: value(node, "nonce"),
            inline,
        }
    };
    document.select("script").nodes().iter().take(MAX_SCRIPTS).map(script).collect()
}

fn value(node: &NodeRef<'_>, name: &str) -> Option<String> {
    node.attr(name).map(|value| value.chars().take(MAX_VALUE).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scripts_and_policies_are_found_wherever_they_stand() {
        let html = br#"<html><head><base href="/sub/"><meta http-equiv="Content-Security-Policy" content="script-src 'self'">
            <script>let a = "inline";</script><script src="a.js" nonce=n1></script></head><body><p>Some words of text.</p>
            <chatward-chat site-id="key"></chatward-chat>
            <script src="https://chat.example/widget.js" data-site-id="key" async></script></body></html>"#;
        let url = Url::parse("https://shop.example/x").expect("a URL");
        let found = inspect(html, Some("text/html"), &url).expect("a page");
        assert_eq!(found.policies, ["script-src 'self'"]);
        assert_eq!(found.elements, ["key"]);
        assert!(found.scripts[0].inline.contains("inline") && found.scripts[0].src.is_none());
        assert_eq!(found.scripts[1].src.as_ref().map(Url::as_str), Some("https://shop.example/sub/a.js"));
        assert_eq!(found.scripts[1].nonce.as_deref(), Some("n1"));
        assert_eq!(found.scripts[2].site.as_deref(), Some("key"));
        assert!((10..40).contains(&found.text_characters), "{}", found.text_characters);
    }

    #[test]
    fn a_hostile_page_is_cut_or_refused() {
        let url = Url::parse("https://shop.example/").expect("a URL");
        let many = format!("<html><body>{}</body></html>", "<script>x</script>".repeat(3000));
        assert_eq!(inspect(many.as_bytes(), Some("text/html"), &url).expect("a page").scripts.len(), MAX_SCRIPTS);
        assert!(inspect("<div>".repeat(2000).as_bytes(), Some("text/html"), &url).is_err());
        assert!(inspect(b"{}", Some("application/json"), &url).is_err());
    }
}
