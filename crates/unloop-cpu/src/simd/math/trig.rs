//! Sine, cosine and tangent. `x = q·π/2 + r` with `r` as a sum of two; sine and cosine choose the
//! parity of `q` so that both need one polynomial for `sin r` only, `|r| <= π/2`.

use super::real::{Real, div_dw, fma};

/// Whether the reduction of `x` needs more digits of π than the fast path has.
#[inline(always)]
pub(super) fn is_large<T: Real, const FMA: bool>(x: T) -> bool {
    let limit = if FMA { T::TRIG_LIMIT.0 } else { T::TRIG_LIMIT.1 };
    (x.abs() > limit) & (x.abs() < T::INFINITY)
}

/// `sin(r + low)` for `|r| <= π/2`.
#[inline(always)]
fn sin_of_sum<T: Real, const FMA: bool>(r: T, low: T) -> T {
    let z = r * r;
    let low = low * fma::<T, FMA>(-T::HALF, z, T::ONE);
    r + fma::<T, FMA>(r * z, T::sin_poly::<FMA>(z), low)
}

#[inline(always)]
pub(super) fn sin<T: Real, const FMA: bool>(x: T) -> T {
    // q = 2n: sin x = (-1)ⁿ·sin r.
    let rounded = fma::<T, FMA>(x, T::FRAC_1_PI, T::ROUNDER);
    let n = rounded - T::ROUNDER;
    let (r, low) = T::reduce::<FMA>(x, n + n);
    let result = sin_of_sum::<T, FMA>(r, low).flip_if_odd(rounded);
    if x == T::ZERO { x } else { result }
}

#[inline(always)]
pub(super) fn cos<T: Real, const FMA: bool>(x: T) -> T {
    // q = 2n + 1: cos x = -(-1)ⁿ·sin r.
    let rounded = fma::<T, FMA>(x, T::FRAC_1_PI, -T::HALF) + T::ROUNDER;
    let n = rounded - T::ROUNDER;
    let (r, low) = T::reduce::<FMA>(x, n + n + T::ONE);
    -sin_of_sum::<T, FMA>(r, low).flip_if_odd(rounded)
}

#[inline(always)]
pub(super) fn tan<T: Real, const FMA: bool>(x: T) -> T {
    let rounded = fma::<T, FMA>(x, T::TWO * T::FRAC_1_PI, T::ROUNDER);
    let n = rounded - T::ROUNDER;
    let (r, low) = T::reduce::<FMA>(x, n);
    let z = r * r;
    let half = T::HALF * z;
    // Sine and cosine as sums of two, and -cos/sin in the odd quarters.
    let sin_low = fma::<T, FMA>(r * z, T::sin_quarter_poly::<FMA>(z), low);
    let cos = T::ONE - half;
    let rest = fma::<T, FMA>(z * z, T::cos_quarter_poly::<FMA>(z), -(r * low));
    let cos_low = ((T::ONE - cos) - half) + rest;
    let even = T::ONE.flip_if_odd(rounded) > T::ZERO;
    let (top, top_low) = if even { (r, sin_low) } else { (-cos, -cos_low) };
    let (bottom, bottom_low) = if even { (cos, cos_low) } else { (r, sin_low) };
    let (quotient, low) = div_dw::<T, FMA>(top, top_low, bottom, bottom_low);
    if x == T::ZERO { x } else { quotient + low }
}
