//! Powers, cube roots and remainders.

use super::real::{Real, fma, two_prod};

#[inline(always)]
pub(super) fn pow<T: Real, const FMA: bool>(x: T, y: T) -> T {
    let magnitude = T::pow_magnitude::<FMA>(x.abs(), y);
    let half = T::HALF * y;
    let whole = y.trunc() == y;
    let odd = whole & (half.trunc() != half);
    let negative = if odd { -magnitude } else { magnitude };
    let negative = if whole { negative } else { T::NAN };
    if x < T::ZERO { negative } else { magnitude }
}

/// Whether an operand is zero, subnormal or not finite.
#[inline(always)]
pub(super) fn pow_is_rare<T: Real, const FMA: bool>(x: T, y: T) -> bool {
    let fine = (x.abs() >= T::MIN_POSITIVE) & (x.abs() < T::INFINITY) & (y.abs() < T::INFINITY);
    !fine
}

#[inline(always)]
pub(super) fn rem<T: Real, const FMA: bool>(x: T, y: T) -> T {
    x.rem::<FMA>(y)
}

#[inline(always)]
pub(super) fn rem_is_rare<T: Real, const FMA: bool>(x: T, y: T) -> bool {
    x.rem_is_rare::<FMA>(y)
}

#[inline(always)]
pub(super) fn cbrt<T: Real, const FMA: bool>(x: T) -> T {
    let size = x.abs();
    let tiny = size < T::MIN_POSITIVE;
    let (m, e) = (if tiny { size * T::UP.0 } else { size }).split_floor();
    let e = if tiny { e - T::UP.1 } else { e };
    // e = 3q + s, s in -1, 0, 1: the root is 2^q·∛(m·2ˢ).
    let third = T::lit(1.0 / 3.0);
    let q = fma::<T, FMA>(e, third, T::ROUNDER) - T::ROUNDER;
    let s = e - (q + q + q);
    let (m2, factor) = if s > T::ZERO {
        (m + m, T::lit(0.7937005259840998))
    } else if s < T::ZERO {
        (T::HALF * m, T::lit(1.2599210498948732))
    } else {
        (m, T::ONE)
    };
    // y ≈ 1/∛m2 by Halley's steps, the root m2·y², and one Newton step with the exact cube.
    let mut y = T::inverse_cbrt_guess::<FMA>(m) * factor;
    for _ in 0..T::CBRT_STEPS {
        let h = T::ONE - m2 * y * y * y;
        y = fma::<T, FMA>(y * h, fma::<T, FMA>(h, T::lit(2.0 / 9.0), third), y);
    }
    let root = m2 * y * y;
    let (square, square_low) = two_prod::<T, FMA>(root, root);
    let (cube, cube_low) = two_prod::<T, FMA>(square, root);
    let rest = ((m2 - cube) - cube_low) - square_low * root;
    let root = fma::<T, FMA>(rest * (y * y), third, root);
    let result = (root * T::pow2(q)).copysign(x);
    // Zeros, infinities and NaN are their own roots.
    if (size > T::ZERO) & (size < T::INFINITY) { result } else { x }
}
