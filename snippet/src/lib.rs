//! What a page loads, as it was built: `cargo xtask snippet` writes `dist/`, and this crate carries it to the edge. Nothing
//! here needs a WebAssembly compiler or node.

mod dist {
    include!("../dist/names.rs");
}

pub use dist::{MORE_NAME, WASM_NAME, WORKER_NAME};

/// The parser, compiled from the crate `referral`. Served as `application/wasm` at the base under [`WASM_NAME`].
pub const WASM: &[u8] = include_bytes!("../dist/tracker.wasm");

/// The worker that runs the parser. It fetches [`WASM_NAME`] beside itself, wherever it lies. Its answer must carry no
/// `Content-Security-Policy`: the worker would be bound by it, not by the page's.
pub const WORKER_JS: &str = include_str!("../dist/worker.js");

/// What few pages need: consent and Paddle. The snippet imports it from the base under [`MORE_NAME`].
pub const MORE_JS: &str = include_str!("../dist/more.js");

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
    /// Where consent is given and withdrawn.
    pub consent: &'a str,
    /// Where [`WORKER_JS`] lies; beside it, [`WASM`] under [`WASM_NAME`].
    pub worker: &'a str,
    /// Where [`MORE_JS`] lies.
    pub more: &'a str,
}

/// What the snippet has to know of its site beside the names.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Settings<'a> {
    /// The parameters that name an affiliate.
    pub parameters: Vec<&'a str>,
    /// The site's domains where it has several, each of which has cookies of its own: links between them carry the click.
    pub domains: Vec<&'a str>,
    /// Whether nothing may be stored until the visitor consents, whatever the tag says.
    pub asks_consent: bool,
    /// Whether Global Privacy Control is a refusal.
    pub honours_gpc: bool,
}

/// The snippet of a site, with its names and settings written in.
#[must_use]
pub fn pixel(names: &Names<'_>, settings: &Settings<'_>) -> String {
    let Names { track, signups, codes, bind, consent, worker, more } = *names;
    let Settings { parameters, domains, asks_consent, honours_gpc } = settings;
    let (parameters, domains) = (parameters.join(","), domains.join(","));
    let [asks_consent, honours_gpc] = [asks_consent, honours_gpc].map(|says| if *says { "1" } else { "" });
    let values = [track, signups, codes, bind, consent, worker, more, &parameters, &domains];
    let values: Vec<_> = values.into_iter().chain([asks_consent, honours_gpc]).map(js_string).collect();
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

    const NAMES: Names<'_> = Names {
        track: "k1",
        signups: "k2",
        codes: "k3",
        bind: "k4",
        consent: "k5",
        worker: WORKER_NAME,
        more: MORE_NAME,
    };

    #[test]
    fn names_and_parameters_are_written_in() {
        let settings = Settings {
            parameters: vec!["atp", "via"],
            domains: vec!["shop.example", "pay.example"],
            asks_consent: true,
            honours_gpc: false,
        };
        let script = pixel(&NAMES, &settings);
        let written = [
            r#"=["k1","k2","k3","k4","k5",""#,
            WORKER_NAME,
            r#"",""#,
            MORE_NAME,
            r#"","atp,via","shop.example,pay.example","1",""]"#,
        ];
        assert!(script.contains(&written.concat()), "{script}");
        assert!(!script.contains(TOKEN));
    }

    #[test]
    fn nothing_gives_our_name_away() {
        for text in [PIXEL_JS, WORKER_JS, MORE_JS, PSL_JS, &String::from_utf8_lossy(WASM)] {
            assert!(!text.to_ascii_lowercase().contains("usher"), "{text}");
        }
    }

    #[test]
    fn nothing_breaks_out_of_a_string() {
        assert_eq!(
            js_string("a\"b\\c</script>\n\u{2028}é😀'&"),
            r#""a\u0022b\u005cc\u003c/script\u003e\u000a\u2028\u00e9\ud83d\ude00\u0027\u0026""#
        );
        let script = pixel(&Names { track: "\"];alert(1)//", ..NAMES }, &Settings::default());
        assert!(script.contains(r"\u0022];alert(1)//"));
    }

    #[test]
    fn tokens_are_counted() {
        assert_eq!(occurrences(b"", b"ab"), 0);
        assert_eq!(occurrences(b"abxab", b"ab"), 2);
        assert_eq!(occurrences(b"a", b"ab"), 0);
    }
}
