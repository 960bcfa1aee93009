//! Passwords that were found in breaches: about 49,000, the most frequent of them.
//!
//! Owns the list, which is a sorted text in the program itself and is searched there: it costs no start, no memory of its
//! own and no map. Where it comes from and its licence stand in its head. Never sees a password but to compare it.

/// Sorted by bytes, one a line, lower case.
const FILE: &str = include_str!("breached_passwords.txt");

/// Whether a text, in lower case, is on the list.
pub(super) fn contains(text: &str) -> bool {
    let list = list().as_bytes();
    let wanted = text.as_bytes();
    let (mut low, mut high) = (0, list.len());
    while low < high {
        let middle = low + (high - low) / 2;
        // The line around the middle: from behind the line break before it to the next one.
        let start = list[low..middle].iter().rposition(|byte| *byte == b'\n').map_or(low, |at| low + at + 1);
        let end = list[middle..].iter().position(|byte| *byte == b'\n').map_or(list.len(), |at| middle + at);
        match wanted.cmp(&list[start..end]) {
            std::cmp::Ordering::Equal => return true,
            std::cmp::Ordering::Less => high = start,
            std::cmp::Ordering::Greater => low = (end + 1).min(high),
        }
    }
    false
}

/// The list without its head.
fn list() -> &'static str {
    FILE.split_once("\n\n").map_or("", |(_, list)| list)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_password_of_the_list_is_found_and_its_neighbours_are_not() {
        let mut before = "";
        for line in list().lines() {
            assert!(before < line, "sorted, no line twice: {before} {line}");
            assert!(contains(line), "{line}");
            before = line;
        }
        assert!(list().lines().count() >= 20_000, "as many as are promised");
        for missing in ["", "\n", "123456\n1234567", "zzzzzzzzzzzzzzzzzzzz", " ", "tide-oboe-fern", "\u{ff}"] {
            assert!(!contains(missing), "{missing:?}");
        }
        assert!(FILE.starts_with("# ") && FILE.contains("MIT licence") && FILE.contains("4.1.3"));
    }
}
