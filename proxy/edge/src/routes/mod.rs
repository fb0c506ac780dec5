//! The routes below a site's prefix. One file a route; those that only hand out a file are in [`files`].

mod arrival;
mod bind;
mod clicks;
mod codes;
mod consent;
mod conversions;
mod events;
mod files;
mod hooks;
mod leads;
mod links;
mod outside;
mod refunds;
mod segment;
mod server;
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
use usher_front::{Inbound, Worth};
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
    /// What few pages need.
    More,
    /// A page's report.
    Track,
    /// A lead, from a browser.
    Signups,
    /// A promo code.
    Codes,
    /// An order that a page ties to its visitor's click.
    Bind,
    /// Consent, given or withdrawn.
    Consent,
    /// A click, from a server.
    Clicks,
    /// A lead, from a server.
    Leads,
    /// A sale, from a server.
    Conversions,
    /// Money that goes back, from a server.
    Refunds,
    /// An event, from a server.
    Events,
    /// What Segment passes on.
    Segment,
    /// What a payment provider reports.
    Hooks,
    /// How a request arrives, for the site's own servers.
    Arrival,
    /// A short link.
    Link,
    /// That Global Privacy Control is honoured.
    Gpc,
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
            Self::More => "more",
            Self::Track => "track",
            Self::Signups => "signups",
            Self::Codes => "codes",
            Self::Bind => "bind",
            Self::Consent => "consent",
            Self::Gpc => "gpc",
            Self::Clicks => "clicks",
            Self::Leads => "leads",
            Self::Conversions => "conversions",
            Self::Refunds => "refunds",
            Self::Events => "events",
            Self::Segment => "segment",
            Self::Hooks => "hooks",
            Self::Arrival => "arrival",
            Self::Link => "link",
            Self::Unknown => "unknown",
            Self::Outside => "outside",
        }
    }

    /// Whether browsers call it, from pages that may have another origin.
    pub(crate) const fn is_for_browsers(self) -> bool {
        !self.is_for_servers() && !matches!(self, Self::Link | Self::Unknown | Self::Outside)
    }

    /// What a request is worth when not all can be served.
    pub(crate) const fn worth(self) -> Worth {
        match self {
            Self::Script
            | Self::More
            | Self::SuffixList
            | Self::Parser
            | Self::Worker
            | Self::Gpc
            | Self::Unknown => Worth::Trifle,
            Self::Track | Self::Codes | Self::Clicks | Self::Link => Worth::Click,
            Self::Bind | Self::Consent | Self::Outside => Worth::Page,
            Self::Signups
            | Self::Leads
            | Self::Conversions
            | Self::Refunds
            | Self::Events
            | Self::Segment
            | Self::Hooks
            | Self::Arrival => Worth::Money,
        }
    }

    /// Whether only servers call it.
    const fn is_for_servers(self) -> bool {
        matches!(
            self,
            Self::Clicks
                | Self::Leads
                | Self::Conversions
                | Self::Refunds
                | Self::Events
                | Self::Segment
                | Self::Hooks
                | Self::Arrival
        )
    }

    /// Whether it writes down what an operator will want to find in the log.
    pub(crate) const fn writes(self) -> bool {
        let writes = self.is_for_servers() && !matches!(self, Self::Arrival);
        writes || matches!(self, Self::Signups | Self::Bind)
    }

    /// The methods that it takes, as they stand in `Allow`.
    const fn methods(self) -> &'static str {
        match self {
            Self::Script | Self::SuffixList | Self::Parser | Self::Worker | Self::More | Self::Gpc => {
                "GET, HEAD, OPTIONS"
            }
            Self::Codes => METHODS,
            Self::Track | Self::Signups | Self::Bind | Self::Consent => "POST, OPTIONS",
            Self::Clicks
            | Self::Leads
            | Self::Conversions
            | Self::Refunds
            | Self::Events
            | Self::Segment
            | Self::Hooks => "POST",
            Self::Arrival => "GET",
            Self::Link => "GET, HEAD",
            Self::Unknown | Self::Outside => METHODS,
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
        "bind" => Route::Bind,
        "consent" => Route::Consent,
        "v1/clicks" => Route::Clicks,
        "v1/signups" => Route::Leads,
        "v1/conversions" => Route::Conversions,
        "v1/events" => Route::Events,
        "v1/sources/segment/events" => Route::Segment,
        "v1/arrival" => Route::Arrival,
        snippet::WASM_NAME => Route::Parser,
        snippet::WORKER_NAME => Route::Worker,
        snippet::MORE_NAME => Route::More,
        _ if below == names.script => Route::Script,
        _ if below == names.track => Route::Track,
        _ if below == names.signups => Route::Signups,
        _ if below == names.bind => Route::Bind,
        _ if below == names.consent => Route::Consent,
        _ => return find_with_argument(names, below),
    };
    (route, "")
}

fn find_with_argument<'p>(names: &Names, below: &'p str) -> (Route, &'p str) {
    match below.strip_prefix("v1/conversions/").and_then(|rest| rest.strip_suffix("/refund")) {
        Some(id) if refunds::is_id(id) => (Route::Refunds, id),
        Some(_) => (Route::Unknown, ""),
        None => match below.strip_prefix("hooks/") {
            Some(name) => (Route::Hooks, name),
            None => find_code(names, below),
        },
    }
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

/// The methods that anything here takes, as they stand in `Allow`.
pub(crate) const METHODS: &str = "GET, HEAD, POST, OPTIONS";

/// Phase `act`: does what the request asks.
pub(crate) async fn act(
    call: &Call<'_>,
    table: &Table,
    route: Route,
    argument: &str,
    body: Inbound,
) -> Result<Outcome, Fault> {
    // What is not configured is not there, whichever way it is asked for.
    if route == Route::Hooks && !call.face.webhooks.contains_key(argument) {
        return Err(Fault::NotFound);
    }
    if route == Route::Outside {
        // The answer would repeat cookies that scripts may not see (RFC 9110 section 9.3.8).
        if call.head.method == Method::TRACE {
            return Err(Fault::Method(METHODS));
        }
        return outside::act(call, table, body).await;
    }
    let methods = route.methods();
    if !methods.split(", ").any(|method| method == call.head.method.as_str()) {
        return Err(Fault::Method(methods));
    }
    if route == Route::Unknown {
        return Err(Fault::NotFound);
    }
    if call.head.method == Method::OPTIONS {
        return Ok(preflight(call, methods).into());
    }
    match route {
        Route::Script | Route::SuffixList | Route::Parser | Route::Worker | Route::More | Route::Gpc => {
            Ok(files::act(call, table, route))
        }
        Route::Arrival => arrival::act(call, table),
        Route::Unknown | Route::Outside => Err(Fault::NotFound),
        // A request's future is moved several times before it runs, and that of a sale takes 10 KiB.
        _ => Box::pin(act_by_a_job(call, table, route, argument, body)).await,
    }
}

async fn act_by_a_job(
    call: &Call<'_>,
    table: &Table,
    route: Route,
    argument: &str,
    body: Inbound,
) -> Result<Outcome, Fault> {
    match route {
        Route::Track => track::act(call, body).await,
        Route::Signups => signups::act(call, body).await,
        Route::Codes => codes::act(call, argument, body).await,
        Route::Bind => bind::act(call, body).await,
        Route::Consent => consent::act(call, body).await,
        Route::Clicks => clicks::act(call, body).await,
        Route::Leads => leads::act(call, body).await,
        Route::Conversions => conversions::act(call, body).await,
        Route::Refunds => refunds::act(call, argument, body).await,
        Route::Events => events::act(call, body).await,
        Route::Segment => segment::act(call, body).await,
        Route::Hooks => hooks::act(call, argument, body).await,
        Route::Link => links::act(call, table, argument).await,
        _ => Err(Fault::NotFound),
    }
}

fn preflight(call: &Call<'_>, methods: &'static str) -> Answer {
    let mut answer = answer::empty(StatusCode::NO_CONTENT);
    answer.headers_mut().insert(ALLOW, HeaderValue::from_static(methods));
    call.caller.allow_preflight(answer.headers_mut());
    answer
}

/// The body of a page's call, once it is known that the page may call.
async fn page_body(call: &Call<'_>, body: Inbound) -> Result<Bytes, Fault> {
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
            (snippet::MORE_NAME, Route::More),
            ("track", Route::Track),
            ("v1/track", Route::Track),
            (names.track.as_str(), Route::Track),
            ("signups", Route::Signups),
            ("js/signups", Route::Signups),
            (names.signups.as_str(), Route::Signups),
            ("bind", Route::Bind),
            ("consent", Route::Consent),
            (names.consent.as_str(), Route::Consent),
            (names.bind.as_str(), Route::Bind),
            ("v1/clicks", Route::Clicks),
            ("v1/signups", Route::Leads),
            ("v1/conversions", Route::Conversions),
            ("v1/events", Route::Events),
            ("v1/sources/segment/events", Route::Segment),
            ("v1/arrival", Route::Arrival),
        ] {
            assert_eq!(find(&names, path), (route, ""), "{path}");
        }
        assert_eq!(find(&names, "codes/SAVE%2010"), (Route::Codes, "SAVE%2010"));
        assert_eq!(find(&names, &format!("{}/x", names.codes)), (Route::Codes, "x"));
        for id in ["com_1", "conv_01jx", "a.b~c-d", "%63om%5F1", "refund"] {
            assert_eq!(find(&names, &format!("v1/conversions/{id}/refund")), (Route::Refunds, id), "{id}");
        }
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
            "v1/clicks/",
            "v1/click",
            "clicks",
            "conversions",
            "events",
            "v1/bind",
            "v1/consent",
            "consent/",
            "bind/",
            "v1/sources/segment",
            "v1/sources/custom/events",
            "v1/sources//events",
            "v1/conversions/",
            "v1/conversions/refund",
            "v1/conversions//refund",
            "v1/conversions/com_1",
            "v1/conversions/com_1/",
            "v1/conversions/com_1/refund/",
            "v1/conversions/com_1/Refund",
            "v1/conversions/com_1/a/refund",
            "v1/conversions/com%2F1/refund",
            "v1/conversions/com%201/refund",
            "v1/conversions/com+1/refund",
            "v1/conversions/com%/refund",
            "v1/conversions/%00/refund",
            "v1/conversions/%C3%A9/refund",
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
