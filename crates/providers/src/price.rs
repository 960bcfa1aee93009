//! What a call costs, in integers.
//!
//! Owns: the arithmetic of prices. Never does: floating point, or knowing any model (that is `prices`).

use crate::Usage;

/// The price of a model in micro US dollars (10⁻⁶ USD) for a million tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Price {
    /// For a million tokens of the prompt.
    pub input_micro_usd_per_million_tokens: u64,
    /// For a million tokens of the answer.
    pub output_micro_usd_per_million_tokens: u64,
}

impl Price {
    /// What costs nothing: a model on the operator's own machine.
    pub const FREE: Self = Self { input_micro_usd_per_million_tokens: 0, output_micro_usd_per_million_tokens: 0 };

    /// A price as price lists state it, in whole US cents for a million tokens.
    pub const fn cents(input: u64, output: u64) -> Self {
        Self {
            input_micro_usd_per_million_tokens: input * 10_000,
            output_micro_usd_per_million_tokens: output * 10_000,
        }
    }

    /// A price from a configuration's US dollars for a million tokens.
    ///
    /// # Errors
    /// A text that names what is wrong, when a value is negative, not a number, or above 100,000 dollars.
    pub fn from_usd(input: f64, output: f64) -> Result<Self, &'static str> {
        Ok(Self {
            input_micro_usd_per_million_tokens: micro(input)?,
            output_micro_usd_per_million_tokens: micro(output)?,
        })
    }

    /// The cost of a call in micro US dollars, rounded up and saturating: never less than what it really costs.
    pub fn cost(&self, usage: Usage) -> u64 {
        let input = u128::from(self.input_micro_usd_per_million_tokens) * u128::from(usage.input_tokens);
        let output = u128::from(self.output_micro_usd_per_million_tokens) * u128::from(usage.output_tokens);
        u64::try_from((input + output).div_ceil(1_000_000)).unwrap_or(u64::MAX)
    }

    /// Whether a call costs nothing whatever its size.
    pub fn is_free(&self) -> bool {
        *self == Self::FREE
    }
}

fn micro(dollars: f64) -> Result<u64, &'static str> {
    if !dollars.is_finite() || dollars < 0.0 {
        return Err("a price must be a number of US dollars that is not negative");
    }
    if dollars > 100_000.0 {
        return Err("a price above 100000 US dollars for a million tokens is a mistake");
    }
    // Rounded up, so that a very small price does not become free. In range: at most 10¹¹.
    Ok(format!("{:.0}", (dollars * 1_000_000.0).ceil()).parse().unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_cost_is_rounded_up_to_the_next_micro_dollar() {
        let price = Price::cents(15, 60);
        let cost = |input_tokens, output_tokens| price.cost(Usage { input_tokens, output_tokens });
        assert_eq!(cost(0, 0), 0);
        assert_eq!(cost(1, 0), 1, "0.15 micro dollars are one");
        assert_eq!(cost(1_000_000, 1_000_000), 750_000);
        assert_eq!(cost(1000, 500), 450);
        assert_eq!(Price::FREE.cost(Usage { input_tokens: u32::MAX, output_tokens: u32::MAX }), 0);
    }

    #[test]
    fn a_configured_price_is_exact_and_nonsense_is_refused() {
        assert_eq!(Price::from_usd(0.15, 0.60), Ok(Price::cents(15, 60)));
        assert_eq!(Price::from_usd(0.0, 0.0), Ok(Price::FREE));
        assert!(!Price::from_usd(1e-9, 0.0).expect("a tiny price").is_free(), "a tiny price is not free");
        for bad in [-1.0, f64::NAN, f64::INFINITY, 1e6] {
            assert!(Price::from_usd(bad, 0.0).is_err() && Price::from_usd(0.0, bad).is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn more_tokens_never_cost_less(input: u32, output: u32, more in 0_u32..1_000_000, rate in 0_u64..1_000_000_000) {
            let price = Price { input_micro_usd_per_million_tokens: rate, output_micro_usd_per_million_tokens: rate };
            let less = price.cost(Usage { input_tokens: input, output_tokens: output });
            let greater = price.cost(Usage {
                input_tokens: input.saturating_add(more), output_tokens: output.saturating_add(more) });
            prop_assert!(greater >= less);
        }
    }
}
