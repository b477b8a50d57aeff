//! A library function that hides the library: prices, sensitivities ("Greeks") and implied volatilities of
//! options, for slices of plain numbers. The formula (Black and Scholes, 1973) is written for one option; a compiled function in a
//! `static` runs it for all that a caller has.
//! `cargo run --release --example options [picture.svg]`

use std::time::Instant;

use unloop_examples::{largest, picture};

mod pricing {
    use std::sync::LazyLock;

    use unloop::prelude::*;

    // ANCHOR: price
    /// What a call costs today that pays what the price of one share is above `strike` after `years`.
    fn price(spot: &Tensor, strike: &Tensor, years: &Tensor, volatility: &Tensor) -> Tensor {
        let spread = volatility * years.sqrt();
        let above = (spot / strike).log() / &spread + &spread / 2.0;
        spot * above.ndtr() - strike * (above - spread).ndtr()
    }
    // ANCHOR_END: price

    // ANCHOR: greeks
    /// How the price moves: delta, gamma, vega and theta.
    fn greeks(spot: &Tensor, strike: &Tensor, years: &Tensor, volatility: &Tensor) -> [Tensor; 4] {
        let [delta, years_slope, vega] =
            grad(price).wrt([0, 2, 3])(spot, strike, years, volatility);
        let gamma = grad(grad(price))(spot, strike, years, volatility);
        // Time runs towards the day of payment.
        [delta, gamma, vega, -years_slope]
    }
    // ANCHOR_END: greeks

    // ANCHOR: volatility
    /// The volatility at which a call costs what it does: Newton's method, whose derivative is `grad`.
    fn volatility(cost: &Tensor, spot: &Tensor, strike: &Tensor, years: &Tensor) -> Tensor {
        let price_at = |v: &Tensor| price(spot, strike, years, v);
        let step = |_: &Tensor, v: &Tensor| {
            let (found, slope) = value_and_grad(price_at)(v);
            (v - (found - cost) / slope).clamp(1e-3, 5.0)
        };
        // The inflection of the price, from where Newton's steps never turn (Manaster and Koehler, 1982).
        let start = ((spot / strike).log().abs() * 2.0 / years).sqrt().maximum(0.05);
        fori_loop(12, step, &start)
    }
    // ANCHOR_END: volatility

    // ANCHOR: library
    type Four = (Tensor, Tensor, Tensor, Tensor);

    static VOLATILITIES: LazyLock<Jit<'static, Four, Tensor>> =
        LazyLock::new(|| jit(vmap(volatility, (0, Shared, 0, 0))));

    static GREEKS: LazyLock<Jit<'static, Four, [Tensor; 4]>> =
        LazyLock::new(|| jit(vmap(greeks, (Shared, 0, 0, 0))));

    static PRICES: LazyLock<Jit<'static, Four, Tensor>> =
        LazyLock::new(|| jit(vmap(price, (Shared, 0, 0, 0))));

    /// The implied volatilities of calls.
    ///
    /// # Errors
    /// Slices of different lengths.
    pub fn implied_volatilities(
        costs: &[f64],
        spot: f64,
        strikes: &[f64],
        years: &[f64],
    ) -> unloop::Result<Vec<f64>> {
        let [costs, strikes, years] = [costs, strikes, years].map(Tensor::from);
        VOLATILITIES.try_call((&costs, &spot.into(), &strikes, &years))?.to_vec()
    }
    // ANCHOR_END: library

    /// Delta, gamma, vega and theta of calls, one slice each.
    ///
    /// # Errors
    /// Slices of different lengths.
    pub fn sensitivities(
        spot: f64,
        strikes: &[f64],
        years: &[f64],
        volatilities: &[f64],
    ) -> unloop::Result<[Vec<f64>; 4]> {
        let [strikes, years, volatilities] = [strikes, years, volatilities].map(Tensor::from);
        let [delta, gamma, vega, theta] =
            GREEKS.try_call((&spot.into(), &strikes, &years, &volatilities))?;
        Ok([delta.to_vec()?, gamma.to_vec()?, vega.to_vec()?, theta.to_vec()?])
    }

    /// What calls cost.
    ///
    /// # Errors
    /// Slices of different lengths.
    pub fn prices(
        spot: f64,
        strikes: &[f64],
        years: &[f64],
        volatilities: &[f64],
    ) -> unloop::Result<Vec<f64>> {
        let [strikes, years, volatilities] = [strikes, years, volatilities].map(Tensor::from);
        PRICES.try_call((&spot.into(), &strikes, &years, &volatilities))?.to_vec()
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let count = 100_000;
    let spread = |i: usize, by: usize| (i * by % 1000) as f64 / 1000.0;
    let strikes: Vec<f64> = (0..count).map(|i| 80.0 + 40.0 * spread(i, 7)).collect();
    let years: Vec<f64> = (0..count).map(|i| 0.25 + 2.0 * spread(i, 13)).collect();
    let given: Vec<f64> = (0..count).map(|i| 0.15 + 0.4 * spread(i, 29)).collect();
    let costs = pricing::prices(100.0, &strikes, &years, &given)?;

    pricing::implied_volatilities(&costs, 100.0, &strikes, &years)?;
    let begin = Instant::now();
    let found = pricing::implied_volatilities(&costs, 100.0, &strikes, &years)?;
    let time = begin.elapsed();
    let error = largest(found.iter().zip(&given).map(|(a, b)| (a - b).abs()));
    println!("{count} volatilities in {time:.1?}, off by {error:.1e} at most");

    // A wrong call is an error that says which arguments do not fit.
    let wrong = pricing::implied_volatilities(&costs, 100.0, &strikes[..5], &years);
    println!("five strikes only: {}", wrong.map(|_| ()).expect_err("lengths differ"));

    // Delta as a difference quotient of prices, to compare.
    let greeks = pricing::sensitivities(100.0, &strikes, &years, &given)?;
    let above = pricing::prices(100.01, &strikes, &years, &given)?;
    let below = pricing::prices(99.99, &strikes, &years, &given)?;
    let quotient = above.iter().zip(&below).map(|(a, b)| (a - b) / 0.02);
    let apart = largest(quotient.zip(&greeks[0]).map(|(a, b)| (a - b).abs()));
    println!("deltas are off differences by {apart:.0e} at most");
    if let Some(path) = picture::asked() {
        draw(&path)?;
    }
    if error < 1e-6 && apart < 1e-6 {
        Ok(())
    } else {
        Err("the volatilities are not those given".into())
    }
}

/// The sensitivities of calls with half a year to go, strike by strike.
fn draw(path: &std::path::Path) -> picture::Result<()> {
    let strikes: Vec<f64> = (0..121).map(|i| 60.0 + f64::from(i) * 80.0 / 120.0).collect();
    let greeks = pricing::sensitivities(100.0, &strikes, &[0.5; 121], &[0.25; 121])?;
    let names = ["delta", "gamma", "vega", "theta (a year)"];
    let ranges = [0.0..1.0, 0.0..0.03, 0.0..30.0, -8.0..0.0];
    picture::draw(path, (720, 480), |area| {
        let parts = area.split_evenly((2, 2));
        for (((part, greek), name), range) in parts.iter().zip(&greeks).zip(names).zip(ranges) {
            let mut chart = picture::chart(part, name, ("strike", 60.0..140.0), ("", range))?;
            picture::line(&mut chart, &strikes, greek, picture::FOUND, "")?;
        }
        Ok(())
    })
}
