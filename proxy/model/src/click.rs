//! A click: one visitor came through one affiliate.

use crate::{
    id::{AffiliateCode, ClickId, SiteName},
    time::UnixMs,
};
use serde::{Deserialize, Serialize};

/// A visitor without a cookie, told apart by a keyed hash of address and user agent. Useless without the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct VisitorKey(pub u128);

/// What the platform calls a click.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "state", content = "value")]
pub enum Upstream {
    /// The platform gave the id itself.
    Same,
    /// Minted at the edge; the platform has not been told yet.
    Pending,
    /// Minted at the edge; the platform is told only when a sale names it, for too many came from its network at once.
    Untold,
    /// Minted at the edge; the platform knows it by this id.
    Known(ClickId),
    /// Minted at the edge; the platform will not have it, for this reason.
    Refused(String),
}

/// A click as it is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Click {
    /// The id that the visitor's cookie holds.
    pub id: ClickId,
    /// Where it happened.
    pub site: SiteName,
    /// Who sent the visitor.
    pub affiliate: AffiliateCode,
    /// The visitor, where no consent forbids to tell visitors apart.
    pub visitor: Option<VisitorKey>,
    /// When it happened.
    pub created_at: UnixMs,
    /// What the platform calls it.
    pub upstream: Upstream,
}

impl Upstream {
    /// Whether the platform has yet to say what it calls it.
    #[must_use]
    pub const fn is_pending(&self) -> bool {
        matches!(self, Self::Pending | Self::Untold)
    }
}

impl Click {
    /// The id to send upstream, once there is one.
    #[must_use]
    pub const fn upstream_id(&self) -> Option<&ClickId> {
        match &self.upstream {
            Upstream::Same => Some(&self.id),
            Upstream::Known(id) => Some(id),
            Upstream::Pending | Upstream::Untold | Upstream::Refused(_) => None,
        }
    }
}
