//! Special functions of the reference evaluator that neither std nor `libm` has.

use std::f64::consts::PI;

/// `ln |Γ(x)|`.
pub fn lgamma(x: f64) -> f64 {
    if x.is_infinite() { f64::INFINITY } else { libm::lgamma(x) }
}

/// The digamma function, derivative of [`lgamma`]: reflection for negative arguments, recurrence up
/// to 10, then the asymptotic series (Abramowitz and Stegun 6.3.7, 6.3.5, 6.3.18). NaN at the poles
/// 0, -1, -2, ….
pub fn digamma(x: f64) -> f64 {
    if x.is_nan() || x == f64::NEG_INFINITY || (x <= 0.0 && x == x.floor()) {
        return f64::NAN;
    }
    if x < 0.0 {
        // The fraction keeps the tangent accurate for large |x|.
        let fraction = x - x.floor();
        return digamma(1.0 - x) - PI / (PI * fraction).tan();
    }
    let (mut x, mut shift) = (x, 0.0);
    while x < 10.0 {
        shift -= 1.0 / x;
        x += 1.0;
    }
    if x == f64::INFINITY {
        return x;
    }
    let t = 1.0 / (x * x);
    // B₂ₙ/2n, n = 1..8.
    let series = [
        1.0 / 12.0,
        -1.0 / 120.0,
        1.0 / 252.0,
        -1.0 / 240.0,
        1.0 / 132.0,
        -691.0 / 32760.0,
        1.0 / 12.0,
        -3617.0 / 8160.0,
    ];
    let tail = series.iter().rev().fold(0.0, |sum, &c| (sum + c) * t);
    shift + x.ln() - 0.5 / x - tail
}

/// Inverse of the error function: Winitzki's closed approximation, refined by Halley's iteration on
/// `erf`, or on `erfc` near ±1 where `erf` cancels. NaN outside of [-1, 1].
pub fn erf_inv(y: f64) -> f64 {
    if y.abs() == 1.0 {
        return y * f64::INFINITY;
    }
    if y == 0.0 || y.is_nan() || y.abs() > 1.0 {
        return if y.abs() > 1.0 { f64::NAN } else { y };
    }
    let (target, a) = (y.abs(), 0.147);
    let log = (-target * target).ln_1p();
    let half = 2.0 / (PI * a) + log / 2.0;
    let mut x = ((half * half - log / a).sqrt() - half).sqrt();
    for _ in 0..4 {
        let error = match target > 0.5 {
            true => (1.0 - target) - libm::erfc(x),
            false => libm::erf(x) - target,
        };
        // f/f' with f' = 2/√π·exp(-x²), and f''/f' = -2x.
        let newton = error / (2.0 / PI.sqrt() * (-x * x).exp());
        x -= newton / (1.0 + x * newton);
    }
    x.copysign(y)
}
