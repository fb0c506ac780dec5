//! What a process uses, as Linux tells it: <https://docs.kernel.org/filesystems/proc.html>.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

/// A running process.
pub(crate) struct Usage(PathBuf);

impl Usage {
    pub(crate) fn of(pid: u32) -> Self {
        Self(PathBuf::from(format!("/proc/{pid}")))
    }

    /// The processor's time that its threads have had so far.
    ///
    /// # Panics
    /// When it is not there any more.
    pub(crate) fn cpu(&self) -> Duration {
        let threads = fs::read_dir(self.0.join("task")).expect("it runs");
        // A thread that ends meanwhile has no file.
        let told =
            threads.flatten().filter_map(|thread| fs::read_to_string(thread.path().join("schedstat")).ok());
        Duration::from_nanos(told.filter_map(|told| told.split(' ').next()?.parse::<u64>().ok()).sum())
    }

    /// What of its memory is resident, in KiB.
    ///
    /// # Panics
    /// When it is not there any more.
    pub(crate) fn memory_kib(&self) -> u64 {
        let told = fs::read_to_string(self.0.join("status")).expect("it runs");
        let line = told.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("it has memory");
        line.trim().trim_end_matches(" kB").parse().expect("a number")
    }
}
