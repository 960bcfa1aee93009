//! The two heads of an exchange: ours as it goes out, the answer's as it comes in.
//!
//! Owns: what stands between a parsed request and its bytes, and between an answer's bytes and how its body is framed
//! (RFC 9112, section 6.3). Never does: wait or read; guess where an answer contradicts itself.

use super::framing::Framing;
use http::header::{CONNECTION, CONTENT_LENGTH, TRANSFER_ENCODING};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};

/// As many as the HTTP library allows.
const MOST_HEADERS: usize = 100;

/// What is wrong with an answer. The text is for the operator's log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Malformed(pub(crate) &'static str);

/// The head of an answer.
#[derive(Debug)]
pub(crate) struct Head {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) framing: Framing,
    /// Whether the connection may serve another call after this body.
    pub(crate) keeps: bool,
}

/// The bytes of a request's head. `target` is a path with its query.
pub(crate) fn write(method: &Method, target: &str, headers: &HeaderMap, body: usize) -> Vec<u8> {
    let size = headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 4).sum::<usize>();
    let mut head = Vec::with_capacity(size + target.len() + 64);
    for part in [method.as_str(), " ", target, " HTTP/1.1\r\n"] {
        head.extend_from_slice(part.as_bytes());
    }
    for (name, value) in headers {
        write_header(&mut head, name, value);
    }
    if *method == Method::POST {
        write_header(&mut head, &CONTENT_LENGTH, &HeaderValue::from(body));
    }
    head.extend_from_slice(b"\r\n");
    head
}

fn write_header(head: &mut Vec<u8>, name: &HeaderName, value: &HeaderValue) {
    head.extend_from_slice(name.as_str().as_bytes());
    head.extend_from_slice(b": ");
    // A value cannot hold a line's end; its type has seen to that.
    head.extend_from_slice(value.as_bytes());
    head.extend_from_slice(b"\r\n");
}

/// Reads a head from the beginning of `bytes`; with it the number of bytes that it takes. `None` while it is not whole.
/// Interim answers (1xx) are read like others: the caller skips them.
pub(crate) fn parse(bytes: &[u8]) -> Result<Option<(Head, usize)>, Malformed> {
    let mut slots = [httparse::EMPTY_HEADER; MOST_HEADERS];
    let mut answer = httparse::Response::new(&mut slots);
    let taken = match answer.parse(bytes) {
        Ok(httparse::Status::Complete(taken)) => taken,
        Ok(httparse::Status::Partial) => return Ok(None),
        Err(httparse::Error::TooManyHeaders) => return Err(Malformed("too many headers")),
        Err(_) => return Err(Malformed("not an HTTP answer")),
    };
    let status = answer.code.and_then(|code| StatusCode::from_u16(code).ok()).ok_or(Malformed("no status"))?;
    let mut headers = HeaderMap::with_capacity(answer.headers.len());
    for header in &*answer.headers {
        let name = HeaderName::from_bytes(header.name.as_bytes()).map_err(|_| Malformed("a header's name"))?;
        let value = HeaderValue::from_bytes(header.value).map_err(|_| Malformed("a header's value"))?;
        headers.append(name, value);
    }
    let framing = framing(status, &headers)?;
    let modern = answer.version == Some(1);
    if !modern && framing.is_chunked() {
        return Err(Malformed("chunks in an answer of HTTP/1.0"));
    }
    let keeps = modern && framing.has_an_end() && !says_close(&headers);
    Ok(Some((Head { status, headers, framing, keeps }, taken)))
}

fn says_close(headers: &HeaderMap) -> bool {
    let mut values = headers.get_all(CONNECTION).iter();
    values.any(|value| value.as_bytes().split(|byte| *byte == b',').any(|word| is_word(word, "close")))
}

fn framing(status: StatusCode, headers: &HeaderMap) -> Result<Framing, Malformed> {
    if status.is_informational() || status == StatusCode::NO_CONTENT || status == StatusCode::NOT_MODIFIED {
        return Ok(Framing::length(0));
    }
    let mut encodings = headers.get_all(TRANSFER_ENCODING).iter();
    if let Some(encoding) = encodings.next() {
        // One coding, and no length beside it: what two readers may read differently is read by nobody.
        if encodings.next().is_some() || !is_word(encoding.as_bytes(), "chunked") {
            return Err(Malformed("a transfer coding that is not chunked"));
        }
        if headers.contains_key(CONTENT_LENGTH) {
            return Err(Malformed("a length beside chunks"));
        }
        return Ok(Framing::chunked());
    }
    let mut lengths = headers.get_all(CONTENT_LENGTH).iter();
    let Some(first) = lengths.next() else { return Ok(Framing::until_closed()) };
    if lengths.any(|other| other != first) {
        return Err(Malformed("two lengths"));
    }
    let digits = first.to_str().ok().filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
    let length = digits.and_then(|text| text.parse().ok()).ok_or(Malformed("a length that is no number"))?;
    Ok(Framing::length(length))
}

fn is_word(bytes: &[u8], word: &str) -> bool {
    bytes.trim_ascii().eq_ignore_ascii_case(word.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Head, Malformed> {
        parse(text.as_bytes()).map(|head| head.expect("a whole head").0)
    }

    #[test]
    fn a_head_is_read_when_it_is_whole_and_not_before() {
        let text = "HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\nCONTENT-LENGTH: 5\r\n\r\nhello";
        let whole = text.len() - 5;
        for end in 0..whole {
            assert!(parse(&text.as_bytes()[..end]).expect("no error").is_none(), "after {end} bytes");
        }
        let (head, taken) = parse(text.as_bytes()).expect("no error").expect("a head");
        assert_eq!((head.status.as_u16(), taken, head.keeps), (200, whole, true));
        assert_eq!(head.framing, Framing::length(5));
    }

    #[test]
    fn a_body_is_framed_as_the_standard_says() {
        let cases = [
            ("HTTP/1.1 200 OK\r\ntransfer-encoding: Chunked\r\n\r\n", Framing::chunked(), true),
            ("HTTP/1.1 200 OK\r\n\r\n", Framing::until_closed(), false),
            ("HTTP/1.1 204 No Content\r\ncontent-length: 7\r\n\r\n", Framing::length(0), true),
            ("HTTP/1.1 304 Not Modified\r\n\r\n", Framing::length(0), true),
            ("HTTP/1.1 100 Continue\r\n\r\n", Framing::length(0), true),
            ("HTTP/1.1 200 OK\r\ncontent-length: 7\r\ncontent-length: 7\r\n\r\n", Framing::length(7), true),
            ("HTTP/1.1 200 OK\r\ncontent-length: 7\r\nconnection: keep, Close\r\n\r\n", Framing::length(7), false),
            ("HTTP/1.0 200 OK\r\ncontent-length: 7\r\n\r\n", Framing::length(7), false),
        ];
        for (text, framing, keeps) in cases {
            let head = read(text).expect(text);
            assert_eq!((head.framing, head.keeps), (framing, keeps), "{text}");
        }
    }

    #[test]
    fn what_contradicts_itself_is_refused() {
        for headers in [
            "transfer-encoding: gzip, chunked",
            "transfer-encoding: gzip",
            "transfer-encoding: chunked\r\ntransfer-encoding: chunked",
            "transfer-encoding: chunked\r\ncontent-length: 7",
            "content-length: 7\r\ncontent-length: 8",
            "content-length: 7, 7",
            "content-length: +7",
            "content-length: -7",
            "content-length: 0x7",
            "content-length: ",
            "content-length: 99999999999999999999999",
            "content length: 7",
            "a: b\r\n folded: 7",
        ] {
            assert!(parse(format!("HTTP/1.1 200 OK\r\n{headers}\r\n\r\n").as_bytes()).is_err(), "{headers}");
        }
        for line in ["HTTP/1.0 200 OK\r\ntransfer-encoding: chunked", "HTTP/2 200 OK", "ICY 200 OK", "HTTP/1.1 2x0 OK"]
        {
            assert!(parse(format!("{line}\r\n\r\n").as_bytes()).is_err(), "{line}");
        }
        let many = "a: b\r\n".repeat(MOST_HEADERS + 1);
        assert!(parse(format!("HTTP/1.1 200 OK\r\n{many}\r\n").as_bytes()).is_err());
    }

    #[test]
    fn a_request_is_written_in_one_form() {
        let mut headers = HeaderMap::new();
        headers.insert(http::header::HOST, HeaderValue::from_static("127.0.0.1:11434"));
        let text = |method, body| String::from_utf8(write(&method, "/v1/x?y=z", &headers, body)).expect("ascii");
        assert_eq!(
            text(Method::POST, 12),
            "POST /v1/x?y=z HTTP/1.1\r\nhost: 127.0.0.1:11434\r\ncontent-length: 12\r\n\r\n"
        );
        assert_eq!(text(Method::GET, 0), "GET /v1/x?y=z HTTP/1.1\r\nhost: 127.0.0.1:11434\r\n\r\n");
    }
}
