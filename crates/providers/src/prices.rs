//! The dated table of list prices, so that budgets hold before anybody configures one.
//!
//! Owns: prices of well-known models and what an unknown one is taken to cost. A configured price wins over it.
//! Never does: ask anybody; a stale entry is corrected here, with the date.

use crate::Price;

/// The day on which the table was last looked through.
pub const PRICES_AS_OF: &str = "2026-11-20";

/// Where the prices are from.
pub const PRICES_SOURCE: &str = "OpenAI's list (developers.openai.com/api/docs/pricing) as quoted by others during 2026: \
    standard tier, uncached, long prompts not surcharged; an installation that bills by it should configure its own";

/// What a model that is not in the table is taken to cost: more than the ordinary ones, so that a budget is never
/// overrun because a name was new.
pub const UNKNOWN_MODEL_PRICE: Price = Price::cents(1500, 6000);

/// Names with their prices in cents. A dated name (`gpt-4o-mini-2024-07-18`) is priced as its longest listed prefix
/// that ends at a hyphen.
const TABLE: &[(&str, Price)] = &[
    ("gpt-3.5-turbo", Price::cents(50, 150)),
    ("gpt-4", Price::cents(3000, 6000)),
    ("gpt-4-turbo", Price::cents(1000, 3000)),
    ("gpt-4.1", Price::cents(200, 800)),
    ("gpt-4.1-mini", Price::cents(40, 160)),
    ("gpt-4.1-nano", Price::cents(10, 40)),
    ("gpt-4o", Price::cents(250, 1000)),
    ("gpt-4o-2024-05-13", Price::cents(500, 1500)),
    ("gpt-4o-mini", Price::cents(15, 60)),
    ("gpt-5", Price::cents(125, 1000)),
    ("gpt-5-chat", Price::cents(125, 1000)),
    ("gpt-5-mini", Price::cents(25, 200)),
    ("gpt-5-nano", Price::cents(5, 40)),
    ("gpt-5-pro", Price::cents(1500, 12000)),
    ("gpt-5.1", Price::cents(125, 1000)),
    ("gpt-5.2", Price::cents(175, 1400)),
    ("gpt-5.4", Price::cents(250, 1500)),
    ("gpt-5.4-mini", Price::cents(75, 450)),
    ("gpt-5.4-nano", Price::cents(20, 125)),
    ("o1", Price::cents(1500, 6000)),
    ("o1-mini", Price::cents(110, 440)),
    ("o1-pro", Price::cents(15000, 60000)),
    ("o3", Price::cents(200, 800)),
    ("o3-mini", Price::cents(110, 440)),
    ("o3-pro", Price::cents(2000, 8000)),
    ("o4-mini", Price::cents(110, 440)),
];

/// The list price of `model`, or [`UNKNOWN_MODEL_PRICE`].
pub fn price_of(model: &str) -> Price {
    TABLE
        .iter()
        .filter(|(name, _)| is_dated_form(model, name))
        .max_by_key(|(name, _)| name.len())
        .map_or(UNKNOWN_MODEL_PRICE, |(_, price)| *price)
}

/// `model` is `name` itself, or `name-` and a date or `latest`. A variant (`gpt-4o-audio-preview`) is another model at
/// another price, and so unknown.
fn is_dated_form(model: &str, name: &str) -> bool {
    match model.strip_prefix(name) {
        Some("" | "-latest") => true,
        Some(rest) => {
            rest.len() > 1 && rest.starts_with('-') && rest.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-')
        }
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_priced_by_itself_or_its_dated_form_only() {
        assert_eq!(price_of("gpt-4o-mini"), Price::cents(15, 60));
        assert_eq!(price_of("gpt-4o-mini-2024-07-18"), Price::cents(15, 60));
        assert_eq!(price_of("gpt-4o-2024-08-06"), Price::cents(250, 1000));
        assert_eq!(price_of("gpt-4o-2024-05-13"), Price::cents(500, 1500), "the first one kept its price");
        assert_eq!(price_of("gpt-5-chat-latest"), Price::cents(125, 1000));
        assert_eq!(price_of("gpt-4-0613"), Price::cents(3000, 6000));
        assert_eq!(price_of("gpt-4o-audio-preview"), UNKNOWN_MODEL_PRICE);
        assert_eq!(price_of("gpt-4o-"), UNKNOWN_MODEL_PRICE);
        assert_eq!(price_of("somebody/new-model"), UNKNOWN_MODEL_PRICE);
        assert_eq!(price_of(""), UNKNOWN_MODEL_PRICE);
    }

    #[test]
    fn an_unknown_model_costs_more_than_the_ordinary_ones() {
        for name in ["gpt-3.5-turbo", "gpt-4o", "gpt-4o-mini", "gpt-4.1", "gpt-5", "gpt-5-mini", "o3", "o4-mini"] {
            let price = price_of(name);
            assert!(price.input_micro_usd_per_million_tokens < UNKNOWN_MODEL_PRICE.input_micro_usd_per_million_tokens);
            assert!(
                price.output_micro_usd_per_million_tokens < UNKNOWN_MODEL_PRICE.output_micro_usd_per_million_tokens
            );
        }
    }

    #[test]
    fn no_name_stands_in_the_table_twice() {
        for (index, (name, _)) in TABLE.iter().enumerate() {
            assert!(TABLE[index + 1..].iter().all(|(other, _)| other != name), "{name}");
        }
    }
}
