//! The error function and its complement; and the functions that are computed one by one.

use super::exp::exp_of_sum;
use super::real::{Real, div_dw, fma, two_prod, two_sum};

/// `erfc(x)` for `x >= 0.45`: `exp(-x²)·p((x - K)/(x + K))/(1 + 2x)`.
#[inline(always)]
fn erfc_tail<T: Real, const FMA: bool>(x: T) -> T {
    let (centre, limit, first) = T::ERFC;
    let x = if x > limit { limit } else { x };
    let t = (x - centre) / (x + centre);
    let (p, p_low) = two_sum(first, t * T::erfc_poly::<FMA>(t));
    let (square, low) = two_prod::<T, FMA>(x, x);
    let (bottom, bottom_low) = two_sum(T::ONE, x + x);
    let (quotient, quotient_low) = div_dw::<T, FMA>(p, p_low, bottom, bottom_low);
    // q + l = q·exp(l/q), nearly.
    exp_of_sum::<T, FMA>(-square, quotient_low / quotient - low, quotient)
}

/// `erf(x)` for `|x| <= 1`.
#[inline(always)]
fn erf_centre<T: Real, const FMA: bool>(x: T) -> T {
    fma::<T, FMA>(x, T::erf_poly::<FMA>(x * x), x)
}

#[inline(always)]
pub(super) fn erf<T: Real, const FMA: bool>(x: T) -> T {
    let size = x.abs();
    let tail = T::ONE - erfc_tail::<T, FMA>(size);
    (if size < T::ONE { erf_centre::<T, FMA>(size) } else { tail }).copysign(x)
}

#[inline(always)]
pub(super) fn erfc<T: Real, const FMA: bool>(x: T) -> T {
    let size = x.abs();
    let tail = erfc_tail::<T, FMA>(size);
    let tail = if x < T::ZERO { T::TWO - tail } else { tail };
    if size < T::lit(0.75) { T::ONE - erf_centre::<T, FMA>(x) } else { tail }
}

/// The fast path of functions that have none.
#[inline(always)]
pub(super) fn all_rare<T: Real, const FMA: bool>(x: T) -> T {
    x
}

/// Every argument is rare.
#[inline(always)]
pub(super) fn always<T: Real, const FMA: bool>(_: T) -> bool {
    true
}
