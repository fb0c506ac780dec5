//! The house rules that no compiler checks.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use usher_tests::repository;

/// The floors, lowest first. A crate may use crates of lower floors only; the last floor holds what stands outside the
/// product and may use all of it.
const FLOORS: [&[&str]; 7] = [
    &["referral"],
    &["usher-model"],
    &[
        "usher-providers",
        "usher-upstream",
        "usher-store",
        "usher-front",
        "usher-tls",
        "usher-origin",
        "usher-page",
    ],
    &["usher-core"],
    &["usher-edge", "usher-admin"],
    &["usher"],
    &["usher-tests", "usher-benches", "xtask"],
];
/// Crates beside the floors: what they may use of ours.
const BESIDE: [(&str, &[&str]); 2] = [("tracker-wasm", &["referral"]), ("snippet", &["referral"])];
const FUNCTION_LINES: usize = 70;
const FILE_LINES: usize = 500;

#[test]
fn no_crate_uses_a_crate_of_its_own_floor_or_above() {
    let arrows = arrows();
    assert!(arrows.contains_key("usher-core"), "cargo metadata says nothing of the house: {arrows:?}");
    let wrong: Vec<String> = arrows
        .iter()
        .flat_map(|(from, to)| to.iter().map(move |to| (from, to)))
        .filter(|(from, to)| !allowed(from, to))
        .map(|(from, to)| format!("{from} -> {to}"))
        .collect();
    assert!(wrong.is_empty(), "arrows that point up or sideways: {wrong:#?}");
}

#[test]
fn the_rule_about_floors_can_fail() {
    assert!(allowed("usher-core", "usher-store") && allowed("usher-edge", "snippet"));
    for (from, to) in [
        ("usher-model", "usher-store"),
        ("usher-store", "usher-upstream"),
        ("usher-edge", "usher-admin"),
        ("referral", "snippet"),
        ("usher-model", "a-crate-without-a-floor"),
    ] {
        assert!(!allowed(from, to), "{from} -> {to}");
    }
}

#[test]
fn functions_fit_on_a_screen() {
    let long: Vec<String> = sources(&["rs", "ts", "mjs"])
        .iter()
        .flat_map(|(path, text)| {
            functions(text)
                .into_iter()
                .filter(|(_, lines)| *lines > FUNCTION_LINES)
                .map(move |(at, lines)| format!("{}:{at}: {lines} lines", path.display()))
        })
        .collect();
    assert!(long.is_empty(), "functions over {FUNCTION_LINES} lines: {long:#?}");
}

#[test]
fn the_rule_about_functions_can_fail() {
    let body = "    one();\n".repeat(80);
    for head in
        ["pub(crate) async fn f() -> u8 {", "function f(): void {", "const f = () => {", "  wait(x) {"]
    {
        let indent = " ".repeat(head.len() - head.trim_start().len());
        let text = format!("{head}\n{body}{indent}}}\n");
        assert_eq!(functions(&text), [(1, 82)], "{head}");
    }
}

#[test]
fn a_file_is_one_idea() {
    let long: Vec<String> = sources(&["rs", "ts", "mjs"])
        .iter()
        .map(|(path, text)| (path, text.lines().count()))
        .filter(|(_, lines)| *lines > FILE_LINES)
        .map(|(path, lines)| format!("{}: {lines} lines", path.display()))
        .collect();
    assert!(long.is_empty(), "files over {FILE_LINES} lines: {long:#?}");
}

#[test]
fn nothing_but_tests_unwraps() {
    let wrong: Vec<String> = sources(&["rs"])
        .iter()
        .filter(|(path, _)| !is_test(path))
        .flat_map(|(path, text)| {
            product_code(text)
                .filter(|(_, line)| line.contains(concat!(".unw", "rap()")))
                .map(move |(at, line)| format!("{}:{at}: {}", path.display(), line.trim()))
        })
        .collect();
    assert!(wrong.is_empty(), "say with expect why it cannot fail, or handle it: {wrong:#?}");
}

#[test]
fn no_committed_file_knows_the_machine_that_it_was_written_on() {
    // In two pieces, so that this file is not its own finding.
    let names = [
        concat!("/wo", "rk/"),
        concat!("../sha", "red"),
        concat!("/tmp/ba", "sh_jobs"),
        concat!("/ro", "ot/"),
        concat!("regis", "try.npmjs"),
        concat!("far", "m-"),
    ];
    let found: Vec<String> = files()
        .iter()
        .filter_map(|path| Some((path, std::fs::read(repository().join(path)).ok()?)))
        .flat_map(|(path, bytes)| {
            let text = String::from_utf8_lossy(&bytes).into_owned();
            names
                .into_iter()
                .filter(move |name| text.contains(name))
                .map(move |name| format!("{}: {name}", path.display()))
        })
        .collect();
    assert!(found.is_empty(), "{found:#?}");
}

fn allowed(from: &str, to: &str) -> bool {
    let floor = |name: &str| FLOORS.iter().position(|floor| floor.contains(&name));
    let beside = |name: &str| BESIDE.iter().find(|(beside, _)| *beside == name);
    match (floor(from), beside(from)) {
        (Some(from), _) => floor(to).is_some_and(|to| to < from) || (from > 1 && beside(to).is_some()),
        (None, Some((_, may))) => may.contains(&to),
        (None, None) => false,
    }
}

/// Which of our crates each of our crates uses, in whatever way.
fn arrows() -> BTreeMap<String, Vec<String>> {
    let output = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .args(["metadata", "--no-deps", "--format-version", "1", "--offline"])
        .current_dir(repository())
        .output()
        .expect("cargo runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).expect("cargo writes JSON");
    let name = |value: &Value| value["name"].as_str().unwrap_or_default().to_owned();
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let packages = list(&metadata["packages"]);
    packages
        .iter()
        .map(|package| {
            let uses = list(&package["dependencies"]);
            (name(package), uses.iter().filter(|used| used["path"].is_string()).map(name).collect())
        })
        .collect()
}

/// Every file that is committed or about to be.
fn files() -> Vec<PathBuf> {
    let output = Command::new("git")
        .args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"])
        .current_dir(repository())
        .output()
        .expect("git runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let files: Vec<PathBuf> =
        String::from_utf8_lossy(&output.stdout).split_terminator('\0').map(PathBuf::from).collect();
    assert!(files.len() > 20, "git lists no files");
    files
}

/// The texts of the files with these endings that people write.
fn sources(endings: &[&str]) -> Vec<(PathBuf, String)> {
    let written = |path: &Path| {
        let ending = path.extension().and_then(|ending| ending.to_str());
        ending.is_some_and(|ending| endings.contains(&ending))
            && !path.components().any(|part| part.as_os_str() == "dist")
    };
    files()
        .into_iter()
        .filter(|path| written(path))
        .filter_map(|path| Some((path.clone(), std::fs::read_to_string(repository().join(&path)).ok()?)))
        .collect()
}

/// Whether a Rust file holds tests only.
fn is_test(path: &Path) -> bool {
    let part = |name: &str| path.components().any(|part| part.as_os_str() == name);
    part("tests") || part("benches") || path.ends_with("tests.rs")
}

/// Where each function begins and how many lines it has, from its first line to its closing brace. It relies on formatted
/// code: a function ends at the first line with a brace at the indentation of its beginning.
fn functions(text: &str) -> Vec<(usize, usize)> {
    let lines: Vec<&str> = text.lines().collect();
    let indentation = |line: &str| line.len() - line.trim_start().len();
    let length = |start: usize| {
        let level = indentation(lines[start]);
        // A declaration without a body ends in `);` or `) -> T;` at that level.
        let ends = |line: &&str| indentation(line) == level && line.trim_start().starts_with(['}', ')']);
        let last =
            start + 1 + lines[start + 1..].iter().position(|line| ends(line) && !line.ends_with('{'))?;
        lines[last].trim_start().starts_with('}').then_some(last - start + 1)
    };
    (0..lines.len())
        .filter(|&at| begins_function(lines[at]))
        .filter_map(|at| Some((at + 1, length(at)?)))
        .collect()
}

/// Whether a line of Rust or TypeScript begins a function whose body stands on lines of its own.
fn begins_function(line: &str) -> bool {
    let code = line.trim_start().replace("pub(crate)", "pub").replace("pub(super)", "pub");
    if code.starts_with(['/', '*', '#']) || code.ends_with([';', '}', ',']) {
        return false;
    }
    let head: Vec<&str> = code.split(['(', '<']).next().unwrap_or_default().split_whitespace().collect();
    let named = matches!(head.as_slice(), [.., "fn" | "function" | "function*", _]);
    let arrow =
        code.ends_with("=> {") && matches!(head.first(), Some(&("const" | "let" | "export" | "test")));
    let control = ["if", "for", "while", "switch", "catch", "match", "return", "await", "assert"];
    let method = code.ends_with('{')
        && code.contains(['('])
        && (code.contains(") {") || code.contains("): "))
        && matches!(head.as_slice(), [name] | ["async" | "static" | "private", name] if !control.contains(name)
            && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_'));
    named || arrow || method
}

/// The numbered lines of a Rust file before its tests, without comments.
fn product_code(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.lines()
        .enumerate()
        .map(|(at, line)| (at + 1, line))
        .take_while(|(_, line)| line.trim() != "#[cfg(test)]")
        .filter(|(_, line)| !line.trim_start().starts_with("//"))
}
