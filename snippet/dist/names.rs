/// The file name of [`WASM`], from its content: it can be cached for ever.
pub const WASM_NAME: &str = "5007569833dfe430.wasm";
/// The file name of [`WORKER_JS`], from its content: it can be cached for ever.
pub const WORKER_NAME: &str = "7da73fbd1d1b672c.js";
