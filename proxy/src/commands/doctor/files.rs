//! What the tag loads: the script, the worker, and whether calls get through.

use super::{
    fetch::{Ask, Got, Net},
    page::Page,
    script::Names,
    target::{Edge, Target},
    verdict::Verdict,
};
use bytes::Bytes;
use http::{HeaderName, Method, header};
use url::Url;
use usher_model::limits::UPSTREAM_BODY_BYTES;

const CHECK: &str = "script";
const RESOURCE_POLICY: HeaderName = HeaderName::from_static("cross-origin-resource-policy");

/// What was found.
pub(super) struct Files {
    pub(super) verdicts: Vec<Verdict>,
    /// The names that the script calls; `None` when it is not there, or another one.
    pub(super) names: Option<Names>,
}

/// Fetches them as the page does.
pub(super) async fn look(net: &Net, target: &Target) -> Files {
    let Some(edge) = &target.edge else { return Files { verdicts: Vec::new(), names: None } };
    let (mut verdicts, names) = script(net, edge, &target.page).await;
    if names.is_some() {
        verdicts.extend(worker(net, target, edge, names.as_ref()).await);
    }
    let track = names.as_ref().map_or("track", |names| names.track.as_str());
    verdicts.push(calls(net, edge, &target.page, track).await);
    Files { verdicts, names }
}

/// Whether the snippet starts a worker: it does not where the page's markup tells of a policy (`snippet/ts/address.ts`).
pub(super) fn starts_worker(target: &Target, edge: &Edge) -> bool {
    let Page { policies, has_nonces, .. } = &target.markup;
    let tag = target.tag.as_ref();
    edge.base.origin() == target.page.origin()
        && !*has_nonces
        && policies.is_empty()
        && tag.is_none_or(|tag| tag.nonce.is_none() && tag.integrity.is_none() && !tag.is_parsed_at_edge)
}

async fn script(net: &Net, edge: &Edge, page: &Url) -> (Vec<Verdict>, Option<Names>) {
    let url = &edge.script;
    let fetch = async |encoding: &str, tag: Option<&str>| {
        let mut headers = vec![
            (header::ACCEPT, "*/*"),
            (header::ACCEPT_ENCODING, encoding),
            (header::REFERER, page.as_str()),
            (HeaderName::from_static("sec-fetch-dest"), "script"),
            (HeaderName::from_static("sec-fetch-mode"), "no-cors"),
        ];
        headers.extend(tag.map(|tag| (header::IF_NONE_MATCH, tag)));
        net.ask(&Ask::get(url, &headers, UPSTREAM_BODY_BYTES)).await
    };
    let plain = match fetch("identity", None).await {
        Ok(got) if got.status == 200 => got,
        Ok(got) => {
            let target = got.header(header::LOCATION).map_or(String::new(), |target| format!(" to {target}"));
            let what = format!("{url} answers {}{target}", got.status);
            return (
                vec![Verdict::fail(CHECK, what, "hand the path over to Usher, with its Host as it came")],
                None,
            );
        }
        Err(error) => {
            let what = format!("{url} cannot be loaded: {error:#}");
            return (vec![Verdict::fail(CHECK, what, "")], None);
        }
    };
    let names = Names::read(&String::from_utf8_lossy(&plain.body));
    let mut verdicts = essentials(&plain, url, page, names.is_some());
    if names.is_some() {
        let small = fetch("br, gzip", None).await.ok();
        let tag = plain.header(header::ETAG);
        let again = match tag {
            Some(tag) => fetch("identity", Some(tag)).await.ok(),
            None => None,
        };
        verdicts.extend(manners(&plain, small.as_ref(), again.as_ref()));
    }
    if verdicts.is_empty() {
        verdicts.push(Verdict::ok(CHECK, format!("{url} is served as it should be")));
    }
    (verdicts, names)
}

/// What a browser needs to run it.
fn essentials(got: &Got, url: &Url, page: &Url, is_ours: bool) -> Vec<Verdict> {
    let mut verdicts = Vec::new();
    let kind = got.header(header::CONTENT_TYPE).unwrap_or_default().to_ascii_lowercase();
    let essence = kind.split(';').next().unwrap_or_default().trim().to_owned();
    if !matches!(essence.as_str(), "text/javascript" | "application/javascript" | "application/x-javascript")
    {
        let what = format!("{url} is {kind:?}, which browsers do not run");
        verdicts.push(Verdict::fail(
            CHECK,
            what,
            "hand the path over to Usher: something else answers there",
        ));
    } else if !is_ours {
        let what = format!("{url} is a script, but not Usher's");
        verdicts.push(Verdict::fail(
            CHECK,
            what,
            "hand the path over to Usher: something else answers there",
        ));
    }
    let allowed = got.header(RESOURCE_POLICY).unwrap_or("cross-origin");
    if allowed == "same-origin" && url.origin() != page.origin() {
        let what = format!(
            "{url} is for its own origin alone (Cross-Origin-Resource-Policy), and the page is another"
        );
        verdicts.push(Verdict::fail(CHECK, what, "keep the field as the edge sends it"));
    }
    verdicts
}

/// What makes it safe and quick.
fn manners(plain: &Got, small: Option<&Got>, again: Option<&Got>) -> Vec<Verdict> {
    const MEND: &str = "let the proxy in front keep the answer's header as it is";
    let mut verdicts = Vec::new();
    let mut warn = |is: bool, what: &str| {
        if is {
            verdicts.push(Verdict::warn(CHECK, what, MEND));
        }
    };
    let sniffs = plain
        .header(header::X_CONTENT_TYPE_OPTIONS)
        .is_none_or(|value| !value.eq_ignore_ascii_case("nosniff"));
    warn(sniffs, "it comes without X-Content-Type-Options: nosniff");
    let encoded = small.is_some_and(|got| got.headers.contains_key(header::CONTENT_ENCODING));
    warn(!encoded, "it comes uncompressed");
    let is_known = again.is_some_and(|got| got.status == 304);
    warn(!is_known, "it is sent whole again although the browser has it (no ETag, or no 304)");
    let cache = plain.header(header::CACHE_CONTROL).unwrap_or_default().to_ascii_lowercase();
    let fleeting = !cache.contains("max-age=") || cache.contains("no-store") || cache.contains("max-age=0");
    warn(fleeting, "browsers may not keep it, and load it on every page");
    verdicts
}

/// A worker is bound by the policy of its own answer: a proxy that adds the site's to everything takes WebAssembly from it.
async fn worker(net: &Net, target: &Target, edge: &Edge, names: Option<&Names>) -> Vec<Verdict> {
    let Some(names) = names.filter(|_| starts_worker(target, edge)) else { return Vec::new() };
    let url = edge.at(&names.worker);
    let got = match net.ask(&Ask::get(&url, &[(header::ACCEPT, "*/*")], UPSTREAM_BODY_BYTES)).await {
        Ok(got) if got.status == 200 => got,
        Ok(got) => {
            let what = format!("the worker {url} answers {}", got.status);
            return vec![Verdict::warn("worker", what, "hand over everything below the prefix")];
        }
        Err(error) => return vec![Verdict::warn("worker", format!("the worker {url}: {error:#}"), "")],
    };
    let fields = got.all(header::CONTENT_SECURITY_POLICY);
    let forbids =
        fields.iter().flat_map(|field| super::csp::parse(field, false)).any(|policy| !policy.wasm());
    if forbids {
        let what = format!(
            "{url} comes with a Content-Security-Policy that forbids WebAssembly: browsers report it"
        );
        return vec![Verdict::warn("worker", what, "add no policy to what lies below the prefix")];
    }
    vec![Verdict::ok("worker", format!("{url} is served, and runs under no policy of its own"))]
}

/// Asks whether the page may call, which changes nothing.
async fn calls(net: &Net, edge: &Edge, page: &Url, track: &str) -> Verdict {
    const CHECK: &str = "calls";
    let url = edge.at(track);
    let origin = page.origin().ascii_serialization();
    let headers = [
        (header::ORIGIN, origin.as_str()),
        (header::ACCESS_CONTROL_REQUEST_METHOD, "POST"),
        (header::ACCESS_CONTROL_REQUEST_HEADERS, "content-type"),
    ];
    let ask = Ask {
        method: Method::OPTIONS,
        url: &url,
        headers: &headers,
        body: Bytes::new(),
        limit_bytes: 4_096,
        is_guarded: false,
    };
    let got = match net.ask(&ask).await {
        Ok(got) => got,
        Err(error) => return Verdict::fail(CHECK, format!("{url} cannot be called: {error:#}"), ""),
    };
    let allows = got.header(header::ALLOW).unwrap_or_default();
    if got.status != 204 || !allows.contains("POST") {
        let what = format!("calls to {url} do not reach Usher: it answers {}", got.status);
        return Verdict::fail(CHECK, what, "hand over everything below the prefix, with every method");
    }
    let admitted = got.header(header::ACCESS_CONTROL_ALLOW_ORIGIN) == Some(origin.as_str());
    if url.origin() != page.origin() && !admitted {
        let what = format!("pages of {origin} may not call {url}");
        return Verdict::fail(CHECK, what, "add the page's host to the site's hosts");
    }
    Verdict::ok(CHECK, format!("pages of {origin} may call {url}"))
}
