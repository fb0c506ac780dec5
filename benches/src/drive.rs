//! wrk, the same for everybody.

use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context as _, ensure};
use serde::Deserialize;

use crate::{contestants::Contestant, scenario::Scenario};

/// wrk's threads; the machine has as many cores.
const THREADS: u32 = 2;
/// Connections, each with one request under way.
const CONNECTIONS: u32 = 32;
/// Visitors set aside for one round, so that none comes twice; more than wrk can send in it.
const VISITORS_A_ROUND: u32 = 8_000_000;

/// What a turn came to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Measured {
    pub(crate) requests: u64,
    pub(crate) per_second: f64,
    pub(crate) p99_ms: f64,
    /// Processor time of the server, in millionths of a second a request.
    pub(crate) cpu_us: f64,
}

/// One turn.
pub(crate) struct Load<'a> {
    pub(crate) script: &'a Path,
    pub(crate) scenario: &'a Scenario,
    pub(crate) round: u32,
    pub(crate) seconds: u32,
}

#[derive(Deserialize)]
struct Report {
    requests: u32,
    duration_us: u32,
    p99_us: u32,
    failed: u32,
}

/// Puts wrk's script where wrk can read it.
pub(crate) fn script(folder: &Path) -> anyhow::Result<PathBuf> {
    let path = folder.join("drive.lua");
    std::fs::write(&path, include_str!("../drive.lua"))?;
    Ok(path)
}

impl Load<'_> {
    /// Puts the load on a contestant.
    ///
    /// # Errors
    /// When wrk does not run, or any answer is not a good one.
    pub(crate) fn on(&self, contestant: &Contestant<'_>) -> anyhow::Result<Measured> {
        let cpu_before = contestant.process.cpu_seconds()?;
        let output = self.wrk(contestant).stderr(Stdio::inherit()).output().context("wrk does not start")?;
        let cpu = contestant.process.cpu_seconds()? - cpu_before;
        let text = String::from_utf8_lossy(&output.stdout);
        let line = text.lines().find_map(|line| line.strip_prefix("MEASURED "));
        let report: Report =
            serde_json::from_str(line.with_context(|| format!("wrk measured nothing: {text}"))?)?;
        ensure!(report.failed == 0 && report.requests > 0, "not every answer was good: {text}");
        let requests = f64::from(report.requests);
        Ok(Measured {
            requests: report.requests.into(),
            per_second: requests / (f64::from(report.duration_us) / 1e6),
            p99_ms: f64::from(report.p99_us) / 1e3,
            cpu_us: cpu * 1e6 / requests,
        })
    }

    fn wrk(&self, contestant: &Contestant<'_>) -> Command {
        let Scenario { method, fields, body, new_visitors, .. } = self.scenario;
        let mut wrk = Command::new("wrk");
        wrk.args(["--threads", &THREADS.to_string(), "--connections", &CONNECTIONS.to_string()]);
        wrk.args(["--duration", &format!("{}s", self.seconds), "--script"]).arg(self.script);
        for (name, value) in fields {
            wrk.args(["--header", &format!("{name}: {value}")]);
        }
        wrk.arg(format!("http://{}{}", contestant.address, contestant.path));
        let first_visitor = (self.round * VISITORS_A_ROUND).to_string();
        wrk.args(["--", method, body, if *new_visitors { "new" } else { "same" }, &first_visitor]);
        wrk
    }
}
