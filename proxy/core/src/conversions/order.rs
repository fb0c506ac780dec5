//! `POST /bind`: a page ties an order to its visitor's click before the checkout leaves the browser.

use super::{
    Conversions,
    fields::{TEXT_LONGEST, object, settle_names, take_referral, text},
};
use crate::{
    Refusal, Visitor,
    attribution::{By, Hints, Signal, Standing, patiently},
};
use usher_model::{Bound, ClickId, Site, limits};

/// What a page says.
#[derive(Debug)]
struct BindRequest {
    order: String,
    click: Option<ClickId>,
}

impl BindRequest {
    fn read(body: &[u8]) -> Result<Self, Refusal> {
        let mut fields = object(body)?;
        settle_names(&mut fields, &[("order_id", "orderId"), ("order_id", "order"), ("click_id", "cid")])?;
        let click = take_referral(&mut fields)?.map(|(_, id)| id);
        let order = text(&fields, "order_id", TEXT_LONGEST)?.ok_or_else(|| {
            Refusal::invalid("order_id", "order_id is required: the order's id, as its payment will name it")
        })?;
        Ok(Self { order, click })
    }
}

impl Conversions {
    /// Ties an order to the click that the body names, else to the one of the visitor's cookies. What it is worth is in
    /// `docs/decisions/0005-order-bindings.md`.
    ///
    /// # Errors
    /// A [`Refusal`]; nothing was written then.
    pub async fn bind(&self, site: &Site, body: &[u8], visitor: &Visitor) -> Result<(), Refusal> {
        let BindRequest { order, click } = BindRequest::read(body)?;
        let signed = visitor.signed.clone();
        let own = || signed.as_ref().map(|signed| signed.id().clone()).or(visitor.cookie.clone());
        let Some(click) = click.or_else(own) else {
            return Err(Refusal::invalid("click_id", "click_id is required: this visitor has no referral"));
        };
        let now = self.tools.clock.now();
        let hints =
            Hints { clicks: vec![(By::Named, "click_id", click.clone())], signed, ..Hints::default() };
        let evidence = self.evidence(site);
        let seen = evidence.signals(&hints, now).await?;
        if let Some(Signal { standing: Standing::None, words, .. }) = seen.into_iter().next() {
            let message = words.unwrap_or_else(|| format!("{click} credits nobody"));
            return Err(Refusal::NotFound { field: Some("click_id"), message });
        }
        match patiently(|| self.tools.store.bind_order(&site.name, &order, &click, now)).await? {
            Bound::Bound => Ok(()),
            Bound::TooMany => Err(Refusal::invalid(
                "order_id",
                format!("order_id: this visitor has bound {} orders already", limits::ORDERS_PER_CLICK),
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(body: &str) -> Option<(String, Option<String>)> {
        let request = BindRequest::read(body.as_bytes()).ok()?;
        Some((request.order, request.click.map(|click| click.to_string())))
    }

    #[test]
    fn an_order_has_three_names_and_a_click_may_be_named() {
        let bare = Some(("o1".to_owned(), None));
        for body in [r#"{"order_id":" o1 "}"#, r#"{"orderId":"o1"}"#, r#"{"order":"o1"}"#] {
            assert_eq!(read(body), bare, "{body}");
        }
        assert_eq!(
            read(r#"{"order":1001,"cid":"cmd1"}"#),
            Some(("1001".to_owned(), Some("cmd1".to_owned())))
        );
        let long = format!(r#"{{"order":"{}"}}"#, "o".repeat(256));
        for wrong in [
            "{}",
            r#"{"order":""}"#,
            r#"{"order":"a","order_id":"b"}"#,
            r#"{"order":"a","cid":"a b"}"#,
            &long,
        ] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn no_body_panics(body in proptest::collection::vec(any::<u8>(), 0..200), text in "\\PC{0,60}") {
            let _ = BindRequest::read(&body);
            let _ = read(&format!(r#"{{"order":{text:?},{text}}}"#));
        }
    }
}
