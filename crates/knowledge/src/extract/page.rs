//! What a page says of itself, and where its content is.
//!
//! Owns: title, language, robots directives, canonical address, links, and choosing the main part.
//! Never does: text (see `walk`). Links are kept absolute and unfiltered; the crawl decides where it goes.

use super::walk::{Walker, plain_text};
use super::{Extracted, MAX_LINKS, MAX_TITLE_CHARS, cut};
use crate::crawl::SkipReason;
use crate::language::Language;
use dom_query::{Document, NodeData, NodeRef};
use std::collections::HashSet;
use std::time::Instant;
use url::Url;

/// Our name in robots directives.
const ROBOT: &str = "chatward";
/// A main part must hold this share of the page's text, or this many characters.
const MAIN_SHARE: usize = 5;
const MAIN_CHARS: usize = 300;

#[derive(Debug, Default)]
struct Found<'a> {
    title: Option<String>,
    social_title: Option<String>,
    first_heading: Option<String>,
    language: Option<String>,
    base: Option<Url>,
    links: Vec<String>,
    canonical: Option<String>,
    directives: Vec<String>,
    refresh: Option<String>,
    mains: Vec<NodeRef<'a>>,
}

/// Reads a parsed page.
///
/// # Errors
/// [`SkipReason::TooSlow`] when the deadline passes.
pub(super) fn read(document: &Document, url: &Url, deadline: Instant) -> Result<Extracted, SkipReason> {
    let found = survey(document, url, deadline)?;
    let mut extracted = Extracted::default();
    for directive in &found.directives {
        extracted.no_index |= says(directive, "noindex");
        extracted.no_follow |= says(directive, "nofollow");
    }
    let base = found.base.as_ref().unwrap_or(url);
    extracted.canonical = found.canonical.as_deref().and_then(|link| resolve(base, link));
    if !extracted.no_follow {
        let mut seen = HashSet::new();
        extracted.links = found
            .refresh
            .iter()
            .chain(&found.links)
            .filter_map(|link| resolve(base, link))
            .filter(|link| seen.insert(link.clone()))
            .collect();
    }
    let (blocks, truncated) = content(document, &found, deadline)?;
    extracted.blocks = blocks;
    extracted.truncated = truncated;
    extracted.title = title(&found, url);
    extracted.language = found.language.as_deref().and_then(Language::from_tag).or_else(|| {
        let sample: String =
            extracted.blocks.iter().flat_map(|block| block.text.chars().chain([' '])).take(4_000).collect();
        Language::of_text(&sample)
    });
    Ok(extracted)
}

/// One pass over all nodes, without recursion.
fn survey<'a>(document: &'a Document, url: &Url, deadline: Instant) -> Result<Found<'a>, SkipReason> {
    let mut found = Found::default();
    for (at, node) in document.root().descendants_it().enumerate() {
        if at.is_multiple_of(4_096) && Instant::now() > deadline {
            return Err(SkipReason::TooSlow);
        }
        let Some(element) = node.element_ref() else {
            continue;
        };
        let attribute = |name: &str| {
            element.attrs.iter().find(|attribute| &*attribute.name.local == name).map(|attribute| &*attribute.value)
        };
        match &*element.name.local {
            "html" => found.language = attribute("lang").map(str::to_owned),
            "base" if found.base.is_none() => {
                found.base = attribute("href").and_then(|link| resolve(url, link));
            }
            "a" | "area" if found.links.len() < MAX_LINKS => {
                let follow =
                    !attribute("rel").is_some_and(|rel| says(rel, "nofollow")) && attribute("download").is_none();
                if let Some(link) = attribute("href").filter(|_| follow) {
                    found.links.push(link.to_owned());
                }
            }
            "link" if attribute("rel").is_some_and(|rel| says(rel, "canonical")) => {
                found.canonical = found.canonical.or_else(|| attribute("href").map(str::to_owned));
            }
            "meta" => meta(
                &mut found,
                attribute("name"),
                attribute("property"),
                attribute("http-equiv"),
                attribute("content"),
            ),
            "title" if found.title.is_none() && !in_picture(&node) => {
                found.title = Some(plain_text(&node, MAX_TITLE_CHARS));
            }
            "h1" if found.first_heading.is_none() => {
                found.first_heading = Some(plain_text(&node, MAX_TITLE_CHARS)).filter(|text| !text.is_empty());
            }
            name if found.mains.len() < 8
                && (name == "main" || attribute("role").is_some_and(|role| role.trim() == "main")) =>
            {
                found.mains.push(node);
            }
            _ => {}
        }
    }
    Ok(found)
}

fn meta(
    found: &mut Found<'_>,
    name: Option<&str>,
    property: Option<&str>,
    equivalent: Option<&str>,
    content: Option<&str>,
) {
    let Some(content) = content else { return };
    let name = name.or(property).unwrap_or_default().trim();
    if (name.eq_ignore_ascii_case("robots") || name.eq_ignore_ascii_case(ROBOT)) && found.directives.len() < 8 {
        found.directives.push(content.to_owned());
    } else if name.eq_ignore_ascii_case("og:title") {
        found.social_title = Some(cut(content.trim(), MAX_TITLE_CHARS).to_owned());
    }
    let equivalent = equivalent.unwrap_or_default().trim();
    if equivalent.eq_ignore_ascii_case("content-language") && found.language.is_none() {
        found.language = Some(content.to_owned());
    } else if equivalent.eq_ignore_ascii_case("refresh") {
        let lower = content.to_ascii_lowercase();
        if let Some(at) = lower.find("url=") {
            let target = content[at + 4..].trim().trim_matches(['"', '\'']);
            found.refresh = Some(target.to_owned());
        }
    }
}

/// A picture in SVG has a title of its own.
fn in_picture(title: &NodeRef<'_>) -> bool {
    title.parent().is_some_and(|parent| parent.has_name("svg") || parent.has_name("symbol") || parent.has_name("g"))
}

/// The blocks of the main part if there is a believable one, else of the whole body.
fn content(document: &Document, found: &Found<'_>, deadline: Instant) -> Result<(Vec<super::Block>, bool), SkipReason> {
    if !found.mains.is_empty() {
        let mut walker = Walker::new(true, deadline);
        let mut walked: Vec<&NodeRef<'_>> = Vec::new();
        for main in &found.mains {
            // One inside another was walked with it.
            if main.ancestors_it(None).any(|above| walked.iter().any(|main| main.id == above.id)) {
                continue;
            }
            walker.walk(main);
            walked.push(main);
        }
        if walker.is_late() {
            return Err(SkipReason::TooSlow);
        }
        let chars: usize = walker.blocks.iter().map(|block| block.text.len()).sum();
        if chars >= MAIN_CHARS || chars * MAIN_SHARE >= readable_bytes(document) {
            return Ok(walker.finish());
        }
    }
    let mut walker = Walker::new(false, deadline);
    walker.walk(&document.body().unwrap_or_else(|| document.root()));
    if walker.is_late() {
        return Err(SkipReason::TooSlow);
    }
    Ok(walker.finish())
}

/// Bytes of text outside scripts and the like.
fn readable_bytes(document: &Document) -> usize {
    let raw = ["script", "style", "template", "noscript", "head", "title"];
    document
        .root()
        .descendants_it()
        .filter(|node| !node.parent().is_some_and(|parent| raw.iter().any(|name| parent.has_name(name))))
        .map(|node| {
            node.query_or(0, |data| match &data.data {
                NodeData::Text { contents } => contents.trim().len(),
                _ => 0,
            })
        })
        .sum()
}

/// The page's own name: of "Shipping – Pine & Loom" the part that its first heading repeats, or the longer side.
fn title(found: &Found<'_>, url: &Url) -> String {
    const SEPARATORS: [&str; 8] = [" | ", " – ", " — ", " - ", " · ", " :: ", " » ", " • "];
    let declared =
        found.title.as_deref().or(found.social_title.as_deref()).map(str::trim).filter(|title| !title.is_empty());
    let heading = found.first_heading.as_deref();
    match (declared, heading) {
        (Some(declared), Some(heading)) => {
            let split = SEPARATORS.iter().find(|separator| declared.contains(**separator));
            let repeats = split.is_some_and(|separator| {
                declared.split(separator).any(|part| part.trim().eq_ignore_ascii_case(heading))
            });
            if repeats { heading.to_owned() } else { declared.to_owned() }
        }
        (Some(only), None) | (None, Some(only)) => only.to_owned(),
        (None, None) => {
            let path = url.path().trim_matches('/');
            let name = if path.is_empty() { url.host_str().unwrap_or("page") } else { path };
            cut(name, MAX_TITLE_CHARS).to_owned()
        }
    }
}

/// Whether a list such as "noindex, follow" contains `word`; `none` stands for both.
pub(crate) fn says(list: &str, word: &str) -> bool {
    list.split([',', ' ', '\t', '\n']).map(str::trim).any(|directive| {
        directive.eq_ignore_ascii_case(word)
            || (directive.eq_ignore_ascii_case("none") && matches!(word, "noindex" | "nofollow"))
    })
}

fn resolve(base: &Url, link: &str) -> Option<Url> {
    let link = link.trim();
    if link.is_empty() || link.starts_with('#') || link.len() > 4_096 {
        return None;
    }
    base.join(link).ok().filter(|url| matches!(url.scheme(), "http" | "https"))
}
