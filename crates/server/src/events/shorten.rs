//! Addresses in the rotated files of the security log become networks when they are old.
//!
//! Owns: which files are due, and their replacement by a copy in which no address names a single client. The copy is
//! written beside the file, made durable, and takes its place by a rename: whoever reads sees the one or the other
//! whole, and what a crash leaves behind is begun anew or removed. Never does: touch the file that is being written,
//! hold more than a line in memory, or change anything of a line but its addresses.

use super::file::{first_line, first_time, is_still_there, rotate_after, rotated_at, rotated_files};
use super::line::{SHORTENED, write_shortened};
use crate::config::Logging;
use crate::limits::{network_around, widened};
use chatward_types::{DAY, MINUTE, Timestamp};
use ipnet::IpNet;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde::ser::{Serialize, SerializeMap as _, Serializer};
use serde_json::Value;
use std::fmt;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, BufRead, BufReader, BufWriter, Read, Write};
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};

/// How long after its rotation a file is left alone: another process that still had it open has noticed by then.
const SETTLED: Timestamp = MINUTE;
/// Bytes of a line that are looked at together; ours are shorter.
const LONGEST: u64 = 64 * 1024;
/// The ending of a copy that is not whole yet.
const PART: &str = ".part";

/// Replaces every rotated file of the log at `path` whose first line is as old as the settings say; returns how many.
/// Ends early where `stops` says so.
///
/// # Errors
/// When a file or the folder cannot be read or written; what was not reached is due at the next turn.
pub fn shorten_old(path: &Path, settings: &Logging, now: Timestamp, stops: impl Fn() -> bool) -> io::Result<usize> {
    if !path.parent().is_none_or(|folder| folder.as_os_str().is_empty() || folder.exists()) {
        return Ok(0);
    }
    remove_orphans(path)?;
    let mut done = 0;
    for (at, file) in rotated_files(path)? {
        if stops() {
            break;
        }
        // Where its first line does not say, a file is as old as it can be.
        let oldest = at - rotate_after(settings);
        let since = first_time(&file).unwrap_or(oldest).min(at);
        let old = i64::from(settings.address_days) * DAY;
        if now - at >= SETTLED && now - since >= old && !is_shortened(&file) && replace(&file, since)? {
            done += 1;
        }
    }
    Ok(done)
}

fn is_shortened(file: &Path) -> bool {
    first_line(file).is_some_and(|line| line["event"] == SHORTENED)
}

/// The remark at its beginning bears the time of the file's first line, by which readers know what the file can hold.
fn replace(file: &Path, since: Timestamp) -> io::Result<bool> {
    let name = part_of(file);
    let Some(part) = claim(&name)? else { return Ok(false) };
    // Another process may have been faster.
    if is_shortened(file) {
        std::fs::remove_file(&name)?;
        return Ok(false);
    }
    part.set_len(0)?;
    let mut out = BufWriter::new(&part);
    let mut marker = Vec::new();
    write_shortened(&mut marker, since);
    out.write_all(&marker)?;
    copy(BufReader::new(File::open(file)?), &mut out)?;
    out.flush()?;
    drop(out);
    part.sync_all()?;
    std::fs::rename(&name, file)?;
    if let Some(folder) = file.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        File::open(folder)?.sync_all()?;
    }
    Ok(true)
}

/// The copy's file, for us alone; `None` where another process is at it.
fn claim(name: &Path) -> io::Result<Option<File>> {
    let mut options = OpenOptions::new();
    // Emptied only when it is ours: until then it may be what another process is about to put in place.
    options.write(true).create(true).truncate(false);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.mode(0o600);
    }
    let part = options.open(name)?;
    match part.try_lock() {
        Ok(()) if is_still_there(&part, name) => Ok(Some(part)),
        Ok(()) | Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

/// Removes what a crash left of a file that has been deleted since.
fn remove_orphans(path: &Path) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    for entry in std::fs::read_dir(folder)? {
        let part = entry?.path();
        let name = part.file_name().and_then(|name| name.to_str()).and_then(|name| name.strip_suffix(PART));
        let Some(name) = name.filter(|name| rotated_at(path, name).is_some()) else { continue };
        if !folder.join(name).exists() && claim(&part)?.is_some() {
            std::fs::remove_file(&part)?;
        }
    }
    Ok(())
}

fn part_of(file: &Path) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(PART);
    name.into()
}

fn copy(mut from: impl BufRead, to: &mut impl Write) -> io::Result<()> {
    let mut line = Vec::new();
    loop {
        line.clear();
        if from.by_ref().take(LONGEST).read_until(b'\n', &mut line)? == 0 {
            return Ok(());
        }
        to.write_all(&shortened_line(&line))?;
    }
}

/// A line with its addresses shortened; byte for byte the same where there are none. What is no line of ours is searched
/// as a text.
fn shortened_line(line: &[u8]) -> Vec<u8> {
    let (body, end) = match line.split_last() {
        Some((b'\n', body)) => (body, "\n"),
        _ => (line, ""),
    };
    let changed = match serde_json::from_slice::<Members>(body) {
        Ok(mut members) => members.shorten().then(|| serde_json::to_string(&members).ok()).flatten(),
        Err(_) => shortened(&String::from_utf8_lossy(body)),
    };
    changed.map_or_else(|| line.to_vec(), |text| [text.as_str(), end].concat().into_bytes())
}

/// A text in which each address and each narrow network is the network around it; nothing where it holds none.
fn shortened(text: &str) -> Option<String> {
    let is_part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | ':' | '/' | '[' | ']' | '%');
    let mut out = String::with_capacity(text.len());
    let mut changed = false;
    let mut rest = text;
    while !rest.is_empty() {
        let length = rest.find(|c| !is_part(c)).unwrap_or(rest.len());
        let (word, after) = rest.split_at(length);
        // A word may stand at the end of a sentence.
        let bare = word.trim_end_matches(['.', ':']);
        let found = [word, bare].into_iter().find_map(|part| Some((network_in(part)?, &word[part.len()..])));
        match found {
            Some((network, end)) => {
                out.extend([network.as_str(), end]);
                changed = true;
            }
            None => out.push_str(word),
        }
        let next = after.find(is_part).unwrap_or(after.len());
        out.push_str(&after[..next]);
        rest = &after[next..];
    }
    changed.then_some(out)
}

/// The network around what a word names, if that is narrower than one: an address, one with a port, or a network.
fn network_in(word: &str) -> Option<String> {
    let address = word.parse::<IpAddr>().ok().or_else(|| word.parse::<SocketAddr>().ok().map(|socket| socket.ip()));
    let bracketed = || word.strip_prefix('[')?.strip_suffix(']')?.parse::<IpAddr>().ok();
    if let Some(address) = address.or_else(bracketed) {
        return Some(network_around(address).to_string());
    }
    let network = word.parse::<IpNet>().ok()?;
    let wide = widened(network);
    (wide.prefix_len() < network.prefix_len()).then(|| wide.to_string())
}

/// The members of a line in their order.
struct Members(Vec<(String, Value)>);

impl Members {
    /// What a client said of itself (its user agent) may hold an address as well as what we say.
    fn shorten(&mut self) -> bool {
        let mut changed = false;
        for (_, value) in &mut self.0 {
            if let Value::String(text) = value
                && let Some(short) = shortened(text)
            {
                *text = short;
                changed = true;
            }
        }
        changed
    }
}

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Ordered;
        impl<'de> Visitor<'de> for Ordered {
            type Value = Members;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(Ordered)
    }
}

impl Serialize for Members {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (name, value) in &self.0 {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

#[cfg(test)]
mod tests;
