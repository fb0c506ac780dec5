//! The routes below a site's prefix. One file a route; those that only hand out a file are in [`files`].

mod codes;
mod conversions;
mod files;
mod signups;
mod track;

use crate::{
    answer::{self, Answer},
    body,
    call::{Call, Outcome},
    fault::Fault,
    names::Names,
    table::Table,
};
use bytes::Bytes;
use http::{HeaderValue, Method, StatusCode, header::ALLOW};
use hyper::body::Incoming;
use usher_model::limits::BROWSER_BODY_BYTES;

/// What a path below a prefix is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Route {
    /// The snippet.
    Script,
    /// What the vendor's script asks for: a script that does nothing, for the server knows the suffixes.
    SuffixList,
    /// The parser's WebAssembly.
    Parser,
    /// The worker that runs it where the page may not.
    Worker,
    /// A page's report.
    Track,
    /// A lead, from a browser.
    Signups,
    /// A promo code.
    Codes,
    /// A sale, from a server.
    Conversions,
    /// Anything else below the prefix.
    Unknown,
    /// Anything else.
    Outside,
}

impl Route {
    /// How many there are.
    pub(crate) const COUNT: usize = Self::Outside as usize + 1;

    /// The word for logs and metrics.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Script => "script",
            Self::SuffixList => "psl",
            Self::Parser => "wasm",
            Self::Worker => "worker",
            Self::Track => "track",
            Self::Signups => "signups",
            Self::Codes => "codes",
            Self::Conversions => "conversions",
            Self::Unknown => "unknown",
            Self::Outside => "outside",
        }
    }

    /// Whether browsers call it, from pages that may have another origin.
    pub(crate) const fn is_for_browsers(self) -> bool {
        !matches!(self, Self::Conversions | Self::Unknown | Self::Outside)
    }

    /// The methods that it takes, as they stand in `Allow`.
    const fn methods(self) -> &'static str {
        match self {
            Self::Script | Self::SuffixList | Self::Parser | Self::Worker | Self::Codes => {
                "GET, HEAD, OPTIONS"
            }
            Self::Track | Self::Signups => "POST, OPTIONS",
            Self::Conversions => "POST",
            Self::Unknown | Self::Outside => "",
        }
    }
}

/// What `below` (the path after the prefix and its slash) is for, and what it holds beyond the route's name.
pub(crate) fn find<'p>(names: &Names, below: &'p str) -> (Route, &'p str) {
    let route = match below {
        "pixel.js" | "pixel.min.js" | "js/pixel.min.js" => Route::Script,
        "psl.min.js" | "js/psl.min.js" => Route::SuffixList,
        "track" | "v1/track" => Route::Track,
        "signups" | "js/signups" => Route::Signups,
        "v1/conversions" => Route::Conversions,
        snippet::WASM_NAME => Route::Parser,
        snippet::WORKER_NAME => Route::Worker,
        _ if below == names.script => Route::Script,
        _ if below == names.track => Route::Track,
        _ if below == names.signups => Route::Signups,
        _ => return find_code(names, below),
    };
    (route, "")
}

fn find_code<'p>(names: &Names, below: &'p str) -> (Route, &'p str) {
    match below.split_once('/') {
        Some((name, code))
            if (name == "codes" || name == names.codes) && !code.is_empty() && !code.contains('/') =>
        {
            (Route::Codes, code)
        }
        _ => (Route::Unknown, ""),
    }
}

/// Phase `act`: does what the request asks.
pub(crate) async fn act(
    call: &Call<'_>,
    table: &Table,
    route: Route,
    argument: &str,
    body: Incoming,
) -> Result<Outcome, Fault> {
    match route {
        Route::Outside => return Err(Fault::Outside),
        Route::Unknown => return Err(Fault::NotFound),
        _ => {}
    }
    let methods = route.methods();
    if !methods.split(", ").any(|method| method == call.head.method.as_str()) {
        return Err(Fault::Method(methods));
    }
    if call.head.method == Method::OPTIONS {
        return Ok(preflight(call, methods).into());
    }
    match route {
        Route::Script | Route::SuffixList | Route::Parser | Route::Worker => {
            Ok(files::act(call, table, route).into())
        }
        Route::Track => track::act(call, body).await,
        Route::Signups => signups::act(call, body).await,
        Route::Codes => codes::act(call, argument).await,
        Route::Conversions => conversions::act(call, body).await,
        Route::Unknown | Route::Outside => Err(Fault::NotFound),
    }
}

fn preflight(call: &Call<'_>, methods: &'static str) -> Answer {
    let mut answer = answer::empty(StatusCode::NO_CONTENT);
    answer.headers_mut().insert(ALLOW, HeaderValue::from_static(methods));
    call.caller.allow_preflight(answer.headers_mut());
    answer
}

/// The body of a page's call, once it is known that the page may call.
async fn page_body(call: &Call<'_>, body: Incoming) -> Result<Bytes, Fault> {
    call.check_page()?;
    body::read(body, BROWSER_BODY_BYTES).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use usher_model::{Secret, SiteName};

    fn names() -> Names {
        Names::derive(Some(&Secret::new("s")), &SiteName::new("shop").expect("a name"))
    }

    #[test]
    fn well_known_and_neutral_names_lead_to_the_same_place() {
        let names = names();
        for (path, route) in [
            ("pixel.js", Route::Script),
            ("pixel.min.js", Route::Script),
            ("js/pixel.min.js", Route::Script),
            (names.script.as_str(), Route::Script),
            ("psl.min.js", Route::SuffixList),
            ("js/psl.min.js", Route::SuffixList),
            (snippet::WASM_NAME, Route::Parser),
            (snippet::WORKER_NAME, Route::Worker),
            ("track", Route::Track),
            ("v1/track", Route::Track),
            (names.track.as_str(), Route::Track),
            ("signups", Route::Signups),
            ("js/signups", Route::Signups),
            (names.signups.as_str(), Route::Signups),
            ("v1/conversions", Route::Conversions),
        ] {
            assert_eq!(find(&names, path), (route, ""), "{path}");
        }
        assert_eq!(find(&names, "codes/SAVE%2010"), (Route::Codes, "SAVE%2010"));
        assert_eq!(find(&names, &format!("{}/x", names.codes)), (Route::Codes, "x"));
    }

    #[test]
    fn everything_else_is_unknown() {
        let names = names();
        let neutral = format!("{}/x", names.track);
        for path in [
            "",
            "/",
            "pixel",
            "pixel.js/",
            "js/pixel.js",
            "codes",
            "codes/",
            "codes/a/b",
            "codes//a",
            "v1",
            "v1/",
            "v1/clicks",
            "v1/signups",
            "v1/conversions/",
            "v1/codes/x",
            "track?x",
            "TRACK",
            "embed/x",
            "0.wasm",
            neutral.as_str(),
        ] {
            assert_eq!(find(&names, path), (Route::Unknown, ""), "{path}");
        }
    }
}
