//! The shop's pages, written on the server. Everything that is not our own text is escaped.

use super::ShopSettings;
use super::catalogue::{PRODUCTS, Product};
use super::orders::{Line, Order, Quote, shown};
use super::switches::Switches;

/// What every page has around it.
pub(super) struct Frame<'a> {
    pub(super) settings: &'a ShopSettings,
    pub(super) switches: &'a Switches,
    /// Pieces in the bag.
    pub(super) in_bag: u32,
}

impl Frame<'_> {
    /// The front page.
    pub(super) fn listing(&self) -> String {
        let cards: String = PRODUCTS.iter().map(card).collect();
        self.around(
            "Things for slow mornings",
            &format!(
                r#"<section class="hero"><h1>Things for slow mornings</h1>
<p>Six objects, made to be used every day and kept for years.</p></section>
<ul class="grid">{cards}</ul>"#
            ),
        )
    }

    /// One product.
    pub(super) fn product(&self, product: &Product) -> String {
        let Product { id, name, line, text, price_minor } = product;
        let price = shown(*price_minor);
        self.around(
            name,
            &format!(
                r#"<article class="product"><img class="tile" src="/assets/{id}.svg" alt="" width="480" height="480">
<div><p class="crumb"><a href="/">All things</a></p><h1>{name}</h1><p class="line">{line}</p><p class="price">{price}</p><p>{text}</p>
<form method="post" action="/cart"><input type="hidden" name="id" value="{id}">
<label class="quantity">Quantity <input type="number" name="quantity" value="1" min="1" max="99" required></label>
<button id="add-to-bag" type="submit">Add to bag</button></form></div></article>"#
            ),
        )
    }

    /// The bag and the checkout in one; without a quote the bag is empty.
    pub(super) fn checkout(&self, quote: Option<&Quote>) -> String {
        let Some(quote) = quote else {
            return self.around(
                "Checkout",
                r#"<section class="narrow"><h1>Your bag is empty</h1><p><a class="button" href="/">Look around</a></p></section>"#,
            );
        };
        let lines: String = quote.lines.iter().map(bag_line).collect();
        let (subtotal, discount, total) = (shown(quote.subtotal), shown(quote.discount), shown(quote.total));
        self.around(
            "Checkout",
            &format!(
                r#"<h1>Checkout</h1>
<div class="checkout"><section aria-label="Your bag"><ul class="bag">{lines}</ul>
<dl class="sums"><dt>Subtotal</dt><dd id="subtotal">{subtotal}</dd>
<dt>Discount</dt><dd id="discount">{discount}</dd>
<dt class="total">Total</dt><dd class="total" id="total">{total}</dd></dl></section>
<form id="checkout" novalidate>
<label for="promo-code">Promo code <span class="hint">try ALICE10</span></label>
<div class="joined"><input id="promo-code" name="promo_code" autocomplete="off" autocapitalize="characters" spellcheck="false">
<button id="apply-code" type="button" class="quiet">Apply</button></div>
<p id="code-message" class="message" role="status"></p>
<label for="email">E-mail</label>
<input id="email" name="email" type="email" autocomplete="email" placeholder="you@example.com" required>
<button id="place-order" type="submit">Buy</button>
<p id="order-error" class="message bad" role="alert"></p>
<p class="hint">Nothing is charged: it is a demo.</p>
</form></div>"#
            ),
        )
    }

    /// The page after the checkout.
    pub(super) fn thanks(&self, order: Option<&Order>) -> String {
        let Some(order) = order else { return self.missing() };
        let status = order.conversion_status;
        let (id, total) = (escape(&order.order_id), shown(order.total));
        let referral = order.affonso_referral.as_deref().map_or("none".into(), escape);
        let code = order.promo_code.as_deref().map_or("none".into(), escape);
        self.around(
            "Thank you",
            &format!(
                r#"<section class="narrow"><h1>Thank you</h1><p>Your order is placed. Here is what the shop's backend told the edge:</p>
<dl class="facts" data-order="{id}"><dt>Order</dt><dd id="order-id">{id}</dd><dt>Paid</dt><dd id="order-total">{total}</dd>
<dt>Click</dt><dd id="order-referral">{referral}</dd><dt>Promo code</dt><dd id="order-code">{code}</dd>
<dt>Conversion</dt><dd><span id="conversion-status" class="badge" data-status="{status}">{status}</span></dd></dl>
<p>The platform's page lists it with this amount, at once or as soon as the platform is well.</p><p><a class="button" href="/">Back to the shop</a></p></section>"#
            ),
        )
    }

    /// Nothing here.
    pub(super) fn missing(&self) -> String {
        self.around(
            "Not found",
            r#"<section class="narrow"><h1>Nothing here</h1><p><a class="button" href="/">Back to the shop</a></p></section>"#,
        )
    }

    fn around(&self, title: &str, main: &str) -> String {
        let (tag, nonce, in_bag) = (self.tag(), self.switches.nonce_attribute(), self.in_bag);
        format!(
            r#"<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title} · Tern &amp; Tide</title>
<link rel="icon" href="/assets/icon.svg">
<link rel="stylesheet" href="/assets/shop.css">
{tag}
<script defer src="/assets/shop.js"{nonce}></script>
</head>
<body>
<header class="top"><a class="brand" href="/"><img src="/assets/icon.svg" alt="" width="28" height="28">Tern &amp; Tide</a>
<nav><a href="/">Shop</a><a href="/checkout">Bag <span class="count" id="bag-count">{in_bag}</span></a></nav></header>
<p class="note" id="referral-note" role="status">Nobody sent you here yet. <a href="/?via=alice">Come through a link of alice</a>.</p>
<main>
{main}
</main>
<footer><p>A demo shop. It is written for Affonso and knows nothing of the edge that serves <code>{prefix}</code>.</p>
<p>See it with <a href="/?csp=strict">a strict Content-Security-Policy</a>, <a href="/?csp=nonce">with nonces</a>,
<a href="/?tag=manager">with a tag manager</a>, or <a href="/?csp=off&amp;tag=html">plain again</a>.</p></footer>
</body>
</html>
"#,
            prefix = escape(&self.settings.prefix),
        )
    }

    /// The platform's tag as its guide has it, or the tag manager that will make it.
    fn tag(&self) -> String {
        let nonce = self.switches.nonce_attribute();
        if self.switches.tag_manager {
            return format!(r#"<script async src="/tagmanager.js"{nonce}></script>"#);
        }
        let (program, prefix) = (escape(&self.settings.program), escape(&self.settings.prefix));
        format!(
            r#"<script async defer src="{prefix}/pixel.js" data-affonso="{program}" data-cookie_duration="30" data-api-base="{prefix}"{nonce}></script>"#
        )
    }
}

fn card(product: &Product) -> String {
    let Product { id, name, line, price_minor, .. } = product;
    let price = shown(*price_minor);
    format!(
        r#"<li><a class="card" href="/product/{id}"><img class="tile" src="/assets/{id}.svg" alt="" width="320" height="320">
<span class="name">{name}</span><span class="price">{price}</span><span class="line">{line}</span></a></li>"#
    )
}

fn bag_line(line: &Line) -> String {
    let Product { id, name, .. } = line.product;
    let (quantity, price) = (line.quantity, shown(line.minor()));
    format!(
        r#"<li data-id="{id}" data-quantity="{quantity}"><img class="tile" src="/assets/{id}.svg" alt="" width="72" height="72">
<div><a href="/product/{id}">{name}</a><span class="line">{quantity} ×</span></div><span class="price">{price}</span>
<form method="post" action="/cart"><input type="hidden" name="id" value="{id}"><input type="hidden" name="quantity" value="0">
<button class="plain" type="submit" aria-label="Take out {name}">Take out</button></form></li>"#
    )
}

/// Text for HTML, in an element or a quoted attribute.
fn escape(text: &str) -> String {
    text.chars().fold(String::with_capacity(text.len()), |mut out, c| {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
        out
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_what_could_leave_its_place() {
        assert_eq!(escape(r#"<a b="c" d='e'>&"#), "&lt;a b=&quot;c&quot; d=&#39;e&#39;&gt;&amp;");
    }
}
