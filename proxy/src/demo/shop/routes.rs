//! The shop's routes.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode, header};
use hyper::body::Incoming;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::handover::{EdgeClient, hand_over};
use super::orders::{Item, Order, OrderRequest, Orders, Quote, shown};
use super::report::report;
use super::switches::{Switches, cookie};
use super::{ShopSettings, assets, catalogue, pages};
use crate::demo::http::{BodyError, HangUp, Reply, json, query_value, read_body, reply};
use crate::demo::ids::cuid;
use crate::demo::limits;

/// The bag, as `mug.2|lamp.1`.
const BAG_COOKIE: &str = "bag";

/// The shop.
pub(super) struct Shop {
    pub(super) settings: ShopSettings,
    pub(super) client: EdgeClient,
    pub(super) orders: Orders,
}

/// A request with its body.
struct Asked {
    method: Method,
    path: String,
    query: Option<String>,
    headers: HeaderMap,
    body: Bytes,
}

impl Shop {
    /// A shop without orders.
    pub(super) fn new(settings: ShopSettings) -> Self {
        let client = Client::builder(TokioExecutor::new()).build_http();
        Self { settings, client, orders: Orders::default() }
    }

    /// Answers one request.
    ///
    /// # Errors
    /// When the browser's body breaks off.
    pub(super) async fn handle(
        self: Arc<Self>,
        request: Request<Incoming>,
        peer: SocketAddr,
    ) -> Result<Reply, HangUp> {
        let below_prefix = request.uri().path().strip_prefix(self.settings.prefix.as_str());
        if below_prefix.is_some_and(|rest| rest.starts_with('/')) {
            return hand_over(&self.client, self.settings.edge, peer, request).await;
        }
        let (head, body) = request.into_parts();
        let body = match read_body(body, limits::REQUEST_BODY_MAX_BYTES).await {
            Ok(body) => body,
            Err(BodyError::Broken) => return Err(HangUp),
            Err(BodyError::TooLarge) => return Ok(refused(StatusCode::PAYLOAD_TOO_LARGE, "Too long.")),
        };
        let asked = Asked {
            method: head.method,
            path: head.uri.path().to_owned(),
            query: head.uri.query().map(str::to_owned),
            headers: head.headers,
            body,
        };
        Ok(self.answer(&asked).await)
    }

    async fn answer(self: Arc<Self>, asked: &Asked) -> Reply {
        match (&asked.method, asked.path.as_str()) {
            (&Method::GET | &Method::HEAD, path) => self.look(asked, path),
            (&Method::POST, "/cart") => change_bag(asked),
            (&Method::POST, "/api/quote") => quote(asked),
            (&Method::POST, "/api/orders") => self.place_order(asked).await,
            _ => refused(StatusCode::METHOD_NOT_ALLOWED, "Not here."),
        }
    }

    fn look(&self, asked: &Asked, path: &str) -> Reply {
        if let Some(order_id) = path.strip_prefix("/api/orders/") {
            return match self.orders.get(order_id) {
                Some(order) => json(StatusCode::OK, &order),
                None => refused(StatusCode::NOT_FOUND, "No such order."),
            };
        }
        if path == "/tagmanager.js" {
            return assets::tag_manager(&self.settings);
        }
        if let Some(file) = path.strip_prefix("/assets/") {
            return assets::file(file);
        }
        self.page(asked, path)
    }

    fn page(&self, asked: &Asked, path: &str) -> Reply {
        let query = asked.query.as_deref();
        let switches = Switches::of(query, &asked.headers);
        let bag = bag(&asked.headers);
        let frame = pages::Frame { settings: &self.settings, switches: &switches, in_bag: pieces(&bag) };
        let (status, html) = match path {
            "/" => (StatusCode::OK, frame.listing()),
            "/checkout" => (StatusCode::OK, frame.checkout(Quote::of(&bag, "").ok().as_ref())),
            "/thanks" => {
                let order = query_value(query, "order").and_then(|id| self.orders.get(&id));
                let found = if order.is_some() { StatusCode::OK } else { StatusCode::NOT_FOUND };
                (found, frame.thanks(order.as_ref()))
            }
            _ => match path.strip_prefix("/product/").and_then(catalogue::product) {
                Some(product) => (StatusCode::OK, frame.product(product)),
                None => (StatusCode::NOT_FOUND, frame.missing()),
            },
        };
        let mut page = reply(status, "text/html; charset=utf-8", html);
        switches.apply(query, page.headers_mut());
        page
    }

    async fn place_order(self: Arc<Self>, asked: &Asked) -> Reply {
        let request: OrderRequest = match serde_json::from_slice(&asked.body) {
            Ok(request) => request,
            Err(error) => return refused(StatusCode::BAD_REQUEST, &error.to_string()),
        };
        let quote = match Quote::of(&request.items, &request.promo_code) {
            Ok(quote) => quote,
            Err(sentence) => return refused(StatusCode::BAD_REQUEST, sentence),
        };
        if !request.email.contains('@') {
            return refused(StatusCode::BAD_REQUEST, "Please give an e-mail address.");
        }
        let order_id = format!("order_{}", cuid(self.settings.clock.now()));
        let order = Order::new(order_id, customer_id(&request.email), &quote, &request);
        self.orders.add(order.clone());
        let reporting = tokio::spawn(report(Arc::clone(&self), order.clone()));
        // A shopper does not wait for bookkeeping: past this the report goes on alone.
        let heard = tokio::time::timeout(limits::CONVERSION_WAIT, reporting).await;
        let status = match heard {
            Ok(Ok(status)) => status.word(),
            Ok(Err(_)) | Err(_) => order.conversion_status,
        };
        let mut placed = json(StatusCode::OK, &Order { conversion_status: status, ..order });
        set_bag(&mut placed, &[]);
        placed
    }
}

/// `POST /api/quote`.
fn quote(asked: &Asked) -> Reply {
    #[derive(Deserialize)]
    struct Wanted {
        items: Vec<Item>,
        #[serde(default)]
        promo_code: String,
    }
    #[derive(Serialize)]
    struct Costs {
        percent_off: Option<u64>,
        subtotal: String,
        discount: String,
        total: String,
    }
    let quote = serde_json::from_slice(&asked.body)
        .map_err(|_| "This is not an order.")
        .and_then(|wanted: Wanted| Quote::of(&wanted.items, &wanted.promo_code));
    match quote {
        Err(sentence) => refused(StatusCode::BAD_REQUEST, sentence),
        Ok(quote) => {
            let Quote { percent_off, subtotal, discount, total, .. } = quote;
            let costs = Costs {
                percent_off,
                subtotal: shown(subtotal),
                discount: shown(discount),
                total: shown(total),
            };
            json(StatusCode::OK, &costs)
        }
    }
}

/// `POST /cart`: a form with `id` and `quantity`. Adding what is there adds up; 0 takes it out.
fn change_bag(asked: &Asked) -> Reply {
    let form: BTreeMap<String, String> = url::form_urlencoded::parse(&asked.body).into_owned().collect();
    let id = form.get("id").map(String::as_str).unwrap_or_default();
    let quantity = form.get("quantity").and_then(|quantity| quantity.parse::<u32>().ok()).unwrap_or(1);
    if catalogue::product(id).is_none() {
        return refused(StatusCode::BAD_REQUEST, "Not for sale.");
    }
    let mut bag = bag(&asked.headers);
    match bag.iter_mut().find(|item| item.id == id) {
        Some(item) if quantity > 0 => {
            item.quantity = item.quantity.saturating_add(quantity).min(limits::ORDER_QUANTITY_MAX_COUNT);
        }
        Some(_) => bag.retain(|item| item.id != id),
        None if quantity > 0 => {
            let quantity = quantity.min(limits::ORDER_QUANTITY_MAX_COUNT);
            bag.push(Item { id: id.to_owned(), quantity });
        }
        None => {}
    }
    let mut onward = reply(StatusCode::SEE_OTHER, "text/plain; charset=utf-8", "");
    onward.headers_mut().insert(header::LOCATION, HeaderValue::from_static("/checkout"));
    set_bag(&mut onward, &bag);
    onward
}

/// What is in the bag. Whatever is not for sale, or comes twice, is not.
fn bag(headers: &HeaderMap) -> Vec<Item> {
    let mut bag: Vec<Item> = Vec::new();
    for entry in cookie(headers, BAG_COOKIE).unwrap_or_default().split('|') {
        let Some((id, quantity)) = entry.split_once('.') else { continue };
        let Ok(quantity) = quantity.parse() else { continue };
        let fits = (1..=limits::ORDER_QUANTITY_MAX_COUNT).contains(&quantity);
        if fits && catalogue::product(id).is_some() && bag.iter().all(|item| item.id != id) {
            bag.push(Item { id: id.to_owned(), quantity });
        }
    }
    bag
}

fn set_bag(answer: &mut Reply, bag: &[Item]) {
    let entries: Vec<String> = bag.iter().map(|item| format!("{}.{}", item.id, item.quantity)).collect();
    let set = format!("{BAG_COOKIE}={}; Path=/; SameSite=Lax; HttpOnly", entries.join("|"));
    if let Ok(set) = HeaderValue::try_from(set) {
        answer.headers_mut().append(header::SET_COOKIE, set);
    }
}

fn pieces(bag: &[Item]) -> u32 {
    bag.iter().map(|item| item.quantity).sum()
}

/// The shop's own id of a customer: the same for the same address, and not the address.
fn customer_id(email: &str) -> String {
    let digest = Sha256::digest(email.trim().to_lowercase().as_bytes());
    let hex: String = digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    format!("cus_{hex}")
}

fn refused(status: StatusCode, message: &str) -> Reply {
    #[derive(Serialize)]
    struct Refused<'a> {
        error: &'a str,
    }
    json(status, &Refused { error: message })
}
