//! The master keys in a file that only its owner can read: the first line is the newest, the others are kept beside it.
//!
//! Owns creation (whole or not at all, never over an existing file) and the refusal of files that others can read
//! (SEC-14). Never changes a file that it finds: a loose mode is reported with its remedy, since whoever could read
//! the key may have done so already; `master_key_change` adds and takes out keys.

use crate::entropy::random_secret;
use crate::key_ring::KeyRing;
use crate::master_key::{key_text, parse_key};
use chatward_types::{Entropy, Error, Kind, Result, Secret};
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// Eight keys of a line each, with a line of comment each; more than this is some other file.
const MAX_FILE_BYTES: u64 = 2048;

/// The keys of a file, and where it lies.
#[derive(Debug)]
pub struct MasterKeyFile {
    path: PathBuf,
    created: bool,
    ring: KeyRing,
}

impl MasterKeyFile {
    /// The keys of an existing file.
    ///
    /// # Errors
    /// [`Kind::NotFound`] when there is none; [`Kind::Invalid`] when others can read or write it, it is not a plain
    /// file, or it holds no key. The public text names the file and the remedy: it is for the operator's terminal.
    pub fn load(path: &Path) -> Result<Self> {
        let (text, _) = read(path)?;
        let ring =
            KeyRing::from_text(&text).map_err(|error| refused(format!("{}: {}", path.display(), error.public())))?;
        Ok(Self { path: path.to_owned(), created: false, ring })
    }

    /// The keys of the file; a new key in a new file (mode 0600, folders 0700) when there is none.
    ///
    /// Of several processes that start at once, one creates the file and all return its key.
    ///
    /// # Errors
    /// As [`MasterKeyFile::load`], and when the file cannot be written.
    pub fn load_or_create(path: &Path, entropy: &dyn Entropy) -> Result<Self> {
        match Self::load(path) {
            Err(error) if error.kind() == Kind::NotFound => {}
            loaded => return loaded,
        }
        let created = create(path, &key_text(&random_secret(entropy)?), entropy)?;
        // Read back in both cases: what counts is what the next start will find.
        Self::load(path).map(|loaded| Self { created, ..loaded })
    }

    /// Writes keys that stood elsewhere, one a line, into a new file. `false` when there is a file already, which stays.
    ///
    /// # Errors
    /// [`Kind::Invalid`] when one of them is no key, or the file cannot be written.
    pub fn write_new(path: &Path, keys: &Secret<String>, entropy: &dyn Entropy) -> Result<bool> {
        let mut text = zeroize::Zeroizing::new(String::new());
        for line in crate::key_ring::key_lines(keys.expose()) {
            text.push_str(&key_text(&parse_key(line)?));
            text.push('\n');
        }
        create(path, text.trim_end(), entropy)
    }

    /// Its keys; the newest wraps.
    pub fn ring(&self) -> &KeyRing {
        &self.ring
    }

    /// Where the keys lie.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether this call made the file; the operator is then told to keep a copy elsewhere.
    pub fn created(&self) -> bool {
        self.created
    }
}

/// The text of a key file that is as it should be, and what the system says of the file.
pub(crate) fn read(path: &Path) -> Result<(Secret<String>, std::fs::Metadata)> {
    let shown = path.display();
    let file = File::open(path).map_err(|source| {
        let kind = match source.kind() {
            ErrorKind::NotFound => Kind::NotFound,
            _ => Kind::Invalid,
        };
        let text = format!("The master key file {shown} cannot be read: {}.", source.kind());
        Error::new(kind, "master_key_unreadable", text).with_source(source)
    })?;
    // The open handle is asked, not the path, which could name another file by now.
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Err(refused(format!("The master key file {shown} is not a plain file.")));
    }
    let mode = metadata.permissions().mode() & 0o7777;
    if mode & 0o077 != 0 {
        return Err(refused(format!(
            "The master key file {shown} has mode {mode:04o}, so others can reach it. Run: chmod 600 {shown}"
        )));
    }
    let mut text = zeroize::Zeroizing::new(String::with_capacity(MAX_FILE_BYTES as usize + 1));
    let read = file.take(MAX_FILE_BYTES + 1).read_to_string(&mut text);
    if read.is_err() || text.len() as u64 > MAX_FILE_BYTES {
        return Err(refused(format!("The master key file {shown} does not hold a key.")));
    }
    Ok((Secret::new(std::mem::take(&mut *text)), metadata))
}

/// Writes the keys and says whether this call made the file, or another one was there first.
///
/// A draft beside it is written and flushed, then linked to the final name. The link fails if that name exists, so
/// nobody ever sees half a key and nobody's key is replaced; a crash leaves a draft and no key.
fn create(path: &Path, text: &str, entropy: &dyn Entropy) -> Result<bool> {
    let folder = folder_of(path);
    let failed = |source: std::io::Error| unwritable(path, source);
    DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(failed)?;
    let draft = draft_path(path, entropy)?;
    let written = write_draft(&draft, text).and_then(|_| match std::fs::hard_link(&draft, path) {
        Ok(()) => Ok(true),
        Err(source) if source.kind() == ErrorKind::AlreadyExists => Ok(false),
        Err(source) => Err(source),
    });
    // The draft goes in every case; if it cannot, the key in it is as private as the file itself.
    let _ = std::fs::remove_file(&draft);
    let created = written.map_err(failed)?;
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(failed)?;
    Ok(created)
}

/// The folder that a file stands in.
pub(crate) fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

/// A name beside a file that nobody else uses.
pub(crate) fn draft_path(path: &Path, entropy: &dyn Entropy) -> Result<PathBuf> {
    let mut id = [0_u8; 16];
    entropy.fill(&mut id)?;
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.draft", crate::base62_encode(id)));
    Ok(folder_of(path).join(name))
}

/// A new file with these lines, for its owner alone, on the disk when this returns.
pub(crate) fn write_draft(draft: &Path, text: &str) -> std::io::Result<File> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(draft)?;
    file.write_all(text.as_bytes())?;
    file.write_all(b"\n")?;
    file.sync_all()?;
    Ok(file)
}

pub(crate) fn unwritable(path: &Path, source: std::io::Error) -> Error {
    let text = format!("The master key file {} cannot be written: {}.", path.display(), source.kind());
    Error::new(Kind::Invalid, "master_key_unwritable", text).with_source(source)
}

pub(crate) fn refused(public: String) -> Error {
    Error::new(Kind::Invalid, "master_key_refused", public)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SystemEntropy;
    use std::collections::HashSet;
    use std::fs::Permissions;
    use std::sync::Barrier;

    fn folder() -> tempfile::TempDir {
        tempfile::tempdir().unwrap()
    }

    #[test]
    fn a_created_key_is_private_and_comes_back() {
        let folder = folder();
        let path = folder.path().join("keys/deep/master.key");
        let first = MasterKeyFile::load_or_create(&path, &SystemEntropy).unwrap();
        assert!(first.created());
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&path), 0o600);
        assert_eq!(mode(path.parent().unwrap()), 0o700);

        let second = MasterKeyFile::load_or_create(&path, &SystemEntropy).unwrap();
        assert!(!second.created());
        assert_eq!(first.ring().id(), second.ring().id());
        assert_eq!(second.path(), path);
        let left: Vec<_> = std::fs::read_dir(path.parent().unwrap()).unwrap().collect();
        assert_eq!(left.len(), 1, "a draft was left behind");
    }

    #[test]
    fn a_file_that_others_can_reach_is_refused_and_left_alone() {
        let folder = folder();
        let path = folder.path().join("master.key");
        MasterKeyFile::load_or_create(&path, &SystemEntropy).unwrap();
        let before = std::fs::read(&path).unwrap();
        for mode in [0o640, 0o604, 0o620, 0o644, 0o660, 0o666, 0o610, 0o601] {
            std::fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
            let error = MasterKeyFile::load_or_create(&path, &SystemEntropy).unwrap_err();
            assert_eq!(error.kind(), Kind::Invalid, "mode {mode:o}");
            assert!(error.public().contains("chmod 600"), "{error}");
            assert!(error.public().contains(&format!("{mode:04o}")), "{error}");
        }
        assert_eq!(std::fs::read(&path).unwrap(), before);
        for mode in [0o400, 0o600] {
            std::fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
            assert!(MasterKeyFile::load(&path).is_ok(), "mode {mode:o}");
        }
    }

    #[test]
    fn of_many_starters_one_creates_and_all_agree() {
        for _ in 0..20 {
            let folder = folder();
            let path = folder.path().join("master.key");
            let barrier = Barrier::new(8);
            let keys: Vec<MasterKeyFile> = std::thread::scope(|scope| {
                let starters: Vec<_> = (0..8)
                    .map(|_| {
                        scope.spawn(|| {
                            barrier.wait();
                            MasterKeyFile::load_or_create(&path, &SystemEntropy).unwrap()
                        })
                    })
                    .collect();
                starters.into_iter().map(|starter| starter.join().unwrap()).collect()
            });
            let ids: HashSet<&str> = keys.iter().map(|key| key.ring().id()).collect();
            assert_eq!(ids.len(), 1, "starters hold different keys");
            assert_eq!(keys.iter().filter(|key| key.created()).count(), 1);
        }
    }

    #[test]
    fn an_existing_file_is_never_replaced() {
        let folder = folder();
        let path = folder.path().join("master.key");
        for text in ["", "not a key", "0000000000000000000000000000000000000000000="] {
            std::fs::write(&path, text).unwrap();
            std::fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
            let error = MasterKeyFile::load_or_create(&path, &SystemEntropy).unwrap_err();
            assert_eq!(error.kind(), Kind::Invalid, "{text:?}");
            assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
        }
        assert!(!create(&path, "another", &SystemEntropy).unwrap());
    }

    #[test]
    fn keys_from_elsewhere_are_written_into_a_new_file_only() {
        let folder = folder();
        let path = folder.path().join("keys/master.key");
        let keys: Vec<String> = (0..2).map(|_| key_text(&random_secret(&SystemEntropy).unwrap()).to_string()).collect();
        let given = Secret::new(keys.join(","));
        assert!(MasterKeyFile::write_new(&path, &given, &SystemEntropy).unwrap());
        let written = std::fs::read_to_string(&path).unwrap();
        assert_eq!(written, format!("{}\n{}\n", keys[0], keys[1]));
        let loaded = MasterKeyFile::load(&path).unwrap();
        assert_eq!(loaded.ring().ids(), KeyRing::from_text(&given).unwrap().ids());
        let other = Secret::new(key_text(&random_secret(&SystemEntropy).unwrap()).to_string());
        assert!(!MasterKeyFile::write_new(&path, &other, &SystemEntropy).unwrap());
        assert_eq!(std::fs::read_to_string(&path).unwrap(), written);
        let bad = Secret::new("changeme".to_owned());
        assert!(MasterKeyFile::write_new(&folder.path().join("other"), &bad, &SystemEntropy).is_err());
    }

    #[test]
    fn a_folder_a_large_file_and_bytes_that_are_no_text_are_refused() {
        let folder = folder();
        std::fs::set_permissions(folder.path(), Permissions::from_mode(0o700)).unwrap();
        assert_eq!(MasterKeyFile::load(folder.path()).unwrap_err().kind(), Kind::Invalid);
        let path = folder.path().join("master.key");
        for content in [vec![b'a'; 1 << 20], vec![0xff; 32]] {
            std::fs::write(&path, content).unwrap();
            std::fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
            let error = MasterKeyFile::load(&path).unwrap_err();
            assert!(error.public().contains("does not hold a key"), "{error}");
        }
        let missing = MasterKeyFile::load(&folder.path().join("none")).unwrap_err();
        assert_eq!(missing.kind(), Kind::NotFound);
    }
}
