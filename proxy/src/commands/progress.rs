//! How far long work is: a bar on a terminal, nothing on a pipe.

use std::io::{self, IsTerminal, Write};

/// How many signs the bar has.
const SIGNS: u64 = 30;

/// A bar on standard error that is drawn over itself.
pub(super) struct Progress {
    /// How much there is to do, when it is known.
    total: Option<u64>,
    /// What is done then, such as `set going`.
    done: &'static str,
    shown: bool,
}

impl Progress {
    /// A bar, when somebody is there to watch it.
    pub(super) fn new(total: Option<u64>, done: &'static str) -> Self {
        Self { total, done, shown: io::stderr().is_terminal() }
    }

    /// Shows that so many are done.
    pub(super) fn at(&self, count: u64) {
        if self.shown {
            // Whoever watched may have closed the terminal: the work goes on.
            let _ = write!(io::stderr(), "\r{}", line(count, self.total, self.done));
        }
    }
}

impl Drop for Progress {
    /// Leaves the line, so that what follows has one of its own.
    fn drop(&mut self) {
        if self.shown {
            let _ = writeln!(io::stderr());
        }
    }
}

fn line(count: u64, total: Option<u64>, done: &str) -> String {
    // More may have come in since they were counted.
    let Some(total) = total.map(|total| total.max(count)).filter(|total| *total > 0) else {
        return format!("{count} {done}");
    };
    let full = u128::from(SIGNS) * u128::from(count) / u128::from(total);
    let bar: String = (0..u128::from(SIGNS)).map(|sign| if sign < full { '#' } else { '.' }).collect();
    format!("[{bar}] {count} of {total} {done}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bar_fills_up_and_never_runs_over() {
        assert_eq!(line(0, Some(4), "done"), format!("[{}] 0 of 4 done", ".".repeat(30)));
        assert_eq!(line(2, Some(4), "done"), format!("[{}{}] 2 of 4 done", "#".repeat(15), ".".repeat(15)));
        assert_eq!(line(5, Some(4), "done"), format!("[{}] 5 of 5 done", "#".repeat(30)));
        assert_eq!(line(u64::MAX, Some(1), "x"), format!("[{}] {m} of {m} x", "#".repeat(30), m = u64::MAX));
        assert_eq!((line(0, Some(0), "x"), line(7, None, "x")), ("0 x".to_owned(), "7 x".to_owned()));
    }
}
