//! The shop's backend tells the edge of a sale, until it was heard, always under the order's own event id.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, StatusCode, header};
use http_body_util::{BodyExt, Full, Limited};
use serde::Serialize;
use serde_json::value::RawValue;

use super::orders::Order;
use super::routes::Shop;
use crate::demo::limits;

/// What became of the report. `pending` (nothing yet) is the order's first state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Status {
    /// The platform's own answer came back.
    Credited,
    /// The edge has it on disk and will deliver it.
    Queued,
    /// Nobody is to be credited.
    Unattributed,
    /// The edge does not take it as it is; trying again would not help.
    Refused,
    /// Every attempt failed.
    Failed,
}

impl Status {
    /// The word in `conversion_status`.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Credited => "credited",
            Self::Queued => "queued",
            Self::Unattributed => "unattributed",
            Self::Refused => "refused",
            Self::Failed => "failed",
        }
    }

    /// What an answer's status means; `None` when it is worth another attempt.
    fn of(status: StatusCode) -> Option<Self> {
        match status.as_u16() {
            202 => Some(Self::Queued),
            200..=299 => Some(Self::Credited),
            404 => Some(Self::Unattributed),
            408 | 425 | 429 => None,
            400..=499 => Some(Self::Refused),
            _ => None,
        }
    }
}

/// Reports an order and notes what became of it. Runs to its end whether or not somebody waits for it.
pub(super) async fn report(shop: Arc<Shop>, order: Order) -> Status {
    let status = attempts(&shop, &order).await;
    shop.orders.set_status(&order.order_id, status.word());
    status
}

async fn attempts(shop: &Shop, order: &Order) -> Status {
    let Ok(body) = body(order) else { return Status::Refused };
    let mut pause = limits::CONVERSION_PAUSE_FIRST;
    for attempt in 1..=limits::CONVERSION_ATTEMPTS_MAX_COUNT {
        match tokio::time::timeout(limits::CONVERSION_DEADLINE, attempt_once(shop, body.clone())).await {
            Ok(Ok(status)) => match Status::of(status) {
                Some(heard) => return heard,
                None => {
                    tracing::warn!(order = order.order_id, attempt, %status, "the edge could not take the sale");
                }
            },
            Ok(Err(error)) => {
                tracing::warn!(order = order.order_id, attempt, %error, "the edge did not hear of the sale");
            }
            Err(_) => tracing::warn!(order = order.order_id, attempt, "the edge did not answer in time"),
        }
        tokio::time::sleep(pause).await;
        pause = next_pause(pause);
    }
    Status::Failed
}

fn next_pause(pause: Duration) -> Duration {
    pause.saturating_mul(2).min(limits::CONVERSION_PAUSE_LONGEST)
}

async fn attempt_once(
    shop: &Shop,
    body: Bytes,
) -> Result<StatusCode, Box<dyn std::error::Error + Send + Sync>> {
    let settings = &shop.settings;
    let request = Request::post(format!("http://{}{}/v1/conversions", settings.edge, settings.prefix))
        .header(header::HOST, &settings.edge_host)
        .header(header::AUTHORIZATION, format!("Bearer {}", settings.api_key))
        .header(header::CONTENT_TYPE, "application/json")
        .body(Full::new(body))?;
    let answer = shop.client.request(request).await?;
    let status = answer.status();
    // Read to its end, so that the connection can be used again and a broken answer counts as none.
    Limited::new(answer.into_body(), limits::HANDED_ANSWER_MAX_BYTES).collect().await?;
    Ok(status)
}

/// The conversion of an order. The amount is written digit by digit, never through a float.
fn body(order: &Order) -> Result<Bytes, serde_json::Error> {
    #[derive(Serialize)]
    struct Conversion<'a> {
        #[serde(skip_serializing_if = "Option::is_none")]
        referral_id: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        promo_code: Option<&'a str>,
        customer_id: &'a str,
        sale_amount: Box<RawValue>,
        sale_amount_currency: &'a str,
        external_event_id: &'a str,
        order_id: &'a str,
    }
    let conversion = Conversion {
        referral_id: order.affonso_referral.as_deref(),
        promo_code: order.promo_code.as_deref(),
        customer_id: &order.customer_id,
        sale_amount: RawValue::from_string(order.total_text.clone())?,
        sale_amount_currency: order.currency,
        external_event_id: &order.order_id,
        order_id: &order.order_id,
    };
    serde_json::to_vec(&conversion).map(Bytes::from)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demo::shop::orders::{Item, OrderRequest, Quote};

    #[test]
    fn the_amount_is_written_to_the_letter() {
        let request = OrderRequest {
            items: vec![Item { id: "notebook".into(), quantity: 2 }],
            promo_code: " ALICE10 ".into(),
            affonso_referral: String::new(),
            email: "a@example.com".into(),
        };
        let quote = Quote::of(&request.items, &request.promo_code).unwrap();
        let order = Order::new("order_1".into(), "cus_1".into(), &quote, &request);
        assert_eq!(
            body(&order).unwrap(),
            r#"{"promo_code":"ALICE10","customer_id":"cus_1","sale_amount":33.30,"sale_amount_currency":"EUR","external_event_id":"order_1","order_id":"order_1"}"#
        );
    }

    #[test]
    fn only_what_may_mend_itself_is_tried_again() {
        for (status, heard) in [
            (201, Some(Status::Credited)),
            (202, Some(Status::Queued)),
            (404, Some(Status::Unattributed)),
            (401, Some(Status::Refused)),
            (429, None),
            (503, None),
        ] {
            assert_eq!(Status::of(StatusCode::from_u16(status).unwrap()), heard, "{status}");
        }
        assert_eq!(next_pause(Duration::from_secs(29)), limits::CONVERSION_PAUSE_LONGEST);
    }
}
