//! Waiting for what another process does, where no event tells.

use std::time::{Duration, Instant};

/// Long enough for a slow machine under load, short enough to be told of a hang.
const PATIENCE: Duration = Duration::from_secs(20);
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// Looks again and again until `look` finds something, for 20 seconds at most.
///
/// # Panics
/// When it finds nothing in that time; `what` says what was waited for.
pub async fn eventually<T>(what: &str, look: impl AsyncFnMut() -> Option<T>) -> T {
    eventually_within(PATIENCE, what, look).await.0
}

/// The same with a time of one's own. Answers how long it took as well.
///
/// # Panics
/// When it finds nothing in that time.
pub async fn eventually_within<T>(
    limit: Duration,
    what: &str,
    mut look: impl AsyncFnMut() -> Option<T>,
) -> (T, Duration) {
    let start = Instant::now();
    loop {
        if let Some(found) = look().await {
            return (found, start.elapsed());
        }
        assert!(start.elapsed() < limit, "waited {limit:?} in vain for this: {what}");
        tokio::time::sleep(LOOK_AGAIN).await;
    }
}

/// Shows a measurement to whoever runs the tests, of tests that pass as well (their output is otherwise kept back).
pub fn report(line: &str) {
    use std::io::Write as _;
    // Nobody listening is no reason to fail.
    let _ = writeln!(std::io::stderr(), "{line}");
}
