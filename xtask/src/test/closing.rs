//! What a test runner's last lines say.

/// How a step says how many tests it ran.
#[derive(Clone, Copy, Debug)]
pub(super) enum Closing {
    /// It does not: it is one test, and its exit code the result.
    Exit,
    /// `test result: ok. 12 passed; 0 failed; 1 ignored; …`, once for each test binary.
    Cargo,
    /// `ℹ pass 12` and its like, once.
    Node,
}

/// How many tests passed, failed and were skipped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Count {
    pub(super) passed: u64,
    pub(super) failed: u64,
    pub(super) skipped: u64,
}

impl Count {
    /// Something failed before it could count.
    pub(super) const FAILED: Self = Self { passed: 0, failed: 1, skipped: 0 };
    const PASSED: Self = Self { passed: 1, failed: 0, skipped: 0 };

    /// Adds another count to this one.
    pub(super) fn add(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped += other.skipped;
    }
}

impl Closing {
    /// The count of a run. A runner whose lines cannot be read, that ran nothing, or that failed without a failed test, has
    /// failed: a compile error must not look like a success.
    pub(super) fn count(self, success: bool, output: &str) -> Count {
        let read = match self {
            Self::Exit => return if success { Count::PASSED } else { Count::FAILED },
            Self::Cargo => cargo(output),
            Self::Node => node(output),
        };
        match read {
            Some(count) if count.failed == 0 && (!success || count.passed == 0) => {
                Count { failed: 1, ..count }
            }
            Some(count) => count,
            None => Count::FAILED,
        }
    }
}

fn cargo(output: &str) -> Option<Count> {
    let mut total = None;
    for line in output.lines() {
        let Some((_, counts)) = line.split_once("test result: ") else { continue };
        let number = |word: &str| {
            let part = counts.split([';', '.']).find_map(|part| part.trim().strip_suffix(word))?;
            part.trim().parse().ok()
        };
        let count =
            Count { passed: number("passed")?, failed: number("failed")?, skipped: number("ignored")? };
        total.get_or_insert_with(Count::default).add(count);
    }
    total
}

fn node(output: &str) -> Option<Count> {
    let number = |word: &str| {
        let line = output.lines().rev().find_map(|line| {
            let words = line.trim().strip_prefix(['ℹ', '#'])?.trim();
            words.strip_prefix(word)?.strip_prefix(' ')
        })?;
        line.trim().parse::<u64>().ok()
    };
    let failed = number("fail")? + number("cancelled")?;
    Some(Count { passed: number("pass")?, failed, skipped: number("skipped")? + number("todo")? })
}

#[cfg(test)]
mod tests {
    use super::*;

    const CARGO: &str = "running 2 tests\n\
        test result: ok. 12 passed; 0 failed; 1 ignored; 0 measured; 3 filtered out; finished in 0.00s\n\
        test result: ok. 3 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s\n";
    const NODE: &str = "✔ works (1ms)\nℹ tests 2\nℹ suites 0\nℹ pass 2\nℹ fail 0\nℹ cancelled 0\nℹ skipped 0\nℹ todo 0\nℹ duration_ms 9\n";

    fn count(passed: u64, failed: u64, skipped: u64) -> Count {
        Count { passed, failed, skipped }
    }

    #[test]
    fn the_lines_of_every_binary_are_added_up() {
        assert_eq!(Closing::Cargo.count(true, CARGO), count(15, 0, 1));
        let one_failed = CARGO.replace("ok. 3 passed; 0 failed", "FAILED. 2 passed; 1 failed");
        assert_eq!(Closing::Cargo.count(false, &one_failed), count(14, 1, 1));
    }

    #[test]
    fn both_forms_of_nodes_lines_are_read() {
        assert_eq!(Closing::Node.count(true, NODE), count(2, 0, 0));
        let tap = NODE.replace('ℹ', "#").replace("fail 0", "fail 1").replace("cancelled 0", "cancelled 2");
        assert_eq!(Closing::Node.count(false, &tap), count(2, 3, 0));
    }

    #[test]
    fn what_cannot_be_read_or_ran_nothing_has_failed() {
        for closing in [Closing::Cargo, Closing::Node] {
            assert_eq!(closing.count(true, ""), Count::FAILED);
            assert_eq!(closing.count(true, "test result: ok. many passed\nℹ pass x\n"), Count::FAILED);
        }
        assert_eq!(Closing::Cargo.count(false, CARGO), count(15, 1, 1), "it did not compile to the end");
        assert_eq!(Closing::Cargo.count(true, &CARGO.replace("12 p", "0 p").replace("3 p", "0 p")).failed, 1);
        assert_eq!(Closing::Exit.count(false, ""), Count::FAILED);
        assert_eq!(Closing::Exit.count(true, ""), count(1, 0, 0));
    }
}
