//! From bytes to text, whatever the page says of its encoding and whether or not it is true.
//!
//! Owns: the order of evidence: byte-order mark, header, the pattern of UTF-16, `meta`, valid UTF-8, the usual
//! encoding of the declared language, windows-1252.
//! Never does: statistics over letters. A text that stays unreadable is refused rather than indexed as noise.

use crate::crawl::SkipReason;
use encoding_rs::{
    BIG5, EUC_KR, Encoding, GBK, SHIFT_JIS, UTF_8, UTF_16BE, UTF_16LE, WINDOWS_1250, WINDOWS_1251, WINDOWS_1252,
    WINDOWS_1253, WINDOWS_1254, WINDOWS_1255, WINDOWS_1256,
};
use std::borrow::Cow;

/// How far into the page a declaration is looked for.
const PRESCAN: usize = 4_096;
/// One unreadable character in this many is too many.
const UNREADABLE: usize = 20;

/// The text of a page.
///
/// # Errors
/// [`SkipReason::BadEncoding`] when too much of it cannot be read in any plausible encoding.
pub(super) fn decode<'a>(bytes: &'a [u8], content_type: Option<&str>) -> Result<Cow<'a, str>, SkipReason> {
    if let Some((encoding, length)) = Encoding::for_bom(bytes) {
        return readable(encoding.decode_without_bom_handling(&bytes[length..]).0);
    }
    let head = &bytes[..bytes.len().min(PRESCAN)];
    let declared =
        content_type.and_then(charset_of_header).or_else(|| utf_16_pattern(head)).or_else(|| charset_of_meta(head));
    if let Some(encoding) = declared {
        let (text, malformed) = encoding.decode_without_bom_handling(bytes);
        if !malformed {
            return readable(text);
        }
        // Declared wrongly. UTF-8 can be told for certain, so it is asked next.
    }
    match std::str::from_utf8(bytes) {
        Ok(text) => readable(Cow::Borrowed(text)),
        Err(_) if mostly_utf_8(bytes) => readable(UTF_8.decode_without_bom_handling(bytes).0),
        Err(_) => {
            let encoding = declared.filter(|encoding| *encoding != UTF_8).unwrap_or_else(|| usual_encoding(head));
            readable(encoding.decode_without_bom_handling(bytes).0)
        }
    }
}

fn readable(text: Cow<'_, str>) -> Result<Cow<'_, str>, SkipReason> {
    let mut unreadable = 0_usize;
    let mut total = 0_usize;
    for character in text.chars() {
        total += 1;
        let noise =
            character == '\u{fffd}' || (character.is_control() && !matches!(character, '\n' | '\r' | '\t' | '\u{c}'));
        unreadable += usize::from(noise);
    }
    if unreadable > 0 && unreadable * UNREADABLE > total {
        return Err(SkipReason::BadEncoding);
    }
    Ok(text)
}

/// A page in UTF-8 with a few bad bytes, as a careless template makes it: more good sequences than bad bytes.
fn mostly_utf_8(bytes: &[u8]) -> bool {
    let (mut good, mut bad) = (0_usize, 0_usize);
    for chunk in bytes.utf8_chunks() {
        good += chunk.valid().chars().filter(|c| !c.is_ascii()).count();
        bad += usize::from(!chunk.invalid().is_empty());
    }
    good > bad * 4
}

fn charset_of_header(content_type: &str) -> Option<&'static Encoding> {
    let at = find_ignoring_case(content_type.as_bytes(), b"charset=")?;
    let label = content_type.get(at + "charset=".len()..)?;
    label_at_start(label.as_bytes())
}

/// Markup in UTF-16 without a mark has a zero in every second byte.
fn utf_16_pattern(head: &[u8]) -> Option<&'static Encoding> {
    let sample = &head[..head.len().min(64) & !1];
    if sample.len() < 4 {
        return None;
    }
    let zeros = |offset: usize| sample.iter().skip(offset).step_by(2).filter(|b| **b == 0).count();
    let pairs = sample.len() / 2;
    match (zeros(0), zeros(1)) {
        (0, high) if high * 10 >= pairs * 9 => Some(UTF_16LE),
        (high, 0) if high * 10 >= pairs * 9 => Some(UTF_16BE),
        _ => None,
    }
}

/// `<meta charset="…">` or `<meta http-equiv=content-type content="…; charset=…">`: both contain `charset=`.
fn charset_of_meta(head: &[u8]) -> Option<&'static Encoding> {
    let mut rest = head;
    while let Some(at) = find_ignoring_case(rest, b"<meta") {
        rest = &rest[at + 5..];
        let end = rest.iter().position(|b| *b == b'>').unwrap_or(rest.len());
        let tag = &rest[..end];
        if let Some(at) = find_ignoring_case(tag, b"charset")
            && let Some(encoding) = tag[at + 7..]
                .iter()
                .position(|b| !b.is_ascii_whitespace() && *b != b'=')
                .and_then(|skip| label_at_start(&tag[at + 7 + skip..]))
        {
            // The page could not have been read so far if it really were UTF-16.
            return Some(if encoding == UTF_16LE || encoding == UTF_16BE { UTF_8 } else { encoding });
        }
        rest = &rest[end..];
    }
    // <?xml version="1.0" encoding="…"?>
    let at = find_ignoring_case(head, b"<?xml")?;
    let end = head[at..].iter().position(|b| *b == b'>')?;
    let declaration = &head[at..at + end];
    let at = find_ignoring_case(declaration, b"encoding=")?;
    label_at_start(&declaration[at + "encoding=".len()..])
}

fn label_at_start(bytes: &[u8]) -> Option<&'static Encoding> {
    let bytes = bytes.trim_ascii_start();
    let bytes = bytes.strip_prefix(b"\"").or_else(|| bytes.strip_prefix(b"'")).unwrap_or(bytes);
    let end = bytes
        .iter()
        .position(|b| !(b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b':')))
        .unwrap_or(bytes.len());
    Encoding::for_label(&bytes[..end])
}

/// What browsers assume for a language when nothing is declared.
fn usual_encoding(head: &[u8]) -> &'static Encoding {
    let tag = find_ignoring_case(head, b"lang=")
        .map(|at| &head[at + 5..])
        .map(|rest| rest.iter().copied().skip_while(|b| matches!(b, b'"' | b'\'')))
        .map(|rest| rest.take(5).map(|b| b.to_ascii_lowercase()).collect::<Vec<u8>>())
        .unwrap_or_default();
    match &*tag {
        b"zh-tw" | b"zh-hk" => BIG5,
        [b'z', b'h', ..] => GBK,
        [b'j', b'a', ..] => SHIFT_JIS,
        [b'k', b'o', ..] => EUC_KR,
        [b'r', b'u' | b'o', ..] if tag.starts_with(b"ru") => WINDOWS_1251,
        [b'u', b'k', ..] | [b'b', b'g', ..] => WINDOWS_1251,
        [b'p', b'l', ..] | [b'c', b's', ..] | [b'h', b'u', ..] => WINDOWS_1250,
        [b'e', b'l', ..] => WINDOWS_1253,
        [b't', b'r', ..] => WINDOWS_1254,
        [b'h', b'e', ..] => WINDOWS_1255,
        [b'a', b'r', ..] => WINDOWS_1256,
        _ => WINDOWS_1252,
    }
}

fn find_ignoring_case(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|window| window.eq_ignore_ascii_case(needle))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn every_kind_of_evidence_is_heard() {
        let page = |meta: &str| format!("<html><head>{meta}</head><p>Größe</p>");
        let latin = |text: &str| WINDOWS_1252.encode(text).0.into_owned();
        let utf_16 = |text: &str| text.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<u8>>();
        let mut marked = vec![0xff, 0xfe];
        marked.extend(utf_16(&page("")));
        let cases: [(Vec<u8>, Option<&str>); 8] = [
            (page("").into_bytes(), None),
            (page("").into_bytes(), Some("text/html; charset=iso-8859-1x")),
            (latin(&page("")), Some("text/html; charset=\"ISO-8859-1\"")),
            (latin(&page("<meta charset=latin1>")), None),
            (latin(&page("<meta http-equiv=Content-Type content='text/html; charset=windows-1252'>")), None),
            (latin(&page("")), None),
            (utf_16(&page("")), None),
            (marked, Some("text/html; charset=utf-8")),
        ];
        for (at, (bytes, header)) in cases.into_iter().enumerate() {
            let text = decode(&bytes, header).unwrap();
            assert!(text.contains("<p>Größe</p>"), "case {at}: {text}");
        }
    }

    #[test]
    fn a_false_declaration_does_not_make_noise() {
        let latin = WINDOWS_1252.encode("<p>Größe über Maß").0.into_owned();
        assert_eq!(decode(&latin, Some("text/html; charset=utf-8")).unwrap(), "<p>Größe über Maß");
        let shift_jis = SHIFT_JIS.encode("<html lang=ja><p>送料はいくらですか").0.into_owned();
        assert!(decode(&shift_jis, None).unwrap().contains("送料"));
    }

    #[test]
    fn noise_is_refused() {
        let noise: Vec<u8> = (0..4_000_u32).map(|at| (at.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
        assert_eq!(decode(&noise, Some("text/html; charset=utf-8")), Err(SkipReason::BadEncoding));
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(bytes in proptest::collection::vec(any::<u8>(), 0..300), header in "\\PC{0,40}") {
            let _ = decode(&bytes, Some(&header));
        }
    }
}
