//! Special functions of the reference evaluator that neither std nor `libm` has.

use std::f64::consts::PI;

/// `ln |Γ(x)|`.
pub fn lgamma(x: f64) -> f64 {
    if x.is_infinite() { f64::INFINITY } else { libm::lgamma(x) }
}

/// The positive root of [`digamma`], and what its rounding leaves.
const DIGAMMA_ROOT: (f64, f64) = (1.461_632_144_968_362_2, 9.549_995_429_965_697e-17);

/// `ψ⁽ᵏ⁾/k!` at the root of the digamma function, from `k = 1`.
const DIGAMMA_AT_ROOT: [f64; 18] = [
    0.967_672_245_447_621_2,
    -0.442_763_168_983_592_1,
    0.258_499_760_955_651,
    -0.163_942_705_442_406_52,
    0.107_824_050_691_262_37,
    -0.072_199_561_256_454_71,
    0.048_804_288_164_143_11,
    -0.033_161_126_474_847_36,
    0.022_597_648_232_218_104,
    -0.015_424_765_904_945_958,
    0.010_538_791_811_612_176,
    -0.007_204_534_386_356_868,
    0.004_926_781_395_729_853,
    -0.003_369_801_655_439_328,
    0.002_305_126_326_734_928,
    -0.001_576_936_771_430_197_2,
    0.001_078_825_201_916_296_7,
    -0.000_738_070_938_996_005_2,
];

/// The digamma function, derivative of [`lgamma`]: its Taylor series beside the root, reflection for
/// negative arguments, recurrence up to 10, then the asymptotic series (Abramowitz and Stegun 6.3.7,
/// 6.3.5, 6.3.18). NaN at the poles 0, -1, -2, ….
pub fn digamma(x: f64) -> f64 {
    if x.is_nan() || x == f64::NEG_INFINITY || (x <= 0.0 && x == x.floor()) {
        return f64::NAN;
    }
    if x < 0.0 {
        // The distance to the nearest pole keeps the tangent accurate beside it and for large |x|.
        let fraction = x - x.round();
        return digamma(1.0 - x) - PI / (PI * fraction).tan();
    }
    let beside_root = (x - DIGAMMA_ROOT.0) - DIGAMMA_ROOT.1;
    if beside_root.abs() < 0.2 {
        return DIGAMMA_AT_ROOT.iter().rev().fold(0.0, |sum, &c| (sum + c) * beside_root);
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

/// The modified Bessel function of the first kind of order 0 or 1, times `e^-|x|`: the power series
/// (Abramowitz and Stegun 9.6.10), whose terms are all positive, and for large arguments the
/// asymptotic one (9.7.1).
fn bessel_ie(order: u8, x: f64) -> f64 {
    let (size, n) = (x.abs(), f64::from(order));
    let value = if size > 40.0 {
        let (mut term, mut sum, mut k) = (1.0, 1.0, 1.0);
        // The terms fall until k is about 2|x|, by when they are below any precision.
        while k < 60.0 {
            let odd = 2.0 * k - 1.0;
            term *= -(4.0 * n * n - odd * odd) / (8.0 * size * k);
            sum += term;
            if f64::abs(term) < 1e-18 * sum {
                break;
            }
            k += 1.0;
        }
        sum / (2.0 * PI * size).sqrt()
    } else {
        let quarter = 0.25 * size * size;
        let (mut term, mut sum, mut k) = (1.0, 1.0, 1.0);
        while term > 1e-18 * sum {
            term *= quarter / (k * (k + n));
            sum += term;
            k += 1.0;
        }
        sum * (0.5 * size).powi(i32::from(order)) * (-size).exp()
    };
    if order == 1 { value.copysign(x) } else { value }
}

/// `e^-|x|·I₀(x)`.
pub fn bessel_i0e(x: f64) -> f64 {
    if x.is_nan() { x } else { bessel_ie(0, x) }
}

/// `e^-|x|·I₁(x)`.
pub fn bessel_i1e(x: f64) -> f64 {
    if x.is_nan() { x } else { bessel_ie(1, x) }
}

/// The `n`-th derivative of [`digamma`], `(-1)ⁿ⁺¹·n!·ζ(n + 1, x)`, with the Hurwitz zeta function by
/// Euler and Maclaurin's formula. NaN for an `n` that is no whole number from 0; at poles ∞ for odd
/// `n`, the limit from both sides, and NaN for even ones.
pub fn polygamma(n: f64, x: f64) -> f64 {
    if n == 0.0 {
        return digamma(x);
    }
    // So far below zero the recurrence would take too long.
    let is_pole = x <= 0.0 && x == x.floor();
    if !(n > 0.0 && n == n.floor()) || x.is_nan() || x < -1e5 {
        return f64::NAN;
    }
    if is_pole {
        return if n % 2.0 == 1.0 { f64::INFINITY } else { f64::NAN };
    }
    let s = n + 1.0;
    // Whole exponents keep the sign of negative bases.
    let term = |q: f64| q.powi(-(s as i32));
    // Each negative term with the positive one of about the same size: they may cancel.
    let below = (-x).ceil().max(0.0);
    let (mut k, mut sum) = (0.0, 0.0);
    while k < below {
        sum += term(x + k) + term(x + (2.0 * below - 1.0 - k));
        k += 1.0;
    }
    let mut q = x + 2.0 * below;
    while q < 12.0 {
        sum += term(q);
        q += 1.0;
    }
    sum += q.powf(1.0 - s) / (s - 1.0) + 0.5 * q.powf(-s);
    // B₂ⱼ/(2j)!, j = 1..8.
    let bernoulli = [
        1.0 / 12.0,
        -1.0 / 720.0,
        1.0 / 30240.0,
        -1.0 / 1209600.0,
        1.0 / 47900160.0,
        -691.0 / 1307674368000.0,
        1.0 / 74724249600.0,
        -3617.0 / 10670622842880000.0,
    ];
    let mut factor = s * q.powf(-s - 1.0);
    for (j, b) in bernoulli.iter().enumerate() {
        sum += b * factor;
        let k = 2.0 * j as f64 + 1.0;
        factor *= (s + k) * (s + k + 1.0) / (q * q);
    }
    let sign = if n % 2.0 == 1.0 { 1.0 } else { -1.0 };
    sign * libm::tgamma(s) * sum
}

/// Terms of a series or fraction, at most: enough for parameters up to a million.
const MAX_TERMS: u32 = 20_000;

/// `xᵃ·e⁻ˣ/Γ(a + 1)`, the first term of the series of [`igamma`].
fn gamma_term(a: f64, x: f64) -> f64 {
    (a * x.ln() - x - libm::lgamma(a + 1.0)).exp()
}

fn is_outside(a: f64, x: f64) -> bool {
    !(a > 0.0 && x >= 0.0)
}

/// The regularised lower incomplete gamma function `P(a, x)`: its series (Abramowitz and Stegun
/// 6.5.29), or 1 less [`igammac`]. NaN outside of `a > 0`, `x >= 0`.
pub fn igamma(a: f64, x: f64) -> f64 {
    if is_outside(a, x) {
        return f64::NAN;
    }
    if x == 0.0 || x == f64::INFINITY {
        return f64::from(u8::from(x > 0.0));
    }
    if x > 1.0 && x > a {
        return 1.0 - igammac(a, x);
    }
    let (mut term, mut sum, mut n) = (1.0, 1.0, a);
    for _ in 0..MAX_TERMS {
        n += 1.0;
        term *= x / n;
        sum += term;
        if term <= 1e-17 * sum {
            break;
        }
    }
    sum * gamma_term(a, x)
}

/// The regularised upper incomplete gamma function `Q(a, x)`: its continued fraction (Abramowitz and
/// Stegun 6.5.31) by Lentz's method, or 1 less [`igamma`]. NaN outside of `a > 0`, `x >= 0`.
pub fn igammac(a: f64, x: f64) -> f64 {
    if is_outside(a, x) {
        return f64::NAN;
    }
    if x == 0.0 || x == f64::INFINITY {
        return f64::from(u8::from(x == 0.0));
    }
    if x <= 1.0 || x <= a {
        return 1.0 - igamma(a, x);
    }
    let tiny = 1e-300;
    let mut b = x + 1.0 - a;
    let (mut c, mut d) = (1.0 / tiny, 1.0 / b);
    let mut h = d;
    for i in 1..MAX_TERMS {
        let i = f64::from(i);
        let an = i * (a - i);
        b += 2.0;
        let not_zero = |v: f64| if v.abs() < tiny { tiny } else { v };
        d = 1.0 / not_zero(an * d + b);
        c = not_zero(b + an / c);
        h *= d * c;
        if (d * c - 1.0).abs() < 1e-16 {
            break;
        }
    }
    h * a * gamma_term(a, x)
}

/// The derivative of [`igamma`] in `a`: its series, term by term.
pub fn igamma_grad_a(a: f64, x: f64) -> f64 {
    if is_outside(a, x) {
        return f64::NAN;
    }
    if x == 0.0 || x > a + 60.0 + 30.0 * a.sqrt() {
        return 0.0;
    }
    let log = x.ln();
    let (mut term, mut n) = (gamma_term(a, x), a + 1.0);
    let mut psi = digamma(n);
    let mut sum = term * (log - psi);
    for _ in 0..MAX_TERMS {
        if n >= x && term * (log - psi).abs() <= 1e-18 * (sum.abs() + 1e-300) {
            break;
        }
        term *= x / n;
        psi += 1.0 / n;
        n += 1.0;
        sum += term * (log - psi);
    }
    sum
}

/// The regularised incomplete beta function `Iₓ(a, b)`: its continued fraction (Abramowitz and
/// Stegun 26.5.8) by Lentz's method, on the side where that converges fast. NaN outside of `a > 0`,
/// `b > 0`, `0 <= x <= 1`.
pub fn betainc(a: f64, b: f64, x: f64) -> f64 {
    if !(a > 0.0 && b > 0.0 && (0.0..=1.0).contains(&x)) {
        return f64::NAN;
    }
    if x == 0.0 || x == 1.0 {
        return x;
    }
    if x > (a + 1.0) / (a + b + 2.0) {
        return 1.0 - betainc(b, a, 1.0 - x);
    }
    let front =
        libm::lgamma(a + b) - libm::lgamma(a) - libm::lgamma(b) + a * x.ln() + b * (-x).ln_1p();
    let tiny = 1e-300;
    let not_zero = |v: f64| if v.abs() < tiny { tiny } else { v };
    let mut c = 1.0;
    let mut d = 1.0 / not_zero(1.0 - (a + b) * x / (a + 1.0));
    let mut h = d;
    for m in 1..MAX_TERMS {
        let m = f64::from(m);
        let even = m * (b - m) * x / ((a + 2.0 * m - 1.0) * (a + 2.0 * m));
        let odd = -(a + m) * (a + b + m) * x / ((a + 2.0 * m) * (a + 2.0 * m + 1.0));
        let mut change = 1.0;
        for step in [even, odd] {
            d = 1.0 / not_zero(1.0 + step * d);
            c = not_zero(1.0 + step / c);
            change *= d * c;
        }
        h *= change;
        if (change - 1.0).abs() < 1e-16 {
            break;
        }
    }
    front.exp() * h / a
}
