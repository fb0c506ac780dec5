//! What becomes of the cookies that a click sets.

use super::{
    safari::Rule,
    set_cookie::{self, From, Kept, Life, MAX_DAYS, SameSite},
    verdict::Verdict,
};
use usher_model::limits::DOCTOR_COOKIE_BYTES;

const CHECK: &str = "cookies";
const REFERRAL: &str = "affonso_referral";
const DAY_S: i64 = 86_400;

/// An answer that set cookies.
pub(super) struct Answered<'a> {
    pub(super) fields: Vec<&'a str>,
    pub(super) from: From<'a>,
    /// The page's host.
    pub(super) page: &'a str,
    /// The answer is the page's own, which Safari caps nothing of.
    pub(super) is_top_level: bool,
    pub(super) safari: &'a Rule,
}

/// A verdict for each cookie that something is wrong with, and one for all.
pub(super) fn judge(answered: &Answered<'_>) -> Vec<Verdict> {
    let mut verdicts = Vec::new();
    let mut kept = Vec::new();
    for field in &answered.fields {
        let name = field.split(['=', ';']).next().unwrap_or_default().trim();
        match set_cookie::keep(field, answered.from) {
            Ok(cookie) if cookie.life == Life::Gone => {}
            Ok(cookie) => kept.push(cookie),
            Err(why) => {
                let mend = "look at cookie_domain, and at what proxies in front change";
                verdicts.push(Verdict::fail(CHECK, format!("browsers refuse {name}: {why}"), mend));
            }
        }
    }
    match kept.iter().find(|cookie| cookie.name == REFERRAL) {
        Some(referral) => {
            verdicts.extend(
                kept.iter().filter(|cookie| is_ours(cookie)).flat_map(|cookie| flaws(cookie, answered)),
            );
            verdicts.extend(of_all(&kept, referral, answered));
        }
        None => verdicts.push(Verdict::fail(
            CHECK,
            format!("the click was answered without a {REFERRAL} that browsers keep"),
            "look at the edge's log, and at proxies that take Set-Cookie out or cache the answer",
        )),
    }
    verdicts
}

/// The twin's name says nothing, so what only servers read is taken for it.
fn is_ours(cookie: &Kept) -> bool {
    cookie.name.starts_with("affonso_") || cookie.http_only
}

fn flaws(cookie: &Kept, answered: &Answered<'_>) -> Vec<Verdict> {
    let name = &cookie.name;
    let mut verdicts = Vec::new();
    let mut flaw = |is: bool, make: fn(&'static str, String, String) -> Verdict, what: String, mend: &str| {
        if is {
            verdicts.push(make(CHECK, what, mend.to_owned()));
        }
    };
    let (fail, warn) = (
        (|check, what, mend| Verdict::fail(check, what, mend)) as fn(&'static str, String, String) -> Verdict,
        (|check, what, mend| Verdict::warn(check, what, mend)) as fn(&'static str, String, String) -> Verdict,
    );
    let covers = set_cookie::covers(cookie, answered.from.host, answered.page);
    flaw(
        !covers,
        fail,
        format!("{name} does not reach the page's host {}", answered.page),
        "set cookie_domain = \"auto\"",
    );
    flaw(cookie.path != "/", fail, format!("{name} reaches only {}", cookie.path), "keep Path=/");
    let hidden = name.starts_with("affonso_") && cookie.http_only;
    flaw(
        hidden,
        fail,
        format!("{name} is HttpOnly: the checkout's script cannot read it"),
        "keep the field as the edge sends it",
    );
    let bare = answered.from.https && !cookie.secure;
    flaw(bare, warn, format!("{name} is not Secure"), "let the proxy send X-Forwarded-Proto: https");
    let strict = cookie.same_site == SameSite::Strict;
    flaw(
        strict,
        fail,
        format!("{name} is SameSite=Strict: it is not sent after a link from elsewhere"),
        "keep SameSite=Lax",
    );
    let loose = matches!(cookie.same_site, SameSite::Unsaid | SameSite::None);
    flaw(
        loose,
        warn,
        format!("{name} is not SameSite=Lax, as the edge sends it"),
        "keep the field as the edge sends it",
    );
    let long = matches!(cookie.life, Life::Seconds(seconds) if seconds > MAX_DAYS * DAY_S);
    flaw(
        long,
        warn,
        format!("{name} asks for more than {MAX_DAYS} days, which browsers cut"),
        "set cookie_days to at most 400",
    );
    let short = cookie.life == Life::Session;
    flaw(short, fail, format!("{name} ends with the browser's session"), "keep Max-Age as the edge sends it");
    verdicts
}

fn of_all(kept: &[Kept], referral: &Kept, answered: &Answered<'_>) -> Vec<Verdict> {
    let mut verdicts = Vec::new();
    let ours: Vec<&Kept> = kept.iter().filter(|cookie| is_ours(cookie)).collect();
    // `a=b; c=d`
    let bytes: usize =
        ours.iter().map(|cookie| cookie.name.len() + cookie.value.len() + 3).sum::<usize>().saturating_sub(2);
    if bytes > DOCTOR_COOKIE_BYTES {
        let what =
            format!("the cookies take {bytes} bytes of every request, more than {DOCTOR_COOKIE_BYTES}");
        verdicts.push(Verdict::warn(CHECK, what, "shorten what discounts say"));
    }
    if !ours.iter().any(|cookie| cookie.http_only) {
        let what = "no second cookie proves the click: whoever writes affonso_referral by hand is believed";
        verdicts.push(Verdict::warn(CHECK, what, "add click_signing_key = { env = \"USHER_CLICK_KEY\" }"));
    }
    let days = match referral.life {
        Life::Seconds(seconds) => (seconds / DAY_S).min(MAX_DAYS),
        Life::Session | Life::Gone => 0,
    };
    let scope = referral.domain.as_ref().map_or_else(
        || format!("{} alone", answered.from.host),
        |domain| format!("{domain} and all below it"),
    );
    let capped = !answered.is_top_level && matches!(answered.safari, Rule::Cloaked(_) | Rule::Far(..));
    let by = if answered.is_top_level { "on the page's own answer" } else { "on the script's call" };
    let safari = match (capped, answered.safari) {
        (true, _) => ", 7 days in Safari",
        (false, Rule::SometimesFar(..)) if !answered.is_top_level => ", 7 days for some visitors of Safari",
        _ => ", in Safari too",
    };
    let what = format!("{} kept for {days} days{safari}: for {scope}, {bytes} bytes, set {by}", list(&ours));
    verdicts.push(Verdict::ok(CHECK, what));
    verdicts
}

fn list(cookies: &[&Kept]) -> String {
    let names: Vec<&str> = cookies.iter().map(|cookie| cookie.name.as_str()).collect();
    names.join(", ")
}

#[cfg(test)]
mod tests {
    use super::{super::verdict::Level, *};

    const GOOD: &str = "affonso_referral=abc; Domain=shop.com; Path=/; Max-Age=2592000; Secure; SameSite=Lax";
    const TWIN: &str =
        "k3x=abc.sig; Domain=shop.com; Path=/; Max-Age=2592000; Secure; HttpOnly; SameSite=Lax";

    fn judged(fields: &[&str], is_top_level: bool, safari: &Rule) -> Vec<(Level, String)> {
        let from = From { host: "go.shop.com", path: "/r/track", https: true, now_s: 0 };
        let answered = Answered { fields: fields.to_vec(), from, page: "www.shop.com", is_top_level, safari };
        judge(&answered).into_iter().map(|verdict| (verdict.level, verdict.what)).collect()
    }

    #[test]
    fn good_ones_are_said_to_last() {
        let cloaked = Rule::Cloaked("vendor.com".to_owned());
        for (is_top_level, safari, says) in [
            (
                false,
                &Rule::Near,
                "affonso_referral, k3x kept for 30 days, in Safari too: for shop.com and all below it, 33 bytes, set on the script's call",
            ),
            (false, &cloaked, "kept for 30 days, 7 days in Safari:"),
            (
                true,
                &cloaked,
                "kept for 30 days, in Safari too: for shop.com and all below it, 33 bytes, set on the page's own answer",
            ),
        ] {
            let found = judged(&[GOOD, TWIN, "session=1", "affonso_data=; Max-Age=0"], is_top_level, safari);
            assert_eq!((found.len(), found[0].0), (1, Level::Ok), "{found:?}");
            assert!(found[0].1.contains(says), "{found:?}");
        }
    }

    #[test]
    fn each_flaw_is_named() {
        let changed = |from: &str, to: &str| GOOD.replace(from, to);
        for (field, level, says) in [
            (changed("Domain=shop.com", "Domain=com"), Level::Fail, "browsers refuse affonso_referral"),
            (changed("Domain=shop.com; ", ""), Level::Fail, "does not reach the page's host"),
            (changed("Path=/; ", ""), Level::Fail, "reaches only /r"),
            (changed("Max-Age=2592000; ", ""), Level::Fail, "session"),
            (changed("2592000", "99999999"), Level::Warn, "more than 400 days"),
            (changed("Secure; ", ""), Level::Warn, "not Secure"),
            (changed("Lax", "Strict"), Level::Fail, "Strict"),
            (changed("; SameSite=Lax", ""), Level::Warn, "not SameSite=Lax"),
            (format!("{GOOD}; HttpOnly"), Level::Fail, "is HttpOnly"),
            (changed("abc", &"x".repeat(600)), Level::Warn, "bytes of every request"),
            (changed("affonso_referral", "other"), Level::Fail, "without a affonso_referral"),
            (changed("2592000", "0"), Level::Fail, "without a affonso_referral"),
        ] {
            let found = judged(&[&field, TWIN], false, &Rule::Near);
            assert!(found.iter().any(|(is, what)| *is == level && what.contains(says)), "{field}: {found:?}");
        }
        let alone = judged(&[GOOD], false, &Rule::Near);
        assert!(alone[0].1.contains("no second cookie"), "{alone:?}");
    }
}
