//! From a page's bytes to its text.
//!
//! Owns: the shape of what is read ([`Extracted`]), the caps, and the order of the steps: decode, guard, parse, walk.
//! Never does: fetching, running scripts, trusting markup. It takes CPU time in proportion to the input and is meant
//! for a blocking thread; a deadline ends it early.

mod boilerplate;
mod embedded;
mod encoding;
mod guard;
mod page;
mod table;
mod walk;

pub use embedded::{Embedded, Script, inspect};
pub(crate) use page::says;

use crate::crawl::SkipReason;
use crate::language::Language;
use dom_query::Document;
use html5ever::ParseOpts;
use html5ever::tendril::{StrTendril, TendrilSink};
use html5ever::tree_builder::TreeBuilderOpts;
use std::sync::Arc;
use std::time::{Duration, Instant};
use url::Url;

/// Bytes of HTML that are parsed at most.
pub const MAX_HTML_BYTES: usize = 8 << 20;
/// Characters of text kept of one page at most.
pub const MAX_TEXT_CHARS: usize = 1 << 20;
/// Links kept of one page at most.
pub const MAX_LINKS: usize = 5_000;
/// Blocks kept of one page at most.
pub const MAX_BLOCKS: usize = 20_000;
/// The time one page may take.
pub const DEADLINE: Duration = Duration::from_secs(3);
const MAX_TITLE_CHARS: usize = 200;

/// A page, read.
#[derive(Debug, Clone, Default)]
pub struct Extracted {
    /// What the page calls itself, without the site's name where that can be told; never empty.
    pub title: String,
    /// The declared language, else the one its words suggest.
    pub language: Option<Language>,
    /// Absolute addresses that the page links to and allows to follow, in order, each once.
    pub links: Vec<Url>,
    /// The address that the page says is its own.
    pub canonical: Option<Url>,
    /// The page asks not to be indexed.
    pub no_index: bool,
    /// The page asks that its links not be followed.
    pub no_follow: bool,
    /// The main content in reading order.
    pub blocks: Vec<Block>,
    /// Something was left out at a cap.
    pub truncated: bool,
}

/// A paragraph, list item, table row or the like.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Block {
    /// The headings above it, outermost first, joined by ` › `; empty above the first heading.
    pub heading_path: Arc<str>,
    /// Its text, spaces collapsed, control characters gone; lines only where the page breaks them.
    pub text: String,
}

impl Extracted {
    /// Whether the page says anything.
    pub fn is_empty(&self) -> bool {
        self.blocks.is_empty()
    }

    /// Bytes of text.
    pub fn text_bytes(&self) -> usize {
        self.blocks.iter().map(|block| block.text.len()).sum()
    }
}

/// Reads a page within [`DEADLINE`].
///
/// `content_type` is the header as sent; `url` is where the page came from, for its links.
///
/// # Errors
/// [`SkipReason::NotHtml`], [`SkipReason::BadEncoding`], [`SkipReason::TooLarge`], [`SkipReason::TooDeep`] or
/// [`SkipReason::TooSlow`]. An empty page is no error here.
pub fn extract(html: &[u8], content_type: Option<&str>, url: &Url) -> Result<Extracted, SkipReason> {
    extract_until(html, content_type, url, Instant::now() + DEADLINE)
}

/// As [`extract`], with a deadline of the caller's.
///
/// # Errors
/// As [`extract`].
pub fn extract_until(
    html: &[u8],
    content_type: Option<&str>,
    url: &Url,
    deadline: Instant,
) -> Result<Extracted, SkipReason> {
    let document = open(html, content_type, deadline)?;
    page::read(&document, url, deadline)
}

/// Decodes, guards and parses.
fn open(html: &[u8], content_type: Option<&str>, deadline: Instant) -> Result<Document, SkipReason> {
    if html.len() > MAX_HTML_BYTES {
        return Err(SkipReason::TooLarge);
    }
    check_type(html, content_type)?;
    let text = encoding::decode(html, content_type)?;
    guard::check(text.as_bytes())?;
    if Instant::now() > deadline {
        return Err(SkipReason::TooSlow);
    }
    parse(&text, deadline)
}

/// Parses piece by piece, so that markup which the guard misjudged still ends at the deadline.
fn parse(text: &str, deadline: Instant) -> Result<Document, SkipReason> {
    const PIECE: usize = 512;
    let options = ParseOpts {
        tree_builder: TreeBuilderOpts {
            // As a visitor without scripts sees it: what stands in <noscript> counts.
            scripting_enabled: false,
            ..TreeBuilderOpts::default()
        },
        ..ParseOpts::default()
    };
    let mut parser = html5ever::parse_document(Document::default(), options);
    let mut rest = text;
    while !rest.is_empty() {
        if Instant::now() > deadline {
            return Err(SkipReason::TooSlow);
        }
        let (piece, left) = rest.split_at(rest.floor_char_boundary(PIECE));
        parser.process(StrTendril::from_slice(piece));
        rest = left;
    }
    Ok(parser.finish())
}

/// HTML by its declared type, or by its looks where none is declared.
fn check_type(html: &[u8], content_type: Option<&str>) -> Result<(), SkipReason> {
    let essence = content_type
        .and_then(|declared| declared.split(';').next())
        .map(|essence| essence.trim().to_ascii_lowercase())
        .filter(|essence| !essence.is_empty());
    match essence.as_deref() {
        Some("text/html" | "application/xhtml+xml") => Ok(()),
        Some(other) => Err(SkipReason::NotHtml(cut(other, 60).into())),
        None if looks_like_html(html) => Ok(()),
        None => Err(SkipReason::NotHtml("unknown".into())),
    }
}

fn looks_like_html(html: &[u8]) -> bool {
    let start: Vec<u8> = html
        .iter()
        .copied()
        .filter(|byte| !matches!(byte, 0 | 0xfe | 0xff | 0xef | 0xbb | 0xbf))
        .skip_while(u8::is_ascii_whitespace)
        .take(512)
        .map(|byte| byte.to_ascii_lowercase())
        .collect();
    start.starts_with(b"<")
        && [&b"<!doctype html"[..], b"<html", b"<head", b"<body", b"<title", b"<meta", b"<p", b"<h1", b"<div"]
            .iter()
            .any(|mark| start.windows(mark.len()).any(|window| window == *mark))
}

/// At most `chars` characters of `text`.
fn cut(text: &str, chars: usize) -> &str {
    text.char_indices().nth(chars).map_or(text, |(at, _)| &text[..at])
}

#[cfg(test)]
mod tests;
