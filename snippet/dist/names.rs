/// The file name of [`WASM`], from its content: it can be cached for ever.
pub const WASM_NAME: &str = "0e803ff57ccbfece.wasm";
/// The file name of [`WORKER_JS`], from its content: it can be cached for ever.
pub const WORKER_NAME: &str = "e406156d2f1d0a54.js";
/// The file name of [`MORE_JS`], from its content: it can be cached for ever.
pub const MORE_NAME: &str = "132a8671e824a914.js";
