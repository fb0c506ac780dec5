//! What is kept of a directory: the account, the certificates, what failed. Every file is its owner's alone, and is there
//! whole or not at all.

use super::backoff::Backoff;
use crate::Error;
use instant_acme::AccountCredentials;
use std::{
    fs::{self, DirBuilder, File, OpenOptions, TryLockError},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

const ACCOUNT: &str = "account.json";

/// The folder of one directory below the configured one.
#[derive(Clone, Debug)]
pub(crate) struct Storage(PathBuf);

/// Nobody else orders while this lives.
#[derive(Debug)]
pub(crate) struct Lock(#[expect(dead_code, reason = "held, not read: the lock ends with the file")] File);

impl Storage {
    /// Where a directory's folder is: what one directory issued is of no use with another.
    pub(crate) fn folder(storage: &Path, directory: &str) -> PathBuf {
        let name = directory.split_once("://").map_or(directory, |(_, rest)| rest);
        let plain = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '.' | '-') { c } else { '_' };
        let name: String = name.chars().take(120).map(plain).collect();
        storage.join(name.trim_start_matches('.'))
    }

    /// Makes the folder if it is not there.
    ///
    /// # Errors
    /// When it cannot be made.
    pub(crate) fn open(storage: &Path, directory: &str) -> Result<Self, Error> {
        let path = Self::folder(storage, directory);
        let made = DirBuilder::new().recursive(true).mode(0o700).create(&path);
        made.map_err(|source| Error::Storage { path: path.clone(), source })?;
        Ok(Self(path))
    }

    /// Keeps other processes from ordering too; `None` when one of them keeps us.
    ///
    /// # Errors
    /// When the lock's file cannot be opened.
    pub(crate) fn lock(&self) -> Result<Option<Lock>, Error> {
        let path = self.0.join("lock");
        let open = OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(&path);
        let locked = open.map(|file| file.try_lock().map(|()| Lock(file)));
        match locked {
            Ok(Ok(lock)) => Ok(Some(lock)),
            Ok(Err(TryLockError::WouldBlock)) => Ok(None),
            Ok(Err(TryLockError::Error(source))) | Err(source) => Err(Error::Storage { path, source }),
        }
    }

    /// The account that was made before; `None` when there is none that can be read.
    pub(crate) fn account(&self) -> Option<AccountCredentials> {
        let text = fs::read(self.0.join(ACCOUNT)).ok()?;
        serde_json::from_slice(&text)
            .inspect_err(|_| tracing::warn!("the account cannot be read and is made anew"))
            .ok()
    }

    /// Keeps an account.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(crate) fn keep_account(&self, account: &AccountCredentials) -> Result<(), Error> {
        self.write(ACCOUNT, &json(account))
    }

    /// Puts an account aside that the directory does not know any more.
    pub(crate) fn forget_account(&self) {
        // Its key is of use to whoever wants to know what happened. If it cannot be moved, the next try says so again.
        let _ = fs::rename(self.0.join(ACCOUNT), self.0.join("account.old.json"));
    }

    /// Keeps chain and key of `host` in one file, where the folder's reader finds them.
    ///
    /// # Errors
    /// When they cannot be written.
    pub(crate) fn keep_certificate(&self, host: &str, chain: &str, key: &str) -> Result<(), Error> {
        let gap = if chain.ends_with('\n') { "" } else { "\n" };
        self.write(&format!("{host}.pem"), format!("{chain}{gap}{key}").as_bytes())
    }

    /// What is remembered of a host's orders.
    pub(crate) fn backoff(&self, host: &str) -> Backoff {
        let text = fs::read(self.0.join(format!("{host}.json"))).unwrap_or_default();
        serde_json::from_slice(&text).unwrap_or_default()
    }

    /// Keeps it.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(crate) fn keep_backoff(&self, host: &str, backoff: &Backoff) -> Result<(), Error> {
        self.write(&format!("{host}.json"), &json(backoff))
    }

    /// Writes beside it, makes sure that it is on disk, and puts it in its place. The one process that holds the lock is the
    /// only one that writes.
    fn write(&self, name: &str, bytes: &[u8]) -> Result<(), Error> {
        let (path, beside) = (self.0.join(name), self.0.join(format!(".{name}.new")));
        let written = || -> io::Result<()> {
            // One that a killed process left behind may have other rights.
            match fs::remove_file(&beside) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
            let mut file = OpenOptions::new().create_new(true).write(true).mode(0o600).open(&beside)?;
            file.write_all(bytes)?;
            file.sync_all()?;
            fs::rename(&beside, &path)?;
            File::open(&self.0)?.sync_all()
        };
        written().map_err(|source| Error::Storage { path, source })
    }
}

fn json(value: &impl serde::Serialize) -> Vec<u8> {
    // Texts and numbers alone: nothing that JSON cannot say.
    serde_json::to_vec_pretty(value).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn files_are_their_owners_alone_and_whole() {
        let folder = tempfile::tempdir().expect("a folder");
        let storage = Storage::open(folder.path(), "https://ca.example/a/../dir").expect("it is made");
        let backoff = Backoff { refused: 3, ..Backoff::default() };
        storage.keep_backoff("shop.example", &backoff).expect("it is kept");
        storage.keep_backoff("shop.example", &backoff).expect("it is kept again");
        storage.keep_certificate("shop.example", "chain", "key\n").expect("it is kept");
        assert_eq!(storage.backoff("shop.example"), backoff);
        assert_eq!(storage.backoff("other.example"), Backoff::default());
        let inside = folder.path().join("ca.example_a_.._dir");
        assert_eq!(fs::read_to_string(inside.join("shop.example.pem")).expect("it is there"), "chain\nkey\n");
        let mode = |path: &Path| fs::metadata(path).expect("it is there").permissions().mode() & 0o777;
        assert_eq!(mode(&inside), 0o700);
        let mut names: Vec<String> = Vec::new();
        for entry in fs::read_dir(&inside).expect("it can be listed") {
            let entry = entry.expect("an entry");
            assert_eq!(mode(&entry.path()), 0o600, "{entry:?}");
            names.push(entry.file_name().into_string().expect("UTF-8"));
        }
        names.sort();
        assert_eq!(names, ["shop.example.json", "shop.example.pem"], "nothing is left beside them");
    }

    #[test]
    fn one_orders_at_a_time() {
        let folder = tempfile::tempdir().expect("a folder");
        let storage = Storage::open(folder.path(), "https://ca.example/dir").expect("it is made");
        let lock = storage.lock().expect("it can be locked");
        assert!(lock.is_some());
        assert!(storage.lock().expect("it can be asked").is_none());
        drop(lock);
        assert!(storage.lock().expect("it can be locked").is_some());
    }

    #[test]
    fn what_cannot_be_read_is_as_if_it_were_not_there() {
        let folder = tempfile::tempdir().expect("a folder");
        let storage = Storage::open(folder.path(), "https://ca.example/dir").expect("it is made");
        for name in [ACCOUNT, "shop.example.json"] {
            fs::write(storage.0.join(name), b"{\"refused\":").expect("it is written");
        }
        assert!(storage.account().is_none());
        assert_eq!(storage.backoff("shop.example"), Backoff::default());
    }
}
