//! `strace` around the edge: it stops the process at a system call that is counted, or makes that call fail, or writes down
//! what was called.
//!
//! With `-D` the process that is started becomes the edge and strace its grandchild, so that signals go where they should.
//! Counts are kept for each thread and each system call apart (`strace(1)`, "Tampering").

use std::ops::RangeInclusive;
use std::path::Path;

/// What of the edge's files a system call writes; every make of the store's engine uses some of them.
pub const WRITES: &[&str] = &["pwrite64", "ftruncate", "unlink"];
/// What makes that last.
pub const SYNCS: &[&str] = &["fsync", "fdatasync"];

/// The edge is killed when a thread of it is about to make that call for the `at`th time. The call is not made any more.
#[must_use]
pub fn kill_at(call: &str, at: usize) -> Vec<String> {
    inject(call, &format!("signal=SIGKILL:when={at}"), Path::new("/dev/null"))
}

/// That call fails with `error`, such as `EIO`, the first to the last time of `when` that a thread makes it. Every time that
/// it is made is written down to `file`.
#[must_use]
pub fn fail_at(call: &str, error: &str, when: &RangeInclusive<usize>, file: &Path) -> Vec<String> {
    inject(call, &format!("error={error}:when={}..{}", when.start(), when.end()), file)
}

/// Writes down every call of these, with all bytes in hexadecimal, to `file`.
#[must_use]
pub fn record(calls: &[&str], file: &Path) -> Vec<String> {
    let mut words = strace(&calls.join(","), file);
    words.extend(["--seccomp-bpf", "-xx", "-s", "1048576"].map(str::to_owned));
    words
}

/// The same, while a call fails as [`fail_at`] says.
#[must_use]
pub fn record_failing(calls: &[&str], file: &Path, call: &str, error: &str, when: usize) -> Vec<String> {
    let mut words = strace(&calls.join(","), file);
    words.extend(["-xx", "-s", "1048576", "-e"].map(str::to_owned));
    words.push(format!("inject={call}:error={error}:when={when}"));
    words
}

// Not with --seccomp-bpf: strace 6.1 does not count further than to one with it.
fn inject(call: &str, what: &str, file: &Path) -> Vec<String> {
    let mut words = strace(call, file);
    words.extend(["-e".to_owned(), format!("inject={call}:{what}")]);
    words
}

fn strace(calls: &str, file: &Path) -> Vec<String> {
    let file = file.display().to_string();
    ["strace", "-D", "-f", "-qq", "-o", &file, "-e", &format!("trace={calls}")].map(str::to_owned).to_vec()
}
