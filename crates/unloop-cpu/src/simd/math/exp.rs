//! The exponential function and what is made of it. All start from `eˣ = 2ᵏ·eʳ`, `|r| <= ln 2/2`.

use super::real::{Real, div_dw, fast_two_sum, fma, two_sum};

/// `k`, `r` (as a sum of two) and `t` with `exp(x + low) = 2ᵏ(1 + r + t)`, `t` much below `r`.
#[inline(always)]
fn parts<T: Real, const FMA: bool>(x: T, low: T) -> (T, T, T) {
    let k = fma::<T, FMA>(x, T::LOG2_E, T::ROUNDER) - T::ROUNDER;
    let high = fma::<T, FMA>(-k, T::LN_2.0, x);
    let low = fma::<T, FMA>(-k, T::LN_2.1, low);
    let (r, r_low) = fast_two_sum(high, low);
    (k, r, fma::<T, FMA>(r * r, T::exp_poly::<FMA>(r), r_low))
}

/// `x` within the bounds where `exp` over- and underflows; NaN stays.
#[inline(always)]
fn bounded<T: Real>(x: T) -> T {
    let x = if x > T::EXP_LIMIT { T::EXP_LIMIT } else { x };
    if x < -T::EXP_LIMIT { -T::EXP_LIMIT } else { x }
}

/// `y·2ᵏ` with gradual under- and overflow, for `y` of moderate size.
#[inline(always)]
fn scale<T: Real>(y: T, k: T) -> T {
    let (shift, up, down) = T::SPLIT;
    // Two factors, the first of which keeps the product normal: one rounding at most.
    let (k, factor) = if k < T::ZERO { (k + shift, down) } else { (k - shift, up) };
    y * T::pow2(k) * factor
}

/// `factor·exp(x + low)` for `|low|` far below 1, and a factor that is a sum of two.
#[inline(always)]
pub(super) fn exp_of_sum<T: Real, const FMA: bool>(x: T, low: T, factor: (T, T)) -> T {
    // Where the bound cuts, the rest is noise, or not even a number.
    let x_bounded = bounded(x);
    let low = if x_bounded == x { low } else { T::ZERO };
    let (k, r, t) = parts::<T, FMA>(x_bounded, low);
    scale(factor.0 + fma::<T, FMA>(factor.0, r + t, factor.1), k)
}

/// `k` and `y` with `exp(x) = 2ᵏ·y`, `y` in `[√½, √2]`.
#[inline(always)]
fn mantissa<T: Real, const FMA: bool>(x: T) -> (T, T) {
    let k = fma::<T, FMA>(x, T::LOG2_E, T::ROUNDER) - T::ROUNDER;
    let r = fma::<T, FMA>(-k, T::LN_2.1, fma::<T, FMA>(-k, T::LN_2.0, x));
    (k, T::ONE + fma::<T, FMA>(r * r, T::exp_poly::<FMA>(r), r))
}

#[inline(always)]
pub(super) fn exp<T: Real, const FMA: bool>(x: T) -> T {
    let (k, y) = mantissa::<T, FMA>(bounded(x));
    scale(y, k)
}

/// `exp(x)` where it is a normal number.
#[inline(always)]
pub(super) fn exp_normal<T: Real, const FMA: bool>(x: T) -> T {
    let (k, y) = mantissa::<T, FMA>(x);
    y * T::pow2(k)
}

#[inline(always)]
pub(super) fn exp2<T: Real, const FMA: bool>(x: T) -> T {
    // exp's bounds are beyond exp2's in the exponent of two, too.
    let limit = T::EXP_LIMIT * T::lit(1.5);
    let x = if x > limit { limit } else { x };
    let x = if x < -limit { -limit } else { x };
    let k = (x + T::ROUNDER) - T::ROUNDER;
    let fraction = x - k;
    let r = fraction * T::LN_2_FULL.0;
    let low = fma::<T, FMA>(fraction, T::LN_2_FULL.0, -r);
    let low = fma::<T, FMA>(fraction, T::LN_2_FULL.1, low);
    let tail = fma::<T, FMA>(r * r, T::exp_poly::<FMA>(r), low);
    scale(T::ONE + (r + tail), k)
}

#[inline(always)]
pub(super) fn expm1<T: Real, const FMA: bool>(x: T) -> T {
    let bounded = bounded(x);
    let (k, r, t) = parts::<T, FMA>(bounded, T::ZERO);
    // 2ᵏ(r + t + (1 - 2⁻ᵏ)); the power is at most 2^64, where it no longer counts.
    let inverse = T::pow2(if k < T::ZERO { T::ZERO } else { -clamped_exponent(k) });
    let one_less = T::ONE - inverse;
    let (sum, low) = two_sum(one_less, r);
    let sum = sum + (low + t);
    // `scale` would lose digits of a tiny sum.
    let positive = if k == T::ZERO { sum } else { scale(sum, k) };
    // For k < 0: (2ᵏ - 1) + 2ᵏ(r + t).
    let power = T::pow2(if k < T::ZERO { -clamped_exponent(-k) } else { T::ZERO });
    let (sum, low) = two_sum(power - T::ONE, power * r);
    let negative = sum + (low + power * t);
    let result = if k < T::ZERO { negative } else { positive };
    if x == T::ZERO { x } else { result }
}

/// An exponent cut off where `1 ± 2⁻ᵏ` rounds to 1.
#[inline(always)]
fn clamped_exponent<T: Real>(k: T) -> T {
    let limit = T::lit(64.0);
    if k > limit { limit } else { k }
}

/// `2ᵏ⁻¹(u ± 2⁻²ᵏ/u)` with `u = 1 + r + t`: the sum for `cosh`, the difference for `sinh`.
#[inline(always)]
pub(super) fn sinh<T: Real, const FMA: bool>(x: T) -> T {
    let size = bounded(x.abs());
    let (k, r, t) = parts::<T, FMA>(size, T::ZERO);
    let (u, u_low) = fast_two_sum(T::ONE, r);
    let u_low = u_low + t;
    let small = T::pow2(-clamped_exponent(k));
    // For k = 0: u - 1/u = q + q/(1 + q) with q = u - 1, which does not cancel.
    let near = k == T::ZERO;
    let (main, main_low) = if near { (r, t) } else { (u, u_low) };
    let (top, top_low) = if near { (r, t) } else { (-(small * small), T::ZERO) };
    let (quotient, quotient_low) = div_dw::<T, FMA>(top, top_low, u, u_low);
    let (sum, low) = two_sum(main, quotient);
    let half = T::HALF * (sum + (low + (main_low + quotient_low)));
    // `scale` would lose digits of a tiny value.
    (if near { half } else { scale(half, k) }).copysign(x)
}

#[inline(always)]
pub(super) fn cosh<T: Real, const FMA: bool>(x: T) -> T {
    let (k, r, t) = parts::<T, FMA>(bounded(x.abs()), T::ZERO);
    let (u, u_low) = fast_two_sum(T::ONE, r);
    let u_low = u_low + t;
    let small = T::pow2(-clamped_exponent(k));
    let quotient = small * small / (u + u_low);
    let (sum, low) = two_sum(u, quotient);
    scale(T::HALF * (sum + (low + u_low)), k)
}

#[inline(always)]
pub(super) fn tanh<T: Real, const FMA: bool>(x: T) -> T {
    let size = x.abs();
    let square = size * size;
    let near = fma::<T, FMA>(size * square, T::tanh_poly::<FMA>(square), size);
    // 1 - 2/(exp(2|x|) + 1), with 2ᵏ divided out; what is missing to 1 is the smaller part.
    let bounded = if size > T::SATURATION { T::SATURATION } else { size };
    let (k, r, t) = parts::<T, FMA>(bounded + bounded, T::ZERO);
    let inverse = T::pow2(-k);
    let far = T::ONE - (inverse + inverse) / ((T::ONE + inverse) + (r + t));
    (if size < T::lit(0.55) { near } else { far }).copysign(x)
}

#[inline(always)]
pub(super) fn logistic<T: Real, const FMA: bool>(x: T) -> T {
    // With e = exp(-|x|): 1/(1 + e), or e/(1 + e) for negative x.
    let e = exp::<T, FMA>(-x.abs());
    let top = if x < T::ZERO { e } else { T::ONE };
    // The division with the rounding error of 1 + e; 1/(1 + e) is the result or 1 less it.
    let bottom = T::ONE + e;
    let low = e - (bottom - T::ONE);
    let quotient = top / bottom;
    let inverse = if x < T::ZERO { T::ONE - quotient } else { quotient };
    fma::<T, FMA>(-(quotient * low), inverse, quotient)
}
