//! What is asked for.

use std::net::SocketAddr;

use anyhow::ensure;

use crate::ask::{Answer, ask};

/// The site of the comparison; its host and program are nobody's.
pub(crate) const HOST: &str = "shop.example";
/// The program that the site belongs to.
pub(crate) const PROGRAM: &str = "cm0benchbenchbenchbench00";
/// The promo code that is asked for.
pub(crate) const CODE: &str = "SPRING10";

const USER_AGENT: &str =
    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36";

/// One request, sent again and again.
pub(crate) struct Scenario {
    pub(crate) name: &'static str,
    pub(crate) method: &'static str,
    pub(crate) path: &'static str,
    pub(crate) fields: Vec<(&'static str, String)>,
    pub(crate) body: String,
    /// Every request comes from a visitor who has not been seen, so that each costs a call to the platform.
    pub(crate) new_visitors: bool,
    /// It is a shop's answer that all pass on.
    pub(crate) proxied: bool,
    /// What Usher answers, and the others therefore have to.
    pub(crate) model: Answer,
}

/// All of them, each with the answer that Usher gives.
///
/// # Errors
/// When Usher does not answer as the scenario means it.
pub(crate) fn all(usher: SocketAddr) -> anyhow::Result<Vec<Scenario>> {
    let body = format!(
        r#"{{"programId":"{PROGRAM}","url":"https://{HOST}/?via=alice&utm_source=letter&utm_medium=mail","referrer":"https://news.example/"}}"#
    );
    let posts = || with(&[("Content-Type", "application/json"), ("Origin", "https://shop.example")]);
    let first = ask(usher, "POST", "/r/track", &posts(), &body)?;
    let cookie = cookie(&first)?;
    let mut returns = posts();
    returns.push(("Cookie", cookie.clone()));
    let shopper = with(&[("Accept", "application/json"), ("Cookie", &cookie)]);

    let new = |name, method, path, fields: Vec<(&'static str, String)>, body: &str| {
        let model = ask(usher, method, path, &fields, body)?;
        ensure!(model.status == 200, "{name}: Usher answers {}", model.status);
        anyhow::Ok(Scenario {
            name,
            method,
            path,
            fields,
            body: body.to_owned(),
            new_visitors: false,
            proxied: false,
            model,
        })
    };
    let scenarios = vec![
        new("GET pixel.js", "GET", "/r/pixel.js", with(&[]), "")?,
        new(
            "GET pixel.js, brotli",
            "GET",
            "/r/pixel.js",
            with(&[("Accept-Encoding", "gzip, deflate, br, zstd")]),
            "",
        )?,
        new("POST /track, returning visitor", "POST", "/r/track", returns, &body)?,
        Scenario {
            new_visitors: true,
            ..new("POST /track, new visitors", "POST", "/r/track", posts(), &body)?
        },
        new("GET /codes/{code}", "GET", "/r/codes/SPRING10", shopper, "")?,
    ];
    ensure!(scenarios[1].model.all("content-encoding").eq(["br"]), "Usher does not send brotli");
    for visit in &scenarios[2..] {
        ensure!(cookie_of(&visit.model).is_some(), "{}: no cookie is set", visit.name);
    }
    Ok(scenarios)
}

fn with(more: &[(&'static str, &str)]) -> Vec<(&'static str, String)> {
    let always = [("Host", HOST), ("User-Agent", USER_AGENT)];
    always.iter().chain(more).map(|(name, value)| (*name, (*value).to_owned())).collect()
}

fn cookie(answer: &Answer) -> anyhow::Result<String> {
    let cookie = cookie_of(answer);
    cookie.ok_or_else(|| anyhow::anyhow!("Usher sets no cookie: {answer:?}"))
}

fn cookie_of(answer: &Answer) -> Option<String> {
    let field = answer.all("set-cookie").next()?;
    field.split(';').next().map(str::to_owned)
}
