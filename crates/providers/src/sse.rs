//! Server-sent events, as far as chat APIs use them: the data of each event.
//!
//! Owns: the event stream format (comments, CR LF, several data lines, a byte order mark), bounded.
//! Never does: read what the data says, honour `retry` or `id`, or reconnect.

use crate::error::FailureClass;
use crate::lines::{LONGEST_LINE, Lines};

/// Reads an event stream chunk by chunk.
#[derive(Debug, Default)]
pub(crate) struct EventStream {
    lines: Lines,
    event: Event,
}

#[derive(Debug, Default)]
struct Event {
    started: bool,
    has_data: bool,
    data: Vec<u8>,
}

impl EventStream {
    /// Calls `each` with the data of every event that `chunk` completes.
    pub(crate) fn feed(
        &mut self,
        chunk: &[u8],
        mut each: impl FnMut(&[u8]) -> Result<(), FailureClass>,
    ) -> Result<(), FailureClass> {
        let event = &mut self.event;
        self.lines.feed(chunk, |line| event.line(line, &mut each))
    }

    /// The stream has ended. A last event without its empty line is handed out all the same: servers forget it, and
    /// whether an answer is complete is decided by what it says, not by this.
    pub(crate) fn end(&mut self, mut each: impl FnMut(&[u8]) -> Result<(), FailureClass>) -> Result<(), FailureClass> {
        let rest = self.lines.take_partial();
        if !rest.is_empty() {
            self.event.line(&rest, &mut each)?;
        }
        self.event.line(b"", &mut each)
    }
}

impl Event {
    fn line(
        &mut self,
        line: &[u8],
        each: &mut impl FnMut(&[u8]) -> Result<(), FailureClass>,
    ) -> Result<(), FailureClass> {
        let line = if self.started { line } else { line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line) };
        self.started = true;
        if line.is_empty() {
            if std::mem::take(&mut self.has_data) {
                let outcome = each(&self.data);
                self.data.clear();
                return outcome;
            }
            return Ok(());
        }
        // Every other field (event, id, retry) and comments, which begin with a colon, mean nothing here.
        let value = match line.strip_prefix(b"data") {
            Some([]) => &[],
            Some([b':', b' ', value @ ..] | [b':', value @ ..]) => value,
            _ => return Ok(()),
        };
        if self.has_data {
            self.data.push(b'\n');
        }
        self.has_data = true;
        if self.data.len() + value.len() > LONGEST_LINE {
            return Err(FailureClass::TooLarge);
        }
        self.data.extend_from_slice(value);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn events(chunks: &[&[u8]]) -> Result<Vec<String>, FailureClass> {
        let mut stream = EventStream::default();
        let mut found = Vec::new();
        let mut push = |data: &[u8]| {
            found.push(String::from_utf8_lossy(data).into_owned());
            Ok(())
        };
        for chunk in chunks {
            stream.feed(chunk, &mut push)?;
        }
        stream.end(&mut push)?;
        Ok(found)
    }

    #[test]
    fn the_format_is_read_as_servers_write_it() {
        for (stream, expected) in [
            ("data: a\n\ndata: b\n\n", vec!["a", "b"]),
            ("data: a\r\n\r\ndata: b\r\n\r\n", vec!["a", "b"]),
            ("data:a\n\n", vec!["a"]),
            ("data:  a\n\n", vec![" a"]),
            ("data: a\ndata: b\n\n", vec!["a\nb"]),
            ("data\n\n", vec![""]),
            (": ping\n\n: ping\n\ndata: a\n\n", vec!["a"]),
            ("event: delta\nid: 7\nretry: 10\ndata: a\n\n", vec!["a"]),
            ("database: a\n\n", vec![]),
            ("\u{feff}data: a\n\n", vec!["a"]),
            ("data: a", vec!["a"]),
            ("data: a\n", vec!["a"]),
            ("\n\n\n", vec![]),
            ("", vec![]),
        ] {
            assert_eq!(events(&[stream.as_bytes()]).expect("events"), expected, "{stream:?}");
        }
    }

    #[test]
    fn many_data_lines_are_bounded_as_one_line_is() {
        let stream = "data: 0123456789\n".repeat(10_000);
        assert_eq!(events(&[stream.as_bytes()]), Err(FailureClass::TooLarge));
    }

    proptest! {
        #[test]
        fn where_the_network_cuts_makes_no_difference(
            stream in "((data: [a-z\u{e9}]{0,6}|: ping|event: x)(\n|\r\n)(\n|\r\n)?){0,8}",
            size in 1_usize..9,
        ) {
            let pieces: Vec<&[u8]> = stream.as_bytes().chunks(size).collect();
            prop_assert_eq!(events(&pieces), events(&[stream.as_bytes()]));
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..600), size in 1_usize..50) {
            let pieces: Vec<&[u8]> = bytes.chunks(size).collect();
            let _ = events(&pieces);
        }
    }
}
