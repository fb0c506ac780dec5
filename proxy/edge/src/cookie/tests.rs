use super::*;
use crate::fixture;
use proptest::prelude::*;
use usher_model::Secret;

fn granted(data: Option<&str>, host: &str, https: bool) -> Vec<String> {
    let mut headers = HeaderMap::new();
    let click = ClickId::new("abc-1").expect("an id");
    let grant = Grant::Click { click, proof: None, data: data.map(str::to_owned), replaces: false };
    grant.write(&mut headers, &fixture::face(fixture::site()), host, https);
    headers.get_all(SET_COOKIE).iter().map(|field| field.to_str().expect("text").to_owned()).collect()
}

fn attributes(field: &str) -> Vec<&str> {
    let mut parts: Vec<&str> = field.split("; ").collect();
    parts[1..].sort_unstable();
    parts
}

#[test]
fn the_cookie_is_as_the_contract_says() {
    let fields = granted(None, "www.shop.co.uk", true);
    assert_eq!(fields.len(), 1);
    assert_eq!(
        attributes(&fields[0]),
        [
            "affonso_referral=abc-1",
            "Domain=shop.co.uk",
            "Max-Age=2592000",
            "Path=/",
            "SameSite=Lax",
            "Secure"
        ]
    );
    let fields = granted(None, "localhost", false);
    assert_eq!(
        attributes(&fields[0]),
        ["affonso_referral=abc-1", "Max-Age=2592000", "Path=/", "SameSite=Lax"]
    );
}

#[test]
fn data_is_encoded_as_scripts_decode_it_and_bounded() {
    let fields = granted(Some(r#"{"a":"é ;,'()*!~-_."}"#), "shop.example", true);
    assert!(
        fields[1].starts_with("affonso_data=%7B%22a%22%3A%22%C3%A9%20%3B%2C'()*!~-_.%22%7D; "),
        "{}",
        fields[1]
    );
}

#[test]
fn all_cookies_together_are_bounded_and_the_newest_coupons_stay() {
    let coupon = |number: usize| format!(r#"{{"code":"COUPON{number}","discount_value":10}}"#);
    for coupons in 0..40 {
        let list: Vec<String> = (0..coupons).map(coupon).collect();
        let data = format!(r#"{{"affiliateCoupons":[{}],"discount":{{"amount":10}}}}"#, list.join(","));
        let fields = granted(Some(&data), "shop.example", true);
        let sent: Vec<&str> = fields.iter().filter_map(|field| field.split("; ").next()).collect();
        assert!(sent.join("; ").len() <= COOKIES_BYTES, "{sent:?}");
        let kept = values_of(sent[1]);
        assert_eq!(kept["discount"]["amount"], 10);
        let kept = kept["affiliateCoupons"].as_array().expect("coupons");
        assert!(kept.len() == coupons || kept.len() >= 3, "{coupons}: {kept:?}");
        assert!(kept.iter().enumerate().all(|(number, kept)| kept["code"] == format!("COUPON{number}")));
    }
    for hopeless in ["x".repeat(COOKIES_BYTES), format!(r#"{{"discount":"{}"}}"#, "x".repeat(COOKIES_BYTES))]
    {
        assert_eq!(granted(Some(&hopeless), "shop.example", true).len(), 1);
    }
}

fn values_of(pair: &str) -> Value {
    let value = pair.strip_prefix("affonso_data=").expect("data");
    let text = percent_decode(value.as_bytes()).decode_utf8().expect("text");
    serde_json::from_str(&text).expect("JSON")
}

#[test]
fn nothing_is_what_clears_them_all() {
    let face = fixture::face(Site { click_signing_key: Some(Secret::new("key")), ..fixture::site() });
    let mut headers = HeaderMap::new();
    Grant::Nothing.write(&mut headers, &face, "shop.example", true);
    let fields: Vec<_> = headers.get_all(SET_COOKIE).iter().collect();
    assert_eq!(fields.len(), 3);
    assert!(fields.iter().all(|field| field.to_str().expect("text").contains("=; ")
        && field.to_str().expect("text").contains("Max-Age=0")
        && field.to_str().expect("text").contains("Domain=shop.example")));
}

#[test]
fn the_offers_of_another_click_do_not_stay() {
    let set = |data: Option<&str>, replaces| {
        let mut headers = HeaderMap::new();
        let click = ClickId::new("abc-1").expect("an id");
        let grant = Grant::Click { click, proof: None, data: data.map(str::to_owned), replaces };
        grant.write(&mut headers, &fixture::face(fixture::site()), "shop.example", true);
        let fields = headers.get_all(SET_COOKIE).iter().map(|field| field.to_str().expect("text").to_owned());
        fields.filter(|field| field.starts_with("affonso_data=")).collect::<Vec<_>>()
    };
    let hopeless = "x".repeat(COOKIES_BYTES);
    for (data, replaces, begins) in [
        (None, false, None),
        (Some("{}"), false, Some("affonso_data=%7B%7D; ")),
        (Some(hopeless.as_str()), false, None),
        (None, true, Some("affonso_data=; ")),
        (Some("{}"), true, Some("affonso_data=%7B%7D; ")),
        (Some(hopeless.as_str()), true, Some("affonso_data=; ")),
    ] {
        let fields = set(data, replaces);
        assert_eq!(fields.len(), usize::from(begins.is_some()), "{data:?} {replaces}: {fields:?}");
        assert!(fields.iter().all(|field| begins.is_some_and(|begins| field.starts_with(begins))));
        let clears = fields.iter().all(|field| field.contains("Max-Age=0"));
        assert_eq!(clears, begins.is_none_or(|begins| begins == "affonso_data=; "), "{fields:?}");
    }
}

#[test]
fn the_domain_is_the_registrable_one_or_none() {
    for (host, wanted) in [
        ("shop.com", Some("shop.com")),
        ("go.shop.com", Some("shop.com")),
        ("a.b.shop.co.uk", Some("shop.co.uk")),
        ("alice.github.io", Some("alice.github.io")),
        ("x.alice.github.io", Some("alice.github.io")),
        ("go.shop.example", Some("shop.example")),
        ("co.uk", None),
        ("github.io", None),
        ("com", None),
        ("localhost", None),
        ("shop.localhost", None),
        ("127.0.0.1", None),
        ("::1", None),
    ] {
        assert_eq!(domain(&CookieDomain::Registrable, host), wanted, "{host}");
        assert_eq!(domain(&CookieDomain::Host, host), None);
    }
    let named = CookieDomain::Named("shop.com".to_owned());
    for (host, wanted) in [
        ("shop.com", Some("shop.com")),
        ("go.shop.com", Some("shop.com")),
        ("myshop.com", None),
        ("com", None),
        ("other.example", None),
    ] {
        assert_eq!(domain(&named, host), wanted, "{host}");
    }
}

#[test]
fn only_domains_with_cookies_of_their_own_are_listed() {
    let domains = |hosts: &[&str], cookie_domain: CookieDomain| {
        let hosts = hosts.iter().map(|host| (*host).to_owned()).collect();
        let site = Site { hosts, cookie_domain, ..fixture::site() };
        super::domains(&site).join(" ")
    };
    let two = ["www.shop.co.uk", "pay.example", "shop.co.uk"];
    assert_eq!(domains(&two, CookieDomain::Registrable), "pay.example shop.co.uk");
    assert_eq!(domains(&two, CookieDomain::Host), "pay.example shop.co.uk www.shop.co.uk");
    assert_eq!(domains(&["shop.example", "go.shop.example"], CookieDomain::Registrable), "");
    assert_eq!(domains(&["localhost"], CookieDomain::Registrable), "");
}

fn read(lines: &[&[u8]]) -> Option<String> {
    let mut headers = HeaderMap::new();
    for line in lines {
        headers.append(COOKIE, HeaderValue::from_bytes(line).expect("a value"));
    }
    click(&headers).map(|id| id.to_string())
}

#[test]
fn the_first_well_formed_cookie_wins() {
    for lines in [
        &[&b"affonso_referral=abc"[..]][..],
        &[b"a=b; affonso_referral=abc; c=d"],
        &[b"a=b;affonso_referral=abc"],
        &[b"a=b", b"affonso_referral=abc"],
        &[b"affonso_referral=; affonso_referral=abc; affonso_referral=def"],
        &[b"affonso_referral=a b; affonso_referral=abc"],
        &[b"affonso_referral=\"abc\""],
        &[b"affonso_referral=%61bc"],
        &[b"x=\xff\xfe; affonso_referral=abc"],
        &[b"affonso_referral=\xff; affonso_referral=abc"],
        &[b"; ;;=; affonso_referral = abc ;"],
    ] {
        assert_eq!(read(lines).as_deref(), Some("abc"), "{lines:?}");
    }
    for lines in [
        &[][..],
        &[&b""[..]],
        &[b"affonso_referral"],
        &[b"affonso_referral="],
        &[b"Affonso_Referral=abc"],
        &[b"xaffonso_referral=abc"],
        &[b"affonso_referral2=abc"],
        &[b"affonso_referral=%00"],
        &[b"affonso_referral=a%0d%0ab"],
    ] {
        assert_eq!(read(lines), None, "{lines:?}");
    }
    let bomb = "affonso_referral=!;".repeat(3_000);
    assert_eq!(read(&[bomb.as_bytes(), b"affonso_referral=abc"]).as_deref(), Some("abc"));
}

proptest! {
    #[test]
    fn reading_never_panics(line in prop::collection::vec(0x20_u8..=0x7e, 0..80)) {
        let _ = read(&[&line]);
    }

    #[test]
    fn whatever_the_data_is_there_are_two_fields_of_five_parts(text in "\\PC{0,30}") {
        let fields = granted(Some(&text), "shop.example", false);
        prop_assert_eq!(fields.len(), 2);
        prop_assert!(fields.iter().all(|field| field.split(';').count() == 5), "{:?}", fields);
    }

    #[test]
    fn a_domain_always_covers_the_host(host in "[a-z0-9-]{1,8}(\\.[a-z0-9-]{1,6}){0,4}") {
        if let Some(domain) = domain(&CookieDomain::Registrable, &host) {
            let parent = format!(".{domain}");
            prop_assert!(host == domain || host.ends_with(&parent));
            prop_assert!(domain.contains('.'));
        }
    }
}
