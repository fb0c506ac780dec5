//! A visit: what the page's policy and caches leave of it, what a click sets, and whose address arrives.

use super::{
    address::{self, Arrival, CLAIMED},
    cookies::{self, Answered},
    csp,
    fetch::{Ask, Got, Net},
    files,
    policy::{self, Wants},
    safari::Rule,
    script::Names,
    set_cookie::From,
    target::{Edge, NAVIGATION, Target},
    verdict::Verdict,
};
use crate::cli;
use http::{HeaderName, Method, header};
use serde_json::{Value, json};
use url::Url;
use usher_model::{
    Consent, Secret, UnixMs,
    limits::{BROWSER_BODY_BYTES, DOCTOR_PAGE_BYTES},
};

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const REPORT_ONLY: HeaderName = header::CONTENT_SECURITY_POLICY_REPORT_ONLY;

/// The page's policies, from its answer and its markup.
pub(super) fn policies(target: &Target, names: Option<&Names>) -> Vec<Verdict> {
    let (Some(got), Some(edge)) = (&target.got, &target.edge) else { return Vec::new() };
    let of = |name, report_only| {
        got.all(name).into_iter().flat_map(move |field| csp::parse(field, report_only)).collect::<Vec<_>>()
    };
    let mut all = of(header::CONTENT_SECURITY_POLICY, false);
    all.extend(target.markup.policies.iter().flat_map(|text| csp::parse(text, false)));
    all.extend(of(REPORT_ONLY, true));
    let tag = target.tag.as_ref();
    let call = edge.at(names.map_or("track", |names| names.track.as_str()));
    let worker = names.filter(|_| files::starts_worker(target, edge)).map(|names| edge.at(&names.worker));
    let wants = Wants {
        page: &target.page,
        script: csp::Script {
            url: &edge.script,
            nonce: tag.and_then(|tag| tag.nonce.as_deref()),
            integrity: tag.and_then(|tag| tag.integrity.as_deref()),
        },
        call: &call,
        worker: worker.as_ref(),
    };
    policy::judge(&all, &wants)
}

/// A page that sets cookies and that any cache may keep gives one visitor's to others.
pub(super) fn caching(target: &Target) -> Vec<Verdict> {
    target.got.iter().map(about_caching).collect()
}

fn about_caching(got: &Got) -> Verdict {
    const CHECK: &str = "caching";
    let sets = !got.all(header::SET_COOKIE).is_empty();
    let control = got.all(header::CACHE_CONTROL).join(", ").to_ascii_lowercase();
    match (sets, is_shared(&control)) {
        (true, true) => Verdict::fail(
            CHECK,
            format!(
                "{} sets cookies and lets every cache keep them ({control}): visitors get each other's",
                got.url
            ),
            "answer with Cache-Control: private, or set no cookie there",
        ),
        (false, true) => Verdict::ok(CHECK, format!("{} may be cached, and sets no cookie", got.url)),
        (_, false) => Verdict::ok(CHECK, format!("no cache in between keeps {}", got.url)),
    }
}

/// Whether caches that many visitors share may keep the answer without asking (RFC 9111 section 3).
fn is_shared(control: &str) -> bool {
    let directives: Vec<(&str, &str)> = (control.split(',').map(str::trim))
        .map(|directive| directive.split_once('=').unwrap_or((directive, "")))
        .collect();
    let has = |wanted: &str| directives.iter().any(|(name, _)| *name == wanted);
    let lasts = |wanted: &str| {
        let age = directives.iter().find(|(name, _)| *name == wanted)?.1.trim_matches('"');
        Some(age.parse::<u64>().is_ok_and(|seconds| seconds > 0))
    };
    let forbidden = has("no-store") || has("private") || has("no-cache");
    !forbidden && lasts("s-maxage").or_else(|| lasts("max-age")).unwrap_or_else(|| has("public"))
}

/// A click, when one was asked for.
pub(super) struct Click<'a> {
    pub(super) options: &'a cli::Doctor,
    pub(super) names: Option<&'a Names>,
    pub(super) safari: &'a Rule,
    pub(super) now: UnixMs,
}

impl Click<'_> {
    pub(super) async fn look(&self, net: &Net, target: &Target) -> Vec<Verdict> {
        const CHECK: &str = "cookies";
        let Some(edge) = &target.edge else { return Vec::new() };
        let Some(affiliate) = &self.options.click else {
            let what = "not looked at: only a click sets them, and the platform hears of it";
            return vec![Verdict::info(CHECK, what, "give --click AFFILIATE")];
        };
        let asks_first = target.tag.as_ref().is_some_and(|tag| tag.requires_consent)
            || target.site.as_ref().is_some_and(|site| site.consent == Consent::Required);
        if asks_first {
            let what = "not looked at: the site asks its visitors first, and nobody has agreed";
            return vec![Verdict::info(CHECK, what, "")];
        }
        let parameter = self.names.and_then(|names| names.parameters.first()).map_or("via", String::as_str);
        let mut landing = target.page.clone();
        landing.query_pairs_mut().append_pair(parameter, affiliate);
        match self.click(net, target, edge, &landing).await {
            Ok((got, is_top_level)) => self.judge(&got, is_top_level, target),
            Err(why) => vec![Verdict::fail(CHECK, why, "")],
        }
    }

    /// Lands on the page; where its own answer sets nothing, reports the click as the script does.
    async fn click(
        &self,
        net: &Net,
        target: &Target,
        edge: &Edge,
        landing: &Url,
    ) -> Result<(Got, bool), String> {
        let cross = (HeaderName::from_static("sec-fetch-site"), "cross-site");
        let headers: Vec<_> = NAVIGATION.into_iter().chain([cross]).collect();
        if let Ok(got) =
            net.ask(&Ask { is_guarded: true, ..Ask::get(landing, &headers, DOCTOR_PAGE_BYTES) }).await
            && got.all(header::SET_COOKIE).iter().any(|field| field.starts_with("affonso_referral="))
        {
            return Ok((got, true));
        }
        let url = edge.at(self.names.map_or("track", |names| names.track.as_str()));
        let program = target.tag.as_ref().and_then(|tag| tag.program.clone());
        let program = program.or_else(|| target.site.as_ref().map(|site| site.program.clone()));
        let Some(program) = program else {
            return Err("no program is known to click for: the page has no tag".to_owned());
        };
        let body = json!({"programId": program, "url": landing.as_str(), "referrer": ""}).to_string();
        let origin = target.page.origin().ascii_serialization();
        let headers = [
            (header::ORIGIN, origin.as_str()),
            (header::CONTENT_TYPE, "application/json"),
            (header::ACCEPT, "*/*"),
            (HeaderName::from_static("sec-fetch-dest"), "empty"),
            (HeaderName::from_static("sec-fetch-mode"), "cors"),
        ];
        let ask = Ask {
            method: Method::POST,
            url: &url,
            headers: &headers,
            body: body.into(),
            limit_bytes: BROWSER_BODY_BYTES,
            is_guarded: true,
        };
        match net.ask(&ask).await {
            Ok(got) if got.status == 200 => Ok((got, false)),
            Ok(got) => Err(format!("the click at {url} was answered {}", got.status)),
            Err(error) => Err(format!("the click at {url}: {error:#}")),
        }
    }

    fn judge(&self, got: &Got, is_top_level: bool, target: &Target) -> Vec<Verdict> {
        let answered = Answered {
            fields: got.all(header::SET_COOKIE),
            from: From {
                host: got.url.host_str().unwrap_or_default(),
                path: got.url.path(),
                https: got.url.scheme() == "https",
                now_s: self.now.seconds(),
            },
            page: target.page.host_str().unwrap_or_default(),
            is_top_level,
            safari: self.safari,
        };
        let mut verdicts = cookies::judge(&answered);
        verdicts.extend(
            Some(about_caching(got))
                .filter(|verdict| super::verdict::any_fails(std::slice::from_ref(verdict))),
        );
        verdicts
    }
}

/// Asks the edge whom it takes us for, while we claim to be somebody else.
pub(super) async fn address(net: &Net, target: &Target, key: Option<&Secret>) -> Vec<Verdict> {
    const CHECK: &str = "address";
    let Some(edge) = &target.edge else { return Vec::new() };
    let unseen = |why: &str, mend: &str| vec![Verdict::info(CHECK, format!("not looked at: {why}"), mend)];
    let Some(key) = key.and_then(|key| std::str::from_utf8(key.expose()).ok()) else {
        return unseen(
            "the edge tells it only to who has the site's API key",
            "give --config usher.toml, or --api-key-env NAME",
        );
    };
    let url = edge.at("v1/arrival");
    let is_here =
        |host: &str| host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback());
    let places = || {
        net.places
            .get(&(url.host_str().unwrap_or_default().to_owned(), url.port_or_known_default().unwrap_or(0)))
    };
    let is_local =
        is_here(url.host_str().unwrap_or_default()) || places().is_some_and(|place| place.is_loopback());
    if url.scheme() == "http" && !is_local {
        return unseen("the API key is not sent by plain http", "serve it by https");
    }
    let bearer = format!("Bearer {key}");
    let headers = [(header::AUTHORIZATION, bearer.as_str()), (FORWARDED_FOR, CLAIMED)];
    let ask = Ask { is_guarded: true, ..Ask::get(&url, &headers, BROWSER_BODY_BYTES) };
    match net.ask(&ask).await {
        Ok(got) if got.status == 200 => match arrival(&got) {
            Some(arrival) => address::judge(&arrival, got.from, url.scheme() == "https"),
            None => unseen("what answered is no Usher of this version", ""),
        },
        Ok(got) if got.status == 401 => {
            unseen("the edge does not know the API key", "look at the site's api_keys")
        }
        Ok(got) => unseen(&format!("{url} answers {}", got.status), "hand over everything below the prefix"),
        Err(error) => unseen(&format!("{error:#}"), ""),
    }
}

fn arrival(got: &Got) -> Option<Arrival> {
    let mut answer: Value = serde_json::from_slice(&got.body).ok()?;
    serde_json::from_value(answer.get_mut("data")?.take()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_shared_caches_keep() {
        for (control, shared) in [
            ("", false),
            ("public", true),
            ("public, max-age=60", true),
            ("max-age=60", true),
            ("max-age=0", false),
            ("public, max-age=0", false),
            ("s-maxage=60", true),
            ("max-age=60, s-maxage=0", false),
            ("max-age=0, s-maxage=60", true),
            ("private, max-age=60", false),
            ("no-store", false),
            ("no-cache, public", false),
            ("public, max-age=60, private", false),
            ("must-revalidate", false),
        ] {
            assert_eq!(is_shared(control), shared, "{control}");
        }
    }
}
