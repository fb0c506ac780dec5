//! Forgetting what is past its retention. What nobody forgets stays: a record has no end of its own, since others may
//! depend on it.

use super::{keys, links::Links, scripts};
use crate::contract::Result;
use std::time::Duration;
use tokio::time::Instant;
use usher_model::{UnixMs, limits};

/// What is looked at by one call of the script, which nobody else can interrupt.
const AT_ONCE: u64 = 200;

/// In this order: a click goes when its own delivery has nothing to do any more.
const KINDS: [&str; 8] = [
    "state:delivered",
    "state:closed",
    "state:orphan",
    "state:dead",
    "clicks",
    "customers",
    "orders",
    "links",
];

/// See [`crate::Store::forget`].
pub(super) async fn forget(links: &Links, before: UnixMs) -> Result<u64> {
    let deadline = Instant::now() + Duration::from_millis(limits::STORE_WRITE_MS);
    let (mut forgotten, mut failure) = (0, None);
    for site in &links.sites {
        let link = links.of(site);
        for kind in KINDS {
            let (mut kept, mut removed_since) = (0, 0_u64);
            // What the deadline leaves over is left to the next call.
            while Instant::now() < deadline {
                let mut script = scripts::FORGET.key(keys::outbox(site));
                script.arg(kind).arg(before.0).arg(kept).arg(AT_ONCE);
                let (removed, stay, looked): (u64, u64, u64) = match link.run(&script).await {
                    Ok(said) => said,
                    Err(why) => {
                        failure = Some(why);
                        break;
                    }
                };
                forgotten += removed;
                removed_since += removed;
                kept += stay;
                // A payment takes refunds along that were passed over before it: then those behind them moved up.
                if looked == 0 && std::mem::take(&mut removed_since) == 0 {
                    break;
                } else if looked == 0 {
                    kept = 0;
                }
            }
        }
    }
    // One server of a cluster that is away holds up its own sites alone.
    match failure {
        Some(why) if forgotten == 0 => Err(why),
        _ => Ok(forgotten),
    }
}
