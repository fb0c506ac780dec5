//! What is for sale, and the shop's own promo codes.

/// The only currency of the shop. Prices are in its minor unit.
pub(super) const CURRENCY: &str = "EUR";

/// Something for sale.
#[derive(Debug)]
pub(super) struct Product {
    pub(super) id: &'static str,
    pub(super) name: &'static str,
    pub(super) line: &'static str,
    pub(super) text: &'static str,
    pub(super) price_minor: u64,
}

/// Everything for sale, in the order of the front page.
pub(super) const PRODUCTS: [Product; 6] = [
    Product {
        id: "mug",
        name: "Harbour mug",
        line: "Stoneware, 350 ml",
        text: "Thrown by hand and glazed in the blue of a calm morning. It keeps tea warm and looks well beside a keyboard.",
        price_minor: 2400,
    },
    Product {
        id: "notebook",
        name: "Field notebook",
        line: "Dotted, 160 pages",
        text: "Opens flat, takes ink without a shadow, and fits the pocket of a coat. Bound with thread, not with glue.",
        price_minor: 1850,
    },
    Product {
        id: "tote",
        name: "Market tote",
        line: "Heavy linen",
        text: "Carries a week of groceries or a day at the sea. The handles are long enough for a shoulder.",
        price_minor: 3290,
    },
    Product {
        id: "lamp",
        name: "Dusk lamp",
        line: "Oak and paper",
        text: "A warm light that dims with a turn of the oak foot. Made to read by, and to fall asleep by.",
        price_minor: 8995,
    },
    Product {
        id: "plant",
        name: "Window fern",
        line: "With its pot",
        text: "Asks for a glass of water a week and a place without noon sun. Arrives in a clay pot, ready for the sill.",
        price_minor: 2799,
    },
    Product {
        id: "kettle",
        name: "Slow kettle",
        line: "Enamel, 1.2 l",
        text: "Pours in a thin, steady line. For gas, for induction, and for people who do not hurry.",
        price_minor: 6450,
    },
];

/// A product by its id.
pub(super) fn product(id: &str) -> Option<&'static Product> {
    PRODUCTS.iter().find(|product| product.id == id)
}

/// What a promo code takes off, in percent. The shop knows its codes; whom they credit is the edge's business.
pub(super) fn percent_off(code: &str) -> Option<u64> {
    match code.trim().to_ascii_uppercase().as_str() {
        "ALICE10" => Some(10),
        "BOB15" => Some(15),
        "WELCOME5" => Some(5),
        _ => None,
    }
}
