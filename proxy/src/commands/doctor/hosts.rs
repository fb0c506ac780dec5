//! The hosts: where they lie, what Safari makes of that, and their certificates.

use super::{
    fetch::{self, Net},
    safari::{self, Resolved, Rule},
    target::Target,
    verdict::Verdict,
};
use rustls::ProtocolVersion;
use std::net::IpAddr;
use url::Url;
use usher_model::{Clock, limits::DOCTOR_CERTIFICATE_DAYS};

const DAY_S: i64 = 86_400;

/// What was found.
pub(super) struct Hosts {
    pub(super) verdicts: Vec<Verdict>,
    pub(super) safari: Rule,
    /// Whither the host of the calls points, when that is another site.
    pub(super) aliases: Vec<String>,
}

/// Looks at the page's host and at the one that is called.
pub(super) async fn look(net: &Net, target: &Target, clock: &dyn Clock) -> Hosts {
    let mut verdicts = Vec::new();
    let called = target.edge.as_ref().map(|edge| &edge.base);
    let is_other = called.is_some_and(|called| called.host_str() != target.page.host_str());
    let page = resolve(net, &target.page, &mut verdicts).await;
    let tracking = match called.filter(|_| is_other) {
        Some(called) => resolve(net, called, &mut verdicts).await,
        None => page.clone(),
    };
    let safari = match (&page, &tracking) {
        (Some(page), Some(tracking)) => safari::judge(page, tracking),
        _ => Rule::Unknown,
    };
    if called.is_some() {
        verdicts.push(about_safari(&safari, page.as_ref(), tracking.as_ref()));
    }
    let other = called.filter(|called| called.origin() != target.page.origin());
    // Where nothing is found, nothing can be shaken hands with.
    let there = [Some(&target.page).filter(|_| page.is_some()), other.filter(|_| tracking.is_some())];
    for url in there.into_iter().flatten() {
        verdicts.push(certificate(net, url, &target.page, clock).await);
    }
    let site = safari::registrable(target.page.host_str().unwrap_or_default());
    let outside = |alias: &String| safari::registrable(alias) != site;
    let aliases = tracking.map(|host| host.aliases).unwrap_or_default().into_iter().filter(outside).collect();
    Hosts { verdicts, safari, aliases }
}

async fn resolve(net: &Net, url: &Url, verdicts: &mut Vec<Verdict>) -> Option<Resolved> {
    const CHECK: &str = "dns";
    let host = url.host_str().unwrap_or_default();
    match net.resolve(url).await {
        Ok(found) if found.addresses.is_empty() => {
            let what = format!("{} has no address", chain(&found));
            verdicts.push(Verdict::fail(CHECK, what, "add an A or AAAA record"));
            Some(found)
        }
        Ok(found) => {
            let addresses: Vec<String> = found.addresses.iter().map(IpAddr::to_string).collect();
            verdicts.push(Verdict::ok(CHECK, format!("{} is {}", chain(&found), addresses.join(", "))));
            Some(found)
        }
        Err(error) => {
            verdicts.push(Verdict::fail(
                CHECK,
                format!("{host} is not found: {error:#}"),
                "look at its DNS records",
            ));
            None
        }
    }
}

fn chain(found: &Resolved) -> String {
    let names: Vec<&str> = std::iter::once(&found.host).chain(&found.aliases).map(String::as_str).collect();
    names.join(" -> ")
}

/// What becomes of the cookies affonso_referral, affonso_data and the signed twin, where a script's call sets them.
fn about_safari(rule: &Rule, page: Option<&Resolved>, tracking: Option<&Resolved>) -> Verdict {
    const CHECK: &str = "safari";
    const MEND: &str = "hand over a path of the page's own host, give the host addresses beside the page's, or let the page's own answer set them (origin, short links)";
    let name = |host: Option<&Resolved>| host.map_or(String::new(), |host| host.host.clone());
    let (page, host) = (name(page), name(tracking));
    let capped = |why: String| {
        format!(
            "Safari keeps the cookies that calls to {host} set (affonso_referral, affonso_data, the signed one) for 7 days: {why}; what a top-level answer sets is exempt"
        )
    };
    match rule {
        Rule::SameHost => {
            Verdict::ok(CHECK, format!("page and calls share {host}, so Safari caps no cookie"))
        }
        Rule::AliasWithin(end) => {
            Verdict::ok(CHECK, format!("{host} points into {end} itself, so Safari caps no cookie"))
        }
        Rule::AliasAsPages(end) => {
            Verdict::ok(CHECK, format!("{host} points to {end}, as {page} does, so Safari caps no cookie"))
        }
        Rule::Near => Verdict::ok(
            CHECK,
            format!("{host} lies beside {page} (16 bits of IPv4, 64 of IPv6), so Safari caps no cookie"),
        ),
        Rule::Cloaked(end) => Verdict::fail(CHECK, capped(format!("{host} points to {end}")), MEND),
        Rule::Far(a, b) => Verdict::fail(CHECK, capped(format!("{b} is not beside the page's {a}")), MEND),
        Rule::SometimesFar(a, b) => Verdict::warn(
            CHECK,
            capped(format!("for some visitors, as {b} is not beside the page's {a}")),
            MEND,
        ),
        Rule::ThirdParty => Verdict::fail(
            CHECK,
            format!("{host} is another site than {page}: Safari and others keep no cookie of it"),
            "hand over a path of the page's own host, or use a subdomain of it",
        ),
        Rule::Unknown => Verdict::info(CHECK, "not looked at: the hosts' addresses are not known", ""),
    }
}

async fn certificate(net: &Net, url: &Url, page: &Url, clock: &dyn Clock) -> Verdict {
    const CHECK: &str = "certificate";
    let host = fetch::host_of(url).unwrap_or_default();
    if url.scheme() == "http" {
        return if page.scheme() == "https" {
            let what = format!("calls go to {host} by plain http, which a page by https may not make");
            Verdict::fail(CHECK, what, "call it by https")
        } else {
            let what = format!(
                "{host} is asked by plain http: cookies are not Secure, and anybody on the way can change them"
            );
            Verdict::warn(CHECK, what, "serve it by https")
        };
    }
    let seen = match net.handshake(url).await {
        Ok(seen) => seen,
        Err(error) => return Verdict::fail(CHECK, format!("{host}: {error:#}"), ""),
    };
    let now_s = clock.now().seconds();
    let left_s = seen.ends_s.and_then(|ends| i64::try_from(ends).ok()).map(|ends| ends.saturating_sub(now_s));
    let days = left_s.map(|left| left.div_euclid(DAY_S));
    if let Some(why) = &seen.refused {
        let since =
            days.filter(|days| *days < 0).map_or(String::new(), |days| format!(", {} days ago", -days));
        let what = format!("browsers refuse the certificate of {host}: {why}{since}");
        return Verdict::fail(CHECK, what, "renew it, or serve the one that names the host, with its chain");
    }
    let version = match seen.version {
        Some(ProtocolVersion::TLSv1_3) => "TLS 1.3",
        Some(ProtocolVersion::TLSv1_2) => "TLS 1.2",
        _ => "TLS",
    };
    let protocol = if seen.is_h2 { "HTTP/2" } else { "HTTP/1.1 alone" };
    let lasts = days.map_or_else(|| "holds".to_owned(), |days| format!("holds for {days} days"));
    let what = format!("the certificate of {host} {lasts}; {version}, {protocol}");
    match days.and_then(|days| u64::try_from(days).ok()) {
        Some(days) if days < DOCTOR_CERTIFICATE_DAYS => {
            Verdict::warn(CHECK, what, "renew it: it should have been by now")
        }
        _ => Verdict::ok(CHECK, what),
    }
}
