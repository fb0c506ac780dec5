//! Signatures that stand beside their time in one header: `t=<unix>,v1=<hex>[,v1=<hex>…]`.

use super::{
    signature::{self, Encoding},
    timestamp::{self, Bound},
};
use crate::{Context, Proof, Rejection, Request};
use usher_model::Secret;

/// One make of such a header.
pub(crate) struct TimedHeader {
    /// The header's name.
    pub(crate) name: &'static str,
    /// What stands between its items.
    pub(crate) separator: char,
    /// The item that holds the time, in Unix seconds.
    pub(crate) time: &'static str,
    /// The items that hold signatures, in hexadecimal; any is enough while a secret is replaced.
    pub(crate) signature: &'static str,
    /// What stands between time and body where they are signed.
    pub(crate) joiner: &'static [u8],
    /// Which way the time may not be off.
    pub(crate) bound: Bound,
}

impl TimedHeader {
    /// Passes when any of the secrets, as text, signed time and body with any of the signatures, and lately.
    pub(crate) fn verify(&self, request: &Request<'_>, context: &Context<'_>) -> Result<Proof, Rejection> {
        let header = request.header(self.name).ok_or(Rejection::MissingHeader(self.name))?;
        let time =
            signature::values(header, self.separator, self.time).last().ok_or(Rejection::BadSignature)?;
        let at = timestamp::read(time).ok_or(Rejection::BadSignature)?;
        let signatures: Vec<&str> = signature::values(header, self.separator, self.signature).collect();
        if signatures.is_empty() {
            return Err(Rejection::UnsupportedVersion);
        }
        let parts: [&[u8]; 3] = [time.as_bytes(), self.joiner, request.body];
        signature::check(context.secrets().map(Secret::expose), &parts, Encoding::Hex, &signatures)?;
        timestamp::check(at, context.now, self.bound)?;
        Ok(Proof::Body)
    }
}
