//! The bytes of an index segment.
//!
//! Owns: their layout, version and checksum, and reading them back without trusting them: every length is checked
//! against what is left, every count against its cap, every sum against overflow.
//! Never does: scoring, storage, or keeping a reader for older versions; a site is simply crawled again.
//!
//! Layout: `CWSG`, version, language, two zero bytes, FNV-1a 64 of the payload (little endian), payload. The payload
//! is variable-length integers (LEB128): units as (ordinal step, length), then the terms in ascending order, each as
//! (bytes shared with the one before, own bytes, number of units, then per unit: unit step, weighted frequency).

use super::IndexError;
use crate::language::Language;
use crate::words::MAX_TERM_BYTES;

/// Raised whenever the layout or the analysis of text changes.
pub(super) const VERSION: u8 = 1;
const MAGIC: [u8; 4] = *b"CWSG";
const HEADER: usize = 16;
/// Units (chunks) that one segment may hold.
pub(super) const MAX_UNITS: usize = 4_096;
/// The largest ordinal, so that sums of steps cannot overflow.
pub(super) const MAX_ORDINAL: i64 = 1 << 48;
/// The largest weighted frequency and length that are kept.
pub(super) const MAX_FREQUENCY: u32 = 1 << 16;

/// A unit that was indexed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Unit {
    pub(super) ordinal: i64,
    pub(super) length: u32,
}

/// One unit's entry in a term's list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Posting {
    pub(super) unit: u32,
    /// In quarters, so that a title may count two and a half times.
    pub(super) frequency: u32,
}

/// What a segment holds, decoded or about to be encoded.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Segment {
    pub(super) language: Language,
    /// Ordinals ascend.
    pub(super) units: Vec<Unit>,
    /// Terms ascend, units within a term ascend.
    pub(super) terms: Vec<(String, Vec<Posting>)>,
}

impl Segment {
    /// The bytes. The builder guarantees the order of units and terms.
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut payload = Vec::with_capacity(64 * 1024);
        write(&mut payload, self.units.len() as u64);
        let mut last = 0_i64;
        for unit in &self.units {
            write(&mut payload, (unit.ordinal - last).unsigned_abs());
            write(&mut payload, u64::from(unit.length));
            last = unit.ordinal;
        }
        write(&mut payload, self.terms.len() as u64);
        let mut before: &[u8] = &[];
        for (term, postings) in &self.terms {
            let bytes = term.as_bytes();
            let shared = before.iter().zip(bytes).take_while(|(a, b)| a == b).count();
            write(&mut payload, shared as u64);
            write(&mut payload, (bytes.len() - shared) as u64);
            payload.extend_from_slice(&bytes[shared..]);
            write(&mut payload, postings.len() as u64);
            let mut last = 0_u32;
            for posting in postings {
                write(&mut payload, u64::from(posting.unit - last));
                write(&mut payload, u64::from(posting.frequency));
                last = posting.unit;
            }
            before = bytes;
        }
        seal(self.language.code(), &payload)
    }

    /// Reads a segment that may be damaged or forged.
    pub(super) fn decode(bytes: &[u8]) -> Result<Self, IndexError> {
        let (header, payload) = bytes.split_at_checked(HEADER).ok_or(IndexError::Corrupt("shorter than its header"))?;
        if header[..4] != MAGIC {
            return Err(IndexError::Corrupt("not a segment"));
        }
        if header[4] != VERSION {
            return Err(IndexError::Version(header[4]));
        }
        let language = Language::from_code(header[5]).ok_or(IndexError::Corrupt("unknown language"))?;
        if header[6..8] != [0, 0] || header[8..16] != checksum(payload).to_le_bytes() {
            return Err(IndexError::Checksum);
        }
        let mut reader = Reader { left: payload };
        let units = read_units(&mut reader)?;
        let terms = read_terms(&mut reader, units.len())?;
        if !reader.left.is_empty() {
            return Err(IndexError::Corrupt("bytes after the last term"));
        }
        Ok(Self { language, units, terms })
    }
}

fn read_units(reader: &mut Reader<'_>) -> Result<Vec<Unit>, IndexError> {
    // A unit takes two bytes at least, so a count beyond that is a lie that must not reserve memory.
    let count = reader.count(MAX_UNITS, 2)?;
    let mut units = Vec::with_capacity(count);
    let mut ordinal = 0_i64;
    for at in 0..count {
        let step = i64::try_from(reader.number()?)
            .ok()
            .filter(|step| *step <= MAX_ORDINAL && (at == 0 || *step > 0))
            .ok_or(IndexError::Corrupt("ordinals do not ascend"))?;
        ordinal += step;
        if ordinal > MAX_ORDINAL {
            return Err(IndexError::Corrupt("ordinal out of range"));
        }
        let length = reader.bounded(MAX_FREQUENCY)?;
        units.push(Unit { ordinal, length });
    }
    Ok(units)
}

fn read_terms(reader: &mut Reader<'_>, units: usize) -> Result<Vec<(String, Vec<Posting>)>, IndexError> {
    let count = reader.count(usize::MAX, 5)?;
    let mut terms: Vec<(String, Vec<Posting>)> = Vec::with_capacity(count);
    let mut term: Vec<u8> = Vec::with_capacity(MAX_TERM_BYTES);
    for _ in 0..count {
        let shared = reader.count(term.len(), 0)?;
        let own = reader.count(MAX_TERM_BYTES - shared, 1)?;
        let own = reader.bytes(own)?;
        term.truncate(shared);
        term.extend_from_slice(own);
        let text = std::str::from_utf8(&term).map_err(|_| IndexError::Corrupt("a term is not text"))?;
        if text.is_empty() || terms.last().is_some_and(|(last, _)| last.as_str() >= text) {
            return Err(IndexError::Corrupt("terms do not ascend"));
        }
        let length = reader.count(units, 2)?;
        let mut postings = Vec::with_capacity(length);
        let mut unit = 0_u32;
        for at in 0..length {
            let step = reader.bounded(MAX_UNITS as u32)?;
            if at > 0 && step == 0 {
                return Err(IndexError::Corrupt("units do not ascend"));
            }
            unit += step;
            if unit as usize >= units {
                return Err(IndexError::Corrupt("a unit that does not exist"));
            }
            let frequency = reader.bounded(MAX_FREQUENCY)?;
            postings.push(Posting { unit, frequency });
        }
        terms.push((text.to_owned(), postings));
    }
    Ok(terms)
}

fn seal(language: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(HEADER + payload.len());
    bytes.extend_from_slice(&MAGIC);
    bytes.extend_from_slice(&[VERSION, language, 0, 0]);
    bytes.extend_from_slice(&checksum(payload).to_le_bytes());
    bytes.extend_from_slice(payload);
    bytes
}

/// FNV-1a: it finds damage. Forgery is the database's affair, and reading survives it anyway.
fn checksum(payload: &[u8]) -> u64 {
    crate::fingerprint::of(payload)
}

fn write(payload: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        payload.push((number & 0x7f) as u8 | 0x80);
        number >>= 7;
    }
    payload.push(number as u8);
}

struct Reader<'a> {
    left: &'a [u8],
}

impl<'a> Reader<'a> {
    fn number(&mut self) -> Result<u64, IndexError> {
        let mut number = 0_u64;
        for at in 0..10_u32 {
            let (&byte, rest) = self.left.split_first().ok_or(IndexError::Corrupt("it ends too early"))?;
            self.left = rest;
            let part = u64::from(byte & 0x7f);
            if at == 9 && part > 1 {
                break;
            }
            number |= part << (7 * at);
            if byte & 0x80 == 0 {
                return Ok(number);
            }
        }
        Err(IndexError::Corrupt("a number is too long"))
    }

    fn bounded(&mut self, most: u32) -> Result<u32, IndexError> {
        u32::try_from(self.number()?)
            .ok()
            .filter(|number| *number <= most)
            .ok_or(IndexError::Corrupt("a number is out of range"))
    }

    /// A count of things that take `bytes_each` at least.
    fn count(&mut self, most: usize, bytes_each: usize) -> Result<usize, IndexError> {
        usize::try_from(self.number()?)
            .ok()
            .filter(|&count| {
                count <= most && count.checked_mul(bytes_each).is_some_and(|bytes| bytes <= self.left.len())
            })
            .ok_or(IndexError::Corrupt("a count is out of range"))
    }

    fn bytes(&mut self, length: usize) -> Result<&'a [u8], IndexError> {
        let (bytes, rest) = self.left.split_at_checked(length).ok_or(IndexError::Corrupt("it ends too early"))?;
        self.left = rest;
        Ok(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn sample() -> Segment {
        let posting = |unit, frequency| Posting { unit, frequency };
        Segment {
            language: Language::German,
            units: vec![Unit { ordinal: 3, length: 20 }, Unit { ordinal: 300, length: 4_000 }],
            terms: vec![
                ("kosten".to_owned(), vec![posting(0, 4), posting(1, 300)]),
                ("kostenlos".to_owned(), vec![posting(1, 4)]),
                ("über".to_owned(), vec![posting(0, 8)]),
            ],
        }
    }

    #[test]
    fn what_is_written_is_read() {
        assert_eq!(Segment::decode(&sample().encode()).unwrap(), sample());
        let empty = Segment::default();
        assert_eq!(Segment::decode(&empty.encode()).unwrap(), empty);
    }

    #[test]
    fn damage_is_found() {
        let good = sample().encode();
        for at in 0..good.len() {
            let mut bad = good.clone();
            bad[at] ^= 0x41;
            // Only the language byte can change to another valid value; all else must be noticed.
            if at != 5 {
                assert!(Segment::decode(&bad).is_err(), "byte {at}");
            }
            assert!(Segment::decode(&good[..at]).is_err(), "cut at {at}");
        }
        let mut later = good.clone();
        later[4] = VERSION + 1;
        assert_eq!(Segment::decode(&later), Err(IndexError::Version(VERSION + 1)));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        /// A forger can compute the checksum, so the payload itself must not be trusted.
        #[test]
        fn forged_payloads_never_panic(payload in proptest::collection::vec(any::<u8>(), 0..400), language in 0_u8..25) {
            let _ = Segment::decode(&seal(language, &payload));
        }

        /// Nearly right bytes reach deeper than random ones.
        #[test]
        fn nearly_right_payloads_never_panic(changes in proptest::collection::vec((any::<u16>(), any::<u8>()), 1..6)) {
            let mut payload = sample().encode().split_off(HEADER);
            for (at, byte) in changes {
                let at = usize::from(at) % payload.len();
                payload[at] = byte;
            }
            let _ = Segment::decode(&seal(1, &payload));
        }
    }
}
