//! A small shop, as a merchant would have written it for the platform without knowing of the edge.
//!
//! Its pages carry the platform's tag with a first-party address, its checkout reads `window.affonso_referral || ''`, its backend
//! reports the sale. Two things make it the merchant of an edge: what is asked below the tag's prefix is handed over to the edge,
//! as the merchant's web server would ([`handover`]), and the backend's call goes to the edge instead of the platform
//! ([`report`]).
//!
//! | method and path | answers |
//! |---|---|
//! | `GET /`, `/product/{id}`, `/checkout`, `/thanks?order=ID` | the pages |
//! | `POST /cart` | form `id`, `quantity` (0 takes it out); 303 to the checkout |
//! | `POST /api/quote` | `{items, promo_code}` → what it would cost |
//! | `POST /api/orders` | `{items, promo_code, affonso_referral, email}` → `{order_id, total, currency, conversion_status, …}` |
//! | `GET /api/orders/{id}` | the same again |
//!
//! Switches, kept in a cookie from the page on which they are given: `?csp=strict` (`default-src 'self'`), `?csp=nonce` (a nonce
//! and `strict-dynamic`), `?csp=off`; `?tag=manager` (a tag manager makes the tag), `?tag=html`.
//!
//! For tests: `#email`, `#promo-code`, `#apply-code`, `#code-message`, `#place-order`, `#order-error` and `#total` on the
//! checkout; `#order-id`, `#order-total` and `#conversion-status` on the thank-you page; `#add-to-bag` on a product;
//! `#referral-note` on every page.

mod assets;
mod catalogue;
mod handover;
mod orders;
mod pages;
mod report;
mod routes;
mod switches;
#[cfg(test)]
mod tests;

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::net::TcpListener;
use usher_model::Clock;

/// Whose shop it is, and where its edge is.
#[derive(Clone)]
pub(crate) struct ShopSettings {
    /// The public program id in the tag.
    pub(crate) program: String,
    /// The edge's prefix, such as `/r`.
    pub(crate) prefix: String,
    /// Where that prefix is handed over to.
    pub(crate) edge: SocketAddr,
    /// The `Host` under which the edge knows this site, for the backend's calls.
    pub(crate) edge_host: String,
    /// The key for the backend's calls.
    pub(crate) api_key: String,
    /// What time it is.
    pub(crate) clock: Arc<dyn Clock>,
}

/// Serves the shop until `shutdown` is ready.
///
/// # Errors
/// As [`super::http::serve`].
pub(crate) async fn serve(
    settings: ShopSettings,
    listener: TcpListener,
    shutdown: impl Future<Output = ()>,
) -> std::io::Result<()> {
    let shop = Arc::new(routes::Shop::new(settings));
    super::http::serve(listener, shutdown, move |request, peer| Arc::clone(&shop).handle(request, peer)).await
}
