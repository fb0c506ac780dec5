//! HTTP/2 frames as they pass: their headers are read, nothing is changed (RFC 9113 section 4.1).

/// What of a frame's header counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Frame {
    pub(super) kind: u8,
    pub(super) flags: u8,
    pub(super) stream: u32,
    pub(super) length: u32,
}

pub(super) const DATA: u8 = 0;
pub(super) const HEADERS: u8 = 1;
pub(super) const CONTINUATION: u8 = 9;
pub(super) const END_STREAM: u8 = 1;
pub(super) const END_HEADERS: u8 = 4;
/// Sent by clients before their first frame (RFC 9113 section 3.4).
pub(super) const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Follows one direction of a connection.
pub(super) struct Follower {
    /// Bytes until the next header: of the preface, or of a frame's payload.
    skip: u32,
    header: [u8; 9],
    filled: usize,
}

impl Follower {
    /// The direction from the client, which begins with the preface.
    pub(super) fn inbound() -> Self {
        Self { skip: PREFACE.len() as u32, header: [0; 9], filled: 0 }
    }

    /// The direction to the client.
    pub(super) fn outbound() -> Self {
        Self { skip: 0, header: [0; 9], filled: 0 }
    }

    /// Whether all that passed are whole frames.
    pub(super) fn is_between(&self) -> bool {
        self.skip == 0 && self.filled == 0
    }

    /// Tells `each` of every frame whose header ends in `bytes`.
    pub(super) fn pass(&mut self, mut bytes: &[u8], mut each: impl FnMut(Frame)) {
        while !bytes.is_empty() {
            let payload = bytes.len().min(self.skip as usize);
            self.skip -= payload as u32;
            bytes = &bytes[payload..];
            let part = bytes.len().min(self.header.len() - self.filled);
            self.header[self.filled..self.filled + part].copy_from_slice(&bytes[..part]);
            self.filled += part;
            bytes = &bytes[part..];
            if self.filled == self.header.len() {
                self.filled = 0;
                let frame = parse(self.header);
                self.skip = frame.length;
                each(frame);
            }
        }
    }
}

fn parse(header: [u8; 9]) -> Frame {
    let [a, b, c, kind, flags, stream @ ..] = header;
    Frame {
        kind,
        flags,
        stream: u32::from_be_bytes(stream) & 0x7fff_ffff,
        length: u32::from_be_bytes([0, a, b, c]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn frames_are_found_however_the_bytes_are_cut(
            frames in prop::collection::vec((0_u8..12, any::<u8>(), 0_u32..0x8000_0000, 0_usize..40), 0..12),
            cuts in prop::collection::vec(1_usize..20, 1..40),
        ) {
            let mut bytes = PREFACE.to_vec();
            let mut sent = Vec::new();
            for (kind, flags, stream, length) in frames {
                bytes.extend_from_slice(&(length as u32).to_be_bytes()[1..]);
                bytes.extend_from_slice(&[kind, flags]);
                bytes.extend_from_slice(&(stream | 0x8000_0000).to_be_bytes());
                bytes.extend(std::iter::repeat_n(0xff, length));
                sent.push(Frame { kind, flags, stream, length: length as u32 });
            }
            let (mut follower, mut seen, mut rest) = (Follower::inbound(), Vec::new(), bytes.as_slice());
            for cut in cuts.iter().cycle() {
                if rest.is_empty() {
                    break;
                }
                let (part, others) = rest.split_at((*cut).min(rest.len()));
                follower.pass(part, |frame| seen.push(frame));
                rest = others;
            }
            prop_assert_eq!(seen, sent);
            prop_assert!(follower.is_between());
        }
    }
}
