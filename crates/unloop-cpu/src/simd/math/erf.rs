//! The error function and its complement.

use super::exp::{exp_normal, exp_of_sum};
use super::real::{Real, fma, two_prod, two_sum};

/// `erfc(x)` for `x >= 0.45`: `exp(-x²)·p((x - K)/(x + K))/(1 + 2x)`.
#[inline(always)]
fn erfc_tail<T: Real, const FMA: bool>(x: T) -> T {
    let (centre, limit, first) = T::ERFC;
    let x = if x > limit { limit } else { x };
    // One division for both quotients; the second gets its rounding error back.
    let (bottom, bottom_low) = two_sum(T::ONE, x + x);
    let shared = T::ONE / ((x + centre) * bottom);
    let (t, inverse) = ((x - centre) * bottom * shared, (x + centre) * shared);
    let (p, p_low) = two_sum(first, t * T::erfc_poly::<FMA>(t));
    let quotient = p * inverse;
    let (back, back_low) = two_prod::<T, FMA>(quotient, bottom);
    let rest = ((p - back) - back_low) + (p_low - quotient * bottom_low);
    let (square, low) = two_prod::<T, FMA>(x, x);
    exp_of_sum::<T, FMA>(-square, -low, (quotient, rest * inverse))
}

/// `erf(x)` for `|x| <= 1`.
#[inline(always)]
fn erf_centre<T: Real, const FMA: bool>(x: T) -> T {
    fma::<T, FMA>(x, T::erf_poly::<FMA>(x * x), x)
}

#[inline(always)]
pub(super) fn erf<T: Real, const FMA: bool>(x: T) -> T {
    let size = x.abs();
    // 1 - exp(ln erfc x): the complement is so small that its rounding does not count.
    let far = if size > T::ERF_SATURATION { T::ERF_SATURATION } else { size };
    let tail = T::ONE - exp_normal::<T, FMA>(-far * T::log_erfc_poly::<FMA>(far));
    (if size < T::ONE { erf_centre::<T, FMA>(size) } else { tail }).copysign(x)
}

#[inline(always)]
pub(super) fn erfc<T: Real, const FMA: bool>(x: T) -> T {
    let size = x.abs();
    let tail = erfc_tail::<T, FMA>(size);
    let tail = if x < T::ZERO { T::TWO - tail } else { tail };
    if size < T::lit(0.75) { T::ONE - erf_centre::<T, FMA>(x) } else { tail }
}
