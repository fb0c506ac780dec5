//! Payment providers' webhooks: a request and the merchant's secrets in, a verdict out. No I/O, no clock.
//!
//! One file a provider. To add one, read its neighbour `stripe.rs`, write the file, and add its line to [`PROVIDERS`].
//! The order is the same everywhere: verify the raw bytes, parse, translate.

mod common;
pub mod custom;
mod explain;
mod report;
mod request;
mod verdict;
mod webhook;

mod chargebee;
mod creem;
mod dodopayments;
mod flutterwave;
mod gumroad;
mod lemonsqueezy;
mod paddle;
mod paypal;
mod paytm;
mod phonepe;
mod polar;
mod razorpay;
mod shopify;
mod stripe;
mod woocommerce;
mod xendit;

pub use common::Fault;
pub use explain::{ExplainError, Recorded, explain};
pub use report::report;
pub use request::{Context, Credential, Request, TestMode};
pub use verdict::{
    Conversion, Extracted, Ignored, Interval, Link, Outcome, Promo, Proof, Refund, Rejection, Verdict,
};
pub use webhook::{Kind, Webhook};

/// Every provider, by name: `POST <prefix>/hooks/<name>`.
#[rustfmt::skip] // one line each
pub const PROVIDERS: &[Provider] = &[
    chargebee::PROVIDER,
    creem::PROVIDER,
    dodopayments::PROVIDER,
    flutterwave::PROVIDER,
    gumroad::PROVIDER,
    lemonsqueezy::PROVIDER,
    paddle::PROVIDER,
    paypal::PROVIDER,
    paytm::PROVIDER,
    phonepe::PROVIDER,
    polar::PROVIDER,
    razorpay::PROVIDER,
    shopify::PROVIDER,
    stripe::PROVIDER,
    woocommerce::PROVIDER,
    xendit::PROVIDER,
];

/// A payment provider.
#[derive(Clone, Copy, Debug)]
pub struct Provider {
    /// Its name in the configuration, in the address and in records.
    pub name: &'static str,
    /// What its schemes prove. Where [`Proof::Token`] is among them, amounts and referrals are only as good as the secrecy
    /// of the token and the address.
    pub proofs: &'static [Proof],
    judge: fn(&Request<'_>, &Context<'_>) -> Outcome,
}

impl Provider {
    /// The provider of this name.
    #[must_use]
    pub fn find(name: &str) -> Option<&'static Self> {
        PROVIDERS.iter().find(|provider| provider.name == name)
    }

    /// Says what a request means. Never panics, whatever the bytes.
    #[must_use]
    pub fn judge(&self, request: &Request<'_>, context: &Context<'_>) -> Outcome {
        (self.judge)(request, context)
    }
}
