//! Phase `route`: which site, and what of it. Built once from the settings.

use crate::{
    assets::{Asset, JAVASCRIPT, JSON, Keep, WASM},
    auth::Keys,
    cookie,
    fault::Fault,
    host,
    links::Links,
    metrics::{Meters, Metrics},
    names::{self, Names},
    routes::{self, Route},
    tag::tag,
};
use bytes::Bytes;
use ipnet::IpNet;
use std::{collections::HashMap, sync::Arc};
use usher_model::{Consent, Site, SiteName};
use usher_origin::Origin;
use usher_page::Tagger;
use usher_providers::Webhook;

/// Where a host says whether it honours Global Privacy Control, and since when (<https://www.w3.org/TR/gpc/#gpc-support-resource>).
const GPC_PATH: &str = "/.well-known/gpc.json";
const GPC: &[u8] = br#"{"gpc":true,"lastUpdate":"2026-11-21"}"#;

/// What the edge serves.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The sites. Several may share a host when their prefixes differ.
    pub sites: Vec<Site>,
    /// Their webhooks.
    pub webhooks: HashMap<SiteName, Vec<Webhook>>,
    /// Who may say what the visitor's address and scheme are.
    pub trusted_proxies: Vec<IpNet>,
}

/// The settings, made ready to serve from.
pub(crate) struct Table {
    hosts: HashMap<String, Vec<Arc<Face>>>,
    pub(crate) trusted: Vec<IpNet>,
    pub(crate) suffix_list: Asset,
    pub(crate) parser: Asset,
    pub(crate) worker: Asset,
    pub(crate) more: Asset,
    pub(crate) gpc: Asset,
}

/// One site as the edge shows it.
pub(crate) struct Face {
    pub(crate) site: Arc<Site>,
    pub(crate) names: Names,
    /// What the cookie is called that proves a click, where the site signs clicks.
    pub(crate) proof_cookie: Option<String>,
    pub(crate) script: Asset,
    pub(crate) keys: Keys,
    /// By what stands in their addresses.
    pub(crate) webhooks: HashMap<String, Arc<Webhook>>,
    /// What serves everything outside of the prefix.
    pub(crate) origin: Option<Origin>,
    /// Puts the tag into its pages.
    pub(crate) tagger: Option<Tagger>,
    pub(crate) links: Links,
    pub(crate) meters: Meters,
}

/// Where a request goes.
pub(crate) struct Place<'t, 'p> {
    pub(crate) face: &'t Arc<Face>,
    pub(crate) route: Route,
    /// What the path holds beyond the route's own name, as it came: the promo code, the conversion's id.
    pub(crate) argument: &'p str,
}

impl Table {
    pub(crate) fn new(mut settings: Settings, metrics: &Metrics) -> Self {
        let mut hosts: HashMap<String, Vec<Arc<Face>>> = HashMap::new();
        for site in settings.sites {
            let webhooks = settings.webhooks.remove(&site.name).unwrap_or_default();
            let face = Arc::new(Face::new(site, webhooks, metrics));
            for name in &face.site.hosts {
                hosts.entry(name.clone()).or_default().push(Arc::clone(&face));
            }
        }
        for faces in hosts.values_mut() {
            faces.sort_by_key(|face| std::cmp::Reverse(face.site.prefix.len()));
        }
        Self {
            hosts,
            trusted: settings.trusted_proxies,
            suffix_list: Asset::new(Bytes::from_static(snippet::PSL_JS.as_bytes()), JAVASCRIPT, Keep::Hour),
            parser: Asset::new(Bytes::from_static(snippet::WASM), WASM, Keep::Forever),
            worker: Asset::new(Bytes::from_static(snippet::WORKER_JS.as_bytes()), JAVASCRIPT, Keep::Forever),
            gpc: Asset::new(Bytes::from_static(GPC), JSON, Keep::Hour),
            more: Asset::new(Bytes::from_static(snippet::MORE_JS.as_bytes()), JAVASCRIPT, Keep::Forever),
        }
    }

    /// The place of a raw path under `host`. Paths are compared as they are: nothing is decoded, merged or resolved, so
    /// that no two spellings mean the same.
    pub(crate) fn place<'t, 'p>(&'t self, host: &str, path: &'p str) -> Result<Place<'t, 'p>, Fault> {
        let faces = self.hosts.get(host).ok_or(Fault::UnknownHost)?;
        for face in faces {
            let Some(rest) = path.strip_prefix(face.site.prefix.as_str()) else { continue };
            if let Some(below) = rest.strip_prefix('/') {
                let (route, argument) = routes::find(&face.names, below);
                return Ok(Place { face, route, argument });
            }
            if rest.is_empty() {
                return Ok(Place { face, route: Route::Unknown, argument: "" });
            }
        }
        if let Some(face) = faces.iter().find(|face| path == GPC_PATH && face.site.honour_gpc) {
            return Ok(Place { face, route: Route::Gpc, argument: "" });
        }
        if let Some(face) = faces.iter().find(|face| face.links.has(path)) {
            return Ok(Place { face, route: Route::Link, argument: path });
        }
        // What no site of this host has taken is one origin's: the first one's that has one.
        let with_origin = faces.iter().find(|face| face.origin.is_some());
        let face = with_origin.or(faces.first()).ok_or(Fault::UnknownHost)?;
        Ok(Place { face, route: Route::Outside, argument: "" })
    }
}

impl Face {
    pub(crate) fn new(mut site: Site, webhooks: Vec<Webhook>, metrics: &Metrics) -> Self {
        // The request's host is compared in this form; the configuration's may differ from it in the spelling.
        for name in &mut site.hosts {
            let bracketed = if name.contains("::") && !name.starts_with('[') {
                format!("[{name}]")
            } else {
                name.clone()
            };
            if let Some(canonical) = host::parse(&bracketed) {
                *name = canonical.into_owned();
            }
        }
        let names = Names::derive(site.names_secret.as_ref(), &site.name);
        let key = site.click_signing_key.as_ref();
        let proof_cookie =
            key.map(|key| names::cookie(site.names_secret.as_ref().unwrap_or(key), &site.name));
        let origin = site.origin.clone().map(|address| {
            let own_cookies = cookie::names().map(str::to_owned).chain(proof_cookie.clone()).collect();
            let settings =
                usher_origin::Settings { address, own_cookies, shows_own_cookies: site.origin_cookies };
            Origin::new(settings, &metrics.tunnels)
        });
        let tagger = (origin.is_some() && site.tag).then(|| Tagger::new(tag(&site, &site.prefix)));
        Self {
            script: Asset::new(script(&site, &names).into(), JAVASCRIPT, Keep::Hour),
            keys: Keys::new(&site.api_keys, &site.signing_secrets),
            webhooks: webhooks
                .into_iter()
                .map(|hook| (hook.name.as_str().to_owned(), Arc::new(hook)))
                .collect(),
            tagger,
            links: Links::new(&site),
            meters: Meters::new(site.name.as_str(), metrics),
            origin,
            names,
            proof_cookie,
            site: Arc::new(site),
        }
    }
}

/// The snippet of a site.
fn script(site: &Site, names: &Names) -> String {
    let told = snippet::Names {
        track: &names.track,
        signups: &names.signups,
        codes: &names.codes,
        bind: &names.bind,
        consent: &names.consent,
        worker: snippet::WORKER_NAME,
        more: snippet::MORE_NAME,
    };
    let settings = snippet::Settings {
        parameters: site.parameters.names().iter().map(String::as_str).collect(),
        domains: cookie::domains(site),
        asks_consent: site.consent == Consent::Required,
        honours_gpc: site.honour_gpc,
    };
    snippet::pixel(&told, &settings)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture;
    use prometheus_client::registry::Registry;
    use usher_model::SiteName;

    fn table(sites: &[(&str, &[&str], &str)]) -> Table {
        let sites = sites.iter().map(|(name, hosts, prefix)| Site {
            name: SiteName::new(*name).expect("a name"),
            hosts: hosts.iter().map(|host| (*host).to_owned()).collect(),
            prefix: (*prefix).to_owned(),
            ..fixture::site()
        });
        let settings =
            Settings { sites: sites.collect(), webhooks: HashMap::new(), trusted_proxies: Vec::new() };
        Table::new(settings, &Metrics::register(&mut Registry::default()))
    }

    fn at(table: &Table, host: &str, path: &str) -> (String, Route) {
        let place = table.place(host, path).unwrap_or_else(|fault| panic!("{host} {path}: {fault}"));
        (place.face.site.name.to_string(), place.route)
    }

    #[test]
    fn sites_are_found_by_host_and_the_longest_prefix() {
        let table = table(&[
            ("a", &["shop.example", "Go.Shop.example", "::1"], "/r"),
            ("b", &["shop.example"], "/r/two"),
            ("c", &["other.example"], "/x"),
        ]);
        assert_eq!(at(&table, "shop.example", "/r/track"), ("a".to_owned(), Route::Track));
        assert_eq!(at(&table, "go.shop.example", "/r/track"), ("a".to_owned(), Route::Track));
        assert_eq!(at(&table, "::1", "/r/track"), ("a".to_owned(), Route::Track));
        assert_eq!(at(&table, "shop.example", "/r/two/track"), ("b".to_owned(), Route::Track));
        assert_eq!(at(&table, "go.shop.example", "/r/two/track"), ("a".to_owned(), Route::Unknown));
        assert_eq!(at(&table, "other.example", "/r/track"), ("c".to_owned(), Route::Outside));
        assert!(matches!(table.place("evil.example", "/r/track"), Err(Fault::UnknownHost)));
        assert!(matches!(table.place("", "/r/track"), Err(Fault::UnknownHost)));
    }

    #[test]
    fn the_prefix_ends_at_a_slash() {
        let table = table(&[("a", &["shop.example"], "/r")]);
        for (path, route) in [
            ("/r", Route::Unknown),
            ("/r/", Route::Unknown),
            ("/r//track", Route::Unknown),
            ("/r/./track", Route::Unknown),
            ("/r/../r/track", Route::Unknown),
            ("/r/%74rack", Route::Unknown),
            ("/r/track/", Route::Unknown),
            ("/r/Track", Route::Unknown),
            ("/", Route::Outside),
            ("//r/track", Route::Outside),
            ("/./r/track", Route::Outside),
            ("/rr/track", Route::Outside),
            ("/R/track", Route::Outside),
            ("*", Route::Outside),
        ] {
            assert_eq!(at(&table, "shop.example", path).1, route, "{path}");
        }
    }

    #[test]
    fn a_site_may_be_served_from_the_root() {
        let table = table(&[("a", &["go.shop.example"], "")]);
        assert_eq!(at(&table, "go.shop.example", "/track").1, Route::Track);
        assert_eq!(at(&table, "go.shop.example", "/").1, Route::Unknown);
    }
}
