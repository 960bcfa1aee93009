//! From the parsed tree to blocks of text under their headings.
//!
//! Owns: what makes a line, the path of headings, spaces and invisible characters, and every cap on the way.
//! Never does: choosing the main part or reading metadata (see `page`). It recurses no deeper than browsers nest.

use super::boilerplate::{Verdict, judge};
use super::{Block, MAX_BLOCKS, MAX_TEXT_CHARS, table};
use dom_query::{NodeData, NodeRef};
use std::sync::Arc;
use std::time::Instant;

const MAX_DEPTH: usize = 600;
const MAX_HEADING_CHARS: usize = 160;
/// h1 to h6, and the summary of a collapsed part below them.
const LEVELS: usize = 7;
const SUMMARY: usize = 6;
/// Nodes between two looks at the clock.
const CLOCK_EVERY: usize = 4_096;

const INLINE: [&str; 40] = [
    "a", "abbr", "acronym", "b", "bdi", "bdo", "big", "cite", "code", "data", "del", "dfn", "em", "font", "i", "ins",
    "kbd", "label", "mark", "q", "rp", "rt", "ruby", "s", "samp", "small", "span", "strike", "strong", "sub", "sup",
    "time", "tt", "u", "var", "wbr", "picture", "source", "img", "nobr",
];

/// Walks parts of a tree and collects blocks.
#[derive(Debug)]
pub(super) struct Walker {
    pub(super) blocks: Vec<Block>,
    pub(super) truncated: bool,
    inside_main: bool,
    line: String,
    headings: [Option<String>; LEVELS],
    path: Arc<str>,
    /// The deepest heading has something under it.
    used: bool,
    chars: usize,
    nodes: usize,
    deadline: Instant,
    late: bool,
    preformatted: bool,
}

impl Walker {
    pub(super) fn new(inside_main: bool, deadline: Instant) -> Self {
        Self {
            blocks: Vec::new(),
            truncated: false,
            inside_main,
            line: String::new(),
            headings: Default::default(),
            path: Arc::from(""),
            used: true,
            chars: 0,
            nodes: 0,
            deadline,
            late: false,
            preformatted: false,
        }
    }

    /// Whether the deadline passed.
    pub(super) fn is_late(&self) -> bool {
        self.late
    }

    /// Walks everything below `root`.
    pub(super) fn walk(&mut self, root: &NodeRef<'_>) {
        self.children(root, 0);
        self.end_line();
    }

    /// Ends the last heading.
    pub(super) fn finish(mut self) -> (Vec<Block>, bool) {
        self.end_line();
        self.keep_lone_heading();
        (self.blocks, self.truncated)
    }

    fn children(&mut self, node: &NodeRef<'_>, depth: usize) {
        if depth > MAX_DEPTH || self.late || self.is_full() {
            self.truncated = true;
            return;
        }
        for child in node.children_it(false) {
            self.node(&child, depth + 1);
        }
    }

    fn is_full(&self) -> bool {
        self.chars >= MAX_TEXT_CHARS || self.blocks.len() >= MAX_BLOCKS
    }

    fn node(&mut self, node: &NodeRef<'_>, depth: usize) {
        self.nodes += 1;
        if self.nodes.is_multiple_of(CLOCK_EVERY) && Instant::now() > self.deadline {
            self.late = true;
        }
        let text = node.query_or(false, |data| match &data.data {
            NodeData::Text { contents } => {
                append(&mut self.line, contents, self.preformatted);
                true
            }
            _ => false,
        });
        if text {
            return;
        }
        let Some(name) = element_name(node, self.inside_main) else {
            return;
        };
        match &*name {
            "br" => self.line.push('\n'),
            "hr" => self.end_line(),
            "h1" | "h2" | "h3" | "h4" | "h5" | "h6" => {
                let level = usize::from(name.as_bytes()[1] - b'1');
                self.heading(level, node);
            }
            "summary" => self.heading(SUMMARY, node),
            "details" => {
                self.block(node, depth);
                self.keep_lone_heading();
                self.headings[SUMMARY] = None;
                self.update_path();
            }
            "table" => self.table(node, depth),
            "dl" => self.definitions(node, depth),
            "pre" => {
                self.end_line();
                self.preformatted = true;
                self.children(node, depth);
                self.preformatted = false;
                self.end_line();
            }
            inline if INLINE.contains(&inline) => self.children(node, depth),
            _ => self.block(node, depth),
        }
    }

    fn block(&mut self, node: &NodeRef<'_>, depth: usize) {
        self.end_line();
        self.children(node, depth);
        self.end_line();
    }

    fn heading(&mut self, level: usize, node: &NodeRef<'_>) {
        self.end_line();
        let text = plain_text(node, MAX_HEADING_CHARS);
        if !text.chars().any(char::is_alphanumeric) {
            return;
        }
        let deeper = self.headings[..level].iter().any(Option::is_some);
        if !deeper || self.headings[level..].iter().any(Option::is_some) {
            self.keep_lone_heading();
        }
        for heading in &mut self.headings[level..] {
            *heading = None;
        }
        self.headings[level] = Some(text);
        self.update_path();
        self.used = false;
    }

    /// A heading with nothing under it says something itself ("Call 555 0100").
    fn keep_lone_heading(&mut self) {
        if self.used {
            return;
        }
        self.used = true;
        if let Some(heading) = self.headings.iter().rev().flatten().next().cloned() {
            self.push(heading);
        }
    }

    fn update_path(&mut self) {
        let parts: Vec<&str> = self.headings.iter().flatten().map(String::as_str).collect();
        let path = parts.join(" › ");
        if *self.path != *path {
            self.path = path.into();
        }
    }

    fn table(&mut self, node: &NodeRef<'_>, depth: usize) {
        self.end_line();
        match table::rows(node, self.inside_main) {
            Some(rows) => {
                for row in rows {
                    self.push(row);
                }
            }
            None => self.block(node, depth),
        }
    }

    /// A term and what is said of it make one line.
    fn definitions(&mut self, node: &NodeRef<'_>, depth: usize) {
        self.end_line();
        let mut entries = Vec::new();
        for child in node.children_it(false) {
            match element_name(&child, self.inside_main).as_deref() {
                // Entries may be wrapped in a div each.
                Some("div") => entries.extend(child.children_it(false)),
                Some(_) => entries.push(child),
                None => {}
            }
        }
        let mut after_term = false;
        for entry in entries {
            match element_name(&entry, self.inside_main).as_deref() {
                Some("dt") => {
                    if after_term && !self.line.is_empty() {
                        self.line.push_str(", ");
                    } else {
                        self.end_line();
                    }
                    self.line.push_str(&plain_text(&entry, 400));
                    after_term = true;
                }
                Some("dd") => {
                    if after_term && !self.line.is_empty() {
                        let open = !self.line.ends_with([':', '?', '!', '.']);
                        self.line.push_str(if open { ": " } else { " " });
                    } else {
                        self.end_line();
                    }
                    after_term = false;
                    self.children(&entry, depth + 1);
                }
                Some(_) => self.block(&entry, depth + 1),
                None => {}
            }
        }
        self.end_line();
    }

    fn end_line(&mut self) {
        if self.line.is_empty() {
            return;
        }
        let line = std::mem::take(&mut self.line);
        let mut text = String::with_capacity(line.len());
        for part in line.split('\n') {
            let part = if self.preformatted { part.trim_end() } else { part.trim() };
            if part.chars().any(char::is_alphanumeric) {
                if !text.is_empty() {
                    text.push('\n');
                }
                text.push_str(part);
            }
        }
        if !text.is_empty() {
            self.used = true;
            self.push(text);
        }
    }

    fn push(&mut self, text: String) {
        if self.is_full() {
            self.truncated = true;
            return;
        }
        self.used = true;
        self.chars += text.chars().count();
        self.blocks.push(Block { heading_path: Arc::clone(&self.path), text });
    }
}

/// The name of an element that is kept; `None` for all other nodes.
pub(super) fn element_name(node: &NodeRef<'_>, inside_main: bool) -> Option<String> {
    node.query_or(None, |data| match &data.data {
        NodeData::Element(element) if judge(element, inside_main) == Verdict::Keep => {
            Some(element.name.local.to_string())
        }
        _ => None,
    })
}

/// The text below `node` on one line, at most `most` characters.
pub(super) fn plain_text(node: &NodeRef<'_>, most: usize) -> String {
    let mut text = String::new();
    collect(node, &mut text, most, 0);
    let text = text.trim();
    super::cut(text, most).trim_end().to_owned()
}

fn collect(node: &NodeRef<'_>, text: &mut String, most: usize, depth: usize) {
    for child in node.children_it(false) {
        if text.len() > most * 4 || depth > MAX_DEPTH {
            return;
        }
        let is_text = child.query_or(false, |data| match &data.data {
            NodeData::Text { contents } => {
                append(text, contents, false);
                true
            }
            _ => false,
        });
        if is_text {
            continue;
        }
        if let Some(name) = element_name(&child, true) {
            let inline = INLINE.contains(&&*name);
            if !inline {
                append(text, " ", false);
            }
            collect(&child, text, most, depth + 1);
            if !inline {
                append(text, " ", false);
            }
        }
    }
}

/// Appends with spaces collapsed and without characters that a reader cannot see.
fn append(line: &mut String, text: &str, preformatted: bool) {
    for character in text.chars() {
        match character {
            '\n' if preformatted => line.push('\n'),
            ' ' | '\t' if preformatted => line.push(' '),
            space if space.is_whitespace() => {
                if !line.is_empty() && !line.ends_with([' ', '\n']) {
                    line.push(' ');
                }
            }
            unseen if is_unseen(unseen) => {}
            seen => line.push(seen),
        }
    }
}

/// Controls, directional overrides, soft hyphens, byte-order marks and Unicode tags. Joiners stay: scripts and emoji
/// need them.
fn is_unseen(character: char) -> bool {
    character.is_control()
        || matches!(u32::from(character),
            0x00ad | 0x200b | 0x200e | 0x200f | 0x202a..=0x202e | 0x2060..=0x2064 | 0x2066..=0x206f | 0xfeff
            | 0xfff9..=0xfffb | 0xe0000..=0xe007f)
}
