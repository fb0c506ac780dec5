//! `GET v1/arrival`: how a request arrives here, told to the site's own servers alone. `usher doctor` asks it whose address the
//! edge takes for the visitor's, which nobody can see from outside.

use crate::{
    answer,
    call::{Call, Outcome},
    client::{self, FORWARDED_FOR},
    fault::Fault,
    host,
    table::Table,
};
use http::StatusCode;
use serde_json::json;
use usher_model::limits::FORWARDED_HOPS;

/// Answers `{"success":true,"data":{…}}` with the visitor's `address` and whether it came by `https`, as the edge sees them, the
/// `host`, the `peer` that opened the connection and whether it is `trusted`, and what stands in `forwarded_for`, entry by entry.
pub(super) fn act(call: &Call<'_>, table: &Table) -> Result<Outcome, Fault> {
    call.face.keys.check_bearer(&call.head.headers)?;
    let lines = call.head.headers.get_all(FORWARDED_FOR).iter();
    let entries = lines.flat_map(|line| line.as_bytes().split(|b| *b == b','));
    let forwarded_for: Vec<String> = (entries.take(FORWARDED_HOPS))
        .map(|entry| String::from_utf8_lossy(entry.trim_ascii()).into_owned())
        .collect();
    let peer = call.peer.address.to_canonical();
    let data = json!({
        "address": call.address,
        "https": client::is_https(call.peer, &call.head.headers, &table.trusted),
        "host": host::of(call.head),
        "peer": peer,
        "trusted": client::is_trusted(peer, &table.trusted),
        "forwarded_for": forwarded_for,
    });
    Ok(answer::json(StatusCode::OK, &json!({"success": true, "data": data})).into())
}
