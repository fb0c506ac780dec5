//! What the folders hold, as far as it could be read: a file that is half written or was spoilt keeps what it held before.

use crate::{
    Error,
    certificate::Certificate,
    folder::{self, Stamp},
};
use std::{
    collections::{HashMap, HashSet},
    path::{Path, PathBuf},
    sync::Arc,
};

/// Which folders have to be there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Need {
    /// All: somebody has just named them.
    Every,
    /// None: what is gone meanwhile keeps nothing else from being served.
    None,
}

/// The certificates of some folders.
#[derive(Debug, Default)]
pub(crate) struct Shelf {
    held: HashMap<PathBuf, Arc<Certificate>>,
    /// How the folders looked before they were read.
    read_at: Vec<Option<Stamp>>,
    /// How they looked last, when they looked otherwise.
    changing: Option<Vec<Option<Stamp>>>,
    /// What is wrong and has been said.
    told: HashSet<String>,
}

impl Shelf {
    /// Reads all of `folders` and says in the log, once, what is of no use.
    ///
    /// # Errors
    /// When a folder cannot be listed that [`Need::Every`] asks for; then all stays as it was.
    pub(crate) fn read(&mut self, folders: &[&Path], need: Need) -> Result<Vec<Arc<Certificate>>, Error> {
        // Looked at before it is read: what is written meanwhile shows as a change.
        let read_at = stamps(folders);
        let (mut held, mut wrong) = (HashMap::new(), HashSet::new());
        for path in folders {
            let reading = match folder::read(path) {
                Ok(reading) => reading,
                Err(source) => {
                    let error = Error::Folder { path: path.to_path_buf(), source };
                    if need == Need::Every {
                        return Err(error);
                    }
                    wrong.insert(format!("{error}; those read before are served on"));
                    let of_it = self.held.iter().filter(|(file, _)| file.starts_with(path));
                    held.extend(of_it.map(|(file, one)| (file.clone(), Arc::clone(one))));
                    continue;
                }
            };
            for fault in &reading.faults {
                wrong.insert(fault.to_string());
                if let Some(before) = self.held.get(&fault.file) {
                    held.insert(fault.file.clone(), Arc::clone(before));
                }
            }
            held.extend(reading.certificates.into_iter().map(|one| (one.file.clone(), one)));
        }
        for what in wrong.difference(&self.told) {
            tracing::warn!("certificates: {what}");
        }
        self.told = wrong;
        (self.held, self.read_at, self.changing) = (held, read_at, None);
        Ok(self.held.values().cloned().collect())
    }

    /// Whether the folders changed since they were read, and look as they did the last time this was asked: what is being
    /// written is left alone until it is done.
    pub(crate) fn has_settled_anew(&mut self, folders: &[&Path]) -> bool {
        let now = stamps(folders);
        if now == self.read_at {
            self.changing = None;
            return false;
        }
        let settled = self.changing.as_ref() == Some(&now);
        self.changing = Some(now);
        settled
    }
}

fn stamps(folders: &[&Path]) -> Vec<Option<Stamp>> {
    folders.iter().map(|path| folder::stamp(path).ok()).collect()
}
