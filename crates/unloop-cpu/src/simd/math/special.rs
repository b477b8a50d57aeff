//! Special functions: minimax fits of their smooth parts, and the formulas that join these.
//!
//! A function has one formula for the arguments that occur most, and where that leaves out a tail, a
//! second one for all, by which whole blocks with such arguments are computed. Errors are below 16
//! ulp, mostly below 3; beside zeros of the functions the distance from the zero counts.

use super::exp::exp_normal;
use super::log::{log, log_plus};
use super::real::{Real, fma};

/// The fits, each with its interval, and where they are joined.
pub(crate) trait Special: Real {
    /// The root of the digamma function, and what its rounding leaves.
    const DIGAMMA_ROOT: (Self, Self);
    /// Where the near and the far fit of the Bessel functions meet.
    const BESSEL_FAR: Self;

    /// `erf_inv(x)/x` of `t = w - 3.125`, `w = -ln(1 - x²)` in `[0, 6.25]`.
    fn erf_inv_centre<const FMA: bool>(t: Self) -> Self;
    /// `erf_inv(x)/x` of `√w` for the larger `w` of the type.
    fn erf_inv_tail<const FMA: bool>(root: Self) -> Self;
    /// `ln Γ(x)/((x - 1)(x - 2))` of `t = x - 2`, for `x` in `[1.5, 2.5]`.
    fn lgamma_poly<const FMA: bool>(t: Self) -> Self;
    /// `x·(ln Γ(x) - (x - ½)·ln x + x - ½·ln 2π)` of `z = x⁻²`, for `x >= 4.5`.
    fn stirling_poly<const FMA: bool>(z: Self) -> Self;
    /// `ψ(x)/(x - x₀)` of `t = x - 1.5`, for `x` in `[1, 2]`, with the root `x₀`.
    fn digamma_poly<const FMA: bool>(t: Self) -> Self;
    /// `x²·(ln x - ψ(x)) - x/2` of `z = x⁻²`, for `x >= 4`.
    fn digamma_tail<const FMA: bool>(z: Self) -> Self;
    /// `I₀(x)` of `q = x²/4`, up to [`Special::BESSEL_FAR`].
    fn bessel_i0_near<const FMA: bool>(q: Self) -> Self;
    /// `I₁(x)/x` of `q = x²/4`, up to [`Special::BESSEL_FAR`].
    fn bessel_i1_near<const FMA: bool>(q: Self) -> Self;
    /// `√x·e⁻ˣ·I₀(x)` of `t = BESSEL_FAR/x - ½`, from there on.
    fn bessel_i0_far<const FMA: bool>(t: Self) -> Self;
    /// `√x·e⁻ˣ·I₁(x)` of `t = BESSEL_FAR/x - ½`, from there on.
    fn bessel_i1_far<const FMA: bool>(t: Self) -> Self;
}

/// `-ln(1 - x²)`; the product keeps the distance from ±1.
#[inline(always)]
fn minus_log<T: Real, const FMA: bool>(x: T) -> T {
    -log_plus::<T, FMA>((T::ONE - x) * (T::ONE + x), T::ZERO, T::ZERO)
}

/// `erf_inv` in the centre (Giles, *Approximating the erfinv function*, 2011, has the variable).
#[inline(always)]
pub(super) fn erf_inv<T: Special, const FMA: bool>(x: T) -> T {
    x * T::erf_inv_centre::<FMA>(minus_log::<T, FMA>(x) - T::lit(3.125))
}

/// Whether an argument is not in the centre, where `-ln(1 - x²) < 6.25`; NaN is not.
#[inline(always)]
pub(super) fn erf_inv_is_far<T: Special, const FMA: bool>(x: T) -> bool {
    let near = x.abs() < T::lit(0.999);
    !near
}

#[inline(always)]
pub(super) fn erf_inv_everywhere<T: Special, const FMA: bool>(x: T) -> T {
    let size = x.abs();
    let w = minus_log::<T, FMA>(size);
    let centre = T::erf_inv_centre::<FMA>(w - T::lit(3.125));
    let tail = T::erf_inv_tail::<FMA>(w.sqrt());
    let value = x * if erf_inv_is_far::<T, FMA>(x) { tail } else { centre };
    let outside = if size == T::ONE { T::INFINITY.copysign(x) } else { T::NAN };
    if size < T::ONE { value } else { outside }
}

/// `ln Γ(x)` for positive `x`: by the recurrence to the fit around 2, or by Stirling's series.
#[inline(always)]
pub(super) fn lgamma<T: Special, const FMA: bool>(x: T) -> T {
    let (one, half) = (T::ONE, T::HALF);
    let (less1, less2) = (x - one, x - T::TWO);
    let is_near = x < T::lit(4.5);
    // ln Γ(x) = ln Γ(2 + t) ± ln(factor); t is exact where the values are small.
    let (t, factor) =
        if x < T::lit(3.5) { (less2 - one, less1) } else { (less2 - T::TWO, less1 * less2) };
    let (t, factor) = if x < T::lit(2.5) { (less2, one) } else { (t, factor) };
    let (t, factor) = if x < T::lit(1.5) { (less1, x) } else { (t, factor) };
    let (t, factor) = if x < half { (x, x * (x + one)) } else { (t, factor) };
    let log = log::<T, FMA>(if is_near { factor } else { x });
    let near = t * (t + one) * T::lgamma_poly::<FMA>(t);
    let near = if x < T::lit(1.5) { near - log } else { near + log };
    let inverse = one / x;
    let series = inverse * T::stirling_poly::<FMA>(inverse * inverse);
    // ½·ln 2π - ½.
    let tail = fma::<T, FMA>(x - half, log - one, T::lit(0.418_938_533_204_672_7) + series);
    if is_near { near } else { tail }
}

/// Zero, negative numbers and NaN.
#[inline(always)]
pub(super) fn not_positive<T: Special, const FMA: bool>(x: T) -> bool {
    let positive = x > T::ZERO;
    !positive
}

/// `ψ(x)` for positive `x`: by the recurrence to the fit between 1 and 2, or by the asymptotic series.
#[inline(always)]
pub(super) fn digamma<T: Special, const FMA: bool>(x: T) -> T {
    let one = T::ONE;
    let (less1, less2) = (x - one, x - T::TWO);
    let is_near = x < T::lit(4.0);
    // ψ(x) = ψ(z) + top/bottom.
    let (z, top, bottom) =
        if x < T::lit(3.0) { (less1, one, less1) } else { (less2, less1 + less2, less1 * less2) };
    let (z, top, bottom) = if x < T::TWO { (x, T::ZERO, one) } else { (z, top, bottom) };
    let (z, top, bottom) = if x < one { (x + one, -one, x) } else { (z, top, bottom) };
    let (top, bottom) = if is_near { (top, bottom) } else { (-T::HALF, x) };
    let quotient = top / bottom;
    let from_root = (z - T::DIGAMMA_ROOT.0) - T::DIGAMMA_ROOT.1;
    let near = fma::<T, FMA>(from_root, T::digamma_poly::<FMA>(z - T::lit(1.5)), quotient);
    let square = T::lit(4.0) * quotient * quotient;
    let tail = log::<T, FMA>(x) + fma::<T, FMA>(-square, T::digamma_tail::<FMA>(square), quotient);
    if is_near { near } else { tail }
}

/// `e⁻ˣ·I(x)` of the near and the far fit.
#[inline(always)]
fn bessel<T: Special, const FMA: bool>(size: T, near: T, far: T) -> T {
    let within = if size < T::BESSEL_FAR { size } else { T::BESSEL_FAR };
    let near = near * exp_normal::<T, FMA>(-within);
    if size < T::BESSEL_FAR { near } else { far / size.sqrt() }
}

/// The variables of the near and the far fit.
#[inline(always)]
fn bessel_variables<T: Special>(size: T) -> (T, T) {
    let far = if size > T::BESSEL_FAR { size } else { T::BESSEL_FAR };
    let quarter = T::lit(0.25) * size * size;
    // Beyond, the near fit is not taken, but must not be slow for infinities.
    let quarter = if size < T::BESSEL_FAR { quarter } else { T::ONE };
    (quarter, T::BESSEL_FAR / far - T::HALF)
}

#[inline(always)]
pub(super) fn bessel_i0e<T: Special, const FMA: bool>(x: T) -> T {
    let size = x.abs();
    let (q, t) = bessel_variables(size);
    bessel::<T, FMA>(size, T::bessel_i0_near::<FMA>(q), T::bessel_i0_far::<FMA>(t))
}

#[inline(always)]
pub(super) fn bessel_i1e<T: Special, const FMA: bool>(x: T) -> T {
    let size = x.abs();
    let (q, t) = bessel_variables(size);
    let near = size * T::bessel_i1_near::<FMA>(q);
    bessel::<T, FMA>(size, near, T::bessel_i1_far::<FMA>(t)).copysign(x)
}
