//! What a referral is: the parameters that name an affiliate, the grammar of codes and ids, and how they are read
//! from a page's address. The browser and the edge run this same code, so they cannot disagree.
//!
//! No I/O, no clock, no dependencies. Nothing here panics, and what is kept is bounded whatever the input.
#![no_std]

extern crate alloc;

mod address;
mod codes;
mod fields;
mod parameters;
mod referral;
pub mod urlencoded;

pub use codes::{fold_promo_code, is_click_id, is_code, is_internal};
pub use fields::track_fields;
pub use parameters::{ParameterError, Parameters};
pub use referral::{Referral, Utm, parse};

/// Pairs looked at in the query, and again in the fragment. Those after it are not read.
pub const MAX_PAIRS: usize = 100;
/// Bytes of an affiliate code.
pub const MAX_CODE_BYTES: usize = 64;
/// Bytes of a click id: what Stripe takes as `client_reference_id`
/// (<https://docs.stripe.com/api/checkout/sessions/create>).
pub const MAX_CLICK_ID_BYTES: usize = 200;
/// UTF-16 code units of a sub id or utm value, as the platform counts them
/// (<https://docs.affonso.io/api-reference/endpoint/clicks/create>).
pub const MAX_TEXT_UTF16: usize = 255;
/// Bytes of an advertising network's click id.
pub const MAX_AD_CLICK_BYTES: usize = 255;
/// Characters of a promo code, folded.
pub const MAX_PROMO_CODE_CHARS: usize = 64;
/// Parameters of one site.
pub const MAX_PARAMETERS: usize = 16;
/// Bytes of one parameter's name.
pub const MAX_PARAMETER_BYTES: usize = 64;
