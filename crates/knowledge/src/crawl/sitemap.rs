//! Sitemaps and sitemap indexes.
//!
//! Owns: reading the addresses out of one file, within caps.
//! Never does: fetching, following entities or a DTD. Compressed files are read only where the server declares the
//! compression in its headers, for then egress unpacks them under its caps.

use quick_xml::Reader;
use quick_xml::events::Event;

/// Addresses that are taken from one file.
const MAX_ENTRIES: usize = 5_000;
const MAX_ADDRESS_BYTES: usize = 2_048;
/// Markup events that are read of one file.
const MAX_EVENTS: usize = 500_000;
const MAX_DEPTH: usize = 32;

/// What one file holds.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Sitemap {
    /// Addresses of pages, as written.
    pub pages: Vec<String>,
    /// Addresses of further sitemaps, as written.
    pub sitemaps: Vec<String>,
}

/// Reads a file. What follows the first mistake is left out; a plain list of addresses is accepted too.
pub fn read_sitemap(body: &[u8]) -> Sitemap {
    let mut sitemap = Sitemap::default();
    let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
    let start = body.trim_ascii_start();
    if !start.starts_with(b"<") {
        read_lines(start, &mut sitemap);
        return sitemap;
    }
    let mut reader = Reader::from_reader(start);
    reader.config_mut().check_end_names = false;
    let mut path: Vec<String> = Vec::new();
    let mut address = String::new();
    for _ in 0..MAX_EVENTS {
        match reader.read_event() {
            Ok(Event::Start(tag)) => {
                if path.len() >= MAX_DEPTH {
                    break;
                }
                path.push(tag.local_name().as_ref().to_ascii_lowercase());
                address.clear();
            }
            Ok(Event::Text(text)) if is_address(&path) && address.len() < MAX_ADDRESS_BYTES => {
                address.push_str(&text);
            }
            Ok(Event::CData(text)) if is_address(&path) && address.len() < MAX_ADDRESS_BYTES => {
                address.push_str(&text);
            }
            Ok(Event::GeneralRef(entity)) if is_address(&path) => match &*entity {
                "amp" => address.push('&'),
                "apos" => address.push('\''),
                _ => {}
            },
            Ok(Event::End(_)) => {
                if is_address(&path) {
                    let parent = &path[path.len() - 2];
                    let list = if parent == "sitemap" { &mut sitemap.sitemaps } else { &mut sitemap.pages };
                    take(list, &address);
                }
                address.clear();
                path.pop();
            }
            Ok(Event::Eof) | Err(_) => break,
            Ok(_) => {}
        }
        if sitemap.pages.len() >= MAX_ENTRIES {
            break;
        }
    }
    sitemap
}

/// `loc` directly in `url` or `sitemap`; an image's or a video's `loc` stands deeper.
fn is_address(path: &[String]) -> bool {
    matches!(path, [.., parent, loc] if loc == "loc" && (parent == "url" || parent == "sitemap"))
}

fn read_lines(body: &[u8], sitemap: &mut Sitemap) {
    for line in body.split(|byte| matches!(byte, b'\n' | b'\r')).take(MAX_ENTRIES) {
        let line = String::from_utf8_lossy(line);
        if line.trim_start().starts_with("http") {
            take(&mut sitemap.pages, &line);
        }
    }
}

fn take(list: &mut Vec<String>, address: &str) {
    let address = address.trim();
    if !address.is_empty() && address.len() <= MAX_ADDRESS_BYTES && list.len() < MAX_ENTRIES {
        list.push(address.to_owned());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn pages_and_indexes_are_read() {
        let map = read_sitemap(
            br#"<?xml version="1.0" encoding="UTF-8"?>
            <urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9" xmlns:image="x">
              <url><loc> https://shop.example/a?x=1&amp;y=2 </loc><lastmod>2024-01-01</lastmod>
                <image:image><image:loc>https://shop.example/a.png</image:loc></image:image></url>
              <url><loc><![CDATA[https://shop.example/b]]></loc></url>
            </urlset>"#,
        );
        assert_eq!(map.pages, ["https://shop.example/a?x=1&y=2", "https://shop.example/b"]);
        let index =
            read_sitemap(b"<sitemapindex><sitemap><loc>https://shop.example/1.xml</loc></sitemap></sitemapindex>");
        assert_eq!(index.sitemaps, ["https://shop.example/1.xml"]);
        assert!(index.pages.is_empty());
        let lines = read_sitemap(b"https://shop.example/a\nnot an address\nhttps://shop.example/b\n");
        assert_eq!(lines.pages.len(), 2);
    }

    #[test]
    fn bombs_end_at_caps() {
        let many = format!("<urlset>{}</urlset>", "<url><loc>https://a.example/</loc></url>".repeat(20_000));
        assert_eq!(read_sitemap(many.as_bytes()).pages.len(), MAX_ENTRIES);
        let deep = "<url>".repeat(100_000);
        assert_eq!(read_sitemap(deep.as_bytes()), Sitemap::default());
        let entities = br#"<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;">]><urlset><url><loc>&b;</loc></url></urlset>"#;
        assert!(read_sitemap(entities).pages.is_empty());
        assert_eq!(read_sitemap(b"\x1f\x8b\x08\x00\x00"), Sitemap::default());
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(body in "(<|>|/|url|loc|sitemap|&amp;|<!\\[CDATA\\[|\\]\\]>|[a-z ]){0,60}") {
            let _ = read_sitemap(body.as_bytes());
        }
    }
}
