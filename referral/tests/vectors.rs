//! The cases that native code and WebAssembly share (`vectors.json`), and the URL standard's own.

use std::{borrow::Cow, collections::BTreeMap};

use referral::{Parameters, Referral, Utm, parse, track_fields, urlencoded::pairs};
use serde::Deserialize;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Vector {
    url: String,
    parameters: Vec<String>,
    /// What `track_fields` gives.
    expected: BTreeMap<String, String>,
}

#[test]
fn addresses_are_read_as_the_vectors_say() {
    let vectors: Vec<Vector> = serde_json::from_str(include_str!("vectors.json")).unwrap();
    assert!(vectors.len() > 60);
    for Vector { url, parameters, expected } in vectors {
        let fields = track_fields(&url, &parameters);
        assert_eq!(fields.len(), expected.len(), "a field stands twice, or is missing: {url}");
        let fields: BTreeMap<String, String> =
            fields.into_iter().map(|(field, value)| (field.into(), value)).collect();
        assert_eq!(fields, expected, "{url}");

        let parameters = Parameters::new(parameters.iter().map(String::as_str)).unwrap();
        let referral = parse(&url, &parameters);
        assert_eq!(told(&referral), expected, "{url}");
        assert_eq!(referral.is_test, expected.get("trackingId").is_some_and(|code| code == "test"), "{url}");
        let present = expected.contains_key("trackingId") || expected.contains_key("affonsoId");
        assert_eq!(referral.is_present(), present, "{url}");
    }
}

/// A referral as fields again, from its public parts.
fn told(referral: &Referral) -> BTreeMap<String, String> {
    let [sub1, sub2, sub3, sub4, sub5] = &referral.sub;
    let Utm { source, medium, campaign, term, content } = &referral.utm;
    let named = [
        ("trackingId", &referral.affiliate),
        ("affonsoId", &referral.affonso_id),
        ("sub1", sub1),
        ("sub2", sub2),
        ("sub3", sub3),
        ("sub4", sub4),
        ("sub5", sub5),
        ("utmSource", source),
        ("utmMedium", medium),
        ("utmCampaign", campaign),
        ("utmTerm", term),
        ("utmContent", content),
    ];
    let named = named.into_iter().filter_map(|(field, value)| Some((field, value.clone()?)));
    named.chain(referral.ad_clicks.iter().cloned()).map(|(field, value)| (field.into(), value)).collect()
}

#[derive(Deserialize)]
struct Standard {
    cases: Vec<(String, Vec<(String, String)>)>,
}

#[test]
fn pairs_are_read_as_the_url_standard_says() {
    let standard: Standard = serde_json::from_str(include_str!("urlencoded-parser.json")).unwrap();
    assert_eq!(standard.cases.len(), 35);
    for (input, expected) in standard.cases {
        let read: Vec<(String, String)> =
            pairs(input.as_bytes()).map(|(name, value)| (name.into_owned(), value.into_owned())).collect();
        assert_eq!(read, expected, "{input}");
    }
}

#[test]
fn plain_pairs_are_borrowed() {
    let read: Vec<_> = pairs(b"via=alice").collect();
    assert!(matches!(read.as_slice(), [(Cow::Borrowed("via"), Cow::Borrowed("alice"))]));
}
