//! What a visitor loads, with brotli at quality 11 as the edge serves it.

use snippet::{MORE_JS, MORE_NAME, Names, Settings, WASM, WORKER_JS, WORKER_NAME, pixel};

/// On a page without a referral.
const PAGE_BYTES: usize = 2_560;
/// With the worker and its WebAssembly.
const ALL_BYTES: usize = 6_656;
/// What pages load beside it that ask for consent or hold a checkout of Paddle.
const MORE_BYTES: usize = 1_792;

#[test]
fn the_snippet_stays_small() {
    // Neutral names: they compress worse than the well-known ones.
    let names = Names {
        track: "k3f9x2",
        signups: "p0q7v4",
        codes: "z8w1m5",
        bind: "h2j6d9",
        consent: "c4n8y1",
        worker: WORKER_NAME,
        more: MORE_NAME,
    };
    let parameters = vec!["atp", "via", "affonso", "aff", "ref"];
    let script = pixel(&names, &Settings { parameters, honours_gpc: true, ..Settings::default() });
    let page = brotli_bytes(script.as_bytes());
    let all = page + brotli_bytes(WORKER_JS.as_bytes()) + brotli_bytes(WASM);
    let more = brotli_bytes(MORE_JS.as_bytes());
    println!("brotli: {page} bytes on every page, {all} with WebAssembly, {more} where there is more to do");
    assert!(page <= PAGE_BYTES, "{page} bytes");
    assert!(all <= ALL_BYTES, "{all} bytes");
    assert!(more <= MORE_BYTES, "{more} bytes");
}

fn brotli_bytes(data: &[u8]) -> usize {
    let mut out = Vec::new();
    brotli::BrotliCompress(&mut &*data, &mut out, &brotli::enc::BrotliEncoderParams::default())
        .expect("memory to memory");
    out.len()
}
