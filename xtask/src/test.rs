//! `cargo xtask test`: everything that has to hold, in one run.

use std::{
    env, fs,
    io::{self, BufRead as _, BufReader, Write as _},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};

mod closing;
pub(crate) mod tools;

use closing::{Closing, Count};

/// What is promised, tried at a small size. It takes minutes and keeps both cores busy: a step of its own, so that it disturbs
/// no test that measures time.
const PROOF: &str = "::proof";
/// What `--quick` leaves out.
const SLOW: &[&str] = &["proof", "wasm", "browser"];
/// In CI a step that hangs is ended, so that the others still run. Minutes.
const STEP_LONGEST: &str = "40m";

/// Options of `cargo xtask test`.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Leave out what takes minutes: proofs, real browsers, the rebuild of the WebAssembly
    #[arg(long)]
    quick: bool,
    /// Only one step
    #[arg(long, value_name = "STEP", conflicts_with = "quick")]
    #[arg(value_parser = ["format", "clippy", "test", "snippet", "api", "proof", "wasm", "browser"])]
    only: Option<String>,
}

impl Options {
    fn wants(&self, step: &str) -> bool {
        self.only.as_ref().is_none_or(|only| only == step) && !(self.quick && SLOW.contains(&step))
    }
}

/// Something that has to hold.
struct Step {
    name: &'static str,
    command: Command,
    closing: Closing,
}

/// What became of a step.
struct Outcome {
    name: &'static str,
    count: Count,
    took: Duration,
}

/// Installs what is missing, runs every step whatever became of the others, and says what came out.
///
/// # Errors
/// When something failed, or could not be run: nothing is skipped in silence.
pub(crate) fn run(options: &Options) -> Result<()> {
    let root = root()?;
    tools::prepare(&root, |step| options.wants(step))?;
    let usher = build(&root)?;
    let mut outcomes = Vec::new();
    for step in plan(&root, &usher)?.into_iter().filter(|step| options.wants(step.name)) {
        outcomes.push(carry_out(step));
    }
    let total = summary(&outcomes, options);
    ensure!(total.failed == 0, "{} of the above failed", total.failed);
    Ok(())
}

/// Every step, the quick ones first.
fn plan(root: &Path, usher: &Path) -> Result<Vec<Step>> {
    let tests = |more: &[&str]| {
        let mut command = cargo(root, &["test", "--workspace", "--locked", "--no-fail-fast"]);
        command.args(more).env("USHER_BIN", usher);
        command
    };
    let clippy = ["clippy", "--workspace", "--all-targets", "--locked", "--", "-D", "warnings"];
    let mut browsers = node(&root.join("tests/browser"))?;
    browsers.env("USHER_BIN", usher).env("CHROMIUM", tools::CHROMIUM);
    let mut api = node(&root.join("tests/api"))?;
    api.env("USHER_BIN", usher).env("SCHEMATHESIS", tools::schemathesis(root));
    Ok(vec![
        Step::new("format", cargo(root, &["fmt", "--all", "--check"]), Closing::Exit),
        Step::new("clippy", cargo(root, &clippy), Closing::Exit),
        Step::new("test", tests(&["--", "--skip", PROOF]), Closing::Cargo),
        Step::new("snippet", node(&root.join("snippet/test"))?, Closing::Node),
        Step::new("api", api, Closing::Node),
        Step::new("proof", tests(&["--test", "proof", "--", PROOF, "--test-threads", "1"]), Closing::Cargo),
        Step::new("wasm", cargo(root, &["xtask", "snippet", "--check"]), Closing::Exit),
        Step::new("browser", browsers, Closing::Node),
    ])
}

impl Step {
    fn new(name: &'static str, command: Command, closing: Closing) -> Self {
        Self { name, command, closing }
    }
}

/// The binary under test, built with the workspace's features so that the tests do not build its libraries again.
fn build(root: &Path) -> Result<PathBuf> {
    say("building the binary under test")?;
    let built = cargo(root, &["build", "--workspace", "--bins", "--locked"]).status()?;
    ensure!(built.success(), "the binary under test does not build");
    let binary = target(root).join("debug/usher");
    ensure!(binary.is_file(), "{} is not where cargo puts it", binary.display());
    Ok(binary)
}

/// Where cargo builds.
fn target(root: &Path) -> PathBuf {
    root.join(env::var_os("CARGO_TARGET_DIR").unwrap_or_else(|| "target".into()))
}

pub(crate) fn cargo(root: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(arguments).current_dir(root);
    command
}

/// Node's test runner on a folder's `*.test.mjs`, one file at a time.
fn node(folder: &Path) -> Result<Command> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).with_context(|| format!("{} holds tests", folder.display()))? {
        let name = entry?.file_name();
        if name.to_string_lossy().ends_with(".test.mjs") {
            files.push(name);
        }
    }
    ensure!(!files.is_empty(), "{} holds no tests", folder.display());
    files.sort();
    let mut command = Command::new("node");
    command.args(["--test", "--test-concurrency=1", "--test-reporter=spec"]).args(files).current_dir(folder);
    Ok(command)
}

/// Runs a step, shows what it prints, and reads its count from its last lines.
fn carry_out(mut step: Step) -> Outcome {
    let start = Instant::now();
    let ran = say(&format!("{}: {:?}", step.name, step.command)).and_then(|()| shown(&mut step.command));
    let count = match ran {
        Ok((success, output)) => step.closing.count(success, &output),
        Err(error) => {
            // The count below says that it failed; this says why.
            let _ = say(&format!("{} could not be run: {error:#}", step.name));
            Count::FAILED
        }
    };
    Outcome { name: step.name, count, took: start.elapsed() }
}

/// Runs a command with no standard input; its standard output is shown as it comes, and kept.
fn shown(command: &mut Command) -> Result<(bool, String)> {
    let mut limited = limited(command);
    let command = limited.as_mut().unwrap_or(command);
    let mut child =
        command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().context("it does not start")?;
    let pipe = child.stdout.take().context("its output was asked for")?;
    let mut kept = String::new();
    for line in BufReader::new(pipe).split(b'\n') {
        let line = String::from_utf8_lossy(&line?).into_owned();
        writeln!(io::stdout(), "{line}")?;
        kept.push_str(&line);
        kept.push('\n');
    }
    Ok((child.wait()?.success(), kept))
}

/// The same command with an end, in CI. At a terminal whoever waits decides.
fn limited(command: &Command) -> Option<Command> {
    env::var_os("CI")?;
    let mut limited = Command::new("timeout");
    limited.args(["--kill-after=30s", STEP_LONGEST]).arg(command.get_program()).args(command.get_args());
    limited.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    if let Some(folder) = command.get_current_dir() {
        limited.current_dir(folder);
    }
    Some(limited)
}

/// Prints the table and, last, the line that counts.
fn summary(outcomes: &[Outcome], options: &Options) -> Count {
    let mut text = String::from("\n");
    let mut total = Count::default();
    for Outcome { name, count, took } in outcomes {
        let mark = if count.failed == 0 { "ok" } else { "FAILED" };
        let Count { passed, failed, skipped } = count;
        let seconds = took.as_secs();
        text += &format!(
            "{name:8} {passed:>5} passed {failed:>4} failed {skipped:>4} skipped {seconds:>5} s  {mark}\n"
        );
        total.add(*count);
    }
    if options.quick {
        text += &format!("left out by --quick: {}\n", SLOW.join(", "));
    }
    if let Some(only) = &options.only {
        text += &format!("left out by --only: everything but {only}\n");
    }
    text += &format!("\n{} passed, {} failed\n", total.passed, total.failed);
    // Without a reader there is nobody to tell; the exit code still says it.
    let _ = io::stdout().write_all(text.as_bytes());
    total
}

pub(crate) fn say(line: &str) -> Result<()> {
    writeln!(io::stdout(), "\n=== {line}")?;
    Ok(())
}

pub(crate) fn root() -> Result<PathBuf> {
    let own = Path::new(env!("CARGO_MANIFEST_DIR"));
    own.parent().map(Path::to_owned).context("xtask stands in the repository")
}
