//! `PayPal` (<https://developer.paypal.com/api/rest/webhooks/rest/>).
//!
//! RSA-SHA256 over `id|time|webhook id|CRC-32 of the body`, with a certificate at an address that the request names. So that
//! nothing is fetched here, certificates come in with the credentials; [`Rejection::CertificateNeeded`] asks for one more.
//! The body is covered by its CRC-32 only: whoever holds one genuine delivery can make another body that fits it.

use crate::{
    Context, Conversion, Credential, Extracted, Ignored, Outcome, Proof, Provider, Refund, Rejection,
    Request, Verdict,
    common::{
        self, Delivery, Stop,
        certificate::{self, Signed},
        json::{Fault, Json},
        judge_json, money,
        referral::{click, ids},
    },
};
use base64::{Engine, prelude::BASE64_STANDARD};
use rust_decimal::Decimal;
use std::collections::BTreeMap;
use url::{Host, Url};
use usher_model::Currency;

pub(crate) const PROVIDER: Provider = Provider { name: "paypal", proofs: &[Proof::Body], judge };

const ID: &str = "paypal-transmission-id";
const TIME: &str = "paypal-transmission-time";
const SIGNATURE: &str = "paypal-transmission-sig";
const CERTIFICATE: &str = "paypal-cert-url";
const ALGORITHM: &str = "paypal-auth-algo";

/// Where `PayPal` keeps its certificates. The address comes from the sender, so only these will do.
const HOSTS: [&str; 4] =
    ["api.paypal.com", "api-m.paypal.com", "api.sandbox.paypal.com", "api-m.sandbox.paypal.com"];
/// Whom the certificates are for (`messageverificationcerts.paypal.com`, and the sandbox's).
const DOMAIN: &str = "paypal.com";

fn judge(request: &Request<'_>, context: &Context<'_>) -> Outcome {
    judge_json(request, context, verify, translate)
}

/// The header fields that sign a delivery.
struct Transmission<'a> {
    id: &'a str,
    time: &'a str,
    certificate_url: &'a str,
    signature: Vec<u8>,
}

fn verify(request: &Request<'_>, context: &Context<'_>) -> Result<Proof, Rejection> {
    let transmission = transmission(request)?;
    let body = crc32fast::hash(request.body);
    let mut refusal = Rejection::BadSignature;
    for credential in context.credentials {
        let Credential::PayPal { webhook_id, trust_anchors_pem, certificates } = credential else { continue };
        if webhook_id.is_empty() {
            continue;
        }
        let Some(chain_pem) = certificate_of(&transmission, certificates) else {
            refusal = Rejection::CertificateNeeded(transmission.certificate_url.to_owned());
            continue;
        };
        let text = format!("{}|{}|{webhook_id}|{body}", transmission.id, transmission.time);
        let signed = Signed {
            chain_pem,
            anchors_pem: trust_anchors_pem,
            domain: DOMAIN,
            text: text.as_bytes(),
            signature: &transmission.signature,
        };
        match certificate::verify(&signed, context.now) {
            Ok(()) => return Ok(Proof::Body),
            // What another credential still needs is worth more than why this one failed.
            Err(_) if matches!(refusal, Rejection::CertificateNeeded(_)) => {}
            Err(reason) => refusal = reason,
        }
    }
    Err(refusal)
}

fn transmission<'a>(request: &Request<'a>) -> Result<Transmission<'a>, Rejection> {
    let header = |name| request.header(name).ok_or(Rejection::MissingHeader(name));
    let (id, time, signature) = (header(ID)?, header(TIME)?, header(SIGNATURE)?);
    let (certificate_url, algorithm) = (header(CERTIFICATE)?, header(ALGORITHM)?);
    if !algorithm.eq_ignore_ascii_case("SHA256withRSA") {
        return Err(Rejection::UnsupportedVersion);
    }
    if !is_paypals(certificate_url) {
        return Err(Rejection::BadCertificateUrl);
    }
    let signature = BASE64_STANDARD.decode(signature).map_err(|_| Rejection::BadSignature)?;
    Ok(Transmission { id, time, certificate_url, signature })
}

/// Whether an address is `https` on one of `PayPal`'s own hosts. What URL parsers mend in silence does not pass, so that
/// whoever fetches it goes where this looked.
fn is_paypals(address: &str) -> bool {
    let plain = address.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\');
    let Some(url) = Url::parse(address).ok().filter(|_| plain) else { return false };
    url.scheme() == "https"
        && matches!(url.host(), Some(Host::Domain(host)) if HOSTS.contains(&host))
        && url.port().is_none()
        && url.username().is_empty()
        && url.password().is_none()
}

fn certificate_of<'a>(
    transmission: &Transmission<'_>,
    certificates: &'a BTreeMap<String, String>,
) -> Option<&'a str> {
    certificates.get(transmission.certificate_url).map(String::as_str)
}

fn translate(delivery: &Delivery<'_>, found: &mut Extracted) -> Result<Verdict, Stop> {
    let event = delivery.event;
    found.provider_event_id = event.text("id");
    found.event_type = event.text("event_type");
    match found.event_type.as_deref() {
        Some("PAYMENT.CAPTURE.COMPLETED" | "PAYMENT.SALE.COMPLETED") => payment(event, found),
        Some(
            "PAYMENT.CAPTURE.REFUNDED"
            | "PAYMENT.CAPTURE.REVERSED"
            | "PAYMENT.SALE.REFUNDED"
            | "PAYMENT.SALE.REVERSED",
        ) => refund(event, found),
        _ => Err(Ignored::NotCommercial.into()),
    }
}

fn payment(event: &Json, found: &mut Extracted) -> Result<Verdict, Stop> {
    let id = event.need("resource.id")?;
    let order = event.text("resource.supplementary_data.related_ids.order_id");
    let subscription = event.text("resource.billing_agreement_id");
    found.payment_ids = ids([Some(id.clone()), order.clone()]);
    found.subscription_id.clone_from(&subscription);
    // A capture that was paid stays so, also when its state is told after a refund.
    match state(event).as_deref() {
        None | Some("COMPLETED" | "PARTIALLY_REFUNDED" | "REFUNDED") => {}
        Some(_) => return Err(Ignored::NotPaid.into()),
    }
    let (amount, currency) = amount(event)?;
    let conversion = Conversion {
        referral_id: click(event.get("resource.custom_id")).or_else(|| click(event.get("resource.custom"))),
        customer_id: None,
        provider_order_id: order.unwrap_or_else(|| id.clone()),
        external_event_id: id,
        amount: money::paid(amount, currency)?,
        product_ids: Vec::new(),
        price_ids: Vec::new(),
        is_subscription: subscription.is_some(),
        interval: None,
    };
    Ok(common::conversion(conversion, found))
}

fn refund(event: &Json, found: &mut Extracted) -> Result<Verdict, Stop> {
    let id = event.need("resource.id")?;
    let (payment_id, external_event_id) = match refunded_payment(event) {
        Some(payment) => (payment, id),
        // A reversed sale comes as the sale itself.
        None if event.says("event_type", "PAYMENT.SALE.REVERSED") => {
            let reversal = format!("reversal:{id}");
            (id, reversal)
        }
        None => return Err(Fault::new("resource.links", "names no payment that was refunded").into()),
    };
    found.payment_ids = vec![payment_id.clone()];
    if state(event).is_some_and(|state| state != "COMPLETED") {
        return Err(Ignored::RefundNotFinal.into());
    }
    let (amount, currency) = amount(event)?;
    let refund = Refund {
        payment_id,
        external_event_id,
        // The sales API writes what goes back with a minus sign.
        amount: Some(money::went_back(amount.abs())?),
        currency: Some(currency),
        full: false,
        reason: None,
        cumulative: false,
    };
    Ok(common::refund(refund, found))
}

/// The state in capitals: `status` since the orders API, `state` before.
fn state(event: &Json) -> Option<String> {
    let state = event.text("resource.status").or_else(|| event.text("resource.state"))?;
    Some(state.to_ascii_uppercase())
}

/// `value` and `currency_code` since the orders API, `total` and `currency` before.
fn amount(event: &Json) -> Result<(Decimal, Currency), Fault> {
    let either = |new, old| if event.get(new).is_null() && !event.get(old).is_null() { old } else { new };
    let currency =
        money::currency(event, either("resource.amount.currency_code", "resource.amount.currency"))?;
    let amount = money::major(event, either("resource.amount.value", "resource.amount.total"))?;
    Ok((amount, currency))
}

/// A refund names its payment in a field (sales), or only in the link that leads up to it (captures).
fn refunded_payment(event: &Json) -> Option<String> {
    let up = || {
        let links = event.list("resource.links").iter().filter(|link| link.says("rel", "up"));
        links.filter_map(|link| last_step(&link.text("href")?)).next()
    };
    event
        .text("resource.sale_id")
        .or_else(|| event.text("resource.capture_id"))
        .or_else(up)
        .or_else(|| event.text("resource.supplementary_data.related_ids.capture_id"))
}

/// The id at the end of `…/captures/ID` or `…/sale/ID`.
fn last_step(address: &str) -> Option<String> {
    let path = address.split(['?', '#']).next()?.trim_end_matches('/');
    let (above, id) = path.rsplit_once('/')?;
    let of_payment = above.ends_with("/captures") || above.ends_with("/capture") || above.ends_with("/sale");
    (of_payment && !id.is_empty()).then(|| id.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn certificates_come_from_paypal_only() {
        for good in [
            "https://api.paypal.com/v1/notifications/certs/CERT-1",
            "https://API-M.sandbox.paypal.com/v1/notifications/certs/CERT-1",
            "https://api-m.paypal.com:443/c",
        ] {
            assert!(is_paypals(good), "{good}");
        }
        for bad in [
            "",
            "http://api.paypal.com/c",
            "https://api.paypal.com.example/c",
            "https://evil.example/api.paypal.com",
            "https://api.paypal.com@evil.example/c",
            "https://evil@api.paypal.com/c",
            "https://api.paypal.com:8443/c",
            "https://www.paypal.com/c",
            "https://xapi.paypal.com/c",
            "https://api.paypal.com./c",
            "https:\\\\api.paypal.com\\c",
            "https://api.pay\tpal.com/c",
            "//api.paypal.com/c",
            "https://api.pаypal.com/c",
        ] {
            assert!(!is_paypals(bad), "{bad}");
        }
    }

    #[test]
    fn the_payment_stands_at_the_end_of_the_link() {
        let link = |href: &str| last_step(href);
        assert_eq!(link("https://api.paypal.com/v2/payments/captures/A1").as_deref(), Some("A1"));
        assert_eq!(link("https://api.paypal.com/v2/payments/captures/A1/?x=/y").as_deref(), Some("A1"));
        for none in
            ["https://api.paypal.com/v2/checkout/orders/A1", "", "/", "captures/", "https://h/captures/"]
        {
            assert_eq!(link(none), None, "{none}");
        }
    }

    /// What the translation of an authentic body says, as it is explained.
    fn told(event_type: &str, resource: &str) -> serde_json::Value {
        let body = format!(r#"{{"id":"WH-1","event_type":"{event_type}","resource":{resource}}}"#);
        let event = Json::parse(body.as_bytes()).expect("json");
        let request = Request { method: "POST", url: "", headers: &[], body: body.as_bytes() };
        let context =
            Context { credentials: &[], now: usher_model::UnixMs(0), test_mode: crate::TestMode::Ignore };
        let delivery = Delivery { request: &request, context: &context, event: &event };
        let line = crate::report("paypal", None, &common::translated(&delivery, Proof::Body, translate));
        serde_json::from_str(&line).expect("a line of JSON")
    }

    #[test]
    fn payments() {
        let capture = |status: &str, value: &str, custom: &str| {
            told(
                "PAYMENT.CAPTURE.COMPLETED",
                &format!(
                    r#"{{"id":"C1","status":"{status}","custom_id":{custom},"amount":{{"value":"{value}","currency_code":"JPY"}}}}"#
                ),
            )
        };
        let paid = capture("COMPLETED", "5000", r#""click-1""#);
        assert_eq!(paid["conversion"]["sale_amount"], "5000");
        assert_eq!(paid["conversion"]["metadata"]["provider_order_id"], "C1");
        assert_eq!(capture("PARTIALLY_REFUNDED", "1", r#""click-1""#)["kind"], "conversion");
        for (status, value, custom, reason) in [
            ("PENDING", "5000", r#""click-1""#, "not_paid"),
            ("DECLINED", "5000", r#""click-1""#, "not_paid"),
            ("COMPLETED", "0", r#""click-1""#, "zero_amount"),
            ("COMPLETED", "-5", r#""click-1""#, "zero_amount"),
            ("COMPLETED", "5000", "null", "no_identifier"),
            ("COMPLETED", "5000", r#""order 7, blue""#, "no_identifier"),
        ] {
            assert_eq!(capture(status, value, custom)["reason"], reason, "{status} {value} {custom}");
        }
        let dinars = told(
            "PAYMENT.SALE.COMPLETED",
            r#"{"id":"S1","state":"completed","custom":"c","amount":{"total":"12.345","currency":"TND"}}"#,
        );
        assert_eq!(dinars["conversion"]["sale_amount"], "12.345");
        assert_eq!(dinars["conversion"]["is_subscription"], false);
        for noise in
            ["PAYMENT.CAPTURE.PENDING", "PAYMENT.CAPTURE.DENIED", "BILLING.SUBSCRIPTION.ACTIVATED", ""]
        {
            assert_eq!(told(noise, "{}")["reason"], "not_commercial", "{noise}");
        }
    }

    #[test]
    fn refunds() {
        let up = r#""links":[{"rel":"self","href":"https://api.paypal.com/v2/payments/refunds/R1"},
            {"rel":"up","href":"https://api.paypal.com/v2/payments/captures/C1"}]"#;
        let refunded = |status: &str| {
            let amount = r#"{"value":"1.50","currency_code":"EUR"}"#;
            let resource = format!(r#"{{"id":"R1","status":"{status}","amount":{amount},{up}}}"#);
            told("PAYMENT.CAPTURE.REFUNDED", &resource)
        };
        assert_eq!(refunded("COMPLETED")["refund"]["payment_id"], "C1");
        assert_eq!(refunded("PENDING")["reason"], "refund_not_final");
        assert_eq!(refunded("FAILED")["reason"], "refund_not_final");
        let sale = told(
            "PAYMENT.SALE.REFUNDED",
            r#"{"id":"R2","sale_id":"S1","state":"completed","amount":{"total":"-0.49","currency":"USD"}}"#,
        );
        assert_eq!(sale["refund"]["payment_id"], "S1");
        assert_eq!(sale["refund"]["amount"], "0.49");
        let reversed = told(
            "PAYMENT.SALE.REVERSED",
            r#"{"id":"S1","state":"completed","amount":{"total":"-0.49","currency":"USD"}}"#,
        );
        assert_eq!(reversed["refund"]["external_event_id"], "reversal:S1");
        let nobodys = told("PAYMENT.CAPTURE.REFUNDED", r#"{"id":"R1","status":"COMPLETED"}"#);
        assert_eq!(nobodys["kind"], "rejected");
    }

    #[test]
    fn a_certificate_that_is_not_there_is_asked_for() {
        let address = "https://api.paypal.com/v1/notifications/certs/CERT-1";
        let headers: Vec<(&str, &[u8])> = vec![
            ("PayPal-Transmission-Id", b"1"),
            ("PayPal-Transmission-Time", b"2026-09-10T00:26:37Z"),
            ("PayPal-Transmission-Sig", b"AAAA"),
            ("PayPal-Cert-Url", address.as_bytes()),
            ("PayPal-Auth-Algo", b"SHA256withRSA"),
        ];
        let request = Request { method: "POST", url: "/", headers: &headers, body: b"{}" };
        let credential = |certificates: &[(&str, &str)]| Credential::PayPal {
            webhook_id: "W1".to_owned(),
            trust_anchors_pem: String::new(),
            certificates: certificates
                .iter()
                .map(|(url, pem)| ((*url).to_owned(), (*pem).to_owned()))
                .collect(),
        };
        let judged = |credentials: &[Credential]| {
            let now = usher_model::UnixMs(1_789_000_000_000);
            verify(&request, &Context { credentials, now, test_mode: crate::TestMode::Ignore })
        };
        let needed = Err(Rejection::CertificateNeeded(address.to_owned()));
        assert_eq!(judged(&[credential(&[])]), needed);
        assert_eq!(judged(&[credential(&[]), credential(&[(address, "")])]), needed);
        assert_eq!(judged(&[credential(&[(address, "")])]), Err(Rejection::BadCertificate));
        assert_eq!(judged(&[]), Err(Rejection::BadSignature));
        let mut weak = headers.clone();
        weak[4].1 = b"SHA1withRSA";
        let weak = Request { headers: &weak, ..request };
        assert_eq!(transmission(&weak).err(), Some(Rejection::UnsupportedVersion));
    }
}
