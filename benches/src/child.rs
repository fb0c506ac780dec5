//! Processes that end when their owner lets go of them.

use std::{
    fs,
    io::{BufRead as _, BufReader, Read},
    net::SocketAddr,
    process::{Child, Command},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use anyhow::Context as _;

/// Clock ticks of `/proc/PID/stat` in a second (`USER_HZ`, <https://man7.org/linux/man-pages/man5/proc_pid_stat.5.html>).
const TICKS_A_SECOND: f64 = 100.0;

/// A process. Dropping it kills it, by its id.
pub(crate) struct Running {
    child: Child,
    /// Ends the process in order, so that it can take its own children along; it is killed where that is not needed.
    farewell: Option<Command>,
}

impl Running {
    pub(crate) fn start(command: &mut Command, farewell: Option<Command>) -> anyhow::Result<Self> {
        let child =
            command.spawn().with_context(|| format!("{} does not start", command.get_program().display()))?;
        Ok(Self { child, farewell })
    }

    /// The process itself, to take its pipes from.
    pub(crate) const fn child(&mut self) -> &mut Child {
        &mut self.child
    }

    /// Processor seconds that the process and its own children have used.
    pub(crate) fn cpu_seconds(&self) -> anyhow::Result<f64> {
        let own = self.child.id();
        let mut ticks = 0;
        for entry in fs::read_dir("/proc")? {
            // Other processes come and go while this looks.
            let Ok(stat) = fs::read_to_string(entry?.path().join("stat")) else { continue };
            let Some(process) = Stat::read(&stat) else { continue };
            if process.pid == own || process.parent == own {
                ticks += process.ticks;
            }
        }
        #[expect(clippy::cast_precision_loss, reason = "ticks of a process that lives for minutes")]
        Ok(ticks as f64 / TICKS_A_SECOND)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let left =
            self.farewell.as_mut().is_some_and(|farewell| farewell.status().is_ok_and(|s| s.success()));
        if !left {
            let _ = self.child.kill(); // it has ended already
        }
        let _ = self.child.wait();
    }
}

/// Reads lines until one says where the process listens (`marker` and the address), then counts warnings in the rest.
///
/// # Errors
/// When the stream ends first.
pub(crate) fn address_in(
    stream: impl Read + Send + 'static,
    marker: &str,
) -> anyhow::Result<(SocketAddr, Arc<AtomicUsize>)> {
    let mut lines = BufReader::new(stream).lines();
    let mut seen = String::new();
    let address = loop {
        let line = lines.next().with_context(|| format!("it ended before it listened:\n{seen}"))??;
        if let Some((_, rest)) = line.split_once(marker) {
            let word = rest.split([' ', ',']).next().unwrap_or_default();
            break word.parse().with_context(|| format!("{word} is no address"))?;
        }
        seen += &format!("{line}\n");
    };
    let warnings = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&warnings);
    // A pipe that nobody reads would stop the process.
    thread::spawn(move || {
        for line in lines.map_while(Result::ok) {
            if line.contains(" WARN ") || line.contains(" ERROR ") {
                counter.fetch_add(1, Ordering::Relaxed);
            }
        }
    });
    Ok((address, warnings))
}

/// What `/proc/PID/stat` says, as far as it is asked for.
struct Stat {
    pid: u32,
    parent: u32,
    /// In user and kernel mode together.
    ticks: u64,
}

impl Stat {
    fn read(text: &str) -> Option<Self> {
        let (pid, _) = text.split_once(' ')?;
        // The name stands in brackets and may hold anything.
        let (_, rest) = text.rsplit_once(") ")?;
        let mut words = rest.split(' ');
        let parent = words.nth(1)?.parse().ok()?;
        let user: u64 = words.nth(9)?.parse().ok()?;
        let kernel: u64 = words.next()?.parse().ok()?;
        Some(Self { pid: pid.parse().ok()?, parent, ticks: user + kernel })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fields_of_stat_are_counted_from_the_last_bracket() {
        let text = "4711 (a b) c) S 42 3 4 5 6 7 8 9 10 11 700 33 14 15 16\n";
        let stat = Stat::read(text).expect("a process");
        assert_eq!((stat.pid, stat.parent, stat.ticks), (4711, 42, 733));
        assert!(Stat::read("").is_none());
    }
}
