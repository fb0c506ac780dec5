//! The shop's files: style, scripts, pictures. They are in files so that a strict Content-Security-Policy holds.

use http::{HeaderValue, StatusCode, header};

use super::ShopSettings;
use crate::demo::http::{Reply, reply};

const JS: &str = "text/javascript; charset=utf-8";
const SVG: &str = "image/svg+xml";

/// Answers `/assets/{name}`.
pub(super) fn file(name: &str) -> Reply {
    let (content_type, body) = match name {
        "shop.css" => ("text/css; charset=utf-8", include_str!("assets/shop.css")),
        "shop.js" => (JS, include_str!("assets/shop.js")),
        "icon.svg" => (SVG, include_str!("assets/icon.svg")),
        "mug.svg" => (SVG, include_str!("assets/mug.svg")),
        "notebook.svg" => (SVG, include_str!("assets/notebook.svg")),
        "tote.svg" => (SVG, include_str!("assets/tote.svg")),
        "lamp.svg" => (SVG, include_str!("assets/lamp.svg")),
        "plant.svg" => (SVG, include_str!("assets/plant.svg")),
        "kettle.svg" => (SVG, include_str!("assets/kettle.svg")),
        _ => return reply(StatusCode::NOT_FOUND, "text/plain; charset=utf-8", "Not found"),
    };
    let mut answer = reply(StatusCode::OK, content_type, body);
    answer.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("max-age=300"));
    answer
}

/// Answers `/tagmanager.js`: what a tag manager does, with the merchant's values in it.
pub(super) fn tag_manager(settings: &ShopSettings) -> Reply {
    let quoted = |text: &str| serde_json::Value::from(text).to_string();
    let script = include_str!("assets/tagmanager.js")
        .replace("$PROGRAM", &quoted(&settings.program))
        .replace("$PREFIX", &quoted(&settings.prefix));
    reply(StatusCode::OK, JS, script)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demo::shop::catalogue::PRODUCTS;

    #[test]
    fn every_product_has_its_picture() {
        for product in &PRODUCTS {
            assert_eq!(file(&format!("{}.svg", product.id)).status(), StatusCode::OK, "{}", product.id);
        }
        assert_eq!(file("../mod.rs").status(), StatusCode::NOT_FOUND);
    }
}
