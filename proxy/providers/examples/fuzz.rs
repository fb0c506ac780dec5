//! Looks for a request that makes a parser panic, or hang: recorded requests, changed at random and where it can be done signed
//! anew, so that what is behind the signature is reached as well.
//!
//! `cargo run --release -p usher-providers --example fuzz -- [--seconds N] [--seed N]` prints how many it tried and the seed; one
//! that panics is printed, and fails the run.

#![allow(clippy::print_stdout, clippy::print_stderr, clippy::disallowed_methods, reason = "it is a command")]

#[path = "../tests/support/mod.rs"]
mod signed;

use serde_json::Value;
use signed::Vector;
use std::{
    collections::BTreeMap,
    env, fs,
    panic::{AssertUnwindSafe, catch_unwind},
    process::ExitCode,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};
use usher_model::UnixMs;
use usher_providers::{Context, Provider, Recorded, Request, TestMode, explain, report};

/// One request may not take longer: a provider waits five seconds for its answer.
const LONGEST: Duration = Duration::from_secs(1);
/// Bytes that mean something to one of the parsers.
const TOKENS: [&str; 30] = [
    "\"",
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    "\\",
    "\\u0000",
    "\\ud800",
    "null",
    "true",
    "-1",
    "0",
    "1e999",
    "-0.0",
    "99999999999999999999",
    "=",
    "&",
    "%",
    "%00",
    "+",
    ";",
    "|",
    "v1",
    "whsec_",
    "Basic ",
    "\u{feff}",
    "\r\n",
    "é",
];

fn main() -> ExitCode {
    let started = SystemTime::now().duration_since(UNIX_EPOCH).map_or(1, |since| since.as_secs());
    let (seconds, seed) = (argument("--seconds").unwrap_or(600), argument("--seed").unwrap_or(started));
    println!("seed {seed}, {seconds} s");
    let corpus = corpus();
    let (mut random, end) = (Random(seed | 1), Instant::now() + Duration::from_secs(seconds));
    let (mut cases, mut slowest) = (BTreeMap::<String, u64>::new(), Duration::ZERO);
    while Instant::now() < end {
        let (vector, recorded) = random.of(&corpus);
        let case = Case::new(vector, &mut random);
        let reads_file = random.below(16) == 0;
        let start = Instant::now();
        let ended = catch_unwind(AssertUnwindSafe(|| case.run(recorded, reads_file)));
        let took = start.elapsed();
        slowest = slowest.max(took);
        *cases.entry(recorded.provider.clone()).or_default() += 1;
        if ended.is_err() || took > LONGEST {
            eprintln!(
                "{} after {took:?}, seed {seed}: {case:?}",
                if ended.is_err() { "PANIC" } else { "SLOW" }
            );
            return ExitCode::FAILURE;
        }
    }
    println!("{cases:?}");
    println!("{} cases, no panic, the slowest took {slowest:?}, seed {seed}", cases.values().sum::<u64>());
    ExitCode::SUCCESS
}

fn argument(name: &str) -> Option<u64> {
    let mut arguments = env::args().skip_while(|argument| argument != name);
    arguments.nth(1)?.parse().ok()
}

fn corpus() -> Vec<(Vector, Recorded)> {
    let mut names = Vec::new();
    for provider in usher_providers::PROVIDERS {
        let entries = fs::read_dir(signed::folder().join(provider.name)).expect("vectors");
        names.extend(entries.map(|entry| {
            let file = entry.expect("an entry").file_name().into_string().expect("UTF-8");
            format!("{}/{}", provider.name, file.trim_end_matches(".json"))
        }));
    }
    names.sort();
    let read = |vector: &Vector| Recorded::read(&vector.json.to_string()).expect("a record");
    let vectors = names.iter().map(|name| Vector::load(name));
    vectors.map(|vector| (vector.clone(), read(&vector))).collect()
}

/// A request; header values and body are bytes, which need be no text.
struct Case {
    vector: Vector,
    headers: Vec<(String, Vec<u8>)>,
    body: Vec<u8>,
}

impl std::fmt::Debug for Case {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let headers: Vec<_> =
            self.headers.iter().map(|(name, value)| (name, value.escape_ascii().to_string())).collect();
        write!(f, "{} {headers:?} {}", self.vector.json["case"], self.body.escape_ascii())
    }
}

impl Case {
    fn new(vector: &Vector, random: &mut Random) -> Self {
        let mut vector = vector.clone();
        // Half of them pass the signature where it can be computed.
        let is_signed = random.below(2) == 0 && signable(&vector);
        if is_signed {
            for _ in 0..=random.below(3) {
                match random.below(3) {
                    0 => replace_value(&mut vector, random),
                    _ => {
                        let mut body = vector.body.clone().into_bytes();
                        random.mutate(&mut body);
                        vector.body = String::from_utf8_lossy(&body).into_owned();
                    }
                }
            }
            vector.sign();
        }
        let fields = vector.json["headers"].as_object().into_iter().flatten();
        let mut headers: Vec<(String, Vec<u8>)> = fields
            .map(|(name, value)| (name.clone(), value.as_str().unwrap_or_default().as_bytes().to_vec()))
            .collect();
        let mut body = vector.body.clone().into_bytes();
        if !is_signed {
            for _ in 0..=random.below(3) {
                let at = random.below(headers.len() + 1);
                match headers.get_mut(at) {
                    Some((_, value)) => random.mutate(value),
                    None => random.mutate(&mut body),
                }
            }
        }
        Self { vector, headers, body }
    }

    fn run(&self, recorded: &Recorded, reads_file: bool) {
        if reads_file {
            let mut record = self.vector.json.clone();
            record["body"] = String::from_utf8_lossy(&self.body).into();
            let mut text = record.to_string().into_bytes();
            let _ = explain(&String::from_utf8_lossy(&text));
            text.truncate(self.body.len());
            let _ = explain(&String::from_utf8_lossy(&text));
        }
        let provider = Provider::find(&recorded.provider).expect("a provider");
        let headers: Vec<(&str, &[u8])> =
            self.headers.iter().map(|(name, value)| (name.as_str(), value.as_slice())).collect();
        let request =
            Request { method: &recorded.method, url: &recorded.url, headers: &headers, body: &self.body };
        let now = recorded.now.unwrap_or(UnixMs(0));
        let test_mode = if self.body.len().is_multiple_of(2) { TestMode::Ignore } else { TestMode::Forward };
        let context = Context { credentials: &recorded.credentials, now, test_mode };
        let outcome = provider.judge(&request, &context);
        let _ = report(&recorded.provider, recorded.case.as_deref(), &outcome);
    }
}

/// PayPal's key is nobody's, and Paytm signs with what is signed.
fn signable(vector: &Vector) -> bool {
    !matches!(vector.json["provider"].as_str(), Some("paypal" | "paytm"))
}

/// Puts one value of a JSON body in the place of another, or something odd.
fn replace_value(vector: &mut Vector, random: &mut Random) {
    let Ok(mut body) = serde_json::from_str::<Value>(&vector.body) else { return };
    let odd =
        ["null", "\"\"", "[]", "{}", "-1", "1e300", "[[]]", "18446744073709551615", "\"0.001\"", "true"];
    let mut value: Value = serde_json::from_str(random.of::<&str>(&odd)).unwrap_or(Value::Null);
    if random.below(2) == 0 {
        value = random_value(&mut body.clone(), random).clone();
    }
    *random_value(&mut body, random) = value;
    vector.body = body.to_string();
}

fn random_value<'v>(value: &'v mut Value, random: &mut Random) -> &'v mut Value {
    let stop = random.below(5) == 0;
    let length = match value {
        Value::Object(members) => members.len(),
        Value::Array(values) => values.len(),
        _ => 0,
    };
    if stop || length == 0 {
        return value;
    }
    let at = random.below(length);
    match value {
        Value::Array(values) => random_value(&mut values[at], random),
        value => random_value(
            value.as_object_mut().and_then(|all| all.values_mut().nth(at)).expect("is there"),
            random,
        ),
    }
}

/// xorshift64* (Vigna, "An experimental exploration of Marsaglia's xorshift generators, scrambled"): the same seed, the same run.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    /// A number below `end`, which is above zero.
    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() >> 33).unwrap_or(0) % end.max(1)
    }

    fn of<'a, T>(&mut self, all: &'a [T]) -> &'a T {
        &all[self.below(all.len())]
    }

    /// One change somewhere.
    fn mutate(&mut self, bytes: &mut Vec<u8>) {
        let at = self.below(bytes.len() + 1);
        let end = (at + self.below(12)).min(bytes.len());
        match self.below(7) {
            0 => bytes.truncate(at),
            1 => drop(bytes.drain(at..end)),
            2 => bytes.insert(at, self.next().to_le_bytes()[0]),
            3 if at < bytes.len() => bytes[at] = self.next().to_le_bytes()[0],
            4 => {
                let token = self.of(&TOKENS).as_bytes();
                drop(bytes.splice(at..end, token.iter().copied()));
            }
            5 => {
                let piece = bytes[at..end].repeat(self.below(40));
                drop(bytes.splice(at..at, piece));
            }
            _ if at < bytes.len() => bytes[at] ^= 1 << self.below(8),
            _ => bytes.push(b'0'),
        }
    }
}
