//! What comes out of a judgement.

use crate::common::Fault;
use rust_decimal::Decimal;
use serde::Serialize;
use usher_model::{Currency, Money};

/// A verdict, and what it rests on.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// What is to be done.
    pub verdict: Verdict,
    /// What was found on the way.
    pub extracted: Extracted,
    /// What the sender proved; `None` when nothing.
    pub proof: Option<Proof>,
}

/// What a scheme proves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proof {
    /// Who sent it, and that the body is what they sent.
    Body,
    /// That the sender knows a token. The body can be anything.
    Token,
}

/// What is to be done with a delivery.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// A payment was made.
    Conversion(Conversion),
    /// A payment was made, and nothing in it names a referral: it counts only for whoever bound the order at checkout.
    Unidentified(Conversion),
    /// Money went back.
    Refund(Refund),
    /// The order with all the refunds it ever had. Never empty.
    Refunds(Vec<Refund>),
    /// Two ids mean one payment; no money moved.
    Link(Link),
    /// Authentic (but for [`Ignored::UnsignedPing`]), and nothing to do. Answer 2xx.
    Ignored(Ignored),
    /// Not authentic, or not readable. Answer 4xx.
    Rejected(Rejection),
}

/// A payment, renewal payments included.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conversion {
    /// The click, where the merchant put it.
    pub referral_id: Option<String>,
    /// The provider's customer.
    pub customer_id: Option<String>,
    /// The payment's own id: events that overlap carry the same.
    pub external_event_id: String,
    /// What the customer was charged, tax included.
    pub amount: Money,
    /// The provider's products, each once.
    pub product_ids: Vec<String>,
    /// The provider's prices or variants, each once.
    pub price_ids: Vec<String>,
    /// Whether a subscription was paid.
    pub is_subscription: bool,
    /// How often it is paid, when that is every month or every year.
    pub interval: Option<Interval>,
    /// The order as the provider's own pages name it.
    pub provider_order_id: String,
}

/// How often a subscription is paid: what the platform knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Interval {
    /// Every month.
    Monthly,
    /// Every year.
    Yearly,
}

/// Money that went back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refund {
    /// One of the [`Extracted::payment_ids`] of the payment.
    pub payment_id: String,
    /// The refund's own id.
    pub external_event_id: String,
    /// How much, in major units, above zero; `None` is all that is left.
    pub amount: Option<Decimal>,
    /// The currency; `None` is the payment's own.
    pub currency: Option<Currency>,
    /// Whether the provider says that nothing is left now.
    pub full: bool,
    /// Why, in the provider's or the merchant's words.
    pub reason: Option<String>,
    /// Whether `amount` is all that ever went back, not this refund alone: subtract what was sent before.
    pub cumulative: bool,
}

/// Two names of one payment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Link {
    /// The other name: what a refund will say.
    pub payment_id: String,
    /// The name that the conversion carries.
    pub alias_of: String,
}

/// What was found in a delivery beside the verdict. Empty where the payload does not have it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Extracted {
    /// The delivery's or event's id, where it is unique.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub provider_event_id: Option<String>,
    /// The event's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub event_type: Option<String>,
    /// Every id that a refund may name this payment by, the best one first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub payment_ids: Vec<String>,
    /// The customer's e-mail address. No identifier: it is not sent on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub customer_email: Option<String>,
    /// The discount that the customer used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub promo: Option<Promo>,
    /// The subscription that was paid.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subscription_id: Option<String>,
    /// Whether it is real money, where the payload says so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub livemode: Option<bool>,
    /// Two names of one payment.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub link: Option<Link>,
}

/// A discount, as far as the payload names it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Promo {
    /// What the customer typed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// The provider's id of the code.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub promotion_id: Option<String>,
    /// The provider's id of the discount behind the code.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub coupon_id: Option<String>,
}

impl Promo {
    /// A promo, unless nothing names it.
    pub(crate) fn new(
        code: Option<String>,
        promotion_id: Option<String>,
        coupon_id: Option<String>,
    ) -> Option<Self> {
        let promo = Self { code, promotion_id, coupon_id };
        (promo != Self::default()).then_some(promo)
    }
}

/// Why an authentic delivery has nothing to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ignored {
    /// No money moved, or another event tells of it.
    NotCommercial,
    /// The payment is not made yet, or failed.
    NotPaid,
    /// The refund is not made yet, or failed.
    RefundNotFinal,
    /// The order's own event tells of this payment (Lemon Squeezy).
    CoveredByOrderCreated,
    /// The subscription's own event tells of this payment (Creem).
    CoveredBySubscriptionPaid,
    /// Part of the money went back, and the payload does not say how much.
    PartialRefundAmountUnknown,
    /// The provider marks it as a test.
    TestMode,
    /// Nothing was charged.
    ZeroAmount,
    /// `WooCommerce` asks whether anybody is there. Not signed: answer 200 and do nothing.
    UnsignedPing,
}

impl Ignored {
    /// The word for it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::NotCommercial => "not_commercial",
            Self::NotPaid => "not_paid",
            Self::RefundNotFinal => "refund_not_final",
            Self::CoveredByOrderCreated => "covered_by_order_created",
            Self::CoveredBySubscriptionPaid => "covered_by_subscription_paid",
            Self::PartialRefundAmountUnknown => "partial_refund_amount_unknown",
            Self::TestMode => "test_mode",
            Self::ZeroAmount => "zero_amount",
            Self::UnsignedPing => "unsigned_ping",
        }
    }
}

/// Why a delivery is turned away. `Display` says it for the log.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    /// No secret signs it so.
    #[error("the signature is not one of ours")]
    BadSignature,
    /// What the scheme needs is not there.
    #[error("the header {0} is missing")]
    MissingHeader(&'static str),
    /// Signed too long ago: a replay, or a clock that is off.
    #[error("the signature is too old")]
    StaleTimestamp,
    /// Signed for later: a clock is off.
    #[error("the signature is from the future")]
    FutureTimestamp,
    /// Signed by a scheme that is not taken.
    #[error("the signature's scheme or version is not supported")]
    UnsupportedVersion,
    /// The certificate is not where the provider keeps its own.
    #[error("the certificate's address is not the provider's")]
    BadCertificateUrl,
    /// The certificate is not the provider's, or not valid now.
    #[error("the certificate is not to be trusted")]
    BadCertificate,
    /// What the signature is checked with is at this address, and was not among the credentials. Whoever fetches it may ask
    /// again; until then nobody knows who sent this. It is one of the provider's own addresses.
    #[error("the certificate at {0}, with which it would be verified, could not be fetched")]
    CertificateNeeded(String),
    /// Authentic, but not what the provider documents.
    #[error("unreadable: {0}")]
    Unreadable(#[from] Fault),
}

impl Rejection {
    /// The word for it.
    #[must_use]
    pub const fn word(&self) -> &'static str {
        match self {
            Self::BadSignature => "bad_signature",
            Self::MissingHeader(_) => "missing_header",
            Self::StaleTimestamp => "stale_timestamp",
            Self::FutureTimestamp => "future_timestamp",
            Self::UnsupportedVersion => "unsupported_version",
            Self::BadCertificateUrl => "bad_cert_url",
            Self::BadCertificate | Self::CertificateNeeded(_) => "bad_certificate",
            Self::Unreadable(_) => "unreadable",
        }
    }
}
