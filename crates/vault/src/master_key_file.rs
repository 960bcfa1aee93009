//! The master key in a file that only its owner can read.
//!
//! Owns creation (whole or not at all, never over an existing file) and the refusal of files that others can read
//! (SEC-14). Never changes a file that it finds: a loose mode is reported with its remedy, since whoever could read
//! the key may have done so already.

use crate::entropy::random_secret;
use crate::master_key::{LocalMasterKey, MasterKey, key_text, parse_key};
use chatward_types::{Entropy, Error, Kind, Result, Secret};
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// A key file is one line; more than this is some other file.
const MAX_FILE_BYTES: u64 = 1024;

/// A [`LocalMasterKey`] and the file that it came from.
#[derive(Debug)]
pub struct FileMasterKey {
    path: PathBuf,
    created: bool,
    key: LocalMasterKey,
}

impl FileMasterKey {
    /// The key of an existing file.
    ///
    /// # Errors
    /// [`Kind::NotFound`] when there is none; [`Kind::Invalid`] when others can read or write it, it is not a plain
    /// file, or it holds no key. The public text names the file and the remedy: it is for the operator's terminal.
    pub fn load(path: &Path) -> Result<Self> {
        let key = read(path)?;
        Ok(Self { path: path.to_owned(), created: false, key: LocalMasterKey::from_bytes(&key)? })
    }

    /// The key of the file; a new key in a new file (mode 0600, folders 0700) when there is none.
    ///
    /// Of several processes that start at once, one creates the file and all return its key.
    ///
    /// # Errors
    /// As [`FileMasterKey::load`], and when the file cannot be written.
    pub fn load_or_create(path: &Path, entropy: &dyn Entropy) -> Result<Self> {
        match Self::load(path) {
            Err(error) if error.kind() == Kind::NotFound => {}
            loaded => return loaded,
        }
        let created = create(path, &random_secret(entropy)?, entropy)?;
        // Read back in both cases: what counts is what the next start will find.
        Self::load(path).map(|loaded| Self { created, ..loaded })
    }

    /// Where the key lies.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether this call made the file; the operator is then told to keep a copy elsewhere.
    pub fn created(&self) -> bool {
        self.created
    }
}

impl MasterKey for FileMasterKey {
    fn id(&self) -> &str {
        self.key.id()
    }

    fn wrap(&self, key: &Secret<[u8; 32]>, context: &[u8], entropy: &dyn Entropy) -> Result<Vec<u8>> {
        self.key.wrap(key, context, entropy)
    }

    fn unwrap(&self, wrapped: &[u8], context: &[u8]) -> Result<Secret<[u8; 32]>> {
        self.key.unwrap(wrapped, context)
    }
}

fn read(path: &Path) -> Result<Secret<[u8; 32]>> {
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
    let mut text = Zeroizing::new(String::with_capacity(MAX_FILE_BYTES as usize + 1));
    let read = file.take(MAX_FILE_BYTES + 1).read_to_string(&mut text);
    if read.is_err() || text.len() as u64 > MAX_FILE_BYTES {
        return Err(refused(format!("The master key file {shown} does not hold a key.")));
    }
    parse_key(&text).map_err(|error| refused(format!("{shown}: {}", error.public())))
}

/// Writes the key and says whether this call made the file, or another one was there first.
///
/// A draft beside it is written and flushed, then linked to the final name. The link fails if that name exists, so
/// nobody ever sees half a key and nobody's key is replaced; a crash leaves a draft and no key.
fn create(path: &Path, key: &Secret<[u8; 32]>, entropy: &dyn Entropy) -> Result<bool> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let failed = |source: std::io::Error| {
        let text = format!("The master key file {} cannot be written: {}.", path.display(), source.kind());
        Error::new(Kind::Invalid, "master_key_unwritable", text).with_source(source)
    };
    DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(failed)?;

    let mut draft_id = [0_u8; 16];
    entropy.fill(&mut draft_id)?;
    let mut draft_name = path.file_name().unwrap_or_default().to_owned();
    draft_name.push(format!(".{}.draft", crate::base62_encode(draft_id)));
    let draft = folder.join(draft_name);

    let written = write_draft(&draft, key).and_then(|()| match std::fs::hard_link(&draft, path) {
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

fn write_draft(draft: &Path, key: &Secret<[u8; 32]>) -> std::io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(draft)?;
    file.write_all(key_text(key).as_bytes())?;
    file.write_all(b"\n")?;
    file.sync_all()
}

fn refused(public: String) -> Error {
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
        let first = FileMasterKey::load_or_create(&path, &SystemEntropy).unwrap();
        assert!(first.created());
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&path), 0o600);
        assert_eq!(mode(path.parent().unwrap()), 0o700);

        let second = FileMasterKey::load_or_create(&path, &SystemEntropy).unwrap();
        assert!(!second.created());
        assert_eq!(first.id(), second.id());
        assert_eq!(second.path(), path);
        let left: Vec<_> = std::fs::read_dir(path.parent().unwrap()).unwrap().collect();
        assert_eq!(left.len(), 1, "a draft was left behind");
    }

    #[test]
    fn a_file_that_others_can_reach_is_refused_and_left_alone() {
        let folder = folder();
        let path = folder.path().join("master.key");
        FileMasterKey::load_or_create(&path, &SystemEntropy).unwrap();
        let before = std::fs::read(&path).unwrap();
        for mode in [0o640, 0o604, 0o620, 0o644, 0o660, 0o666, 0o610, 0o601] {
            std::fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
            let error = FileMasterKey::load_or_create(&path, &SystemEntropy).unwrap_err();
            assert_eq!(error.kind(), Kind::Invalid, "mode {mode:o}");
            assert!(error.public().contains("chmod 600"), "{error}");
            assert!(error.public().contains(&format!("{mode:04o}")), "{error}");
        }
        assert_eq!(std::fs::read(&path).unwrap(), before);
        for mode in [0o400, 0o600] {
            std::fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
            assert!(FileMasterKey::load(&path).is_ok(), "mode {mode:o}");
        }
    }

    #[test]
    fn of_many_starters_one_creates_and_all_agree() {
        for _ in 0..20 {
            let folder = folder();
            let path = folder.path().join("master.key");
            let barrier = Barrier::new(8);
            let keys: Vec<FileMasterKey> = std::thread::scope(|scope| {
                let starters: Vec<_> = (0..8)
                    .map(|_| {
                        scope.spawn(|| {
                            barrier.wait();
                            FileMasterKey::load_or_create(&path, &SystemEntropy).unwrap()
                        })
                    })
                    .collect();
                starters.into_iter().map(|starter| starter.join().unwrap()).collect()
            });
            let ids: HashSet<&str> = keys.iter().map(MasterKey::id).collect();
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
            let error = FileMasterKey::load_or_create(&path, &SystemEntropy).unwrap_err();
            assert_eq!(error.kind(), Kind::Invalid, "{text:?}");
            assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
        }
        assert!(!create(&path, &Secret::new([3; 32]), &SystemEntropy).unwrap());
    }

    #[test]
    fn a_folder_a_large_file_and_bytes_that_are_no_text_are_refused() {
        let folder = folder();
        std::fs::set_permissions(folder.path(), Permissions::from_mode(0o700)).unwrap();
        assert_eq!(FileMasterKey::load(folder.path()).unwrap_err().kind(), Kind::Invalid);
        let path = folder.path().join("master.key");
        for content in [vec![b'a'; 1 << 20], vec![0xff; 32]] {
            std::fs::write(&path, content).unwrap();
            std::fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
            let error = FileMasterKey::load(&path).unwrap_err();
            assert!(error.public().contains("does not hold a key"), "{error}");
        }
        let missing = FileMasterKey::load(&folder.path().join("none")).unwrap_err();
        assert_eq!(missing.kind(), Kind::NotFound);
    }
}
