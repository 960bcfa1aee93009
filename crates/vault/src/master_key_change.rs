//! Changes of a master key file: a key is put on top, or one that nothing needs any more is taken out.
//!
//! Owns: that two processes never change one file at once (its folder is locked), and that it is replaced whole, with the
//! owner and the mode that it had: the new text is on the disk before the old file is touched. Never takes out the last
//! key, and never decides that one is not needed: the database says that.

use crate::entropy::random_secret;
use crate::key_ring::KeyRing;
use crate::master_key::{LocalMasterKey, MasterKey, key_text};
use crate::master_key_file::{draft_path, folder_of, read, refused, unwritable, write_draft};
use chatward_types::{Entropy, Error, Kind, Result, Secret};
use std::fs::{File, Metadata, TryLockError};
use std::os::unix::fs::{MetadataExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// A key file that nobody else changes as long as this lives.
#[derive(Debug)]
pub struct FileChange {
    path: PathBuf,
    metadata: Metadata,
    text: Secret<String>,
    _lock: File,
}

/// The new text of a key file, on the disk beside it. Dropped without [`Draft::put`], it is removed.
#[derive(Debug)]
pub struct Draft {
    path: PathBuf,
    draft: PathBuf,
    is_put: bool,
}

impl FileChange {
    /// Locks the file and reads it.
    ///
    /// # Errors
    /// [`Kind::Conflict`] when another process changes it at this moment; as [`crate::MasterKeyFile::load`] else.
    pub fn begin(path: &Path) -> Result<Self> {
        // What a link leads to is replaced, not the link.
        let path = std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        let lock = File::open(folder_of(&path)).map_err(|source| unwritable(&path, source))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let text = format!("Another process changes the master key file {} now. Try again.", path.display());
                return Err(Error::new(Kind::Conflict, "master_key_busy", text));
            }
            Err(TryLockError::Error(source)) => return Err(unwritable(&path, source)),
        }
        let (text, metadata) = read(&path)?;
        KeyRing::from_text(&text).map_err(|error| refused(format!("{}: {}", path.display(), error.public())))?;
        Ok(Self { path, metadata, text, _lock: lock })
    }

    /// The keys as they are in this change.
    ///
    /// # Errors
    /// When there are too many.
    pub fn ring(&self) -> Result<KeyRing> {
        KeyRing::from_text(&self.text)
    }

    /// Puts a new key above all; returns its public name.
    ///
    /// # Errors
    /// [`Kind::Conflict`] when the file is full; else when the entropy source fails.
    pub fn add(&mut self, entropy: &dyn Entropy) -> Result<String> {
        if self.ring()?.ids().len() >= KeyRing::MOST {
            let text = format!(
                "The master key file {} holds {} keys already. Take out those that neither the database nor a backup needs.",
                self.path.display(),
                KeyRing::MOST
            );
            return Err(Error::new(Kind::Conflict, "master_key_full", text));
        }
        let key = random_secret(entropy)?;
        let line = key_text(&key);
        self.text = Secret::new([line.as_str(), "\n", self.text.expose()].concat());
        Ok(LocalMasterKey::from_bytes(&key)?.id().to_owned())
    }

    /// Takes the key of this name out. `false` when it is not in the file.
    ///
    /// # Errors
    /// [`Kind::Conflict`] when it is the only one.
    pub fn remove(&mut self, id: &str) -> Result<bool> {
        let ring = self.ring()?;
        if !ring.holds(id) {
            return Ok(false);
        }
        if ring.ids().len() == 1 {
            return Err(Error::new(Kind::Conflict, "master_key_last", "The only master key is not taken out."));
        }
        let is_it = |line: &str| LocalMasterKey::from_text(line).is_ok_and(|key| key.id() == id);
        let mut kept = Zeroizing::new(String::with_capacity(self.text.expose().len()));
        for line in self.text.expose().lines() {
            if !is_it(line) {
                kept.push_str(line);
                kept.push('\n');
            }
        }
        self.text = Secret::new(std::mem::take(&mut *kept));
        // A line of several keys is not cut up; whoever wrote it takes the key out.
        Ok(!self.ring()?.holds(id))
    }

    /// Writes the new text beside the file. Nothing is changed yet.
    ///
    /// # Errors
    /// [`Kind::Invalid`] when it cannot be written: no room, a folder that is read-only, a file of another user.
    pub fn draft(&self, entropy: &dyn Entropy) -> Result<Draft> {
        let draft = Draft { path: self.path.clone(), draft: draft_path(&self.path, entropy)?, is_put: false };
        let written = write_draft(&draft.draft, self.text.expose().trim_end()).and_then(|file| {
            let (old, new) = (&self.metadata, file.metadata()?);
            // A command that another user runs than the server must not leave a file that the server cannot read.
            if (old.uid(), old.gid()) != (new.uid(), new.gid()) {
                fchown(&file, Some(old.uid()), Some(old.gid()))?;
            }
            file.set_permissions(PermissionsExt::from_mode(old.permissions().mode() & 0o700))?;
            file.sync_all()
        });
        written.map_err(|source| unwritable(&self.path, source))?;
        Ok(draft)
    }
}

impl Draft {
    /// Puts it in the place of the file; on the disk when this returns.
    ///
    /// # Errors
    /// [`Kind::Invalid`] when the file cannot be replaced, as where it is a mount of its own; it is as it was then.
    pub fn put(mut self) -> Result<()> {
        std::fs::rename(&self.draft, &self.path).map_err(|source| unwritable(&self.path, source))?;
        self.is_put = true;
        let folder = File::open(folder_of(&self.path)).and_then(|folder| folder.sync_all());
        folder.map_err(|source| unwritable(&self.path, source))
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        if !self.is_put {
            // If it cannot be removed, the keys in it are as private as the file itself.
            let _ = std::fs::remove_file(&self.draft);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{MasterKeyFile, SystemEntropy};
    use std::fs::Permissions;

    fn file() -> (tempfile::TempDir, PathBuf, String) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys/master.key");
        let made = MasterKeyFile::load_or_create(&path, &SystemEntropy).unwrap();
        let id = made.ring().id().to_owned();
        (folder, path, id)
    }

    fn ids(path: &Path) -> Vec<String> {
        MasterKeyFile::load(path).unwrap().ring().ids().into_iter().map(str::to_owned).collect()
    }

    #[test]
    fn a_new_key_stands_above_the_old_one_which_is_taken_out_later() {
        let (_folder, path, old) = file();
        let before = std::fs::read_to_string(&path).unwrap();
        for mode in [0o400, 0o600] {
            std::fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
            let mut change = FileChange::begin(&path).unwrap();
            let new = change.add(&SystemEntropy).unwrap();
            let draft = change.draft(&SystemEntropy).unwrap();
            assert_eq!(ids(&path), std::slice::from_ref(&old), "nothing is changed yet");
            draft.put().unwrap();
            assert_eq!(ids(&path), [new.clone(), old.clone()]);
            assert!(std::fs::read_to_string(&path).unwrap().ends_with(&before));
            assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, mode);
            drop(change);

            let mut change = FileChange::begin(&path).unwrap();
            assert!(!change.remove("local-0000000000000000").unwrap());
            assert!(change.remove(&new).unwrap());
            change.draft(&SystemEntropy).unwrap().put().unwrap();
            assert_eq!(ids(&path), std::slice::from_ref(&old));
            assert_eq!(change.remove(&old).unwrap_err().code(), "master_key_last");
        }
        let left: Vec<_> = std::fs::read_dir(path.parent().unwrap()).unwrap().collect();
        assert_eq!(left.len(), 1, "a draft was left behind");
    }

    #[test]
    fn what_is_not_put_changes_nothing() {
        let (_folder, path, old) = file();
        let mut change = FileChange::begin(&path).unwrap();
        change.add(&SystemEntropy).unwrap();
        drop(change.draft(&SystemEntropy).unwrap());
        assert_eq!(ids(&path), [old]);
        assert_eq!(std::fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
    }

    #[test]
    fn two_changes_of_one_file_do_not_meet() {
        let (_folder, path, _) = file();
        let first = FileChange::begin(&path).unwrap();
        assert_eq!(FileChange::begin(&path).unwrap_err().code(), "master_key_busy");
        drop(first);
        assert!(FileChange::begin(&path).is_ok());
    }

    #[test]
    fn comments_stay_and_a_link_is_followed() {
        let (folder, path, old) = file();
        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::write(&path, format!("# of the shop\n{text}")).unwrap();
        let link = folder.path().join("link.key");
        std::os::unix::fs::symlink(&path, &link).unwrap();
        let mut change = FileChange::begin(&link).unwrap();
        let new = change.add(&SystemEntropy).unwrap();
        change.draft(&SystemEntropy).unwrap().put().unwrap();
        assert_eq!(ids(&path), [new, old]);
        assert!(std::fs::read_to_string(&path).unwrap().contains("# of the shop\n"));
        assert!(std::fs::symlink_metadata(&link).unwrap().is_symlink());
    }

    #[test]
    fn a_full_file_and_one_that_will_not_do_are_refused() {
        let (_folder, path, _) = file();
        let mut change = FileChange::begin(&path).unwrap();
        for _ in 1..KeyRing::MOST {
            change.add(&SystemEntropy).unwrap();
        }
        assert_eq!(change.add(&SystemEntropy).unwrap_err().code(), "master_key_full");
        drop(change);
        std::fs::set_permissions(&path, Permissions::from_mode(0o640)).unwrap();
        assert!(FileChange::begin(&path).unwrap_err().public().contains("chmod 600"));
        std::fs::write(&path, "nonsense").unwrap();
        std::fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
        assert_eq!(FileChange::begin(&path).unwrap_err().kind(), Kind::Invalid);
        std::fs::remove_file(&path).unwrap();
        assert_eq!(FileChange::begin(&path).unwrap_err().kind(), Kind::NotFound);
    }
}
