//! A folder of certificates, as certbot, mkcert, Caddy and people leave them: pairs, bundles, and sub-folders of them.
//!
//! Certificate and key are matched by the public key, not by the files' names.

use crate::{
    certificate::{Certificate, Subject},
    pem::{self, Pem},
};
use rustls::{
    crypto::ring::sign::any_supported_type,
    sign::{CertifiedKey, SigningKey},
};
use std::{
    collections::HashMap,
    ffi::OsStr,
    fmt, fs,
    io::{self, Read},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::Arc,
};
use usher_model::limits;

/// What was found.
#[derive(Debug, Default)]
pub(crate) struct Reading {
    pub(crate) certificates: Vec<Arc<Certificate>>,
    /// Files that are of no use as they are.
    pub(crate) faults: Vec<Fault>,
}

/// A file that is of no use, why, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Fault {
    pub(crate) file: PathBuf,
    pub(crate) what: String,
    pub(crate) mend: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}; {}", self.file.display(), self.what, self.mend)
    }
}

/// How the files looked: two equal ones mean that nothing was written between them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Stamp(Vec<(PathBuf, u64, u64, i64, i64)>);

/// How the files of `folder` look now.
///
/// # Errors
/// When the folder cannot be listed.
pub(crate) fn stamp(folder: &Path) -> io::Result<Stamp> {
    let look = |path: PathBuf| {
        let told = fs::metadata(&path).ok()?;
        // A change of the file or of its name shows in the inode's own time, which nobody can set back.
        Some((path, told.ino(), told.len(), told.ctime(), told.ctime_nsec()))
    };
    Ok(Stamp(groups(folder)?.into_iter().flatten().filter_map(look).collect()))
}

/// Reads everything in `folder`.
///
/// # Errors
/// When the folder cannot be listed.
pub(crate) fn read(folder: &Path) -> io::Result<Reading> {
    let mut reading = Reading::default();
    for group in groups(folder)? {
        read_group(group, &mut reading);
    }
    Ok(reading)
}

/// The files of the folder itself, and those of each folder in it, in the order of their names. Those whose names begin with
/// a dot are somebody's unfinished work.
fn groups(folder: &Path) -> io::Result<Vec<Vec<PathBuf>>> {
    let (mut own, mut groups) = (Vec::new(), Vec::new());
    let mut entries = list(folder)?;
    entries.sort();
    for path in entries {
        if path.is_dir() {
            let mut files = list(&path).unwrap_or_default(); // it may be gone, or not be ours to read
            files.retain(|file| is_pem(file));
            files.sort();
            groups.push(files);
        } else if is_pem(&path) {
            own.push(path);
        }
    }
    groups.insert(0, own);
    Ok(groups)
}

fn list(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut paths = Vec::new();
    for entry in fs::read_dir(folder)?.take(limits::TLS_FILES) {
        let entry = entry?;
        if !entry.file_name().as_encoded_bytes().starts_with(b".") {
            paths.push(entry.path());
        }
    }
    Ok(paths)
}

fn is_pem(path: &Path) -> bool {
    let known = ["pem", "crt", "cer", "key"];
    path.extension()
        .and_then(OsStr::to_str)
        .is_some_and(|end| known.iter().any(|k| end.eq_ignore_ascii_case(k)))
}

/// A key and the file that it stands in.
type Keys = HashMap<Vec<u8>, (PathBuf, Arc<dyn SigningKey>)>;

fn read_group(files: Vec<PathBuf>, reading: &mut Reading) {
    let (mut keys, mut chains) = (Keys::new(), Vec::new());
    let mut key_files = Vec::new();
    for file in files {
        let fault = |what: &str, mend: &str| Fault {
            file: file.clone(),
            what: what.to_owned(),
            mend: mend.to_owned(),
        };
        let Pem { certificates, key } = match read_file(&file).map(|text| pem::parse(&text)) {
            Ok(Ok(pem)) => pem,
            Ok(Err((what, mend))) => {
                reading.faults.push(fault(what, mend));
                continue;
            }
            Err(error) => {
                reading.faults.push(fault(&format!("cannot be read: {error}"), "let usher's user read it"));
                continue;
            }
        };
        if let Some(key) = key {
            key_files.push(file.clone());
            match any_supported_type(&key) {
                Ok(key) => {
                    let public = key.public_key().map(|public| public.to_vec()).unwrap_or_default();
                    keys.insert(public, (file.clone(), key));
                }
                Err(_) => reading
                    .faults
                    .push(fault("holds a key of a kind that is not served", "use ECDSA P-256 or RSA 2048")),
            }
        } else if certificates.is_empty() {
            reading.faults.push(fault("holds neither certificate nor key", "write it anew"));
        }
        if !certificates.is_empty() {
            chains.push((file, certificates));
        }
    }
    for (file, chain) in chains {
        match join(&file, chain, &keys, &key_files) {
            Ok(Some(certificate)) => reading.certificates.push(Arc::new(certificate)),
            Ok(None) => {}
            Err(fault) => reading.faults.push(fault),
        }
    }
}

fn read_file(path: &Path) -> io::Result<Vec<u8>> {
    let mut text = Vec::new();
    fs::File::open(path)?.take(limits::TLS_FILE_BYTES + 1).read_to_end(&mut text)?;
    if text.len() as u64 > limits::TLS_FILE_BYTES {
        let what = format!("it is longer than {} bytes", limits::TLS_FILE_BYTES);
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, what));
    }
    Ok(text)
}

/// Puts a chain and the key of its first certificate together. Nothing when it holds authorities alone, as certbot's
/// `chain.pem` does.
fn join(
    file: &Path,
    mut chain: Vec<rustls_pki_types::CertificateDer<'static>>,
    keys: &Keys,
    key_files: &[PathBuf],
) -> Result<Option<Certificate>, Fault> {
    let fault = |what: String, mend: String| Fault { file: file.to_owned(), what, mend };
    let subjects: Option<Vec<Subject>> = chain.iter().map(Subject::read).collect();
    let Some(subjects) = subjects else {
        return Err(fault("holds a certificate that cannot be read".to_owned(), "write it anew".to_owned()));
    };
    let is_ours = |subject: &Subject| keys.contains_key(&subject.public_key);
    let at = subjects.iter().position(is_ours);
    let own_key =
        key_files.iter().find(|key| *key == file || key.with_extension("") == file.with_extension(""));
    let Some(at) = at else {
        if subjects.iter().all(|subject| subject.is_authority) && own_key.is_none() {
            return Ok(None);
        }
        let only_key = if let [only] = key_files { Some(only) } else { None };
        return Err(match own_key.or(only_key) {
            Some(key) => fault(
                format!("does not fit the key in {}", key.display()),
                "put the key there that it was ordered with, or the certificate that was ordered with that key".to_owned(),
            ),
            None => fault("has no key".to_owned(), format!("put it beside it as {}", file.with_extension("key").display())),
        });
    };
    // Authorities, which sign others, follow the certificate itself; files that have it further down exist.
    let own = chain.remove(at);
    chain.insert(0, own);
    let Some(subject) = subjects.into_iter().nth(at) else { return Ok(None) };
    if subject.names.is_empty() && subject.addresses.is_empty() {
        return Err(fault(
            "names no host (no subject alternative name)".to_owned(),
            "browsers take none without: order one that names its hosts".to_owned(),
        ));
    }
    let Some((_, key)) = keys.get(&subject.public_key) else { return Ok(None) };
    let key = Arc::new(CertifiedKey::new(chain, Arc::clone(key)));
    Ok(Some(Certificate { file: file.to_owned(), subject, key }))
}
