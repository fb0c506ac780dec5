//! What the unit tests share.

use referral::Parameters;
use usher_model::{Attribution, CodeOrClick, Consent, CookieDomain, Secret, Site, SiteName};

pub(crate) fn site() -> Site {
    Site {
        name: SiteName::new("shop").expect("a name"),
        hosts: vec!["shop.example".to_owned()],
        program: "prog".to_owned(),
        prefix: "/r".to_owned(),
        names_secret: Some(Secret::new("names")),
        parameters: Parameters::new(["via"]).expect("parameters"),
        cookie_days: 30,
        cookie_domain: CookieDomain::Registrable,
        attribution: Attribution::LastClick,
        code_or_click: CodeOrClick::Code,
        consent: Consent::Granted,
        honour_gpc: true,
        api_keys: vec![Secret::new("key")],
        signing_secrets: Vec::new(),
    }
}
