//! Gumroad (<https://gumroad.com/ping>). Pings are not signed: a token in the address and the seller's id are all that tells
//! a genuine one.
//!
//! Buyers can put fields of their own into a form: neither they nor the names that sellers give to custom fields are
//! encoded. What Gumroad itself says comes first, but for how the ping ends.

use crate::{
    Context, Conversion, Credential, Extracted, Ignored, Interval, Outcome, Promo, Proof, Provider, Refund,
    Rejection, Request, Verdict,
    common::{
        self, Delivery, Stop, form,
        json::{Fault, Json},
        money, note_livemode,
        referral::{KEY, click, ids, in_metadata},
        rejected, signature, translated,
    },
};
use std::collections::BTreeMap;
use usher_model::Currency;

pub(crate) const PROVIDER: Provider = Provider { name: "gumroad", proofs: &[Proof::Token], judge };

/// Fields that end a ping, behind everything that buyers and sellers name.
const LAST: [&str; 2] = ["refunded", "resource_name"];

fn judge(request: &Request<'_>, context: &Context<'_>) -> Outcome {
    let sellers = match sellers(request, context) {
        Ok(sellers) => sellers,
        Err(rejection) => return rejected(rejection),
    };
    let event = match read(request.body) {
        Ok(event) => event,
        Err(fault) => return Outcome { proof: Some(Proof::Token), ..rejected(fault.into()) },
    };
    if !is_of(&event, &sellers) {
        return rejected(Rejection::BadSignature);
    }
    translated(&Delivery { request, context, event: &event }, Proof::Token, translate)
}

/// Whose pings the token in the address lets in.
fn sellers<'a>(request: &Request<'_>, context: &Context<'a>) -> Result<Vec<&'a str>, Rejection> {
    let given = form::query_value(request.url, "token").filter(|token| !token.is_empty());
    let given = given.ok_or(Rejection::MissingHeader("?token="))?;
    let mut sellers = Vec::new();
    for credential in context.credentials {
        if let Credential::Gumroad { url_token, seller_id } = credential
            && !url_token.expose().is_empty()
            && signature::same(url_token.expose(), &given)
        {
            sellers.push(seller_id.as_str());
        }
    }
    if sellers.is_empty() { Err(Rejection::BadSignature) } else { Ok(sellers) }
}

/// Pings about subscriptions name no seller; those about money must.
fn is_of(event: &Json, sellers: &[&str]) -> bool {
    match event.text("seller_id") {
        Some(seller) => sellers.iter().any(|ours| signature::same(ours.as_bytes(), seller.as_bytes())),
        None => !matches!(resource(event).as_str(), "sale" | "refund"),
    }
}

/// A form, or JSON for subscriptions that ask for it.
fn read(body: &[u8]) -> Result<Json, Fault> {
    match body.trim_ascii_start().first() {
        Some(b'{') => Json::parse(body),
        _ => Ok(from_form(body)),
    }
}

/// A form as the object that it was made of: `a[b]=c` is `{"a":{"b":"c"}}` when the brackets are Gumroad's own, not encoded.
fn from_form(body: &[u8]) -> Json {
    let mut event: BTreeMap<String, Json> = BTreeMap::new();
    for field in form::fields(body) {
        let text = Json::Text(String::from_utf8_lossy(&field.value).into_owned());
        match nested(field.encoded_name) {
            Some((outer, inner)) => {
                let outer = event.entry(outer).or_insert_with(|| Json::Object(BTreeMap::new()));
                if let Json::Object(members) = outer {
                    members.entry(inner).or_insert(text);
                }
            }
            None => {
                let name = field.name();
                if LAST.contains(&name.as_str()) {
                    event.insert(name, text);
                } else {
                    event.entry(name).or_insert(text);
                }
            }
        }
    }
    Json::Object(event)
}

fn nested(encoded: &[u8]) -> Option<(String, String)> {
    let open = encoded.iter().position(|byte| *byte == b'[')?;
    let inner = encoded[open + 1..].strip_suffix(b"]")?;
    let text = |part| String::from_utf8_lossy(&form::decode(part)).into_owned();
    Some((text(&encoded[..open]), text(inner)))
}

fn resource(event: &Json) -> String {
    // The first kind of ping, which can only tell of sales, did not name it.
    event.text("resource_name").unwrap_or_else(|| "sale".to_owned())
}

fn translate(delivery: &Delivery<'_>, found: &mut Extracted) -> Result<Verdict, Stop> {
    let event = delivery.event;
    let resource = resource(event);
    found.event_type = Some(resource.clone());
    let read = match resource.as_str() {
        "sale" => sale,
        "refund" => refund,
        _ => return Err(Ignored::NotCommercial.into()),
    };
    note_livemode(Some(!says_true(event, "test")), delivery.context, found)?;
    read(event, found)
}

fn sale(event: &Json, found: &mut Extracted) -> Result<Verdict, Stop> {
    let id = own(event, "sale_id")?;
    found.payment_ids = vec![id.clone()];
    found.customer_email = event.text("email");
    found.promo = Promo::new(event.text("offer_code"), None, None);
    found.subscription_id = event.text("subscription_id");
    if says_true(event, "is_preorder_authorization") {
        return Err(Ignored::NotPaid.into());
    }
    own(event, "price")?;
    // Cents of US dollars whatever the product's currency, which is what `currency` is.
    let usd: Currency = "USD".parse().map_err(|_| Fault::new("price", "has no currency"))?;
    let amount = money::minor(event, "price", usd, &money::ISO_4217)?;
    let conversion = Conversion {
        referral_id: referral_of(event),
        customer_id: event.text("purchaser_id"),
        external_event_id: id.clone(),
        amount: money::paid(amount, usd)?,
        product_ids: ids([event.text("product_id")]),
        price_ids: Vec::new(),
        is_subscription: found.subscription_id.is_some(),
        interval: match event.text("recurrence").as_deref() {
            Some("monthly") => Some(Interval::Monthly),
            Some("yearly") => Some(Interval::Yearly),
            _ => None,
        },
        provider_order_id: id,
    };
    Ok(common::conversion(conversion, found))
}

/// The sale once more. How much went back it does not say, unless it was all.
fn refund(event: &Json, found: &mut Extracted) -> Result<Verdict, Stop> {
    let sale = own(event, "sale_id")?;
    found.payment_ids = vec![sale.clone()];
    if !says_true(event, "refunded") {
        return Err(Ignored::PartialRefundAmountUnknown.into());
    }
    let refund = Refund {
        external_event_id: format!("refund:{sale}"),
        payment_id: sale,
        amount: None,
        currency: None,
        full: true,
        reason: None,
        cumulative: false,
    };
    Ok(common::refund(refund, found))
}

/// A field of Gumroad's own. A custom field of the same name takes its place, with what the buyer typed.
fn own(event: &Json, name: &'static str) -> Result<String, Fault> {
    let text = event.need(name)?;
    match event.get("custom_fields").member(name).as_text() {
        Some(typed) if typed == text => Err(Fault::new(name, "is hidden by a custom field of that name")),
        _ => Ok(text),
    }
}

fn referral_of(event: &Json) -> Option<String> {
    in_metadata(event, &["custom_fields", "url_params"])
        .or_else(|| {
            ["custom_fields", "url_params"]
                .iter()
                .find_map(|outer| click(event.member(&format!("{outer}[{KEY}]"))))
        })
        .or_else(|| click(event.member(KEY)))
}

fn says_true(event: &Json, name: &str) -> bool {
    event.flag(name) == Some(true) || event.says(name, "true")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_becomes_the_object_that_it_was() {
        let event = from_form(
            b"price=1900&url_params[x&price=1&y]=1&url_params[a%5Bb%5D]=z&card[type]=visa&price=2\
              &url_params%5Baffonso_referral%5D=enc&resource_name=refund&resource_name=sale&purchase_ids[]=A",
        );
        assert_eq!(event.text("price").as_deref(), Some("1900"), "a buyer's field comes later");
        assert_eq!(event.get("url_params").member("a[b]").as_text().as_deref(), Some("z"));
        assert_eq!(event.text("card.type").as_deref(), Some("visa"));
        assert_eq!(event.member("url_params[affonso_referral]").as_text().as_deref(), Some("enc"));
        assert_eq!(event.text("resource_name").as_deref(), Some("sale"));
    }

    #[test]
    fn a_custom_field_does_not_set_the_price() {
        let event = from_form(b"price=5&custom_fields[price]=5&sale_id=A");
        assert!(own(&event, "price").is_err());
        assert!(own(&event, "sale_id").is_ok());
    }
}
