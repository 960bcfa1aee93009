//! What must be known of markup before it is given to the parser.
//!
//! Owns: refusing markup that a standard parser takes quadratic time for: elements nested without end, and tags with
//! thousands of attributes.
//! Never does: parsing. It counts, in one pass, a bit pessimistically.

use crate::crawl::SkipReason;

/// Browsers flatten what is nested more deeply.
const MAX_DEPTH: usize = 512;
/// Attributes of one tag.
const MAX_ATTRIBUTES: usize = 256;
/// Tags of one page.
const MAX_TAGS: usize = 200_000;

/// Elements that never nest, or that the parser closes by itself when the next one begins.
const FLAT: [&[u8]; 34] = [
    b"area",
    b"base",
    b"br",
    b"col",
    b"embed",
    b"hr",
    b"img",
    b"input",
    b"link",
    b"meta",
    b"param",
    b"source",
    b"track",
    b"wbr",
    b"p",
    b"li",
    b"dt",
    b"dd",
    b"tr",
    b"td",
    b"th",
    b"thead",
    b"tbody",
    b"tfoot",
    b"option",
    b"optgroup",
    b"rp",
    b"rt",
    b"html",
    b"head",
    b"body",
    b"a",
    b"button",
    b"nobr",
];

/// Elements whose content is text until their end tag.
const RAW: [&[u8]; 7] = [b"script", b"style", b"textarea", b"title", b"xmp", b"iframe", b"noembed"];

/// # Errors
/// [`SkipReason::TooDeep`] or [`SkipReason::TooLarge`].
pub(super) fn check(html: &[u8]) -> Result<(), SkipReason> {
    let mut depth = 0_usize;
    let mut tags = 0_usize;
    let mut rest = html;
    while let Some(at) = rest.iter().position(|byte| *byte == b'<') {
        rest = &rest[at + 1..];
        if let Some(comment) = rest.strip_prefix(b"!--") {
            let end = comment.windows(3).position(|window| window == b"-->");
            rest = end.map_or(&[][..], |end| &comment[end + 3..]);
            continue;
        }
        let closing = rest.first() == Some(&b'/');
        let name_from = usize::from(closing);
        let name_length = rest[name_from..]
            .iter()
            .take_while(|byte| !matches!(byte, b' ' | b'\t' | b'\n' | b'\r' | b'\x0c' | b'/' | b'>'))
            .take(32)
            .count();
        let name = rest[name_from..name_from + name_length].to_ascii_lowercase();
        if !name.first().is_some_and(u8::is_ascii_alphabetic) {
            continue;
        }
        tags += 1;
        if tags > MAX_TAGS {
            return Err(SkipReason::TooLarge);
        }
        rest = skip_attributes(&rest[name_from + name_length..])?;
        if closing {
            depth = depth.saturating_sub(usize::from(!FLAT.contains(&&*name)));
        } else if RAW.contains(&&*name) {
            rest = skip_raw(rest, &name);
        } else if !FLAT.contains(&&*name) {
            depth += 1;
            if depth > MAX_DEPTH {
                return Err(SkipReason::TooDeep);
            }
        }
    }
    Ok(())
}

/// To behind the tag's `>`.
fn skip_attributes(tag: &[u8]) -> Result<&[u8], SkipReason> {
    let mut attributes = 0_usize;
    let mut quote = None;
    let mut between = true;
    for (at, &byte) in tag.iter().enumerate() {
        match (quote, byte) {
            (Some(open), _) => {
                if byte == open {
                    quote = None;
                    between = true;
                }
            }
            (None, b'>') => return Ok(&tag[at + 1..]),
            (None, b'"' | b'\'') => quote = Some(byte),
            (None, b'/') => between = true,
            (None, byte) if byte.is_ascii_whitespace() => between = true,
            (None, _) => {
                attributes += usize::from(between);
                between = false;
            }
        }
        if attributes > MAX_ATTRIBUTES {
            return Err(SkipReason::TooLarge);
        }
    }
    Ok(&[])
}

/// To the element's end tag, or to the end where there is none.
fn skip_raw<'a>(html: &'a [u8], name: &[u8]) -> &'a [u8] {
    let mut rest = html;
    while let Some(at) = rest.iter().position(|byte| *byte == b'<') {
        rest = &rest[at..];
        if rest.get(1) == Some(&b'/') && rest.get(2..2 + name.len()).is_some_and(|end| end.eq_ignore_ascii_case(name)) {
            return rest;
        }
        rest = &rest[1..];
    }
    &[]
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn bombs_are_refused() {
        assert_eq!(check("<div>".repeat(100_000).as_bytes()), Err(SkipReason::TooDeep));
        assert_eq!(check("<b><i>".repeat(10_000).as_bytes()), Err(SkipReason::TooDeep));
        let attributes: String = (0..10_000).map(|at| format!(" a{at}")).collect();
        assert_eq!(check(format!("<p{attributes}>").as_bytes()), Err(SkipReason::TooLarge));
        let values: String = (0..10_000).map(|at| format!(" a{at}='>'")).collect();
        assert_eq!(check(format!("<p{values}>").as_bytes()), Err(SkipReason::TooLarge));
        assert_eq!(check("<br>".repeat(300_000).as_bytes()), Err(SkipReason::TooLarge));
    }

    #[test]
    fn sloppy_pages_pass() {
        assert_eq!(check("<ul>".repeat(20).as_bytes()), Ok(()));
        assert_eq!(check("<p>text<br><li>item".repeat(5_000).as_bytes()), Ok(()));
        assert_eq!(check("<div class='a'>x</div>".repeat(20_000).as_bytes()), Ok(()));
        let script = format!("<script>{}</script>", "if (a<b) '<div>';".repeat(5_000));
        assert_eq!(check(script.as_bytes()), Ok(()));
        assert_eq!(check(format!("<!-- {} -->", "<div>".repeat(5_000)).as_bytes()), Ok(()));
        assert_eq!(check("a < b, 3 <4".repeat(5_000).as_bytes()), Ok(()));
    }

    proptest! {
        #[test]
        fn any_markup_is_survived(html in "[<>/a-c'\"= !-]{0,300}") {
            let _ = check(html.as_bytes());
        }
    }
}
