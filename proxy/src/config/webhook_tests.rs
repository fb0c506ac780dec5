//! Webhooks: every way to write their secrets, and every refusal.

use super::tests::{errors, good, site};
use usher_providers::{Credential, Kind, TestMode, Webhook};

fn webhooks(more: &str) -> Vec<Webhook> {
    good(&site(more)).webhooks.remove(0)
}

fn only(more: &str) -> Webhook {
    let mut all = webhooks(&format!("[[site.webhook]]\n{more}"));
    assert_eq!(all.len(), 1);
    all.remove(0)
}

fn refusals(more: &str) -> Vec<String> {
    errors(&site(&format!("[[site.webhook]]\n{more}")))
}

fn texts(webhook: &Webhook) -> Vec<String> {
    let text = |credential: &Credential| match credential {
        Credential::Text(secret) => String::from_utf8_lossy(secret.expose()).into_owned(),
        Credential::Login { username, password } => {
            format!("{username}:{}", String::from_utf8_lossy(password.expose()))
        }
        Credential::Named { key_id, key } => format!("{key_id}={}", String::from_utf8_lossy(key.expose())),
        Credential::Paytm { mid, merchant_key } => {
            format!("{mid}/{}", String::from_utf8_lossy(merchant_key.expose()))
        }
        Credential::Gumroad { url_token, seller_id } => {
            format!("{}@{seller_id}", String::from_utf8_lossy(url_token.expose()))
        }
        Credential::PayPal { webhook_id, trust_anchors_pem, .. } => {
            format!("{webhook_id} {trust_anchors_pem}").trim().to_owned()
        }
    };
    webhook.credentials.iter().map(text).collect()
}

#[test]
fn a_webhook_is_named_after_its_provider_unless_it_says_otherwise() {
    let both = webhooks(
        "[[site.webhook]]\nprovider = \"stripe\"\nsecret = [{ env = \"KEY\" }, { file = \"key\" }]\n\
         [[site.webhook]]\nprovider = \"stripe\"\nname = \"stripe-eu\"\ntest_mode = \"forward\"\nsecret = { env = \"KEY\" }",
    );
    let named: Vec<_> =
        both.iter().map(|webhook| (webhook.name.as_str(), webhook.provider(), webhook.test_mode)).collect();
    assert_eq!(named, [("stripe", "stripe", TestMode::Ignore), ("stripe-eu", "stripe", TestMode::Forward)]);
    assert_eq!(texts(&both[0]), ["k3y", "from-file"], "two are live while one replaces the other");
}

#[test]
fn credentials_of_several_parts_are_written_apart_together_or_as_a_pair() {
    for (more, expected) in [
        ("provider = \"chargebee\"\nusername = \"hook\"\npassword = { env = \"KEY\" }", "hook:k3y"),
        (
            "provider = \"chargebee\"\nsecret = [{ username = \"hook\", password = { env = \"KEY\" } }]",
            "hook:k3y",
        ),
        ("provider = \"chargebee\"\nsecret = \"hook:pass:word\"", "hook:pass:word"),
        ("provider = \"phonepe\"\nhmac_key_id = \"k1\"\nhmac_secret = { env = \"KEY\" }", "k1=k3y"),
        ("provider = \"phonepe\"\nsecret = [{ username = \"u\", password = { env = \"KEY\" } }]", "u:k3y"),
        ("provider = \"paytm\"\nmid = \"M1\"\nmerchant_key = { file = \"key\" }", "M1/from-file"),
        ("provider = \"gumroad\"\nurl_token = { env = \"KEY\" }\nseller_id = \"S1\"", "k3y@S1"),
        ("provider = \"paypal\"\nwebhook_id = \"WH-1\"", "WH-1"),
        ("provider = \"paypal\"\nsecret = [\"WH-1\"]", "WH-1"),
        ("provider = \"paypal\"\nwebhook_id = \"WH-1\"\ntrust_anchor = { file = \"key\" }", "WH-1 from-file"),
    ] {
        assert_eq!(texts(&only(more)), [expected], "{more}");
    }
}

#[test]
fn what_is_wrong_is_named_with_its_mend() {
    for (more, expected) in [
        ("secret = { env = \"KEY\" }", "site.webhook.provider is missing"),
        ("provider = \"Stripe\"\nsecret = { env = \"KEY\" }", "did you mean stripe?"),
        ("provider = \"stripe\"", "secret is missing; add secret = [{ env = \"STRIPE_WEBHOOK_SECRET\" }]"),
        ("provider = \"stripe\"\nsecret = []", "secret is missing"),
        ("provider = \"stripe\"\nsecret = { env = \"UNSET\" }", "which is not set"),
        ("provider = \"stripe\"\nmid = \"M1\"\nsecret = { env = \"KEY\" }", "mid is nothing of stripe's"),
        ("provider = \"stripe\"\nname = \"api\"\nsecret = { env = \"KEY\" }", "which is taken"),
        ("provider = \"stripe\"\nname = \"a b\"\nsecret = { env = \"KEY\" }", "lower-case letters"),
        (
            "provider = \"stripe\"\ntest_mode = \"on\"\nsecret = { env = \"KEY\" }",
            "write one of \"ignore\", \"forward\"",
        ),
        (
            "provider = \"stripe\"\nevent = \"type\"\nsecret = { env = \"KEY\" }",
            "describes a provider that is known",
        ),
        ("provider = \"paytm\"\nmid = \"M1\"", "merchant_key is missing"),
        ("provider = \"paytm\"\nsecret = { env = \"KEY\" }", "is one text where two are needed"),
        ("provider = \"chargebee\"\nsecret = [{ user = \"x\" }]", "user is not a known key"),
    ] {
        let found = refusals(more);
        assert!(found.iter().any(|line| line.contains(expected)), "{more}\n{found:#?}");
    }
    let twice = "[[site.webhook]]\nprovider = \"stripe\"\nsecret = { env = \"KEY\" }\n".repeat(2);
    let found = errors(&site(&twice));
    assert!(
        found.iter().any(|line| line.contains("give each its own, such as name = \"stripe-eu\"")),
        "{found:#?}"
    );
}

#[test]
fn a_provider_whose_requests_prove_a_token_alone_is_warned_of() {
    for (provider, secret, warned) in [
        ("xendit", "secret = { env = \"KEY\" }", true),
        ("gumroad", "secret = [{ url_token = { env = \"KEY\" }, seller_id = \"S\" }]", true),
        ("stripe", "secret = { env = \"KEY\" }", false),
    ] {
        let config = good(&site(&format!("[[site.webhook]]\nprovider = \"{provider}\"\n{secret}")));
        let warnings: Vec<String> = config.warnings.iter().map(ToString::to_string).collect();
        assert_eq!(warnings.iter().any(|line| line.contains("know a token")), warned, "{warnings:?}");
    }
}

const CUSTOM: &str = r#"provider = "custom"
name = "paystack"
secret = { env = "KEY" }
event = "event"
test = { "data.domain" = "test" }
[site.webhook.signature]
header = "x-paystack-signature"
hash = "sha512"
[site.webhook.payment]
when = { "event" = ["charge.success"], "data.paid" = true }
id = "data.reference"
other_ids = ["data.id"]
amount = "data.amount"
unit = "minor"
currency = "data.currency"
referral = ["data.metadata.affonso_referral"]
[site.webhook.refund]
when = { event = "refund.processed" }
id = "data.id"
payment = "data.transaction_reference"
amount = "data.amount"
unit = "minor"
always_currency = "NGN"
"#;

#[test]
fn a_described_provider_is_read() {
    let webhook = only(CUSTOM);
    let Kind::Custom(custom) = &webhook.kind else { panic!("a description") };
    let payment = custom.payment.as_ref().expect("payments");
    assert_eq!(
        (payment.when.len(), payment.id.as_str(), payment.amount.is_minor),
        (2, "data.reference", true)
    );
    assert!(payment.when.iter().any(|condition| condition.one_of == ["true"]));
    assert_eq!(custom.test[0].one_of, ["test"]);
    let back = custom.refund.as_ref().and_then(|refund| refund.amount.clone()).expect("an amount");
    assert_eq!(back.always.map(|currency| currency.to_string()).as_deref(), Some("NGN"));
}

#[test]
fn what_is_missing_in_a_description_is_named() {
    for (from, to, expected) in [
        ("header = \"x-paystack-signature\"", "", "signature.header is missing"),
        ("header = \"x-paystack-signature\"", "header = \"x paystack\"", "write a header's name"),
        ("hash = \"sha512\"", "hash = \"md5\"", "write one of \"sha256\", \"sha512\""),
        ("hash = \"sha512\"", "message = \"{timestamp}.{body}\"", "do not go together"),
        ("hash = \"sha512\"", "message = \"body\"", "add {body}"),
        ("unit = \"minor\"\ncurrency", "currency", "add unit = \"minor\""),
        ("currency = \"data.currency\"", "", "has to be told once"),
        ("always_currency = \"NGN\"", "always_currency = \"naira\"", "three letters"),
        ("id = \"data.reference\"", "", "payment.id is missing"),
        ("id = \"data.reference\"", "id = \"data..reference\"", "write a path"),
        ("when = { event = \"refund.processed\" }", "when = {}", "when is empty"),
        ("when = { event = \"refund.processed\" }", "", "refund.when is missing"),
        ("name = \"paystack\"", "name = \"segment\"", "which is taken"),
    ] {
        let found = refusals(&CUSTOM.replacen(from, to, 1));
        assert!(found.iter().any(|line| line.contains(expected)), "{to} {expected}\n{found:#?}");
    }
}

#[test]
fn a_secret_that_verifies_nothing_is_warned_of() {
    for (more, warned) in [
        ("provider = \"paytm\"\nmid = \"M1\"\nmerchant_key = \"short\"", true),
        ("provider = \"paytm\"\nmid = \"M1\"\nmerchant_key = \"0123456789abcdef\"", false),
        ("provider = \"dodopayments\"\nsecret = \"whsec_not base64\"", true),
        ("provider = \"dodopayments\"\nsecret = \"whsec_QUJDRA==\"", false),
        ("provider = \"polar\"\nsecret = \"whsec_not base64\"", false),
    ] {
        let config = good(&site(&format!("[[site.webhook]]\n{more}")));
        let said = |line: String| line.contains("has a secret that no request of");
        assert_eq!(config.warnings.iter().map(ToString::to_string).any(said), warned, "{more}");
    }
}
