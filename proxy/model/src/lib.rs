//! The nouns of Usher, each constructible only when valid, and the limits they keep to. No I/O, no clock.

pub mod click;
pub mod code;
pub mod delivery;
pub mod id;
pub mod ledger;
pub mod limits;
pub mod money;
pub mod secret;
pub mod site;
pub mod time;

pub use click::{Click, Upstream, VisitorKey};
pub use code::{Code, CodeFault, Discount, PromoCode, Validity};
pub use delivery::{Answer, Attempt, Delivery, Job, Needs, Settlement};
pub use id::{AffiliateCode, ClickId, IdError, RecordId, SiteName, Source};
pub use ledger::{
    Acceptance, Bound, CodeUse, Entry, EntryState, Listing, OrderBinding, Payment, PaymentRef, PaymentRefund,
    Record, Refund, RefundAmount, Send, State,
};
pub use money::{Currency, Money, MoneyError};
pub use secret::Secret;
pub use site::{Attribution, CodeOrClick, Consent, CookieDomain, Link, OriginAddress, Site};
pub use time::{Clock, Random, UnixMs};
