//! What an operator should know of the certificates before they are served.

use crate::{
    Error, Settings, acme,
    certificate::Certificate,
    folder::{self, Reading},
};
use std::{
    path::{Path, PathBuf},
    sync::Arc,
};
use usher_model::{UnixMs, limits};

/// Something that an operator should know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// Whether a visitor would see it now.
    pub is_error: bool,
    /// What it is. Read after `tls` it makes a sentence.
    pub what: String,
    /// What to do about it.
    pub mend: String,
}

/// Reads the folders as [`crate::Tls::start`] does. Nothing is written.
///
/// # Errors
/// When the folder of certificates cannot be read.
pub fn inspect(settings: &Settings, now: UnixMs) -> Result<Vec<Note>, Error> {
    let read =
        |path: &Path| folder::read(path).map_err(|source| Error::Folder { path: path.to_owned(), source });
    let own = settings.certificates.as_deref().map_or(Ok(Reading::default()), read)?;
    let issued: Option<PathBuf> = settings.acme.as_ref().map(acme::folder);
    // It is made when the first certificate is ordered.
    let issued = issued.map(|path| folder::read(&path).unwrap_or_default()).unwrap_or_default();
    let mut notes = Vec::new();
    for fault in own.faults.iter().chain(&issued.faults) {
        let what = format!("holds {}, which {}", fault.file.display(), fault.what);
        notes.push(Note { is_error: true, what, mend: fault.mend.clone() });
    }
    notes.extend(own.certificates.iter().filter_map(|one| of_nobody(one, &settings.hosts)));
    let all: Vec<Arc<Certificate>> = own.certificates.into_iter().chain(issued.certificates).collect();
    notes.extend(settings.hosts.iter().filter_map(|host| of_host(host, &all, settings, now)));
    Ok(notes)
}

fn of_nobody(one: &Certificate, hosts: &[String]) -> Option<Note> {
    if hosts.iter().any(|host| one.subject.covers(host)) {
        return None;
    }
    let addresses = one.subject.addresses.iter().map(ToString::to_string);
    let names: Vec<String> = one.subject.names.iter().cloned().chain(addresses).take(5).collect();
    Some(Note {
        is_error: false,
        what: format!("holds {} for {}, and no site has such a host", one.file.display(), names.join(", ")),
        mend: "add the host to a site, or take the file away".to_owned(),
    })
}

fn of_host(host: &str, certificates: &[Arc<Certificate>], settings: &Settings, now: UnixMs) -> Option<Note> {
    let is_ordered =
        settings.acme.as_ref().is_some_and(|acme| acme.hosts.iter().any(|ordered| ordered == host));
    let fitting = certificates.iter().filter(|one| one.subject.covers(host));
    let Some(best) = fitting.max_by_key(|one| one.rank(now)) else {
        return (!is_ordered).then(|| Note {
            is_error: false,
            what: format!("has no certificate for {host}, which cannot be reached by https"),
            mend: match &settings.certificates {
                Some(folder) => format!("put one for it into {}", folder.display()),
                None => "set tls.certificates to a folder that has one for it".to_owned(),
            },
        });
    };
    if is_ordered {
        return None;
    }
    let subject = &best.subject;
    let note = |is_error, word: &str, at: UnixMs| {
        let (file, at) = (best.file.display(), at.rfc3339());
        let what = format!("holds {file}, the certificate of {host}, which {word} {at}");
        Some(Note {
            is_error,
            what,
            mend: "put a newer one in its place: it is read while usher runs".to_owned(),
        })
    };
    if now < subject.not_before {
        return note(true, "begins only at", subject.not_before);
    }
    if subject.not_after <= now {
        return note(true, "ended at", subject.not_after);
    }
    if subject.is_common_name {
        return Some(Note {
            is_error: false,
            what: format!(
                "holds {}, the certificate of {host}, which names it only as its common name: browsers refuse that",
                best.file.display()
            ),
            mend: "order one with subject alternative names".to_owned(),
        });
    }
    let soon = limits::TLS_ENDING_MS.min(subject.life_ms() / 3);
    if subject.not_after.since(now) < soon { note(false, "ends at", subject.not_after) } else { None }
}
