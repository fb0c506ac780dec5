/// The file name of [`WASM`], from its content: it can be cached for ever.
pub const WASM_NAME: &str = "73fd1e81c095e790.wasm";
/// The file name of [`WORKER_JS`], from its content: it can be cached for ever.
pub const WORKER_NAME: &str = "ec394a4016578a80.js";
