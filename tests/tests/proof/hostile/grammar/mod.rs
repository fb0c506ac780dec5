//! Hostile connections: everything that RFC 9110 and RFC 9112 say of a request, broken in each way that is known to be read in
//! two ways somewhere. None of these may come through, nor what stands behind it.

mod fields;
mod framing;
mod line;

use usher_tests::HOST;

use super::case::{Case, Cut, End, plain};
use crate::chance::Chance;

/// A connection before it is cut up. `~` stands for its own number, in paths and in `X-Case`.
struct Mutant {
    family: &'static str,
    bytes: Vec<u8>,
    end: End,
}

/// All of them, each cut up in some ways, alone and behind a good request.
pub(crate) fn cases() -> Vec<Case> {
    let (mut cases, mut chance) = (Vec::new(), Chance::from_seed(9_112));
    for mutant in mutants() {
        // Where a single byte changes, two ways out of eight are enough.
        let is_one_of_many = mutant.family.starts_with("byte");
        let first = chance.below(8);
        // Who hangs up at once may not see good requests answered either.
        let ways = if mutant.end == End::HungUp { 4 } else { 8 };
        for way in 0..ways {
            if is_one_of_many && way != first && way != (first + 3) % 8 {
                continue;
            }
            let cut = [Cut::Not, Cut::In(2), Cut::In(5), Cut::Everywhere][way % 4];
            cases.push(case(&mutant, cases.len(), cut, way >= 4, &mut chance));
        }
    }
    cases
}

fn case(mutant: &Mutant, number: usize, cut: Cut, is_behind: bool, chance: &mut Chance) -> Case {
    let id = format!("h{number}");
    let (before, expected) = plain(&format!("{id}-before"), &format!("/before/{id}"), "");
    let mut bytes = if is_behind { before } else { Vec::new() };
    for part in mutant.bytes.split_inclusive(|octet| *octet == b'~') {
        match part.split_last() {
            Some((b'~', text)) => bytes.extend([text, id.as_bytes()].concat()),
            _ => bytes.extend(part),
        }
    }
    if mutant.end == End::Refused {
        let (behind, _) = plain(&format!("{id}-behind"), &format!("/behind/{id}"), "");
        bytes.extend(behind);
    }
    Case {
        family: mutant.family,
        parts: cut.apply(&bytes, chance),
        expected: is_behind.then_some(expected).into_iter().collect(),
        end: mutant.end,
        is_rare: false,
    }
}

fn mutants() -> Vec<Mutant> {
    let families: [(&'static str, Vec<Vec<u8>>); 18] = [
        ("length", framing::lengths()),
        ("coding", framing::codings()),
        ("length and coding", framing::both_framings()),
        ("chunk", framing::chunks()),
        ("trailer", framing::trailers()),
        ("host", fields::hosts()),
        ("absolute target", line::absolute_targets()),
        ("target", line::targets()),
        ("line", line::lines()),
        ("method", line::methods()),
        ("field", fields::fields()),
        ("repeated", fields::repeated()),
        ("option", fields::options()),
        ("size", fields::sizes()),
        ("byte of a name", fields::bytes_of_names()),
        ("byte of a value", fields::bytes_of_values()),
        ("byte of a line", line::bytes_of_lines()),
        ("byte of a chunk", framing::bytes_of_chunks()),
    ];
    let refused = families.into_iter().flat_map(|(family, all)| {
        all.into_iter().map(move |bytes| Mutant { family, bytes, end: End::Refused })
    });
    let partial =
        framing::partial().into_iter().map(|bytes| Mutant { family: "partial", bytes, end: End::HungUp });
    refused.chain(partial).collect()
}

/// A request with that line, and these lines behind `Host`.
fn request(line: &str, fields: &str) -> Vec<u8> {
    format!("{line}\r\nHost: {HOST}\r\n{fields}X-Case: ~\r\n\r\n").into_bytes()
}

/// A POST with that line before, between and behind the others, and that body.
fn posts(field: &str, body: &str) -> [Vec<u8>; 3] {
    let line = "POST /h/~ HTTP/1.1\r\n";
    let [host, case] = [format!("Host: {HOST}\r\n"), "X-Case: ~\r\n".to_owned()];
    [[field, &host, &case], [&host, field, &case], [&host, &case, field]]
        .map(|fields| format!("{line}{}\r\n{body}", fields.concat()).into_bytes())
}
