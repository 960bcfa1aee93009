//! The kinds of text that settings hold: addresses, origins, spans of time, words of a closed list, secrets.
//!
//! Owns: one constructor for each. Never does: know which setting uses it.

use super::shape::{Raw, Secrecy, Shape, Simple, Wrong, quoted, wrong};
use chatward_types::Secret;
use ipnet::IpNet;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;
use url::{Host, Url};

/// Free text without control characters, at most `most` characters.
pub(super) fn text(most: usize) -> Simple<String> {
    Simple {
        expects: format!("a text of at most {most} characters").into(),
        read: Box::new(move |text| {
            if text.chars().count() > most || text.chars().any(char::is_control) {
                return wrong(
                    "is too long or holds control characters",
                    format!("write a text of at most {most} characters"),
                );
            }
            Ok(text.to_owned())
        }),
        show: |value| quoted(value),
    }
}

/// A name of letters, digits, `-` and `_` (SEC-13's pattern).
pub(super) fn name(most: usize) -> Simple<String> {
    Simple {
        expects: format!("1 to {most} letters, digits, - or _").into(),
        read: Box::new(move |text| {
            let fits = text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
            if !fits || text.len() > most {
                return wrong("does not match [A-Za-z0-9_-]+", format!("write 1 to {most} letters, digits, - or _"));
            }
            Ok(text.to_owned())
        }),
        show: |value| quoted(value),
    }
}

/// A path of the machine.
pub(super) fn path() -> Simple<PathBuf> {
    Simple {
        expects: "a path".into(),
        read: Box::new(|text| {
            if text.contains('\0') {
                return wrong("is not a path", "write a path of this machine");
            }
            Ok(PathBuf::from(text))
        }),
        show: |value| quoted(&value.to_string_lossy()),
    }
}

/// A numeric address with a port.
pub(super) fn address() -> Simple<SocketAddr> {
    Simple {
        expects: "an address and port such as \"127.0.0.1:3001\"".into(),
        read: Box::new(|text| {
            text.parse().or_else(|_| {
                wrong("is not an address and port", "write one such as \"127.0.0.1:3001\" or \"[::1]:3001\"")
            })
        }),
        show: |value| quoted(&value.to_string()),
    }
}

/// A network, or an address standing for itself alone.
pub(super) fn network() -> Simple<IpNet> {
    Simple {
        expects: "a network such as \"10.0.0.0/8\" or an address".into(),
        read: Box::new(|text| {
            text.parse::<IpNet>()
                .or_else(|_| text.parse::<IpAddr>().map(IpNet::from))
                .map(|network| network.trunc())
                .or_else(|_| wrong("is not a network", "write one such as \"10.0.0.0/8\" or \"127.0.0.1\""))
        }),
        show: |value| quoted(&value.to_string()),
    }
}

/// A host name or address without scheme and port, in the form that a browser sends.
pub(super) fn host() -> Simple<String> {
    Simple {
        expects: "a host name such as \"chat.example.com\"".into(),
        read: Box::new(|text| {
            let fix = "write a bare host name such as \"chat.example.com\", without scheme and port";
            let bracketed = match text.parse::<std::net::Ipv6Addr>() {
                Ok(address) => format!("[{address}]"),
                Err(_) => text.to_owned(),
            };
            if text.contains(['/', '*', '@', '?', '#', ' ']) {
                return wrong("is not a host name", fix);
            }
            match Host::parse(bracketed.trim_end_matches('.')) {
                Ok(host) => Ok(host.to_string()),
                Err(_) => wrong("is not a host name", fix),
            }
        }),
        show: |value| quoted(value),
    }
}

/// A web address of ours or of a provider: http or https, no user name, query or fragment.
pub(super) fn web_address() -> Simple<Url> {
    Simple {
        expects: "an http or https address such as \"https://chat.example.com\"".into(),
        read: Box::new(|text| {
            let fix = "write one such as \"https://chat.example.com\"";
            let Ok(url) = Url::parse(text) else {
                return wrong("is not a web address", fix);
            };
            if !matches!(url.scheme(), "http" | "https") || url.host().is_none() {
                return wrong("is not an http or https address", fix);
            }
            if !url.username().is_empty() || url.password().is_some() {
                return wrong("holds a user name or password", "remove what stands before the @");
            }
            if url.query().is_some() || url.fragment().is_some() {
                return wrong("holds a query or fragment", "remove what follows the ? or #");
            }
            Ok(url)
        }),
        show: |value| quoted(value.as_str()),
    }
}

/// An origin exactly as browsers send it: scheme, host, port; never a wildcard.
pub(super) fn origin() -> Simple<String> {
    Simple {
        expects: "an origin such as \"https://www.example.com\"".into(),
        read: Box::new(|text| {
            if text.contains('*') {
                return wrong("holds a wildcard", "list each origin, such as \"https://www.example.com\"");
            }
            let fix = "write one such as \"https://www.example.com\", without a path";
            let Ok(url) = Url::parse(text) else {
                return wrong("is not an origin", fix);
            };
            let bare = url.path() == "/"
                && url.query().is_none()
                && url.fragment().is_none()
                && url.username().is_empty()
                && url.password().is_none();
            if !matches!(url.scheme(), "http" | "https") || !bare {
                return wrong("is not an origin", fix);
            }
            Ok(url.origin().ascii_serialization())
        }),
        show: |value| quoted(value),
    }
}

/// A span of time: a whole number and `ms`, `s`, `m`, `h` or `d`.
pub(super) fn span(least: &'static str, most: &'static str) -> Simple<Duration> {
    let bounds = (parse_span(least), parse_span(most));
    Simple {
        expects: format!("a span of time from \"{least}\" to \"{most}\"").into(),
        read: Box::new(move |text| {
            let Some(span) = parse_span(text) else {
                return wrong("is not a span of time", "write a number and ms, s, m, h or d, such as \"10s\"");
            };
            match bounds {
                (Some(least), Some(most)) if (least..=most).contains(&span) => Ok(span),
                _ => wrong("is out of range", format!("write a span from \"{least}\" to \"{most}\"")),
            }
        }),
        show: |value| quoted(&show_span(*value)),
    }
}

/// Milliseconds a unit.
const SPANS: [(&str, u64); 5] = [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)];

fn parse_span(text: &str) -> Option<Duration> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let (_, milliseconds) = SPANS.into_iter().find(|(name, _)| *name == unit.trim())?;
    number.parse::<u64>().ok()?.checked_mul(milliseconds).map(Duration::from_millis)
}

fn show_span(span: Duration) -> String {
    let milliseconds = u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
    let (unit, size) = SPANS
        .into_iter()
        .find(|(_, size)| milliseconds != 0 && milliseconds.is_multiple_of(*size))
        .unwrap_or(("s", 1000));
    format!("{}{unit}", milliseconds / size)
}

/// One word of a closed list.
pub(super) struct Choice<T: 'static>(&'static [(&'static str, T)]);

/// See [`Choice`].
pub(super) fn choice<T: Clone + PartialEq>(words: &'static [(&'static str, T)]) -> Choice<T> {
    Choice(words)
}

impl<T: Clone + PartialEq> Shape for Choice<T> {
    type Out = T;
    fn read(&self, raw: &Raw) -> Result<T, Wrong> {
        let found = raw.as_text().and_then(|text| self.0.iter().find(|(word, _)| *word == text));
        match found {
            Some((_, value)) => Ok(value.clone()),
            None => wrong("is not one of its words", format!("write {}", self.expects())),
        }
    }
    fn show(&self, value: &T) -> Option<String> {
        self.0.iter().find(|(_, known)| known == value).map(|(word, _)| quoted(word))
    }
    fn expects(&self) -> String {
        let words: Vec<String> = self.0.iter().map(|(word, _)| format!("\"{word}\"")).collect();
        match words.split_last() {
            Some((last, rest)) if !rest.is_empty() => format!("{} or {last}", rest.join(", ")),
            _ => words.join(""),
        }
    }
}

/// A secret text: never printed, wiped when dropped.
pub(super) struct SecretText {
    file: bool,
    expects: &'static str,
}

/// A secret that may also stand in a file named by `x_file`.
pub(super) fn secret(expects: &'static str) -> SecretText {
    SecretText { file: true, expects }
}

/// A secret whose `x_file` is a setting of its own.
pub(super) fn secret_without_file(expects: &'static str) -> SecretText {
    SecretText { file: false, expects }
}

impl Shape for SecretText {
    type Out = Secret<String>;
    fn read(&self, raw: &Raw) -> Result<Self::Out, Wrong> {
        match raw {
            Raw::Words(text) | Raw::Text(text) if text.trim().is_empty() => {
                wrong("is empty", format!("set it to {} or remove it", self.expects))
            }
            Raw::Words(text) | Raw::Text(text) if text.chars().any(char::is_control) => {
                wrong("holds a control character or line break", format!("set it to {}", self.expects))
            }
            Raw::Words(text) | Raw::Text(text) => Ok(Secret::new(text.trim().to_owned())),
            _ => wrong("is not a text", format!("write {} in quotation marks", self.expects)),
        }
    }
    fn show(&self, _: &Self::Out) -> Option<String> {
        Some("\"[redacted]\"".to_owned())
    }
    fn expects(&self) -> String {
        self.expects.to_owned()
    }
    fn secrecy(&self) -> Secrecy {
        if self.file { Secrecy::SecretOrFile } else { Secrecy::Secret }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn spans_of_time_round_trip() {
        for text in ["1ms", "250ms", "10s", "90s", "5m", "24h", "30d"] {
            let span = parse_span(text).expect(text);
            assert_eq!(parse_span(&show_span(span)), Some(span));
        }
        for text in ["", "s", "10", "-1s", "1.5s", "10 parsecs", "99999999999999999999s"] {
            assert_eq!(parse_span(text), None, "{text}");
        }
    }

    #[test]
    fn origins_come_out_as_browsers_send_them() {
        let read = |text: &str| origin().read(&Raw::Words(text.to_owned())).ok();
        assert_eq!(read("https://Example.COM:443/").as_deref(), Some("https://example.com"));
        assert_eq!(read("http://localhost:5173").as_deref(), Some("http://localhost:5173"));
        assert_eq!(read("https://bücher.example").as_deref(), Some("https://xn--bcher-kva.example"));
        for text in [
            "null",
            "*",
            "example.com",
            "https://a.example/path",
            "https://*.example.com",
            "ftp://a.example",
            "https://user@a.example",
            "https://a.example?x",
            "javascript:alert(1)",
            "https://",
        ] {
            assert_eq!(read(text), None, "{text}");
        }
    }

    #[test]
    fn hosts_come_out_as_browsers_send_them() {
        let read = |text: &str| host().read(&Raw::Words(text.to_owned())).ok();
        assert_eq!(read("Chat.Example.COM.").as_deref(), Some("chat.example.com"));
        assert_eq!(read("::1").as_deref(), Some("[::1]"));
        assert_eq!(read("127.0.0.1").as_deref(), Some("127.0.0.1"));
        for text in ["https://a.example", "a.example:80", "*.example.com", "a b", "u@a.example"] {
            assert_eq!(read(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_a_reader_panic(text in ".{0,60}") {
            let raw = Raw::Words(text);
            let _ = (origin().read(&raw).is_ok(), host().read(&raw).is_ok(), network().read(&raw).is_ok());
            let _ = (span("1s", "1h").read(&raw).is_ok(), web_address().read(&raw).is_ok());
            let _ = (super::super::shape::list(origin(), 8).read(&raw).is_ok(), name(9).read(&raw).is_ok());
        }
    }
}
