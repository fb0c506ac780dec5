/// The file name of [`WASM`], from its content: it can be cached for ever.
pub const WASM_NAME: &str = "c0a248a3306efc5b.wasm";
/// The file name of [`WORKER_JS`], from its content: it can be cached for ever.
pub const WORKER_NAME: &str = "4b5acd88beff22af.js";
