//! Logarithms with weights: entropies and divergences. Their derivatives are quotients like `x/y²`,
//! written down as such: by the chain rule they would be products of `x` and `1/y²`, which leaves the
//! range of numbers long before.

use super::composed;
use super::numeric::power_series;
use super::slopes::Slopes;
use crate::{Number, Tensor};

/// `x·f(y)` for a logarithm `f` that is 0 at `zero`: 0 where `x` is 0, unless `y` is NaN.
fn weighted(x: &Tensor, y: &Tensor, f: impl Fn(&Tensor) -> Tensor, zero: f64) -> Tensor {
    let number = |value: f64| y.literal(Number::Float(value));
    let infinite = y.less_equal(&number(zero - 1.0)) | y.is_infinite();
    let singular = x.equal(&x.zeros_like()) & infinite;
    let plain = x * f(&singular.select(&number(zero), y));
    // The slope in `x` is infinite, as that of `√x`.
    let root = singular.select(x, &x.ones_like()).sqrt();
    let sign = y.greater(&number(zero)).select(&number(1.0), &number(-1.0));
    singular.select(&(root * sign), &plain)
}

/// `x·ln(x)` of positive numbers, and of 0.
fn weighted_log(x: &Tensor) -> Tensor {
    let slopes = Slopes { name: "weighted_log", in_each: [|[x]| x.log() + 1.0] };
    slopes.of([x], |[x]| x.xlogy(x))
}

/// `ln(x/y)` of positive numbers, also where `x/y` is beside 1 or leaves the range.
fn log_ratio([x, y]: [&Tensor; 2]) -> Tensor {
    let slopes = Slopes { name: "log_ratio", in_each: [|[x, _]| x.recip(), |[_, y]| -y.recip()] };
    slopes.of([x, y], |[x, y]| {
        let part = (x - y) / y;
        let near = part.abs().less(&part.literal(Number::Float(0.5)));
        let ratio = x / y;
        // Subnormal ratios have few digits.
        let plain = ratio.greater(&ratio.literal(Number::Float(1e-30))) & ratio.is_finite();
        near.select(&part.log1p(), &plain.select(&ratio.log(), &(x.log() - y.log())))
    })
}

/// `x·ln(x/y)` of positive numbers.
fn weighted_ratio(x: [&Tensor; 2]) -> Tensor {
    let in_each: [fn([&Tensor; 2]) -> Tensor; 2] = [|x| log_ratio(x) + 1.0, |[x, y]| -(x / y)];
    Slopes { name: "weighted_ratio", in_each }.of(x, |[x, y]| x * log_ratio([x, y]))
}

/// `(y - x)/y`.
fn shortfall(x: [&Tensor; 2]) -> Tensor {
    let in_each: [fn([&Tensor; 2]) -> Tensor; 2] = [|[_, y]| -y.recip(), |[x, y]| x / y / y];
    Slopes { name: "shortfall", in_each }.of(x, |[x, y]| (y - x) / y)
}

/// `x·ln(x/y) - x + y` of positive numbers.
fn divergence(x: [&Tensor; 2]) -> Tensor {
    Slopes { name: "divergence", in_each: [log_ratio, shortfall] }.of(x, |[x, y]| {
        let part = (x - y) / y;
        let near = part.abs().less(&part.literal(Number::Float(0.1)));
        // y·((1 + d)·ln(1 + d) - d) = y·Σ (-d)ᵏ/(k·(k - 1)), from k = 2.
        let small = near.select(&part, &part.zeros_like());
        let terms = (2..19).map(|k| f64::powi(-1.0, k) / f64::from(k * (k - 1)));
        let series = small.square() * power_series(&small, terms);
        near.select(&(y * series), &(x * log_ratio([x, y]) + (y - x)))
    })
}

/// A function of positive numbers, and what it is elsewhere: 0 for `x = 0 ≤ y`, ∞ outside of the domain.
fn inside(x: &Tensor, y: &Tensor, f: fn([&Tensor; 2]) -> Tensor) -> [Tensor; 3] {
    let zero = x.zeros_like();
    let both = x.greater(&zero) & y.greater(&y.zeros_like());
    let none = x.equal(&zero) & y.greater_equal(&y.zeros_like());
    let (a, b) = (both.select(x, &x.ones_like()), both.select(y, &y.ones_like()));
    let infinite = x.literal(Number::Float(f64::INFINITY)).broadcast_to(none.shape());
    [f([&a, &b]), none.select(&infinite.zeros_like(), &infinite), both]
}

composed! {
    //! # Entropies and divergences
    //! Elementwise, of floats.
    /// `x·ln(y)`, elementwise; 0 where `x` is 0, unless `y` is NaN. The result has the operands' shape
    /// and dtype.
    ///
    /// ```
    /// # use unloop_graph::Tensor;
    /// let x = Tensor::from([0.0, 2.0]);
    /// assert_eq!(x.xlogy(Tensor::from([0.0, 1.0])).to_vec::<f64>()?, [0.0, 0.0]);
    /// # Ok::<(), unloop_graph::Error>(())
    /// ```
    ///
    /// # Errors
    /// Carried: `ShapeMismatch` unless the shapes are equal or one is a scalar's; `DTypeMismatch` if
    /// the dtypes differ; `UnsupportedDType` unless they are f32 or f64.
    xlogy(x, y: Operand) -> Tensor where floats { weighted(x, y, |y| y.log(), 1.0) }

    /// `x·ln(1 + y)`, elementwise; 0 where `x` is 0, unless `y` is NaN. The result has the operands'
    /// shape and dtype.
    ///
    /// ```
    /// # use unloop_graph::Tensor;
    /// let x = Tensor::from([0.0, 2.0]);
    /// assert_eq!(x.xlog1py(Tensor::from([-1.0, 0.0])).to_vec::<f64>()?, [0.0, 0.0]);
    /// # Ok::<(), unloop_graph::Error>(())
    /// ```
    ///
    /// # Errors
    /// Carried: `ShapeMismatch` unless the shapes are equal or one is a scalar's; `DTypeMismatch` if
    /// the dtypes differ; `UnsupportedDType` unless they are f32 or f64.
    xlog1py(x, y: Operand) -> Tensor where floats { weighted(x, y, |y| y.log1p(), 0.0) }

    /// The elementwise entropy `-x·ln(x)`: 0 at 0, -∞ below. The result has the shape and dtype of
    /// `self`.
    ///
    /// ```
    /// # use unloop_graph::Tensor;
    /// let x = Tensor::from([0.0, 1.0, -1.0]);
    /// assert_eq!(x.entr().to_vec::<f64>()?, [0.0, 0.0, f64::NEG_INFINITY]);
    /// # Ok::<(), unloop_graph::Error>(())
    /// ```
    ///
    /// # Errors
    /// Carried: `UnsupportedDType` unless the dtype is f32 or f64.
    entr(x) -> Tensor where floats {
        let below = x.less(&x.zeros_like());
        let infinite = x.literal(Number::Float(f64::NEG_INFINITY)).broadcast_to(x.shape());
        let safe = below.select(&x.ones_like(), x);
        below.select(&infinite, &-weighted_log(&safe))
    }

    /// The elementwise relative entropy `x·ln(x/y)`; 0 for `x = 0 ≤ y`, ∞ outside of the domain. The
    /// result has the operands' shape and dtype.
    ///
    /// ```
    /// # use unloop_graph::Tensor;
    /// let x = Tensor::from([0.0, 1.0, -1.0]);
    /// assert_eq!(x.rel_entr(1.0).to_vec::<f64>()?, [0.0, 0.0, f64::INFINITY]);
    /// # Ok::<(), unloop_graph::Error>(())
    /// ```
    ///
    /// # Errors
    /// Carried: `ShapeMismatch` unless the shapes are equal or one is a scalar's; `DTypeMismatch` if
    /// the dtypes differ; `UnsupportedDType` unless they are f32 or f64.
    rel_entr(x, y: Operand) -> Tensor where floats {
        let [inner, outer, both] = inside(x, y, weighted_ratio);
        both.select(&inner, &outer)
    }

    /// The elementwise Kullback–Leibler divergence `x·ln(x/y) - x + y`; `y` for `x = 0 ≤ y`, ∞ outside
    /// of the domain. The result has the operands' shape and dtype.
    ///
    /// ```
    /// # use unloop_graph::Tensor;
    /// let x = Tensor::from([0.0, 1.0, -1.0]);
    /// assert_eq!(x.kl_div(1.0).to_vec::<f64>()?, [1.0, 0.0, f64::INFINITY]);
    /// # Ok::<(), unloop_graph::Error>(())
    /// ```
    ///
    /// # Errors
    /// Carried: `ShapeMismatch` unless the shapes are equal or one is a scalar's; `DTypeMismatch` if
    /// the dtypes differ; `UnsupportedDType` unless they are f32 or f64.
    kl_div(x, y: Operand) -> Tensor where floats {
        let [inner, outer, both] = inside(x, y, divergence);
        both.select(&inner, &(outer - x + y))
    }
}
