/// The file name of [`WASM`], from its content: it can be cached for ever.
pub const WASM_NAME: &str = "0e803ff57ccbfece.wasm";
/// The file name of [`WORKER_JS`], from its content: it can be cached for ever.
pub const WORKER_NAME: &str = "ae7e0b37487a6f8a.js";
/// The file name of [`MORE_JS`], from its content: it can be cached for ever.
pub const MORE_NAME: &str = "b9193d90116583b4.js";
