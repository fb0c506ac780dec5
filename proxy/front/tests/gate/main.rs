//! The gate, rule by rule and against everything else that can read its output.

mod framing;
mod hyper;
mod oracle;
mod properties;
mod rules;
mod streams;

use bytes::BytesMut;
use usher_front::gate::{Gate, Offence, Phase};

/// What became of a client's bytes.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Passed {
    pub(crate) out: Vec<u8>,
    pub(crate) offence: Option<Offence>,
    pub(crate) phase: Phase,
    pub(crate) requests: u64,
}

/// Lets parts through a gate, one after the other. No request becomes a tunnel.
pub(crate) fn pass<'p>(parts: impl IntoIterator<Item = &'p [u8]>, is_secured: bool) -> Passed {
    let (mut gate, mut out, mut offence) = (Gate::new(is_secured), BytesMut::new(), None);
    for part in parts {
        let mut rest = part;
        loop {
            match gate.feed(rest, &mut out) {
                Ok(taken) => rest = &rest[taken..],
                Err(found) => {
                    offence = Some(found);
                    break;
                }
            }
            if rest.is_empty() {
                break;
            }
            assert_eq!(gate.phase(), Phase::Switching, "nothing else leaves anything over");
            gate.resume();
        }
    }
    Passed { out: out.to_vec(), offence, phase: gate.phase(), requests: gate.requests() }
}
