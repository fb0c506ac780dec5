//! Every limit, with its unit in its name, in one place; how they relate is asserted when the code is compiled.

// --- what a client may send

/// Request line and header fields together.
pub const REQUEST_HEAD_BYTES: usize = 64 * 1024;
/// Header fields of one request.
pub const REQUEST_FIELDS: usize = 100;
/// Method, target and version; the longest that servers behind us commonly take.
pub const REQUEST_LINE_BYTES: usize = 16 * 1024;
/// A field's name.
pub const FIELD_NAME_BYTES: usize = 256;
/// A field's value.
pub const FIELD_VALUE_BYTES: usize = 60 * 1024;
/// Options of `Connection`.
pub const CONNECTION_OPTIONS: usize = 16;
/// A chunk's size and its extensions.
pub const CHUNK_LINE_BYTES: usize = 512;
/// Extensions of all chunks of a body, beyond the next.
pub const CHUNK_EXTENSIONS_BYTES: u64 = 4 * 1024;
/// They may make up so much more as one part in so many of the data: uploads that sign each chunk have one in a hundred.
pub const CHUNK_EXTENSIONS_PART: u64 = 16;
/// Trailers together.
pub const TRAILER_BYTES: usize = 8 * 1024;
/// How many.
pub const TRAILER_FIELDS: usize = 32;
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
/// A TLS handshake, from the connection's first moment.
pub const HANDSHAKE_MS: u64 = 10_000;
/// From the first byte of a request to the end of its header; for the first one, from the connection's first moment.
pub const HEADER_READ_MS: u64 = 10_000;
/// How long the sender of a body may let its reader wait before its rate counts.
pub const BODY_GRACE_MS: u64 = 5_000;
/// The slowest that a body may come once its reader waits for it.
pub const BODY_BYTES_PER_S: u64 = 500;
/// How long a client may let writes wait in all while it takes fewer than [`WRITE_STALL_BYTES`].
pub const WRITE_STALL_MS: u64 = 30_000;
/// What has to go out within that: as slow as the slowest body that is taken.
pub const WRITE_STALL_BYTES: usize = 15_000;
/// What the system takes for a client beyond what is on its way to it.
pub const SOCKET_UNSENT_BYTES: u32 = 128 * 1024;
/// How much of an answer is taken up before the client takes some of it, in HTTP/1.
pub const UNSENT_BYTES: usize = 32 * 1024;
/// How long a connection stays open without a request.
pub const IDLE_MS: u64 = 75_000;
/// How long such a connection keeps the memory that requests need: the next one mostly comes within that or not at all.
pub const IDLE_WARM_MS: u64 = 1_000;
/// How old a connection becomes before it is told to end after its next request.
pub const CONNECTION_AGE_MS: u64 = 60 * 60_000;
/// Requests of one connection.
pub const CONNECTION_REQUESTS: u64 = 10_000;
/// How long a closed connection is still read from, so that the client sees the last answer rather than a reset.
pub const LINGER_MS: u64 = 2_000;
/// How much of what still comes is thrown away so.
pub const LINGER_BYTES: usize = 256 * 1024;
/// Read from a connection at once.
pub const READ_BYTES: usize = 8 * 1024;
/// Streams that a client may have open at once.
pub const H2_STREAMS: u32 = 100;
/// The header fields of an HTTP/2 request as RFC 9113 section 6.5.2 counts them.
pub const H2_HEADER_LIST_BYTES: u32 = 16 * 1024;
/// What a client may send on one stream before it is read.
pub const H2_STREAM_WINDOW_BYTES: u32 = 64 * 1024;
/// The same on all streams of a connection.
pub const H2_CONNECTION_WINDOW_BYTES: u32 = 1024 * 1024;
/// What of an answer waits in one stream for the client's window.
pub const H2_SEND_BYTES: usize = 64 * 1024;
/// How often a quiet client is asked whether it is still there.
pub const H2_PING_MS: u64 = 60_000;
/// How long it may take to answer.
pub const H2_PONG_MS: u64 = 20_000;
/// Frames that ask for nothing (PING, SETTINGS, PRIORITY, resets, empty ones) in one go.
pub const H2_IDLE_FRAMES: u32 = 1_000;
/// Milliseconds until one more of them is taken.
pub const H2_IDLE_FRAME_MS: u64 = 10;
/// How many of them a request costs that comes to nothing: reset, refused or with too large a header.
pub const H2_LOST_REQUEST: u32 = 10;
/// Frames that ask for nothing, WINDOW_UPDATE above all, that each frame of ours earns a client.
pub const H2_FRAMES_EARNED: u32 = 4;
/// From the end of the header to the end of the body.
pub const BODY_READ_MS: u64 = 10_000;
/// Connections open at once, where the system grants as many file descriptors.
pub const CONNECTIONS: usize = 16_000;
/// File descriptors that are left to everything else: the store, the platform, the origin.
pub const DESCRIPTORS_RESERVED: usize = 4_000;
/// Connections of one public address: a house or an office behind one router has a few hundred.
pub const CONNECTIONS_PER_ADDRESS: usize = 512;
/// Requests that wait for their answers from which on clicks are turned away.
pub const REQUESTS_SHED_CLICKS: usize = 2_000;
/// The same for pages of the shop.
pub const REQUESTS_SHED_PAGES: usize = 6_000;
/// The same for money.
pub const REQUESTS_SHED_MONEY: usize = 12_000;
/// How long tasks that are ready wait for their turn from which on clicks are turned away.
pub const LAG_SHEDS_CLICKS_MS: u64 = 100;
/// The same for pages of the shop.
pub const LAG_SHEDS_PAGES_MS: u64 = 300;
/// How often it is looked how long they wait.
pub const LAG_LOOK_MS: u64 = 20;
/// How many looks in a row have to show it.
pub const LAG_LOOKS: usize = 10;
/// How long whoever was turned away is asked to wait.
pub const SHED_RETRY_S: u64 = 2;
/// The same on the admin address.
pub const ADMIN_CONNECTIONS: usize = 64;
/// How long open connections may finish their request when the process stops.
pub const DRAIN_MS: u64 = 10_000;
/// How long one may then still begin its first request: it was on its way to us.
pub const DRAIN_FIRST_MS: u64 = 2_000;
/// Entries of `X-Forwarded-For` looked at, from the right.
pub const FORWARDED_HOPS: usize = 50;
/// How far the timestamp of a signed call may be from our clock, either way. The platform's own tolerance.
pub const SIGNATURE_SKEW_S: u64 = 300;
/// How long a browser may keep the answer to a preflight.
pub const PREFLIGHT_S: u32 = 86_400;
/// How long the process waits before it accepts again after the system refused to (no file descriptors left).
pub const ACCEPT_PAUSE_MS: u64 = 50;

/// What a short link passes on of its own query; a longer one is left out.
pub const LINK_QUERY_BYTES: usize = 4 * 1024;

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

// --- the merchant's own server behind us

/// A connection to it, from looking up its name to the end of the TLS handshake.
pub const ORIGIN_CONNECT_MS: u64 = 5_000;
/// How long the addresses of its name are used for further connections.
pub const ORIGIN_LOOKUP_MS: u64 = 1_000;
/// From the last byte of a request that it has taken to the end of its answer's header.
pub const ORIGIN_HEAD_MS: u64 = 60_000;
/// How long it may keep silent within a body. Server-sent events pause for minutes.
pub const ORIGIN_SILENCE_MS: u64 = 5 * 60_000;
/// Its answer's status line and header fields together; a chunked body's trailers have as much again.
pub const ORIGIN_HEAD_BYTES: usize = 64 * 1024;
/// Header fields of its answer.
pub const ORIGIN_FIELDS: usize = 100;
/// Interim answers (1xx) before the one that counts.
pub const ORIGIN_INTERIM: u32 = 16;
/// What precedes a chunk: its size and what a server may add to it.
pub const ORIGIN_CHUNK_LINE_BYTES: usize = 1024;
/// Read from it at once.
pub const ORIGIN_READ_BYTES: usize = 16 * 1024;
/// How long a visitor's body waits for the origin to ask for it when the visitor wants it so (`Expect`). Servers that do not
/// know of it get it then.
pub const ORIGIN_EXPECT_MS: u64 = 1_000;
/// How long an unused connection to it is kept: shorter than the 5 s after which Node and Apache close it, so that a request
/// seldom meets its end.
pub const ORIGIN_KEPT_MS: u64 = 4_000;
/// Unused connections to it that are kept.
pub const ORIGIN_KEPT: usize = 256;
/// Connections to it, tunnels among them.
pub const ORIGIN_CONNECTIONS: usize = 4_096;
/// How often a request may pass the same origin's edge before it is taken to go in a circle.
pub const ORIGIN_ROUNDS: usize = 2;
/// How long a tunnel (WebSocket) lives without a byte in either direction.
pub const TUNNEL_SILENCE_MS: u64 = 10 * 60_000;
/// Buffered in each direction of a tunnel.
pub const TUNNEL_BUFFER_BYTES: usize = 8 * 1024;

// --- clicks

/// How long the same visitor (address and user agent) and affiliate without a cookie is the same click.
pub const SAME_VISITOR_MS: i64 = 60 * 60 * 1000;
/// How long a visitor with a cookie who comes through the same affiliate again is the same click. Later it is a new one, and
/// the attribution window begins anew.
pub const SAME_CLICK_MS: i64 = 24 * 60 * 60 * 1000;
/// How long a click that was made without consent is its visitor's by its id alone, which travels in addresses until they
/// decide. Long enough to decide; short enough that an address that is shared or kept does not make strangers one visitor.
pub const HELD_CLICK_MS: i64 = 24 * 60 * 60 * 1000;
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
/// New clicks that one network (/24, /48) may bring one affiliate at once, before the platform is told of no more of them
/// until a sale names one. No office and no carrier's gateway brings as many but when a whole audience comes at once.
pub const CLICKS_PER_NETWORK_AND_AFFILIATE: u32 = 60;
/// Milliseconds until the platform is told of one more.
pub const CLICK_REFILL_MS: i64 = 1_000;
/// The same of all affiliates together.
pub const CLICKS_PER_NETWORK: u32 = 600;
/// Milliseconds until the platform is told of one more.
pub const CLICK_NETWORK_REFILL_MS: i64 = 100;
/// Networks, and networks with an affiliate, whose clicks are counted.
pub const CLICK_NETWORKS_REMEMBERED: usize = 50_000;
/// A sale so many milliseconds after its click is odd.
pub const HASTY_MS: i64 = 5_000;
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

// --- pages that get the tag

/// What a page is worked on at a time, decoded. An encoded one goes out in about such pieces.
pub const PAGE_STEP_BYTES: usize = 16 * 1024;
/// What is held of a page to find the place for the tag: more than any one tag of a head has.
pub const PAGE_HELD_BYTES: usize = 256 * 1024;
/// What is read of an encoded page that gives nothing, until it passes as it came: more than a block of zstd has (128 KiB,
/// RFC 8878 section 3.1.1.2.4).
pub const PAGE_UNSURE_BYTES: usize = 192 * 1024;

// --- what a person looks at

/// Reads of a click that are made for an erasure, and milliseconds between them.
pub const ERASURE_READS: usize = 100;
/// See [`ERASURE_READS`].
pub const ERASURE_PAUSE_MS: u64 = 20;
/// Records read at once when a person lists them or sends them again.
pub const RECORDS_LISTED: usize = 200;

// --- what `usher doctor` asks

/// One look at a server: connecting, the handshake, asking, and the whole answer.
pub const DOCTOR_STEP_MS: u64 = 10_000;
/// A page, as far as it is read: tags stand at its beginning.
pub const DOCTOR_PAGE_BYTES: usize = 2 * 1024 * 1024;
/// One filter list; the longest that blockers load have a fifth of that.
pub const DOCTOR_LIST_BYTES: usize = 64 * 1024 * 1024;
/// Redirects followed from the address that was typed.
pub const DOCTOR_REDIRECTS: usize = 5;
/// Aliases of a name that are followed.
pub const DOCTOR_ALIASES: usize = 16;
/// A certificate with fewer days left should have been renewed.
pub const DOCTOR_CERTIFICATE_DAYS: u64 = 14;
/// What all cookies of ours may take of the header of every request.
pub const DOCTOR_COOKIE_BYTES: usize = 512;

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
/// The cookies of a visitor, names and values and what is between them, as every request carries them.
pub const COOKIES_BYTES: usize = 512;

// --- certificates

/// A file with certificates or a key.
pub const TLS_FILE_BYTES: u64 = 256 * 1024;
/// Files in one folder of certificates.
pub const TLS_FILES: usize = 20_000;
/// How often the folders are looked at. Files count once they look the same twice.
pub const TLS_LOOK_MS: u64 = 1_000;
/// How long before its end a certificate is told to the operator, at most; one of a short life in its last third.
pub const TLS_ENDING_MS: i64 = 14 * 24 * 60 * 60 * 1000;
/// One call to an ACME directory, or to whoever is asked before an order.
pub const ACME_CALL_MS: u64 = 30_000;
/// A whole order, from the first call to the certificate.
pub const ACME_ORDER_MS: u64 = 5 * 60_000;
/// Body of a directory's answer.
pub const ACME_BODY_BYTES: usize = 1024 * 1024;
/// Orders under way at once.
pub const ACME_ORDERS: usize = 4;
/// How long after one order the next begins, at least.
pub const ACME_PACE_MS: u64 = 1_000;
/// How often a call is made again because the directory did not like its nonce.
pub const ACME_NONCES: usize = 8;
/// The first pause after a directory that cannot be reached; it doubles, with jitter.
pub const ACME_RETRY_MS: i64 = 10_000;
/// The longest of these.
pub const ACME_RETRY_LONGEST_MS: i64 = 60 * 60 * 1000;
/// The pause after a directory has refused a host twice (the second time by the other way of validation); it doubles, with
/// jitter. Let's Encrypt takes five failed validations a host and hour (<https://letsencrypt.org/docs/rate-limits/>).
pub const ACME_REFUSED_MS: i64 = 15 * 60_000;
/// The longest pause of all, and the longest that `Retry-After` is obeyed.
pub const ACME_LONGEST_MS: i64 = 24 * 60 * 60 * 1000;
/// How long a host rests that whoever is asked denied.
pub const ACME_DENIED_MS: i64 = 60 * 60 * 1000;
/// How soon after a certificate the next may be ordered for the same host, at most; sooner for one of a short life.
pub const ACME_AGAIN_MS: i64 = 6 * 60 * 60 * 1000;
/// How often a directory is asked when a certificate should be renewed, when it does not say how often.
pub const ACME_RENEWAL_INFO_MS: i64 = 6 * 60 * 60 * 1000;

// --- reload and hand-over

/// Listening sockets that one process passes on to the next, at most.
pub const SOCKETS_HANDED_OVER: usize = 64;
/// How long a successor may take to read its configuration and take the sockets.
pub const SUCCESSOR_READY_MS: u64 = 20_000;
/// How long calls to the platform may still take before the store is let go of; everybody is served meanwhile.
pub const HAND_OVER_CALLS_MS: u64 = 30_000;
/// How long clients wait, at most, for requests that came in before the hand-over.
pub const HAND_OVER_REQUESTS_MS: u64 = 500;
/// How long a successor may take to open the store and serve. It reads all promo codes.
pub const SUCCESSOR_SERVES_MS: u64 = 30_000;
/// How long a successor tries to open the store that its predecessor is just closing.
pub const STORE_TAKE_OVER_MS: u64 = 5_000;

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
const _: () = assert!(
    REQUEST_LINE_BYTES + FIELD_NAME_BYTES < REQUEST_HEAD_BYTES && FIELD_VALUE_BYTES < REQUEST_HEAD_BYTES,
    "each part of a head fits it"
);
const _: () = assert!(TRACK_CALL_MS <= UPSTREAM_CALL_MS);
const _: () = assert!(UPSTREAM_WAIT_MS < UPSTREAM_CALL_MS, "the caller stops waiting before the call does");
const _: () = assert!(RETRY_FOR_MS < KEYS_KEPT_MS, "a retry never outlives its idempotency key");
const _: () = assert!(BROWSER_BODY_BYTES <= SERVER_BODY_BYTES && ANSWER_KEPT_BYTES <= UPSTREAM_BODY_BYTES);
const _: () = assert!(REFERRER_BYTES + USER_AGENT_BYTES < BROWSER_BODY_BYTES, "a click fits its body");
const _: () = assert!(ACME_CALL_MS < ACME_ORDER_MS && ACME_RETRY_LONGEST_MS < ACME_LONGEST_MS);
