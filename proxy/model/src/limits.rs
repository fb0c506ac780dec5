//! Every limit, with its unit in its name, in one place; how they relate is asserted when the code is compiled.

// --- what a client may send

/// Request line and header fields together.
pub const REQUEST_HEAD_BYTES: usize = 64 * 1024;
/// Header fields of one request.
pub const REQUEST_FIELDS: usize = 100;
/// Body of a browser's call (`track`, `signups`, `bind`).
pub const BROWSER_BODY_BYTES: usize = 16 * 1024;
/// Body of a server's call (conversions).
pub const SERVER_BODY_BYTES: usize = 256 * 1024;
/// Header `Idempotency-Key`.
pub const IDEMPOTENCY_KEY_BYTES: usize = 255;
/// A conversion's id in a path.
pub const CONVERSION_ID_BYTES: usize = 200;
/// Calls in one batch of Segment's libraries; their own default is 15.
pub const SEGMENT_BATCH_CALLS: usize = 100;
/// How long the next call of such a batch waits for the one before. Longer than a write takes, shorter than the platform may.
pub const SEGMENT_STAGGER_MS: u64 = 200;
/// Body of a payment provider's call: an order with hundreds of lines.
pub const WEBHOOK_BODY_BYTES: usize = 1024 * 1024;
/// From the first byte of a connection's request to the end of its header.
pub const HEADER_READ_MS: u64 = 10_000;
/// From the end of the header to the end of the body.
pub const BODY_READ_MS: u64 = 10_000;
/// Connections open at once.
pub const CONNECTIONS: usize = 10_000;
/// The same on the admin address.
pub const ADMIN_CONNECTIONS: usize = 64;
/// How long open connections may finish their request when the process stops.
pub const DRAIN_MS: u64 = 10_000;
/// Entries of `X-Forwarded-For` looked at, from the right.
pub const FORWARDED_HOPS: usize = 50;
/// How far the timestamp of a signed call may be from our clock, either way. The platform's own tolerance.
pub const SIGNATURE_SKEW_S: u64 = 300;
/// How long a browser may keep the answer to a preflight.
pub const PREFLIGHT_S: u32 = 86_400;
/// How long the process waits before it accepts again after the system refused to (no file descriptors left).
pub const ACCEPT_PAUSE_MS: u64 = 50;

// --- what dependencies may take

/// A read of the store on a visitor's time.
pub const STORE_READ_MS: u64 = 25;
/// The same when the store is embedded: it is this disk or nothing, so it is worth a little more patience.
pub const STORE_EMBEDDED_READ_MS: u64 = 1_000;
/// A write of the store that an answer waits for.
pub const STORE_WRITE_MS: u64 = 5_000;
/// How long reads that a sale depends on are repeated while the store does not answer them.
pub const STORE_PATIENCE_MS: u64 = 1_000;
/// One delivery to the platform, from connecting to the last byte of its answer.
pub const UPSTREAM_CALL_MS: u64 = 20_000;
/// One call for a visitor's click; it may go on behind the answer that the visitor already has.
pub const TRACK_CALL_MS: u64 = 15_000;
/// How long a server-to-server caller waits for the platform's own answer before it gets `202`.
pub const UPSTREAM_WAIT_MS: u64 = 2_000;
/// Body of a platform's answer.
pub const UPSTREAM_BODY_BYTES: usize = 256 * 1024;
/// How much of an answer is kept for replays and for whoever asks.
pub const ANSWER_KEPT_BYTES: usize = 16 * 1024;
/// Calls to the platform under way at once.
pub const UPSTREAM_CALLS: usize = 64;

// --- clicks

/// How long the same visitor (address and user agent) and affiliate without a cookie is the same click.
pub const SAME_VISITOR_MS: i64 = 60 * 60 * 1000;
/// How long a visitor with a cookie who comes through the same affiliate again is the same click. Later it is a new one, and
/// the attribution window begins anew.
pub const SAME_CLICK_MS: i64 = 24 * 60 * 60 * 1000;
/// How long the `Idempotency-Key` of a click that a server reports is remembered.
pub const CLICK_KEY_MS: i64 = 24 * 60 * 60 * 1000;
/// Visitors remembered in memory.
pub const VISITORS_REMEMBERED: usize = 100_000;
/// Clicks remembered in memory by their id.
pub const CLICKS_REMEMBERED: usize = 100_000;
/// Clicks that wait to be written while the store is away; those beyond it are dropped and counted, for the page goes first.
pub const CLICKS_QUEUED: usize = 20_000;
/// The longest pause between tries to write clicks while the store is away.
pub const CLICKS_RETRY_MS: u64 = 2_000;
/// Clicks written in one transaction.
pub const CLICKS_BATCHED: usize = 500;
/// Referrer as it is kept and sent.
pub const REFERRER_BYTES: usize = 2_000;
/// User agent as it is kept and sent.
pub const USER_AGENT_BYTES: usize = 1_000;

// --- promo codes

/// Unknown codes that one address may try at once, and how fast that fills up again.
pub const CODE_MISSES_PER_ADDRESS: u32 = 20;
/// Milliseconds until an address may try one more.
pub const CODE_MISS_REFILL_MS: i64 = 6_000;
/// The same for a network (/24, /48).
pub const CODE_MISSES_PER_NETWORK: u32 = 200;
/// Milliseconds until a network may try one more.
pub const CODE_MISS_NETWORK_REFILL_MS: i64 = 600;
/// Addresses and networks whose tries are remembered.
pub const CODE_GUESSERS_REMEMBERED: usize = 50_000;

// --- delivery

/// The first pause between attempts of one delivery; the next ones are longer by this factor, and full jitter is applied.
pub const RETRY_FIRST_MS: i64 = 500;
/// How much longer each pause is than the one before.
pub const RETRY_FACTOR: i64 = 4;
/// The longest pause between attempts.
pub const RETRY_LONGEST_MS: i64 = 4 * 60 * 60 * 1000;
/// The longest that a platform's `Retry-After` is obeyed: one that asks for more is asked again meanwhile.
pub const RETRY_AFTER_LONGEST_MS: i64 = 60 * 60 * 1000;
/// How long a delivery is retried by itself before a person has to decide.
pub const RETRY_FOR_MS: i64 = 7 * 24 * 60 * 60 * 1000;
/// The window of the platform's rate limits (<https://docs.affonso.io/api/rate-limits>): no rest until its reset is longer.
pub const RATE_WINDOW_S: i64 = 60;
/// How much later than it says the platform's window is taken to end: it tells whole seconds.
pub const RATE_MARGIN_MS: u64 = 1_000;
/// Calls under way at once before the platform has answered any: what its smallest plan takes within a second.
pub const RATE_FIRST_CALLS: usize = 8;
/// Of a window one part in so many is left to what comes in now while older work is sent.
pub const RATE_RESERVE: u64 = 10;
/// The shortest rest after a call too many.
pub const RATE_PAUSE_MS: u64 = 250;
/// Calls a second from which on nothing is slowed any more that was slowed by a refusal.
pub const RATE_UNSLOWED: usize = 1_000;
/// Failures in a row, without a success between them, after which the platform is taken to be down.
pub const DOWN_AFTER: u32 = 5;
/// The first pause until a call tries whether it is back; it doubles, and full jitter is applied.
pub const DOWN_FIRST_MS: u64 = 500;
/// The longest.
pub const DOWN_LONGEST_MS: u64 = 60_000;
/// Successes in a row after which it is taken to be back.
pub const UP_AFTER: u32 = 5;
/// How long an answer shows that the platform is up, whatever it makes of others' calls.
pub const UP_FOR_MS: u64 = 60_000;
/// How long work waits that was turned away because of what is wrong with its site alone, unless that is mended earlier.
pub const PARKED_MS: u64 = 10 * 60_000;
/// How much of such work waits for the next try instead.
pub const PROBES: u32 = 8;
/// Calls under way for one site, when there are others.
pub const SITE_CALLS: usize = 48;
/// How long work of a site waits that has so many.
pub const CROWDED_MS: u64 = 30_000;
/// How long a delivery waits in hand for its turn rather than being written down again.
pub const TURN_MS: u64 = 2_000;
/// How long a rest may be that a caller is made to wait for rather than told that its work is queued.
pub const BURST_MS: u64 = 1_000;
/// How many callers are made to wait so at the same time: what the smallest plan lets begin meanwhile.
pub const BURST_CALLS: usize = 8;
/// How long calls under way may take when the process stops.
pub const CALL_DRAIN_MS: u64 = 7_000;
/// What is kept in the log of attempts of the platform's words.
pub const ATTEMPT_CHARS: usize = 120;
/// Attempts that are made at least, however old the delivery is: the edge may have been off meanwhile.
pub const RETRY_AT_LEAST: u32 = 24;
/// How long a claimed delivery belongs to the edge that claimed it.
pub const LEASE_MS: i64 = 60_000;
/// How long after it was claimed or handed over a delivery may still be begun: its call ends while the lease lasts, which
/// began up to two writes of the store earlier.
pub const HELD_FRESH_MS: u64 = 25_000;
/// How long after that moment its outcome may still be written.
pub const SETTLE_MS: u64 = 50_000;
/// Deliveries that the store lets be due again in one call without our asking whether there are more.
pub const HASTENED: u64 = 10_000;
/// By how much a clock is set back when that is more than a correction that it makes now and then.
pub const CLOCK_STEP_MS: i64 = 60_000;
/// Deliveries claimed at once.
pub const CLAIMED: usize = 256;
/// Deliveries handed over in memory; the store keeps those beyond it until they are claimed.
pub const HANDED_OVER: usize = 1_024;
/// Lines of one delivery's log of attempts.
pub const ATTEMPTS_LOGGED: usize = 12;
/// Orders that one click may bind: what one visitor ever places while the cookie lives.
pub const ORDERS_PER_CLICK: u32 = 20;
/// How long before its payment an order may have been bound.
pub const ORDER_BOUND_MS: i64 = 7 * 24 * 60 * 60 * 1000;
/// How long after its payment an order may still be bound: clocks differ.
pub const ORDER_BOUND_LATE_MS: i64 = 5 * 60 * 1000;
/// Names of one record: a provider has a handful of ids for a payment.
pub const RECORD_NAMES: usize = 16;
/// Names that are looked at to find a payment through links between names.
pub const NAMES_FOLLOWED: usize = 64;
/// Refunds of one payment that are looked at.
pub const PAYMENT_REFUNDS: usize = 1_000;
/// Records of one name that are shown.
pub const RECORDS_FOUND: usize = 1_000;
/// How often the outbox is looked at when nothing says that it changed.
pub const OUTBOX_POLL_MS: u64 = 500;
/// A delivery that waits longer is told to the operator. Retries of a short hiccup are over by then.
pub const OUTBOX_LATE_MS: i64 = 60_000;
/// How long a site's deliveries rest after the platform refused its key.
pub const PAUSE_MS: i64 = 60_000;
/// How much longer the delivery itself rests that showed it.
pub const REFUSED_LAST_MS: i64 = 1_000;
/// How long idempotency keys are kept.
pub const KEYS_KEPT_MS: i64 = 35 * 24 * 60 * 60 * 1000;
/// How long a shared store keeps a click or a binding when nobody asks it to forget: as long as the longest cookie lives,
/// and the longest retry after it.
pub const CLICKS_KEPT_MS: i64 = 440 * 24 * 60 * 60 * 1000;

/// How often what is past its retention is removed.
pub const UPKEEP_MS: u64 = 60 * 60 * 1000;

// --- what a person looks at

/// Records read at once when a person lists them or sends them again.
pub const RECORDS_LISTED: usize = 200;

// --- payment providers

/// Fetching a certificate that a webhook is signed with. Providers wait for 5 s and more.
pub const CERTIFICATE_MS: u64 = 4_000;
/// A chain of certificates as PEM.
pub const CERTIFICATE_BYTES: usize = 64 * 1024;
/// Certificates kept in memory, and addresses remembered that gave none.
pub const CERTIFICATES_KEPT: usize = 16;
/// How long an address that gave none is left alone.
pub const CERTIFICATE_REST_MS: i64 = 30_000;

// --- files that a person names

/// A recorded webhook: its body as JSON text takes more than the body itself.
pub const RECORDED_WEBHOOK_BYTES: u64 = 2 * 1024 * 1024;

// --- cookies

/// The longest life that browsers grant (RFC 6265bis section 5.6).
pub const COOKIE_DAYS: u16 = 400;
/// Value of `affonso_data`, encoded. Servers behind us often take no more than 8 KiB of cookies.
pub const COOKIE_DATA_BYTES: usize = 3 * 1024;

// --- the configuration

/// The configuration file.
pub const CONFIG_BYTES: usize = 1024 * 1024;
/// A file that holds one secret.
pub const SECRET_BYTES: usize = 64 * 1024;
/// How long a visitor may be made to wait for the platform's click id, at most.
pub const CLICK_BUDGET_MS: u16 = 5_000;

const _: () = assert!(LEASE_MS > 2 * UPSTREAM_CALL_MS as i64, "a lease outlives the call that it covers");
const _: () = assert!(
    HELD_FRESH_MS + UPSTREAM_CALL_MS + 2 * STORE_WRITE_MS <= LEASE_MS as u64,
    "a call ends in its lease"
);
const _: () =
    assert!(SETTLE_MS + 2 * STORE_WRITE_MS <= LEASE_MS as u64, "an outcome is written in its lease");
const _: () = assert!(CALL_DRAIN_MS < DRAIN_MS, "what a call came to is written before the process ends");
const _: () = assert!(HELD_FRESH_MS > TURN_MS && TURN_MS > BURST_MS && SITE_CALLS < UPSTREAM_CALLS);
const _: () = assert!(
    RETRY_AT_LEAST as i64 * RETRY_LONGEST_MS < RETRY_FOR_MS,
    "all attempts are made by the time when they are counted"
);
const _: () = assert!(TRACK_CALL_MS <= UPSTREAM_CALL_MS);
const _: () = assert!(UPSTREAM_WAIT_MS < UPSTREAM_CALL_MS, "the caller stops waiting before the call does");
const _: () = assert!(RETRY_FOR_MS < KEYS_KEPT_MS, "a retry never outlives its idempotency key");
const _: () = assert!(BROWSER_BODY_BYTES <= SERVER_BODY_BYTES && ANSWER_KEPT_BYTES <= UPSTREAM_BODY_BYTES);
const _: () = assert!(REFERRER_BYTES + USER_AGENT_BYTES < BROWSER_BODY_BYTES, "a click fits its body");
