//! A child process: what it says is kept, and it ends with its handle.

use std::collections::VecDeque;
use std::io::{BufRead as _, BufReader, Read};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;

use crate::watchdog;

/// How long a process may take to say what it is waited for.
const PATIENCE: Duration = Duration::from_secs(30);
/// How many lines of a process are kept.
const LINES_KEPT: usize = 2_000;
/// How many of them a failing test prints.
const LINES_SHOWN: usize = 40;

/// A running child process. Dropping it kills it; in a test that fails its last lines are printed first.
pub struct Process {
    name: String,
    child: Child,
    /// The process that has taken its place.
    heir: Option<u32>,
    said: Arc<Said>,
    over: bool,
}

#[derive(Default)]
struct Said {
    lines: Mutex<VecDeque<String>>,
    /// Lines that are not kept any more.
    dropped: AtomicUsize,
    /// Standard output and standard error that are at their end.
    ended: AtomicUsize,
    more: Notify,
}

impl Process {
    /// Starts it with no standard input; `name` is for people.
    ///
    /// # Panics
    /// When it cannot be started.
    #[must_use]
    pub fn start(name: &str, command: &mut Command) -> Self {
        Self::start_on(name, command, Stdio::null())
    }

    /// Starts it on that standard input.
    ///
    /// # Panics
    /// When it cannot be started.
    #[must_use]
    pub fn start_on(name: &str, command: &mut Command, stdin: impl Into<Stdio>) -> Self {
        command.stdin(stdin).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap_or_else(|error| panic!("cannot start {command:?}: {error}"));
        watchdog::watch(child.id());
        let said = Arc::new(Said::default());
        listen(child.stdout.take(), Arc::clone(&said));
        listen(child.stderr.take(), Arc::clone(&said));
        Self { name: name.to_owned(), child, heir: None, said, over: false }
    }

    /// Waits for a line, on standard output or standard error, in which `find` finds something.
    ///
    /// # Panics
    /// When the process ends or half a minute passes first.
    pub async fn said<T>(&self, what: &str, find: impl Fn(&str) -> Option<T>) -> T {
        let found = self.said_or_ended(what, find).await;
        found.unwrap_or_else(|| panic!("{} ended before it said {what}", self.name))
    }

    /// The same for a process that may end first: then `None`.
    ///
    /// # Panics
    /// When half a minute passes first.
    pub async fn said_or_ended<T>(&self, what: &str, find: impl Fn(&str) -> Option<T>) -> Option<T> {
        self.look(0, what, find).await
    }

    async fn look<T>(&self, before: usize, what: &str, find: impl Fn(&str) -> Option<T>) -> Option<T> {
        let found = async {
            loop {
                let more = self.said.more.notified();
                let mut more = std::pin::pin!(more);
                more.as_mut().enable();
                let ended = self.said.ended.load(Ordering::SeqCst) == 2;
                let found = {
                    let lines = self.said.lock();
                    let skipped = before.saturating_sub(self.said.dropped.load(Ordering::SeqCst));
                    lines.iter().skip(skipped).find_map(|line| find(line))
                };
                if found.is_some() || ended {
                    return found;
                }
                more.await;
            }
        };
        let found = tokio::time::timeout(PATIENCE, found).await;
        found.unwrap_or_else(|_| panic!("{} did not say {what} within {PATIENCE:?}", self.name))
    }

    /// How much it has said, for [`Self::said_after`].
    #[must_use]
    pub fn said_so_far(&self) -> usize {
        let lines = self.said.lock();
        self.said.dropped.load(Ordering::SeqCst) + lines.len()
    }

    /// The same as [`Self::said`] for what it says after that.
    ///
    /// # Panics
    /// When the process ends or half a minute passes first.
    pub async fn said_after<T>(&self, before: usize, what: &str, find: impl Fn(&str) -> Option<T>) -> T {
        let found = self.look(before, what, find).await;
        found.unwrap_or_else(|| panic!("{} ended before it said {what}", self.name))
    }

    /// Waits until nothing that it started, nor itself, can say anything more.
    ///
    /// # Panics
    /// When half a minute passes first.
    pub async fn silent(&self) {
        self.said_or_ended("its last word", |_| None::<()>).await;
    }

    /// Everything it has said so far and is still kept.
    #[must_use]
    pub fn transcript(&self) -> String {
        self.said.lock().iter().map(|line| format!("{line}\n")).collect()
    }

    /// Its process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.heir.unwrap_or_else(|| self.child.id())
    }

    /// Another process has taken its place, and says what it says where this one did. Signals go to that one from now on,
    /// and it ends with the handle.
    pub fn succeeded_by(&mut self, process: u32) {
        watchdog::watch(process);
        if let Some(earlier) = self.heir.replace(process) {
            watchdog::forget(earlier);
        }
    }

    /// Sends a signal by its name, such as `STOP`.
    ///
    /// # Panics
    /// When it cannot be sent.
    pub fn signal(&self, name: &str) {
        let sent = Command::new("sh").args(["-c", &format!("kill -{name} {}", self.pid())]).status();
        assert!(sent.is_ok_and(|status| status.success()), "cannot send {name} to {}", self.name);
    }

    /// Kills it as `kill -9` does, and waits until it is gone.
    pub fn kill(&mut self) {
        if !self.over {
            self.over = true;
            // It may have ended by itself: then there is nothing to kill, and the wait takes its status.
            let _ = self.child.kill();
            let _ = self.child.wait();
            watchdog::forget(self.child.id());
            if let Some(heir) = self.heir {
                let _ =
                    Command::new("kill").args(["-KILL", &heir.to_string()]).stderr(Stdio::null()).status();
                wait_for_the_end(heir);
                watchdog::forget(heir);
            }
        }
    }

    /// How it ended by itself; `None` while it runs, and when it was killed through its handle.
    pub fn status(&mut self) -> Option<ExitStatus> {
        if self.over { None } else { self.child.try_wait().ok().flatten() }
    }

    /// Whether it still runs.
    pub fn runs(&mut self) -> bool {
        !self.over && self.heir.map_or_else(|| matches!(self.child.try_wait(), Ok(None)), is_running)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() {
            let lines = self.said.lock();
            let skipped = lines.len().saturating_sub(LINES_SHOWN);
            eprintln!("--- the last lines of {} ---", self.name);
            for line in lines.iter().skip(skipped) {
                eprintln!("{line}");
            }
        }
    }
}

impl Said {
    fn lock(&self) -> std::sync::MutexGuard<'_, VecDeque<String>> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[expect(clippy::disallowed_methods, reason = "no event tells of the end of a process that is no child")]
fn wait_for_the_end(process: u32) {
    while is_running(process) {
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Whether that process, which is no child of ours, has not ended.
fn is_running(process: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    // The state stands behind the name, which stands in brackets.
    let state = stat.rsplit_once(") ").and_then(|(_, rest)| rest.chars().next());
    state.is_some_and(|state| !matches!(state, 'Z' | 'X'))
}

/// Keeps what comes out of a pipe, line by line, until it ends.
fn listen(pipe: Option<impl Read + Send + 'static>, said: Arc<Said>) {
    let pipe = pipe.expect("the pipe was asked for at the start");
    std::thread::spawn(move || {
        for line in BufReader::new(pipe).split(b'\n') {
            let Ok(line) = line else { break };
            let mut lines = said.lock();
            if lines.len() == LINES_KEPT {
                lines.pop_front();
                said.dropped.fetch_add(1, Ordering::SeqCst);
            }
            lines.push_back(String::from_utf8_lossy(&line).into_owned());
            drop(lines);
            said.more.notify_waiters();
        }
        said.ended.fetch_add(1, Ordering::SeqCst);
        said.more.notify_waiters();
    });
}
