//! Files that hold one secret each.
//!
//! Owns: how such a file is read, at the start and when its secret was replaced. Never repeats its path, which may be a
//! secret that was put into the wrong setting, nor what it holds.

use chatward_types::Secret;
use std::io::Read;
use std::path::Path;

/// A secret's file is read up to here; a longer one is a mistake.
const MOST_BYTES: u64 = 64 * 1024;

/// What is wrong with the file, and the fix.
pub(super) struct Wrong {
    pub(super) problem: String,
    pub(super) fix: &'static str,
}

/// The secret in a file, without the line end that editors add.
pub(super) fn read(path: &Path) -> Result<Secret<String>, Wrong> {
    let wrong = |problem: String, fix: &'static str| Wrong { problem, fix };
    let mut text = String::new();
    std::fs::File::open(path).and_then(|opened| opened.take(MOST_BYTES + 1).read_to_string(&mut text)).map_err(
        |error| {
            wrong(
                format!("names a file that cannot be read ({})", error.kind()),
                "name a readable text file that holds nothing but the secret",
            )
        },
    )?;
    if text.len() as u64 > MOST_BYTES {
        return Err(wrong(
            "names a file of more than 64 KiB".to_owned(),
            "name a text file that holds nothing but the secret",
        ));
    }
    if text.trim().is_empty() {
        return Err(wrong("names an empty file".to_owned(), "write the secret into it"));
    }
    Ok(Secret::new(text.trim_end_matches(['\r', '\n']).to_owned()))
}
