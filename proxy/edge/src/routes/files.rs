//! `GET pixel.js`, `psl.min.js`, `<hash>.wasm`, the worker, what few pages need, `gpc.json`: files that were prepared when the
//! edge was built.

use super::Route;
use crate::{
    call::{Call, Outcome},
    cookie,
    table::Table,
};
use http::{HeaderValue, header::CACHE_CONTROL};

pub(super) fn act(call: &Call<'_>, table: &Table, route: Route) -> Outcome {
    let asset = match route {
        Route::SuffixList => &table.suffix_list,
        Route::Parser => &table.parser,
        Route::Worker => &table.worker,
        Route::More => &table.more,
        Route::Gpc => &table.gpc,
        _ => &call.face.script,
    };
    let mut answer = asset.answer(&call.head.method, &call.head.headers);
    // Every page asks for the script within the hour: no request of its own is needed to mend a visitor's cookies.
    let grant = if route == Route::Script { cookie::renewed(call) } else { None };
    if grant.is_some() {
        let hour = HeaderValue::from_static("private, max-age=3600");
        answer.headers_mut().insert(CACHE_CONTROL, hour);
    }
    Outcome { answer, grant }
}
