//! What a page loads, as it was built: `cargo xtask snippet` writes `dist/`, and this crate carries it to the edge. Nothing
//! here needs a WebAssembly compiler or node.

mod dist {
    include!("../dist/names.rs");
}

pub use dist::{WASM_NAME, WORKER_NAME};

/// The parser, compiled from the crate `referral`. Served as `application/wasm` at the base under [`WASM_NAME`].
pub const WASM: &[u8] = include_bytes!("../dist/tracker.wasm");

/// The worker that runs the parser. It fetches [`WASM_NAME`] beside itself, wherever it lies. Its answer must carry no
/// `Content-Security-Policy`: the worker would be bound by it, not by the page's.
pub const WORKER_JS: &str = include_str!("../dist/worker.js");

/// What is served where the vendor's pixel asked for the public suffix list: the server knows it.
pub const PSL_JS: &str = "/* The server knows the public suffix list. */\n";

/// The types of what the snippet gives to a page, for front ends (`usher.d.ts`).
pub const TYPES: &str = include_str!("../usher.d.ts");

const PIXEL_JS: &str = include_str!("../dist/pixel.js");
/// Where the site's names and parameters go.
const TOKEN: &str = "__SITE__";
const _: () = assert!(
    occurrences(PIXEL_JS.as_bytes(), TOKEN.as_bytes()) == 1,
    "dist/pixel.js must hold the token once"
);

/// The browser's path names: last segments below the site's prefix.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Names<'a> {
    /// Where a click is recorded.
    pub track: &'a str,
    /// Where a lead is recorded.
    pub signups: &'a str,
    /// Where promo codes are resolved; the code follows as one more segment.
    pub codes: &'a str,
    /// Where an order is tied to a click.
    pub bind: &'a str,
    /// Where [`WORKER_JS`] lies; beside it, [`WASM`] under [`WASM_NAME`].
    pub worker: &'a str,
}

/// The snippet of a site: its names, and the parameters that name an affiliate, written in.
#[must_use]
pub fn pixel(names: &Names<'_>, parameters: &[&str]) -> String {
    let Names { track, signups, codes, bind, worker } = *names;
    let parameters = parameters.join(",");
    let values = [track, signups, codes, bind, worker, &parameters].map(js_string);
    PIXEL_JS.replacen(TOKEN, &format!("[{}]", values.join(",")), 1)
}

/// A JavaScript string literal that is also JSON, and harmless in HTML.
fn js_string(s: &str) -> String {
    let mut literal = String::from('"');
    for c in s.chars() {
        match c {
            ' '..='~' if !matches!(c, '"' | '\\' | '<' | '>' | '&' | '\'') => literal.push(c),
            _ => {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    literal.push_str(&format!("\\u{unit:04x}"));
                }
            }
        }
    }
    literal.push('"');
    literal
}

const fn occurrences(text: &[u8], part: &[u8]) -> usize {
    let (mut found, mut at) = (0, 0);
    while at + part.len() <= text.len() {
        let mut same = 0;
        while same < part.len() && text[at + same] == part[same] {
            same += 1;
        }
        if same == part.len() {
            found += 1;
        }
        at += 1;
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAMES: Names<'_> =
        Names { track: "k1", signups: "k2", codes: "k3", bind: "k4", worker: WORKER_NAME };

    #[test]
    fn names_and_parameters_are_written_in() {
        let script = pixel(&NAMES, &["atp", "via"]);
        assert!(script.contains(&format!(r#"=["k1","k2","k3","k4","{WORKER_NAME}","atp,via"]"#)), "{script}");
        assert!(!script.contains(TOKEN));
    }

    #[test]
    fn nothing_breaks_out_of_a_string() {
        assert_eq!(
            js_string("a\"b\\c</script>\n\u{2028}é😀'&"),
            r#""a\u0022b\u005cc\u003c/script\u003e\u000a\u2028\u00e9\ud83d\ude00\u0027\u0026""#
        );
        let script = pixel(&Names { track: "\"];alert(1)//", ..NAMES }, &[]);
        assert!(script.contains(r"\u0022];alert(1)//"));
    }

    #[test]
    fn tokens_are_counted() {
        assert_eq!(occurrences(b"", b"ab"), 0);
        assert_eq!(occurrences(b"abxab", b"ab"), 2);
        assert_eq!(occurrences(b"a", b"ab"), 0);
    }
}
