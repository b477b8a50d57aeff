//! The logarithm and what is made of it. All start from `x = 2ᵉ·(1 + f)`, `1 + f` in `[√½, √2)`.

use super::real::{Real, div_dw, fast_two_sum, fma, two_prod, two_sum};

/// `ln(2ˢ·x) + c` for positive finite `x`; with `c = low/x` it is `ln(2ˢ·(x + low))`.
#[inline(always)]
pub(super) fn log_plus<T: Real, const FMA: bool>(x: T, c: T, s: T) -> T {
    let tiny = x < T::MIN_POSITIVE;
    let (m, e) = (if tiny { x * T::UP.0 } else { x }).split();
    let e = s + if tiny { e - T::UP.1 } else { e };
    let f = m - T::ONE;
    let (high, low) = fast_two_sum(e * T::LN_2.0, f);
    high + (low + fma::<T, FMA>(e, T::LN_2.1, T::log_tail::<FMA>(f) + c))
}

/// `ln(1 + w + w_low)` for `w > -1` and finite.
#[inline(always)]
fn log1p_of_sum<T: Real, const FMA: bool>(w: T, w_low: T) -> T {
    let (u, low) = two_sum(T::ONE, w);
    log_plus::<T, FMA>(u, (low + w_low) / u, T::ZERO)
}

#[inline(always)]
pub(super) fn log<T: Real, const FMA: bool>(x: T) -> T {
    let result = log_plus::<T, FMA>(x, T::ZERO, T::ZERO);
    let result = if x < T::INFINITY { result } else { x };
    let special = if x == T::ZERO { -T::INFINITY } else { T::NAN };
    if x > T::ZERO { result } else { special }
}

#[inline(always)]
pub(super) fn log1p<T: Real, const FMA: bool>(x: T) -> T {
    let result = log1p_of_sum::<T, FMA>(x, T::ZERO);
    // Zeros keep their sign, infinity stays.
    let plain = (x == T::ZERO) | (x == T::INFINITY);
    let result = if plain { x } else { result };
    let special = if x == -T::ONE { -T::INFINITY } else { T::NAN };
    if x > -T::ONE { result } else { special }
}

#[inline(always)]
pub(super) fn asinh<T: Real, const FMA: bool>(x: T) -> T {
    let size = x.abs();
    let big = size > T::BIG;
    // |x| + √(1 + x²) = 1 + (|x| + x²/(1 + √(1 + x²))).
    let square = size * size;
    let (w, w_low) = fast_two_sum(size, square / (T::ONE + (T::ONE + square).sqrt()));
    let (u, low) = two_sum(T::ONE, w);
    let (argument, low) = if big { (size, T::ZERO) } else { (u, low + w_low) };
    let scale = if big { T::ONE } else { T::ZERO };
    let result = log_plus::<T, FMA>(argument, low / argument, scale);
    (if size == T::INFINITY { size } else { result }).copysign(x)
}

#[inline(always)]
pub(super) fn acosh<T: Real, const FMA: bool>(x: T) -> T {
    let big = x > T::BIG;
    // x + √(x² - 1) = 1 + (d + √(d·(x + 1))), d = x - 1: the root with the rest of its rounding.
    let (d, d_low) = two_sum(x, -T::ONE);
    let (s, s_low) = two_sum(x, T::ONE);
    let (product, low) = two_prod::<T, FMA>(d, s);
    let low = low + (d * s_low + d_low * s);
    let root = product.sqrt();
    let (square, square_low) = two_prod::<T, FMA>(root, root);
    let rest = (((product - square) - square_low) + low) / (root + root);
    let rest = if root > T::ZERO { rest } else { T::ZERO };
    let (w, w_low) = two_sum(root, d);
    let (u, low) = two_sum(T::ONE, w);
    let low = low + (w_low + (rest + d_low));
    let (argument, low) = if big { (x, T::ZERO) } else { (u, low) };
    let scale = if big { T::ONE } else { T::ZERO };
    let result = log_plus::<T, FMA>(argument, low / argument, scale);
    let result = if x < T::INFINITY { result } else { x };
    if x >= T::ONE { result } else { T::NAN }
}

#[inline(always)]
pub(super) fn atanh<T: Real, const FMA: bool>(x: T) -> T {
    // ½·ln(1 + 2|x|/(1 - |x|)).
    let size = x.abs();
    let (bottom, low) = two_sum(T::ONE, -size);
    let (quotient, low) = div_dw::<T, FMA>(size + size, T::ZERO, bottom, low);
    let result = T::HALF * log1p_of_sum::<T, FMA>(quotient, low);
    let special = if size == T::ONE { T::INFINITY } else { T::NAN };
    (if size < T::ONE { result } else { special }).copysign(x)
}
