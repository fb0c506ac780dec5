//! What a client may ask of an HTTP/2 connection beside requests.

use super::frames::{CONTINUATION, DATA, END_HEADERS, END_STREAM, Frame, HEADERS};
use tokio::time::Instant;
use usher_model::limits::{H2_FRAMES_EARNED, H2_IDLE_FRAME_MS, H2_IDLE_FRAMES, H2_LOST_REQUEST, H2_STREAMS};

/// Frames that ask for nothing are counted against an allowance that refills with time. It only counts: what is wrong by
/// itself is hyper's to answer.
pub(super) struct Budget {
    left: u32,
    refilled: Instant,
    /// WINDOW_UPDATE frames that our own frames have earned.
    earned: u32,
    opened: u64,
    /// Requests opened and not taken that are no concern (yet): some are always on their way.
    tolerated: u64,
    last_stream: u32,
    is_in_block: bool,
    first: Option<u8>,
}

const SETTINGS: u8 = 4;
const WINDOW_UPDATE: u8 = 8;

impl Budget {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            left: H2_IDLE_FRAMES,
            refilled: now,
            earned: 0,
            opened: 0,
            tolerated: u64::from(H2_STREAMS),
            last_stream: 0,
            is_in_block: false,
            first: None,
        }
    }

    /// Counts a frame of the client's. False when it is one too many.
    pub(super) fn take(&mut self, frame: Frame, now: Instant) -> bool {
        self.first.get_or_insert(frame.kind);
        match frame.kind {
            // Padding alone carries nothing either, but takes its sender as long as what it stands for.
            DATA => frame.length > 0 || frame.flags & END_STREAM != 0 || self.spend(1, now),
            HEADERS => {
                self.is_in_block = frame.flags & END_HEADERS == 0;
                if frame.stream > self.last_stream {
                    self.last_stream = frame.stream;
                    self.opened += 1;
                }
                frame.length > 0 || self.spend(1, now)
            }
            CONTINUATION => {
                self.is_in_block = frame.flags & END_HEADERS == 0;
                self.spend(1, now)
            }
            WINDOW_UPDATE if self.earned > 0 => {
                self.earned -= 1;
                true
            }
            _ => self.spend(1, now),
        }
    }

    /// Counts the requests that came to nothing, of which `taken` did not. False when there is one too many.
    pub(super) fn count_lost(&mut self, taken: u64, now: Instant) -> bool {
        while self.opened.saturating_sub(taken) > self.tolerated {
            self.tolerated += 1;
            if !self.spend(H2_LOST_REQUEST, now) {
                return false;
            }
        }
        true
    }

    /// Counts a frame of ours.
    pub(super) fn give(&mut self, frame: Frame) {
        if frame.kind == DATA && frame.length > 0 {
            self.earned = self.earned.saturating_add(H2_FRAMES_EARNED).min(H2_IDLE_FRAMES);
        }
    }

    /// Whether its first frame is not SETTINGS.
    pub(super) fn begins_wrong(&self) -> bool {
        self.first.is_some_and(|kind| kind != SETTINGS)
    }

    /// The last stream that the client has opened.
    pub(super) fn last_stream(&self) -> u32 {
        self.last_stream
    }

    /// Whether a request's header has begun and not ended.
    pub(super) fn is_in_block(&self) -> bool {
        self.is_in_block
    }

    fn spend(&mut self, cost: u32, now: Instant) -> bool {
        if self.left < cost {
            let since = now.saturating_duration_since(self.refilled).as_millis();
            let refill = u32::try_from(since / u128::from(H2_IDLE_FRAME_MS)).unwrap_or(u32::MAX);
            self.left = self.left.saturating_add(refill).min(H2_IDLE_FRAMES);
            self.refilled = now;
        }
        match self.left.checked_sub(cost) {
            Some(left) => {
                self.left = left;
                true
            }
            None => false,
        }
    }
}
