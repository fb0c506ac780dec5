//! What a visitor loads, with brotli at quality 11 as the edge serves it.

use snippet::{Names, WASM, WORKER_JS, WORKER_NAME, pixel};

/// On a page without a referral.
const PAGE_BYTES: usize = 2_560;
/// With everything.
const ALL_BYTES: usize = 6_656;

#[test]
fn the_snippet_stays_small() {
    // Neutral names: they compress worse than the well-known ones.
    let names =
        Names { track: "k3f9x2", signups: "p0q7v4", codes: "z8w1m5", bind: "h2j6d9", worker: WORKER_NAME };
    let script = pixel(&names, &["atp", "via", "affonso", "aff", "ref"]);
    let page = brotli_bytes(script.as_bytes());
    let all = page + brotli_bytes(WORKER_JS.as_bytes()) + brotli_bytes(WASM);
    println!("brotli: {page} bytes on every page, {all} with everything");
    assert!(page <= PAGE_BYTES, "{page} bytes");
    assert!(all <= ALL_BYTES, "{all} bytes");
}

fn brotli_bytes(data: &[u8]) -> usize {
    let mut out = Vec::new();
    brotli::BrotliCompress(&mut &*data, &mut out, &brotli::enc::BrotliEncoderParams::default())
        .expect("memory to memory");
    out.len()
}
