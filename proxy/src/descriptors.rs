//! File descriptors: as many as the system grants, and how many connections that makes.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use usher_model::limits;

/// Raises the limit of this process to what the system grants without asking, and says how many connections may be open.
pub(crate) fn connections() -> usize {
    let limit = getrlimit(Resource::Nofile);
    if limit.current != limit.maximum
        && let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit })
    {
        tracing::warn!(%error, "cannot raise the limit of file descriptors");
    }
    // None stands for no limit.
    let descriptors = getrlimit(Resource::Nofile).current.and_then(|limit| usize::try_from(limit).ok());
    let connections = descriptors.map_or(limits::CONNECTIONS, affordable);
    if connections < limits::CONNECTIONS {
        let wanted = limits::CONNECTIONS + limits::DESCRIPTORS_RESERVED;
        tracing::warn!(
            connections,
            wanted,
            "fewer connections than usual: raise the limit of file descriptors (ulimit -n)"
        );
    }
    connections
}

/// Of few descriptors, half are left to everything else.
fn affordable(descriptors: usize) -> usize {
    let reserved = limits::DESCRIPTORS_RESERVED.min(descriptors / 2);
    (descriptors - reserved).min(limits::CONNECTIONS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_leave_descriptors_to_others() {
        for (descriptors, connections) in
            [(0, 0), (1_024, 512), (4_096, 2_048), (10_000, 6_000), (20_000, 16_000), (1 << 20, 16_000)]
        {
            assert_eq!(affordable(descriptors), connections, "{descriptors}");
        }
    }
}
