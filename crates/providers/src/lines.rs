//! Cuts network chunks into lines, with a bound.
//!
//! Owns: the unfinished line between two chunks, and so half characters too: a character is only looked at once its
//! line is whole. Never does: hold more than one line, or know what a line means.

use crate::error::FailureClass;
use std::io::BufRead;

/// The longest line that a provider may send, in bytes.
pub(crate) const LONGEST_LINE: usize = 64 * 1024;

/// The unfinished line.
#[derive(Debug, Default)]
pub(crate) struct Lines {
    partial: Vec<u8>,
}

impl Lines {
    /// Calls `each` for every line that `chunk` completes, without its line end (LF or CR LF).
    pub(crate) fn feed(
        &mut self,
        chunk: &[u8],
        mut each: impl FnMut(&[u8]) -> Result<(), FailureClass>,
    ) -> Result<(), FailureClass> {
        let mut rest = chunk;
        while !rest.is_empty() {
            let before = rest;
            // A slice's `skip_until` is the standard library's fast search for one byte; it cannot fail.
            let length = rest.skip_until(b'\n').map_err(|_| FailureClass::Malformed)?;
            let (line, ended) = match before[..length].split_last() {
                Some((b'\n', line)) => (line, true),
                _ => (&before[..length], false),
            };
            if self.partial.len() + line.len() > LONGEST_LINE {
                return Err(FailureClass::TooLarge);
            }
            if !ended {
                self.partial.extend_from_slice(line);
            } else if self.partial.is_empty() {
                each(without_carriage_return(line))?;
            } else {
                self.partial.extend_from_slice(line);
                let outcome = each(without_carriage_return(&self.partial));
                self.partial.clear();
                outcome?;
            }
        }
        Ok(())
    }

    /// What came after the last line end.
    pub(crate) fn take_partial(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.partial)
    }
}

fn without_carriage_return(line: &[u8]) -> &[u8] {
    line.strip_suffix(b"\r").unwrap_or(line)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn cut(chunks: &[&[u8]]) -> Result<(Vec<Vec<u8>>, Vec<u8>), FailureClass> {
        let mut lines = Lines::default();
        let mut found = Vec::new();
        for chunk in chunks {
            lines.feed(chunk, |line| {
                found.push(line.to_vec());
                Ok(())
            })?;
        }
        Ok((found, lines.take_partial()))
    }

    #[test]
    fn lines_are_cut_at_either_line_end() {
        let (lines, rest) = cut(&[b"one\r\ntw", b"o\n\nth", b"", b"ree"]).expect("lines");
        assert_eq!(lines, [b"one".to_vec(), b"two".to_vec(), Vec::new()]);
        assert_eq!(rest, b"three");
    }

    #[test]
    fn a_line_over_the_bound_is_an_error_however_it_is_cut() {
        let longest = vec![b'x'; LONGEST_LINE];
        assert!(cut(&[&longest, b"\n"]).is_ok());
        assert_eq!(cut(&[&longest, b"x"]).expect_err("over"), FailureClass::TooLarge);
        assert_eq!(cut(&[&[longest.as_slice(), b"x\n"].concat()]).expect_err("over"), FailureClass::TooLarge);
    }

    proptest! {
        #[test]
        fn where_the_network_cuts_makes_no_difference(text in "([a-z\u{e9}\u{1f600}\r]{0,9}\n){0,9}[a-z]{0,5}", cuts in proptest::collection::vec(1_usize..7, 1..40)) {
            let bytes = text.as_bytes();
            let mut pieces = Vec::new();
            let mut at = 0;
            for length in cuts {
                let end = (at + length).min(bytes.len());
                pieces.push(&bytes[at..end]);
                at = end;
            }
            pieces.push(&bytes[at..]);
            prop_assert_eq!(cut(&pieces), cut(&[bytes]));
        }
    }
}
