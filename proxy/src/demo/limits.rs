//! The demo's own bounds. They are apart from the product's (`usher_model::limits`): nothing here is reachable in `usher serve`.

use std::time::Duration;

/// A request's body, to the stand-in or to the shop.
pub(crate) const REQUEST_BODY_MAX_BYTES: usize = 256 * 1024;
/// An answer of the edge that the shop hands on.
pub(crate) const HANDED_ANSWER_MAX_BYTES: usize = 2 * 1024 * 1024;
/// How long a client may take over its request's head, or stay idle between two requests.
pub(crate) const HEAD_READ_MAX: Duration = Duration::from_secs(60);
/// How long a client may take over its request's body.
pub(crate) const BODY_READ_MAX: Duration = Duration::from_secs(10);
/// How long open requests may take once the server was told to stop.
pub(crate) const STOP_GRACE: Duration = Duration::from_secs(2);
/// Pause after a failed `accept`, which fails at once for as long as the process is out of file descriptors.
pub(crate) const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// How many requests the stand-in remembers, the newest ones.
pub(crate) const REQUEST_LOG_MAX_COUNT: usize = 10_000;
/// How many faults may be lined up at once.
pub(crate) const FAULTS_MAX_COUNT: usize = 1_000;
/// How far a request signature's timestamp may be from now.
pub(crate) const SIGNATURE_TOLERANCE_SECONDS: u64 = 300;

/// Total deadline of one request that the shop hands over to the edge.
pub(crate) const HANDOVER_DEADLINE: Duration = Duration::from_secs(10);
/// Total deadline of one attempt to tell the edge of a sale.
pub(crate) const CONVERSION_DEADLINE: Duration = Duration::from_secs(5);
/// How often the shop tries to tell the edge of a sale.
pub(crate) const CONVERSION_ATTEMPTS_MAX_COUNT: u32 = 12;
/// The first pause between two such attempts; each later one is twice as long, up to the longest.
pub(crate) const CONVERSION_PAUSE_FIRST: Duration = Duration::from_millis(250);
/// The longest pause between two such attempts.
pub(crate) const CONVERSION_PAUSE_LONGEST: Duration = Duration::from_secs(30);
/// How long a shopper waits for the edge's word before the order is shown as placed anyway.
pub(crate) const CONVERSION_WAIT: Duration = Duration::from_secs(3);
/// How many orders the shop remembers for their thank-you page.
pub(crate) const ORDERS_MAX_COUNT: usize = 10_000;
/// How many different products one order may hold.
pub(crate) const ORDER_LINES_MAX_COUNT: usize = 20;
/// How many pieces of one product an order may hold.
pub(crate) const ORDER_QUANTITY_MAX_COUNT: u32 = 99;
