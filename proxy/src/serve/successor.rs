//! The process that takes this one's place: the same program with the same arguments, which may be a newer file by now.

use super::{
    channel::{Channel, Word},
    predecessor,
    sockets::Socket,
};
use anyhow::{Context, ensure};
use std::{
    env,
    ffi::{OsStr, OsString},
    fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    process::{Child, Command},
    time::Duration,
};
use usher_model::limits;

/// How this process was started. Found out at its start: a file that was replaced has no name any more.
pub(super) struct Program {
    path: PathBuf,
    arguments: Vec<OsString>,
}

impl Program {
    /// The program of this process, by the path that it was called by, so that a link which points elsewhere by then is
    /// followed anew.
    ///
    /// # Errors
    /// When it cannot be told.
    pub(super) fn of_this_process() -> anyhow::Result<Self> {
        let mut words = env::args_os();
        let called = words.next().unwrap_or_default();
        let running = env::current_exe().context("cannot tell which program this is")?;
        // Whoever starts it may have called it by any name.
        let path = find(&called).filter(|path| is_same(path, &running)).unwrap_or(running);
        Ok(Self { path, arguments: words.collect() })
    }
}

/// Whether both are one file.
fn is_same(a: &Path, b: &Path) -> bool {
    let identity = |path: &Path| fs::metadata(path).ok().map(|file| (file.dev(), file.ino()));
    identity(a).is_some_and(|file| identity(b) == Some(file))
}

/// What a shell would run for that word.
fn find(called: &OsStr) -> Option<PathBuf> {
    let is_path = called.as_encoded_bytes().contains(&b'/');
    let absolute = |path: PathBuf| std::path::absolute(path).ok().filter(|path| path.is_file());
    if is_path {
        return absolute(PathBuf::from(called));
    }
    env::split_paths(&env::var_os("PATH")?).find_map(|folder| absolute(folder.join(called)))
}

/// A successor on its way. When it is dropped before it serves, it is stopped.
pub(super) struct Successor {
    child: Child,
    channel: Channel,
    is_needed: bool,
}

impl Successor {
    /// Starts it, passes it the sockets and waits until it says that it can take over.
    ///
    /// # Errors
    /// When it does not come so far; nothing has changed then.
    pub(super) async fn start(program: &Program, sockets: &[Socket]) -> anyhow::Result<Self> {
        ensure!(
            std::process::id() != 1,
            "this is the container's first process, and the container ends with it: replace the container"
        );
        let (channel, stdin) = Channel::pair()?;
        channel.send(sockets)?;
        let child = spawn(program, stdin)?;
        let mut successor = Self { child, channel, is_needed: false };
        let patience = Duration::from_millis(limits::SUCCESSOR_READY_MS);
        successor.channel.hear(Word::Ready, patience).await?;
        Ok(successor)
    }

    pub(super) fn process(&self) -> u32 {
        self.child.id()
    }

    /// The store is free: waits until it serves.
    ///
    /// # Errors
    /// When it does not; it has been stopped then.
    pub(super) async fn take(mut self) -> anyhow::Result<()> {
        self.channel.say(Word::Take).await?;
        let patience = Duration::from_millis(limits::SUCCESSOR_SERVES_MS);
        self.channel.hear(Word::Serving, patience).await?;
        self.is_needed = true;
        Ok(())
    }
}

impl Drop for Successor {
    fn drop(&mut self) {
        if !self.is_needed {
            // It may have ended by itself. Two processes must not serve, so its end is waited for; it takes no time.
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

fn spawn(program: &Program, stdin: std::os::fd::OwnedFd) -> anyhow::Result<Child> {
    let Program { path, arguments } = program;
    Command::new(path)
        .args(arguments)
        .env(predecessor::VARIABLE, std::process::id().to_string())
        // What systemd passed was for this process.
        .env_remove("LISTEN_PID")
        .env_remove("LISTEN_FDS")
        .env_remove("LISTEN_FDNAMES")
        .stdin(stdin)
        .spawn()
        .with_context(|| format!("cannot start {}", Path::new(path).display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_looked_up_as_a_shell_does() {
        let shell = find(OsStr::new("sh")).expect("there is a shell");
        assert!(shell.is_absolute() && is_same(&shell, Path::new("/bin/sh")));
        assert!(find(OsStr::new("no-such-program-anywhere")).is_none());
        assert!(find(OsStr::new("./no-such-program")).is_none());
        let own = env::current_exe().expect("a program");
        assert!(!is_same(&shell, &own) && is_same(&own, &own));
    }
}
