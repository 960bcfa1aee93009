//! A source text with its comments and literals taken out, so that a rule about code is not fooled by prose.
//!
//! Owns: a small lexer for Rust and for JavaScript, and the cutting out of `#[cfg(test)]` items.
//! Never does: parse. Lines keep their numbers, so that a finding can name its place.

/// A text, lexed.
#[derive(Debug)]
pub(crate) struct Code {
    /// The text with comments and the insides of literals blanked.
    pub(crate) plain: String,
    /// The insides of string literals with the line that each starts on, counted from 1.
    pub(crate) strings: Vec<(usize, String)>,
}

impl Code {
    /// Lexes Rust: nested comments, raw strings, characters and lifetimes.
    pub(crate) fn rust(text: &str) -> Self {
        Lexer::new(text, true).run()
    }

    /// Lexes JavaScript well enough: comments and the three kinds of strings.
    pub(crate) fn javascript(text: &str) -> Self {
        Lexer::new(text, false).run()
    }

    /// Rust without its `#[cfg(test)]` items; strings inside them are dropped too.
    pub(crate) fn rust_product(text: &str) -> Self {
        let whole = Self::rust(text);
        let spans = test_spans(&whole.plain);
        let lines: Vec<(usize, usize)> =
            spans.iter().map(|&(start, end)| (line_at(&whole.plain, start), line_at(&whole.plain, end))).collect();
        let mut plain: Vec<u8> = whole.plain.into_bytes();
        for (start, end) in spans {
            for byte in &mut plain[start..end] {
                if *byte != b'\n' {
                    *byte = b' ';
                }
            }
        }
        Self {
            plain: String::from_utf8_lossy(&plain).into_owned(),
            strings: whole
                .strings
                .into_iter()
                .filter(|(line, _)| !lines.iter().any(|(first, last)| first <= line && line <= last))
                .collect(),
        }
    }
}

/// The line of a byte offset, counted from 1.
pub(crate) fn line_at(text: &str, offset: usize) -> usize {
    text.as_bytes()[..offset.min(text.len())].iter().filter(|byte| **byte == b'\n').count() + 1
}

/// The offsets at which `word` stands as a whole word.
pub(crate) fn words<'t>(plain: &'t str, word: &'t str) -> impl Iterator<Item = usize> + 't {
    let of_word = |byte: Option<&u8>| byte.is_some_and(|b| b.is_ascii_alphanumeric() || *b == b'_');
    plain.match_indices(word).filter_map(move |(at, _)| {
        let before = at.checked_sub(1).and_then(|i| plain.as_bytes().get(i));
        let after = plain.as_bytes().get(at + word.len());
        (!of_word(before) && !of_word(after)).then_some(at)
    })
}

/// The names of modules declared as `#[cfg(test)] mod name;` in a lexed text.
pub(crate) fn test_module_declarations(plain: &str) -> Vec<String> {
    test_spans(plain)
        .into_iter()
        .filter_map(|(start, end)| {
            let item = &plain[start..end];
            let (_, after) = item.split_once("mod ")?;
            let name = after.strip_suffix(';')?.trim();
            name.chars().all(|c| c.is_alphanumeric() || c == '_').then(|| name.to_owned())
        })
        .collect()
}

/// Byte ranges of the items behind `#[cfg(test)]`, the attribute included.
fn test_spans(plain: &str) -> Vec<(usize, usize)> {
    let bytes = plain.as_bytes();
    let mut spans: Vec<(usize, usize)> = Vec::new();
    for (start, _) in plain.match_indices("#[cfg(test)]") {
        if spans.last().is_some_and(|&(_, end)| start < end) {
            continue;
        }
        let (mut depth, mut parentheses) = (0_i32, 0_i32);
        let mut at = start + "#[cfg(test)]".len();
        while at < bytes.len() {
            match bytes[at] {
                b'(' | b'[' => parentheses += 1,
                b')' | b']' => parentheses -= 1,
                b'{' => depth += 1,
                b'}' => {
                    depth -= 1;
                    if depth <= 0 {
                        break;
                    }
                }
                b';' if depth == 0 && parentheses == 0 => break,
                _ => {}
            }
            at += 1;
        }
        spans.push((start, (at + 1).min(bytes.len())));
    }
    spans
}

struct Lexer<'t> {
    text: &'t str,
    bytes: &'t [u8],
    at: usize,
    line: usize,
    rust: bool,
    plain: Vec<u8>,
    strings: Vec<(usize, String)>,
}

impl<'t> Lexer<'t> {
    fn new(text: &'t str, rust: bool) -> Self {
        Self {
            text,
            bytes: text.as_bytes(),
            at: 0,
            line: 1,
            rust,
            plain: Vec::with_capacity(text.len()),
            strings: Vec::new(),
        }
    }

    fn run(mut self) -> Code {
        while self.at < self.bytes.len() {
            if self.starts("//") {
                self.blank_until(|lexer| lexer.starts("\n"));
            } else if self.starts("/*") {
                self.block_comment();
            } else if self.rust && self.raw_string() {
            } else if self.starts("\"") || (!self.rust && (self.starts("'") || self.starts("`"))) {
                self.string();
            } else if self.rust && self.starts("'") {
                self.character();
            } else {
                self.keep();
            }
        }
        Code { plain: String::from_utf8_lossy(&self.plain).into_owned(), strings: self.strings }
    }

    fn starts(&self, with: &str) -> bool {
        self.bytes[self.at..].starts_with(with.as_bytes())
    }

    fn keep(&mut self) {
        let byte = self.bytes[self.at];
        if byte == b'\n' {
            self.line += 1;
        }
        self.plain.push(byte);
        self.at += 1;
    }

    fn blank(&mut self) {
        let byte = self.bytes[self.at];
        if byte == b'\n' {
            self.line += 1;
            self.plain.push(byte);
        } else {
            self.plain.push(b' ');
        }
        self.at += 1;
    }

    fn blank_until(&mut self, stop: impl Fn(&Self) -> bool) {
        while self.at < self.bytes.len() && !stop(self) {
            self.blank();
        }
    }

    fn block_comment(&mut self) {
        let mut depth = 0_u32;
        while self.at < self.bytes.len() {
            let opens = self.starts("/*") && (self.rust || depth == 0);
            let closes = self.starts("*/");
            if opens || closes {
                depth = if opens { depth + 1 } else { depth - 1 };
                self.blank();
                self.blank();
                if depth == 0 {
                    return;
                }
            } else {
                self.blank();
            }
        }
    }

    /// `r"…"`, `r#"…"#` and their `b`, `c` forms; false when there is none here.
    fn raw_string(&mut self) -> bool {
        let in_word =
            self.at.checked_sub(1).is_some_and(|i| self.bytes[i].is_ascii_alphanumeric() || self.bytes[i] == b'_');
        let rest = &self.bytes[self.at..];
        let prefix = rest.iter().take(2).take_while(|byte| b"bcr".contains(byte)).count();
        let hashes = rest[prefix..].iter().take_while(|byte| **byte == b'#').count();
        let is_raw = !in_word && prefix > 0 && rest[prefix - 1] == b'r' && rest.get(prefix + hashes) == Some(&b'"');
        if !is_raw {
            return false;
        }
        for _ in 0..=prefix + hashes {
            self.keep();
        }
        let end = format!("\"{}", "#".repeat(hashes));
        let (start, line) = (self.at, self.line);
        self.blank_until(|lexer| lexer.starts(&end));
        self.strings.push((line, self.text[start..self.at].to_owned()));
        for _ in 0..end.len() {
            if self.at < self.bytes.len() {
                self.keep();
            }
        }
        true
    }

    fn string(&mut self) {
        let quote = self.bytes[self.at];
        self.keep();
        let (start, line) = (self.at, self.line);
        while self.at < self.bytes.len() && self.bytes[self.at] != quote {
            // A quote in a regular expression opens no string: JavaScript's plain strings end with their line.
            if !self.rust && quote != b'`' && self.bytes[self.at] == b'\n' {
                break;
            }
            if self.bytes[self.at] == b'\\' {
                self.blank();
            }
            if self.at < self.bytes.len() {
                self.blank();
            }
        }
        self.strings.push((line, self.text[start..self.at].to_owned()));
        if self.at < self.bytes.len() {
            self.keep();
        }
    }

    /// A character literal is blanked; a lifetime is kept.
    fn character(&mut self) {
        let mut rest = self.text[self.at + 1..].chars();
        let first = rest.next();
        let closes = first.is_some_and(|c| c != '\'') && rest.next() == Some('\'');
        self.keep();
        if first == Some('\\') {
            self.blank();
            if self.at < self.bytes.len() {
                self.blank();
            }
            self.blank_until(|lexer| lexer.starts("'"));
        } else if closes {
            self.blank_until(|lexer| lexer.starts("'"));
        } else {
            return;
        }
        if self.at < self.bytes.len() {
            self.keep();
        }
    }
}

#[test]
fn prose_and_literals_are_taken_out_of_rust() {
    let text = "let a = \"axum::x \\\" y\"; // sqlx::y\n/* tokio /* nested */ still */ let b = r#\"raw \"q\" z\"#;\nlet c = '\"'; fn f<'a>(x: &'a str) {}\n";
    let code = Code::rust(text);
    for gone in ["axum", "sqlx", "tokio", "raw", "nested", "still"] {
        assert!(!code.plain.contains(gone), "{gone} is still in {}", code.plain);
    }
    for kept in ["let a", "let b", "let c", "fn f<'a>(x: &'a str) {}"] {
        assert!(code.plain.contains(kept), "{kept} is gone from {}", code.plain);
    }
    assert_eq!(code.plain.lines().count(), text.lines().count());
    assert_eq!(code.strings[0], (1, "axum::x \\\" y".to_owned()));
    assert_eq!(code.strings[1], (2, "raw \"q\" z".to_owned()));
}

#[test]
fn test_items_are_cut_out_and_what_follows_stays() {
    let text = "use a::b;\n#[cfg(test)]\nmod tests {\n  use bad::x;\n  const S: &str = \"SELECT { 1\";\n}\nuse c::d;\n#[cfg(test)]\nmod samples;\nuse e::f;\n";
    let code = Code::rust_product(text);
    assert!(!code.plain.contains("bad"));
    assert!(code.strings.is_empty());
    assert!(code.plain.contains("use a::b;") && code.plain.contains("use c::d;") && code.plain.contains("use e::f;"));
    assert_eq!(test_module_declarations(&Code::rust(text).plain), ["samples"]);
}

#[test]
fn javascript_keeps_addresses_in_strings_and_drops_comments() {
    let code = Code::javascript(
        "// https://docs.example\nconst a = 'https://x.example/'; /* `b` */ const r = /[\"]/;\nconst c = `${a}`;\n",
    );
    let strings: Vec<&str> = code.strings.iter().map(|(_, text)| text.as_str()).collect();
    assert!(strings.contains(&"https://x.example/"));
    assert!(!strings.iter().any(|text| text.contains("docs.example")));
    assert!(code.plain.contains("const c"));
}
