//! What an order costs, and the orders that were placed.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};

use super::catalogue::{self, CURRENCY, Product};
use crate::demo::limits;

/// A product and how many of it, as the browser asks for them.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(super) struct Item {
    pub(super) id: String,
    #[serde(default = "one")]
    pub(super) quantity: u32,
}

/// A product of an order.
#[derive(Debug, Clone, Copy)]
pub(super) struct Line {
    pub(super) product: &'static Product,
    pub(super) quantity: u32,
}

impl Line {
    /// Its price in minor units. Prices are constants and the quantity is bounded, so it cannot overflow.
    pub(super) fn minor(&self) -> u64 {
        self.product.price_minor * u64::from(self.quantity)
    }
}

/// What an order would cost, in minor units.
#[derive(Debug, Clone)]
pub(super) struct Quote {
    pub(super) lines: Vec<Line>,
    pub(super) subtotal: u64,
    pub(super) percent_off: Option<u64>,
    pub(super) discount: u64,
    pub(super) total: u64,
}

impl Quote {
    /// Adds up.
    ///
    /// # Errors
    /// A sentence for the shopper when there is nothing to buy, too much, or something that is not for sale.
    pub(super) fn of(items: &[Item], promo_code: &str) -> Result<Self, &'static str> {
        if items.is_empty() {
            return Err("Your bag is empty.");
        }
        if items.len() > limits::ORDER_LINES_MAX_COUNT {
            return Err("That is more than one order can hold.");
        }
        let mut lines = Vec::with_capacity(items.len());
        for item in items {
            let product = catalogue::product(&item.id).ok_or("Something in your bag is not for sale.")?;
            if !(1..=limits::ORDER_QUANTITY_MAX_COUNT).contains(&item.quantity) {
                return Err("The quantity must be between 1 and 99.");
            }
            lines.push(Line { product, quantity: item.quantity });
        }
        let subtotal: u64 = lines.iter().map(Line::minor).sum();
        let percent_off = catalogue::percent_off(promo_code);
        let discount = percent_of(subtotal, percent_off.unwrap_or(0));
        Ok(Self { lines, subtotal, percent_off, discount, total: subtotal - discount })
    }
}

/// A percentage of an amount in minor units, halves rounded up; never more than the amount.
fn percent_of(minor: u64, percent: u64) -> u64 {
    (minor * percent.min(100) + 50) / 100
}

/// Minor units as a decimal number of major ones: `1850` is `18.50`.
pub(super) fn decimal(minor: u64) -> String {
    format!("{}.{:02}", minor / 100, minor % 100)
}

/// Minor units as people read them.
pub(super) fn shown(minor: u64) -> String {
    format!("€{}", decimal(minor))
}

/// What the browser posts at checkout.
#[derive(Debug, Deserialize)]
pub(super) struct OrderRequest {
    pub(super) items: Vec<Item>,
    #[serde(default)]
    pub(super) promo_code: String,
    #[serde(default)]
    pub(super) affonso_referral: String,
    #[serde(default)]
    pub(super) email: String,
}

/// An order that was placed.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Order {
    pub(super) order_id: String,
    /// In minor units.
    pub(super) total: u64,
    /// In major units.
    pub(super) total_text: String,
    pub(super) currency: &'static str,
    pub(super) promo_code: Option<String>,
    pub(super) affonso_referral: Option<String>,
    #[serde(skip)]
    pub(super) customer_id: String,
    /// How far the edge has been told; see [`super::report::Status`].
    pub(super) conversion_status: &'static str,
}

impl Order {
    /// An order of a quote, not reported yet.
    pub(super) fn new(order_id: String, customer_id: String, quote: &Quote, request: &OrderRequest) -> Self {
        let given = |text: &str| Some(text.trim().to_owned()).filter(|text| !text.is_empty());
        Self {
            order_id,
            total: quote.total,
            total_text: decimal(quote.total),
            currency: CURRENCY,
            promo_code: given(&request.promo_code),
            affonso_referral: given(&request.affonso_referral),
            customer_id,
            conversion_status: "pending",
        }
    }
}

/// The orders, in memory; the oldest give way.
#[derive(Debug, Default)]
pub(super) struct Orders(Mutex<Kept>);

#[derive(Debug, Default)]
struct Kept {
    by_id: HashMap<String, Order>,
    oldest_first: VecDeque<String>,
}

impl Orders {
    /// Keeps an order.
    pub(super) fn add(&self, order: Order) {
        let mut kept = self.kept();
        if kept.oldest_first.len() == limits::ORDERS_MAX_COUNT
            && let Some(oldest) = kept.oldest_first.pop_front()
        {
            kept.by_id.remove(&oldest);
        }
        kept.oldest_first.push_back(order.order_id.clone());
        kept.by_id.insert(order.order_id.clone(), order);
    }

    /// An order as it is now.
    pub(super) fn get(&self, order_id: &str) -> Option<Order> {
        self.kept().by_id.get(order_id).cloned()
    }

    /// Notes how far the edge has been told.
    pub(super) fn set_status(&self, order_id: &str, status: &'static str) {
        if let Some(order) = self.kept().by_id.get_mut(order_id) {
            order.conversion_status = status;
        }
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        // Nothing that holds it can panic half-way through a change.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn one() -> u32 {
    1
}

#[cfg(test)]
mod tests {
    use super::*;

    fn items(list: &[(&str, u32)]) -> Vec<Item> {
        list.iter().map(|&(id, quantity)| Item { id: id.to_owned(), quantity }).collect()
    }

    #[test]
    fn adds_up_to_the_cent() {
        for (list, code, total) in [
            (&[("mug", 1)][..], "", 2400),
            (&[("mug", 2), ("notebook", 1)], "", 6650),
            (&[("notebook", 1)], "alice10", 1665),
            (&[("lamp", 1)], " BOB15 ", 7646),
            (&[("plant", 3)], "WELCOME5", 7977),
            (&[("mug", 1)], "NOT-OURS", 2400),
        ] {
            assert_eq!(Quote::of(&items(list), code).unwrap().total, total, "{list:?} {code}");
        }
        assert_eq!(
            (decimal(1665).as_str(), decimal(5).as_str(), shown(8995).as_str()),
            ("16.65", "0.05", "€89.95")
        );
    }

    #[test]
    fn a_share_is_exact_and_its_halves_go_up() {
        for minor in 0..3_000 {
            for percent in 0..=100 {
                let share = percent_of(minor, percent);
                assert!(share <= minor);
                // Within half a minor unit of the true share, halves up.
                let (twice, exact) = (200 * share, 2 * minor * percent);
                assert!(twice + 100 > exact && twice <= exact + 100, "{percent} % of {minor} is {share}");
            }
        }
        assert_eq!((percent_of(5, 10), percent_of(4, 10), percent_of(70, 250)), (1, 0, 70));
    }

    #[test]
    fn refuses_what_cannot_be_bought() {
        for list in [&[][..], &[("mug", 0)], &[("mug", 100)], &[("yacht", 1)], &[("mug", 1); 21]] {
            assert!(Quote::of(&items(list), "").is_err(), "{list:?}");
        }
    }
}
