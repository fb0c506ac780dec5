//! `GET pixel.js`, `psl.min.js`, `<hash>.wasm`, the worker and what few pages need: files that were prepared when the edge was built.

use super::Route;
use crate::{answer::Answer, call::Call, table::Table};

pub(super) fn act(call: &Call<'_>, table: &Table, route: Route) -> Answer {
    let asset = match route {
        Route::SuffixList => &table.suffix_list,
        Route::Parser => &table.parser,
        Route::Worker => &table.worker,
        Route::More => &table.more,
        _ => &call.face.script,
    };
    asset.answer(&call.head.method, &call.head.headers)
}
