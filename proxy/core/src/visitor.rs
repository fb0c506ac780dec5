//! Who makes a request, as far as a click needs to know.

use crate::SignedClick;
use std::net::IpAddr;
use usher_model::ClickId;

/// The visitor behind a request.
#[derive(Clone, Debug)]
pub struct Visitor {
    /// The address, found through the proxies that are trusted.
    pub address: IpAddr,
    /// `User-Agent`, empty when none was sent.
    pub user_agent: String,
    /// `Referer` of the request.
    pub referer: Option<String>,
    /// `Origin` of the request.
    pub origin: Option<String>,
    /// The click that the visitor's cookie names, when it is well-formed.
    pub cookie: Option<ClickId>,
    /// The click that the visitor's signed cookie proves.
    pub signed: Option<SignedClick>,
    /// What the request says about itself.
    pub signals: Signals,
}

/// What a request says about itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Signals {
    /// `HEAD`: nobody looks.
    pub head: bool,
    /// `Sec-Purpose: prefetch` (with or without `;prerender`), `Purpose: prefetch` or `X-Moz: prefetch`: nobody looks yet.
    pub prefetch: bool,
    /// `Sec-GPC: 1` (<https://www.w3.org/TR/gpc/>).
    pub gpc: bool,
}
