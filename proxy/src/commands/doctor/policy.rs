//! What a page's Content-Security-Policy leaves of the tag.

use super::{
    csp::{Policy, Script},
    verdict::Verdict,
};
use url::Url;

const CHECK: &str = "policy";

/// What the page wants to do.
pub(super) struct Wants<'a> {
    pub(super) page: &'a Url,
    pub(super) script: Script<'a>,
    /// Where it calls.
    pub(super) call: &'a Url,
    /// The worker, where the snippet starts one: it does not when a nonce, a digest, a `<meta>` policy or `data-parser` speak
    /// against it.
    pub(super) worker: Option<&'a Url>,
}

/// The policies that hold, then those that only report.
pub(super) fn judge(policies: &[Policy], wants: &Wants<'_>) -> Vec<Verdict> {
    let (reporting, holding): (Vec<_>, Vec<_>) = policies.iter().partition(|policy| policy.is_report_only);
    if policies.is_empty() {
        return vec![Verdict::ok(CHECK, "the page has no Content-Security-Policy")];
    }
    let mut verdicts = Vec::new();
    for policy in &holding {
        verdicts.extend(hard(policy, wants).map(|(what, mend)| Verdict::fail(CHECK, what, mend)));
    }
    if verdicts.is_empty() && !holding.is_empty() {
        verdicts.push(Verdict::ok(CHECK, "the page's Content-Security-Policy lets the script run and call"));
    }
    for policy in &holding {
        verdicts.extend(soft(policy, wants).map(|(what, mend)| Verdict::warn(CHECK, what, mend)));
    }
    for policy in &reporting {
        let both = hard(policy, wants).chain(soft(policy, wants));
        verdicts.extend(both.map(|(what, mend)| {
            Verdict::warn(CHECK, format!("a policy that only reports will report: {what}"), mend)
        }));
    }
    if holding.iter().any(|policy| !policy.wasm()) {
        verdicts.push(Verdict::info(
            CHECK,
            "WebAssembly does not run on the page itself; nothing is lost, a worker or the edge reads the address",
            "",
        ));
    }
    verdicts
}

/// What stops the tag.
fn hard(policy: &Policy, wants: &Wants<'_>) -> impl Iterator<Item = (String, String)> {
    let origin = |url: &Url| {
        let own = url.origin() == wants.page.origin();
        if own { "'self'".to_owned() } else { url.origin().ascii_serialization() }
    };
    let sandboxed = policy.sandbox().map(|word| {
        let what = format!("sandbox without {word}: the script cannot run, or has no cookies");
        (what, format!("add {word}"))
    });
    let script = policy.script(wants.page, wants.script).err().map(|directive| {
        let name = directive.split(' ').next().unwrap_or_default().to_owned();
        let mend = if directive.contains("'nonce-") || directive.contains("'strict-dynamic'") {
            "give the tag the page's nonce".to_owned()
        } else if name == "default-src" {
            format!("add script-src {}", origin(wants.script.url))
        } else {
            format!("add {} to {name}", origin(wants.script.url))
        };
        (format!("{directive:?} forbids the script {}", wants.script.url), mend)
    });
    let call = policy.connect(wants.page, wants.call).err().map(|directive| {
        let what = format!("{directive:?} forbids the calls to {}", wants.call);
        (what, format!("add {} to connect-src", origin(wants.call)))
    });
    [sandboxed, script, call].into_iter().flatten()
}

/// What the click survives, though the browser reports it to the merchant.
fn soft(policy: &Policy, wants: &Wants<'_>) -> impl Iterator<Item = (String, String)> {
    let worker = wants.worker.and_then(|url| {
        let directive = policy.worker(wants.page, url).err()?;
        let what =
            format!("{directive:?} forbids the worker {url}: where a referral stands in a fragment browsers report it, the click is recorded");
        Some((what, "add the path to worker-src, or data-parser=\"edge\" to the tag".to_owned()))
    });
    let types = wants.worker.and_then(|_| {
        let directive = policy.trusted_types("referral").err()?;
        let what = format!("{directive:?} does not name referral: where a referral stands in a fragment browsers report it, the click is recorded");
        Some((what, "add referral to trusted-types, or data-parser=\"edge\" to the tag".to_owned()))
    });
    [worker, types].into_iter().flatten()
}

#[cfg(test)]
mod tests {
    use super::{super::csp, *};

    fn judged(policy: &str, report_only: &str, starts_worker: bool) -> Vec<String> {
        let url = |text: &str| Url::parse(text).expect("a URL");
        let (page, script, call, worker) = (
            url("https://shop.com/"),
            url("https://shop.com/r/a.js"),
            url("https://shop.com/r/b"),
            url("https://shop.com/r/w.js"),
        );
        let mut policies = csp::parse(policy, false);
        policies.extend(csp::parse(report_only, true));
        let wants = Wants {
            page: &page,
            script: Script { url: &script, nonce: None, integrity: None },
            call: &call,
            worker: starts_worker.then_some(&worker),
        };
        judge(&policies, &wants)
            .iter()
            .map(|verdict| format!("{:?} {} | {}", verdict.level, verdict.what, verdict.mend))
            .collect()
    }

    #[test]
    fn each_policy_has_its_verdicts() {
        for (policy, report_only, worker, wanted) in [
            ("", "", true, &["Ok the page has no"][..]),
            ("img-src 'self'", "", true, &["Ok the page's"]),
            ("script-src 'self'", "", true, &["Ok the page's", "Info WebAssembly"]),
            ("script-src 'self' 'wasm-unsafe-eval'", "", true, &["Ok the page's"]),
            (
                "script-src cdn.com",
                "",
                true,
                &[
                    "Fail \"script-src cdn.com\" forbids the script",
                    "Warn \"script-src cdn.com\" forbids the worker",
                    "Info",
                ],
            ),
            ("script-src cdn.com", "", false, &["Fail \"script-src cdn.com\" forbids the script", "Info"]),
            (
                "default-src 'none'",
                "",
                false,
                &[
                    "Fail \"default-src 'none'\" forbids the script",
                    "Fail \"default-src 'none'\" forbids the calls",
                    "Info",
                ],
            ),
            ("connect-src 'none'", "", true, &["Fail \"connect-src 'none'\" forbids the calls"]),
            ("worker-src 'none'", "", true, &["Ok", "Warn \"worker-src 'none'\" forbids the worker"]),
            ("worker-src 'none'", "", false, &["Ok"]),
            ("trusted-types x", "", true, &["Ok", "Warn \"trusted-types x\" does not name referral"]),
            ("trusted-types x", "", false, &["Ok"]),
            ("sandbox", "", true, &["Fail sandbox without allow-scripts"]),
            (
                "",
                "script-src 'none'",
                false,
                &["Warn a policy that only reports will report: \"script-src 'none'\" forbids the script"],
            ),
            ("img-src *, connect-src 'none'", "", true, &["Fail \"connect-src"]),
        ] {
            let found = judged(policy, report_only, worker);
            assert_eq!(found.len(), wanted.len(), "{policy} {report_only}: {found:#?}");
            assert!(
                found.iter().zip(wanted).all(|(found, wanted)| found.starts_with(wanted)),
                "{policy}: {found:#?}"
            );
        }
    }

    #[test]
    fn the_mend_fits() {
        for (policy, mend) in [
            ("script-src cdn.com", "add 'self' to script-src"),
            ("default-src cdn.com; connect-src *", "add script-src 'self'"),
            ("script-src 'nonce-x'", "give the tag the page's nonce"),
            ("connect-src cdn.com", "add 'self' to connect-src"),
        ] {
            assert!(
                judged(policy, "", false)[0].ends_with(mend),
                "{policy}: {:?}",
                judged(policy, "", false)
            );
        }
    }
}
