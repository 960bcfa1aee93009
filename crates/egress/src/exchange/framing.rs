//! Where an answer's body begins and ends among the bytes of its connection (RFC 9112, sections 6 and 7).
//!
//! Owns: the reading of chunks, strict and in place, so that a burst of many small ones comes out as one piece without
//! an allocation each. Never does: wait, read, or hold bytes: what it remembers between two reads is a state of a few
//! words, so that every length that a peer may choose is bounded before it costs anything.

use super::head::Malformed;
use bytes::BytesMut;

/// Bytes of a chunk's extension, and of all trailers together; nobody sends any.
const MOST_EXTENSION: u16 = 1024;
const MOST_TRAILERS: u16 = 8 * 1024;

/// How much of a body is still to come, and in which form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Framing {
    /// So many bytes.
    Length(u64),
    /// Until the peer closes the connection.
    UntilClosed,
    /// In chunks, with what comes next.
    Chunked(Part),
    /// Nothing more.
    Ended,
}

/// What the next byte of a chunked body belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    /// The size; at least one digit must come, and so many have.
    Size {
        size: u64,
        digits: u8,
    },
    /// What follows the size on its line, of which so many bytes have come.
    Extension {
        size: u64,
        seen: u16,
    },
    /// The line's end after the size.
    SizeEnd {
        size: u64,
    },
    /// Content; so many bytes are to come.
    Content {
        left: u64,
    },
    /// The line's end after the content.
    ContentReturn,
    ContentEnd,
    /// A line of the trailers, of which there were so many bytes; `empty` while the line has none.
    Trailer {
        seen: u16,
        empty: bool,
    },
    /// The end of such a line; the last one is empty.
    TrailerEnd {
        seen: u16,
        last: bool,
    },
}

impl Framing {
    pub(crate) fn length(bytes: u64) -> Self {
        if bytes == 0 { Self::Ended } else { Self::Length(bytes) }
    }

    pub(crate) fn until_closed() -> Self {
        Self::UntilClosed
    }

    pub(crate) fn chunked() -> Self {
        Self::Chunked(Part::Size { size: 0, digits: 0 })
    }

    pub(crate) fn is_chunked(self) -> bool {
        matches!(self, Self::Chunked(_))
    }

    pub(crate) fn has_ended(self) -> bool {
        self == Self::Ended
    }

    /// Whether the end shows without the connection being closed.
    pub(crate) fn has_an_end(self) -> bool {
        self != Self::UntilClosed
    }

    /// Leaves in `bytes` what is content. `true` when bytes were there that belong to no body; the connection is of no
    /// more use then.
    pub(crate) fn unwrap(&mut self, bytes: &mut BytesMut) -> Result<bool, Malformed> {
        let all = bytes.len();
        let (read, kept) = match self {
            Self::Ended => (0, 0),
            Self::UntilClosed => (all, all),
            Self::Length(left) => {
                let take = all.min(usize::try_from(*left).unwrap_or(usize::MAX));
                *self = Self::length(*left - take as u64);
                (take, take)
            }
            Self::Chunked(part) => {
                let (read, kept, next) = unwrap_chunks(*part, bytes)?;
                *self = next.map_or(Self::Ended, Self::Chunked);
                (read, kept)
            }
        };
        bytes.truncate(kept);
        Ok(read < all)
    }
}

/// Moves the content of chunks to the front. Returns how many bytes were read, how many are content, and what comes next;
/// `None` after the end.
fn unwrap_chunks(mut part: Part, bytes: &mut [u8]) -> Result<(usize, usize, Option<Part>), Malformed> {
    let (mut read, mut kept) = (0, 0);
    while let Some(&byte) = bytes.get(read) {
        if let Part::Content { left } = part {
            let take = (bytes.len() - read).min(usize::try_from(left).unwrap_or(usize::MAX));
            bytes.copy_within(read..read + take, kept);
            read += take;
            kept += take;
            let left = left - take as u64;
            part = if left == 0 { Part::ContentReturn } else { Part::Content { left } };
            continue;
        }
        read += 1;
        match after(part, byte)? {
            Some(next) => part = next,
            None => return Ok((read, kept, None)),
        }
    }
    Ok((read, kept, Some(part)))
}

/// What follows a byte that is not content; `None` for the body's last.
fn after(part: Part, byte: u8) -> Result<Option<Part>, Malformed> {
    Ok(Some(match (part, byte) {
        (Part::Size { size, digits }, _) if byte.is_ascii_hexdigit() => {
            // Fifteen digits are more than anybody has, and cannot overflow.
            if digits == 15 {
                return Err(Malformed("a chunk's size"));
            }
            let digit = char::from(byte).to_digit(16).unwrap_or_default();
            Part::Size { size: size * 16 + u64::from(digit), digits: digits + 1 }
        }
        (Part::Size { digits: 0, .. }, _) => return Err(Malformed("a chunk without a size")),
        (Part::Size { size, .. }, b'\r') | (Part::Extension { size, .. }, b'\r') => Part::SizeEnd { size },
        (Part::Size { size, .. }, b';' | b' ' | b'\t') => Part::Extension { size, seen: 0 },
        (Part::Extension { size, seen }, _) if byte != b'\n' && seen < MOST_EXTENSION => {
            Part::Extension { size, seen: seen + 1 }
        }
        (Part::SizeEnd { size: 0 }, b'\n') => Part::Trailer { seen: 0, empty: true },
        (Part::SizeEnd { size }, b'\n') => Part::Content { left: size },
        (Part::ContentReturn, b'\r') => Part::ContentEnd,
        (Part::ContentEnd, b'\n') => Part::Size { size: 0, digits: 0 },
        (Part::Trailer { seen, empty }, b'\r') => Part::TrailerEnd { seen, last: empty },
        (Part::Trailer { seen, .. }, _) if byte != b'\n' && seen < MOST_TRAILERS => {
            Part::Trailer { seen: seen + 1, empty: false }
        }
        (Part::TrailerEnd { last: true, .. }, b'\n') => return Ok(None),
        (Part::TrailerEnd { seen, .. }, b'\n') => Part::Trailer { seen, empty: true },
        _ => return Err(Malformed("chunks that are none")),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Feeds `text` in pieces that end where `ends` says.
    fn read(mut framing: Framing, text: &[u8], ends: &[usize]) -> Result<(Vec<u8>, Framing, bool), Malformed> {
        let (mut out, mut from, mut more) = (Vec::new(), 0, false);
        let mut ends: Vec<_> = ends.iter().map(|end| end % (text.len() + 1)).chain([text.len()]).collect();
        ends.sort_unstable();
        for end in ends {
            let mut piece = BytesMut::from(&text[from..end]);
            more |= framing.unwrap(&mut piece)?;
            out.extend_from_slice(&piece);
            from = end;
        }
        Ok((out, framing, more))
    }

    fn chunked(pieces: &[Vec<u8>]) -> Vec<u8> {
        let mut text = Vec::new();
        for piece in pieces.iter().filter(|piece| !piece.is_empty()) {
            text.extend_from_slice(format!("{:X};x=\"y\"\r\n", piece.len()).as_bytes());
            text.extend_from_slice(piece);
            text.extend_from_slice(b"\r\n");
        }
        text.extend_from_slice(b"000\r\nTrailer: z\r\n\r\n");
        text
    }

    proptest! {
        #[test]
        fn chunks_come_out_as_they_went_in_wherever_the_reads_end(
            pieces in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 0..8),
            ends in prop::collection::vec(any::<usize>(), 0..30),
        ) {
            let text = chunked(&pieces);
            let (out, framing, more) = read(Framing::chunked(), &text, &ends).expect("chunks");
            prop_assert_eq!(out, pieces.concat());
            prop_assert!(framing.has_ended() && !more);
            // One byte too few is no end, one too many is noticed.
            let (_, cut, _) = read(Framing::chunked(), &text[..text.len() - 1], &ends).expect("chunks");
            prop_assert!(!cut.has_ended());
            let (_, _, more) = read(Framing::chunked(), &[text.as_slice(), b"H"].concat(), &ends).expect("chunks");
            prop_assert!(more);
        }

        #[test]
        fn anything_at_all_ends_in_content_or_an_error_but_never_in_more_than_came(
            text in prop::collection::vec(prop::sample::select(b"0123fF\r\n;: x".to_vec()), 0..60),
            ends in prop::collection::vec(any::<usize>(), 0..10),
        ) {
            let whole = read(Framing::chunked(), &text, &[]);
            let split = read(Framing::chunked(), &text, &ends);
            prop_assert_eq!(whole.is_ok(), split.is_ok());
            if let (Ok(whole), Ok(split)) = (whole, split) {
                prop_assert!(whole.0.len() <= text.len());
                prop_assert_eq!(whole, split);
            }
        }
    }

    #[test]
    fn a_length_is_exact() {
        let (out, framing, more) = read(Framing::length(5), b"hello", &[2, 3]).expect("a body");
        assert_eq!((out.as_slice(), framing, more), (b"hello".as_slice(), Framing::Ended, false));
        let (out, _, more) = read(Framing::length(5), b"hello!", &[5]).expect("a body");
        assert_eq!((out.as_slice(), more), (b"hello".as_slice(), true));
        assert!(!read(Framing::length(5), b"hell", &[]).expect("a body").1.has_ended());
    }

    #[test]
    fn chunks_that_two_readers_may_read_differently_are_refused() {
        for text in [
            "\r\n",
            ";x\r\n",
            "g\r\n",
            "-1\r\n",
            "+1\r\na\r\n",
            "0x1\r\na\r\n",
            "1\na\r\n",
            "1\r\nab\r\n",
            "1\r\na\n",
            "1\r\na\rx",
            "1\r\r\n",
            "1;x\ny\r\n",
            "0\r\nx: y\nz: y\r\n\r\n",
            "0\r\n\n",
            "1000000000000000\r\n",
            " 1\r\na\r\n",
        ] {
            assert!(read(Framing::chunked(), text.as_bytes(), &[]).is_err(), "{text:?}");
        }
        let long = |text: String| read(Framing::chunked(), text.as_bytes(), &[]).is_err();
        assert!(long(format!("1;{}\r\n", "x".repeat(2000))), "a long extension");
        assert!(long(format!("0\r\n{}\r\n", "x: y\r\n".repeat(3000))), "many trailers");
    }
}
