//! The security log's file: 0600, rotated by size and age, old ones deleted.
//!
//! Owns: the file's life. Never does: leave half a line behind, if the disk lets it be taken back.

use super::time::{parse, rfc3339};
use crate::config::Logging;
use chatward_types::{DAY, HOUR, Timestamp};
use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};

/// Rotated files that are kept at most, whatever their age: a storm must not fill the disk.
const MOST_FILES: usize = 200;
/// Bytes of a first line that are looked at for its time.
const FIRST_LINE: u64 = 16 * 1024;

/// The file and its rotation.
#[derive(Debug)]
pub(super) struct RotatingFile {
    path: PathBuf,
    rotate_bytes: u64,
    rotate_after: Timestamp,
    keep: Timestamp,
    open: Option<Open>,
}

#[derive(Debug)]
struct Open {
    file: File,
    /// Devices (a test's `/dev/full`, an operator's `/dev/stdout`) are neither rotated nor chmodded.
    regular: bool,
    length: u64,
    /// The time of the first line.
    since: Timestamp,
    /// Half a line of a failed write could not be taken back.
    torn: bool,
}

impl RotatingFile {
    pub(super) fn new(path: PathBuf, settings: &Logging) -> Self {
        Self {
            path,
            rotate_bytes: settings.rotate_bytes,
            rotate_after: rotate_after(settings),
            keep: i64::from(settings.keep_days) * DAY,
            open: None,
        }
    }

    /// Writes whole lines, opening and rotating as needed. After an error nothing of them is in the file.
    pub(super) fn write(&mut self, lines: &[u8], now: Timestamp) -> io::Result<()> {
        // A file that cannot be moved is written on; `tend` reports it.
        let _ = self.rotate_if_due(lines.len() as u64, now);
        let mut open = match self.open.take() {
            Some(open) => open,
            None => self.open_file(now)?,
        };
        if open.length == 0 {
            open.since = now;
        }
        let torn = if open.torn { &b"\n"[..] } else { b"" };
        let written = open.file.write_all(torn).and_then(|()| open.file.write_all(lines));
        match written {
            Ok(()) => {
                open.torn = false;
                open.length += (torn.len() + lines.len()) as u64;
                self.open = Some(open);
                Ok(())
            }
            Err(error) => {
                if open.regular {
                    open.torn = open.file.set_len(open.length).is_err();
                    self.open = Some(open);
                }
                Err(error)
            }
        }
    }

    /// Makes what was written survive a power cut.
    pub(super) fn sync(&self) -> io::Result<()> {
        match &self.open {
            Some(open) if open.regular => open.file.sync_data(),
            _ => Ok(()),
        }
    }

    /// Once in a while: notices a file that was moved or deleted by others, rotates by age, deletes the old.
    pub(super) fn tend(&mut self, now: Timestamp) -> io::Result<()> {
        if self.open.as_ref().is_some_and(|open| open.regular && !is_still_there(&open.file, &self.path)) {
            self.open = None;
        }
        self.rotate_if_due(0, now)?;
        self.delete_old(now)
    }

    fn open_file(&self, now: Timestamp) -> io::Result<Open> {
        if let Some(folder) = self.path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            create_private_folder(folder)?;
        }
        let mut options = OpenOptions::new();
        options.append(true).create(true);
        #[cfg(unix)]
        {
            use std::os::unix::fs::OpenOptionsExt;
            options.mode(0o600);
        }
        let file = options.open(&self.path)?;
        let metadata = file.metadata()?;
        #[cfg(unix)]
        if metadata.is_file() {
            use std::os::unix::fs::PermissionsExt;
            if metadata.permissions().mode() & 0o077 != 0 {
                file.set_permissions(std::fs::Permissions::from_mode(0o600))?;
            }
        }
        let since = first_time(&self.path).unwrap_or(now);
        Ok(Open { file, regular: metadata.is_file(), length: metadata.len(), since, torn: false })
    }

    fn rotate_if_due(&mut self, more: u64, now: Timestamp) -> io::Result<()> {
        let due = self.open.as_ref().is_some_and(|open| {
            let full = open.length + more > self.rotate_bytes;
            let old = now - open.since >= self.rotate_after;
            open.regular && open.length > 0 && (full || old)
        });
        if !due {
            return Ok(());
        }
        self.sync()?;
        let mut name = rotated_name(&self.path, now);
        let mut later = now;
        while name.exists() {
            later += 1;
            name = rotated_name(&self.path, later);
        }
        std::fs::rename(&self.path, name)?;
        self.open = None;
        self.delete_old(now)
    }

    fn delete_old(&self, now: Timestamp) -> io::Result<()> {
        let mut rotated = rotated_files(&self.path)?;
        rotated.sort();
        let surplus = rotated.len().saturating_sub(MOST_FILES);
        for (index, (at, path)) in rotated.into_iter().enumerate() {
            if index < surplus || now - at >= self.keep {
                std::fs::remove_file(path)?;
            }
        }
        Ok(())
    }
}

/// A file is rotated before its first address has to be shortened, because that is done to rotated files alone.
pub fn rotate_after(settings: &Logging) -> Timestamp {
    (i64::from(settings.rotate_hours) * HOUR).min(i64::from(settings.address_days) * DAY - HOUR)
}

fn create_private_folder(folder: &Path) -> io::Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::DirBuilderExt;
        builder.mode(0o700);
    }
    builder.create(folder)
}

/// `security.log` becomes `security-2026-11-21T010203.000004Z.log`.
fn rotated_name(path: &Path, at: Timestamp) -> PathBuf {
    let (stem, extension) = parts(path);
    path.with_file_name(format!("{stem}-{}{extension}", rfc3339(at).replace(':', "")))
}

/// The rotated files beside `path` with the time of their rotation; nothing else in the folder is touched.
pub(super) fn rotated_files(path: &Path) -> io::Result<Vec<(Timestamp, PathBuf)>> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        if let Some(at) = entry.file_name().to_str().and_then(|name| rotated_at(path, name)) {
            found.push((at, entry.path()));
        }
    }
    Ok(found)
}

/// When a file of this name was rotated, if it is one of the log's.
pub(super) fn rotated_at(path: &Path, name: &str) -> Option<Timestamp> {
    let (stem, extension) = parts(path);
    let text = name.strip_prefix(&stem)?.strip_prefix('-')?.strip_suffix(&extension)?;
    parse(&format!("{}:{}:{}", text.get(..13)?, text.get(13..15)?, text.get(15..)?))
}

fn parts(path: &Path) -> (String, String) {
    let stem = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let extension = path.extension().map_or_else(String::new, |text| format!(".{}", text.to_string_lossy()));
    (stem, extension)
}

/// The time of a file's first line, so that its age survives a restart.
pub(super) fn first_time(path: &Path) -> Option<Timestamp> {
    parse(first_line(path)?.get("time")?.as_str()?)
}

/// A file's first line, if it is one of ours.
pub(super) fn first_line(path: &Path) -> Option<serde_json::Value> {
    if !std::fs::metadata(path).ok()?.is_file() {
        return None;
    }
    let mut line = String::new();
    BufReader::new(File::open(path).ok()?.take(FIRST_LINE)).read_line(&mut line).ok()?;
    serde_json::from_str(&line).ok()
}

/// Whether `path` still names this file.
pub(super) fn is_still_there(file: &File, path: &Path) -> bool {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        match (file.metadata(), std::fs::metadata(path)) {
            (Ok(ours), Ok(there)) => (ours.dev(), ours.ino()) == (there.dev(), there.ino()),
            _ => false,
        }
    }
    #[cfg(not(unix))]
    {
        let _ = file;
        path.exists()
    }
}
