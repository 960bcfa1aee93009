//! The security log's files read back: rotated ones first, then the one that is written, then what comes to it.
//!
//! Owns: the order of the files, whole lines of bounded length, and following the file over its rotation. Never does:
//! decide which lines are wanted, or trust that a line is one of ours.

use super::file::rotated_files;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Bytes of a line that are read; ours are shorter.
const LONGEST: u64 = 64 * 1024;

/// The log's files, oldest first.
///
/// # Errors
/// When the folder cannot be read; a log that is not there yet has no files.
pub fn files(path: &Path) -> io::Result<Vec<PathBuf>> {
    if !path.parent().is_none_or(|folder| folder.as_os_str().is_empty() || folder.exists()) {
        return Ok(Vec::new());
    }
    let mut rotated = rotated_files(path)?;
    rotated.sort();
    let mut files: Vec<PathBuf> = rotated.into_iter().map(|(_, path)| path).collect();
    if path.exists() {
        files.push(path.to_owned());
    }
    Ok(files)
}

/// A file that is read line by line, and further when it has grown.
#[derive(Debug)]
pub struct Follower {
    path: PathBuf,
    open: Option<BufReader<File>>,
    /// The beginning of a line whose end is not there yet.
    begun: Vec<u8>,
    /// Whether another file that takes this one's place is read as well.
    follows: bool,
}

impl Follower {
    /// From the beginning of this file on.
    pub fn new(path: &Path) -> Self {
        Self { path: path.to_owned(), open: None, begun: Vec::new(), follows: true }
    }

    /// This file to its end, as it was when it was opened: a rotated one may be replaced by its copy with shortened
    /// addresses meanwhile, which says the same.
    pub fn of_rotated(path: &Path) -> Self {
        Self { follows: false, ..Self::new(path) }
    }

    /// The next whole line that is there, without its end; `None` when there is none for now.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn next_line(&mut self) -> io::Result<Option<String>> {
        loop {
            if self.open.is_none() {
                match File::open(&self.path) {
                    Ok(file) => self.open = Some(BufReader::new(file)),
                    Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
                    Err(error) => return Err(error),
                }
            }
            let Some(open) = &mut self.open else { return Ok(None) };
            let room = LONGEST.saturating_sub(self.begun.len() as u64);
            let read = open.by_ref().take(room).read_until(b'\n', &mut self.begun)?;
            if self.begun.last() == Some(&b'\n') || self.begun.len() as u64 >= LONGEST {
                let line = String::from_utf8_lossy(&self.begun).trim_end().to_owned();
                self.begun.clear();
                return Ok(Some(line));
            }
            if read == 0 && !self.follows {
                return Ok(None);
            }
            if read == 0 {
                // At the end. If the file was rotated meanwhile, all of it is read: on with the new one.
                let ours = open.get_ref().metadata()?;
                match std::fs::metadata(&self.path) {
                    Ok(there) if (there.dev(), there.ino()) != (ours.dev(), ours.ino()) => {
                        self.open = None;
                        self.begun.clear();
                    }
                    _ => return Ok(None),
                }
            }
        }
    }
}
