/// The file name of [`WASM`], from its content: it can be cached for ever.
pub const WASM_NAME: &str = "cb000552571c04b8.wasm";
/// The file name of [`WORKER_JS`], from its content: it can be cached for ever.
pub const WORKER_NAME: &str = "bead94eacd5fc17d.js";
/// The file name of [`MORE_JS`], from its content: it can be cached for ever.
pub const MORE_NAME: &str = "98358445cd5f5382.js";
