//! What happened, line by line, and the hash of it: two runs that differ anywhere differ in it.

use super::time::Time;
use std::{
    fmt::{self, Write as _},
    hash::Hasher,
    sync::{Arc, Mutex},
};

/// The trace of a history.
pub(crate) struct Trace {
    time: Arc<Time>,
    loudness: Loudness,
    state: Mutex<State>,
}

/// What becomes of the lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Loudness {
    /// They are not even made: there would be too many.
    Mute,
    /// They are hashed.
    Hashed,
    /// They are kept as well, to be compared.
    Kept,
    /// They are shown as well.
    Aloud,
}

#[derive(Default)]
struct State {
    /// SipHash with fixed keys.
    hasher: std::hash::DefaultHasher,
    line: String,
    lines: u64,
    kept: Vec<String>,
}

impl Trace {
    pub(crate) fn new(time: Arc<Time>, loudness: Loudness) -> Self {
        Self { time, loudness, state: Mutex::default() }
    }

    pub(crate) fn add(&self, what: fmt::Arguments<'_>) {
        if self.loudness == Loudness::Mute {
            return;
        }
        let at = self.time.passed();
        let mut state = self.state.lock().expect("whole");
        let State { hasher, line, lines, kept } = &mut *state;
        line.clear();
        let (seconds, ms) = (at / 1000, at % 1000);
        write!(line, "{seconds:>8}.{ms:03} {what}").expect("a string takes all");
        hasher.write(line.as_bytes());
        hasher.write_u8(b'\n');
        *lines += 1;
        match self.loudness {
            Loudness::Aloud => eprintln!("{line}"),
            Loudness::Kept => kept.push(line.clone()),
            Loudness::Hashed | Loudness::Mute => {}
        }
    }

    pub(crate) fn hash(&self) -> u64 {
        self.state.lock().expect("whole").hasher.finish()
    }

    pub(crate) fn take_kept(&self) -> Vec<String> {
        std::mem::take(&mut self.state.lock().expect("whole").kept)
    }

    pub(crate) fn lines(&self) -> u64 {
        self.state.lock().expect("whole").lines
    }
}

/// Adds a line to a trace.
macro_rules! say {
    ($trace:expr, $($what:tt)*) => { $trace.add(format_args!($($what)*)) };
}
pub(crate) use say;
