//! Inverse trigonometric functions. Angles are multiples of π/4 plus a small part that a polynomial
//! gives.

use super::real::{Real, div_dw, fast_two_sum, fma, two_prod, two_sum};

/// `n·π/4 + (s + low)` for an integer `n` up to 4 and `|s|` below it, or any `s` for `n = 0`.
#[inline(always)]
fn from_quarters<T: Real, const FMA: bool>(n: T, s: T, low: T) -> T {
    let (high, error) = fast_two_sum(n * T::FRAC_PI_4.0, s);
    high + (error + fma::<T, FMA>(n, T::FRAC_PI_4.1, low))
}

/// `s`, `low` with `asin(s + …) = s + low`: of `|x|` itself up to ½, of `√((1 - |x|)/2)` above.
#[inline(always)]
fn asin_parts<T: Real, const FMA: bool>(size: T) -> (bool, T, T) {
    let small = size <= T::HALF;
    let z = if small { size * size } else { T::HALF * (T::ONE - size) };
    let root = z.sqrt();
    let (square, square_low) = two_prod::<T, FMA>(root, root);
    let rest = ((z - square) - square_low) / (root + root);
    let rest = if small | (root == T::ZERO) { T::ZERO } else { rest };
    let s = if small { size } else { root };
    (small, s, fma::<T, FMA>(s * z, T::asin_poly::<FMA>(z), rest))
}

#[inline(always)]
pub(super) fn asin<T: Real, const FMA: bool>(x: T) -> T {
    let (small, s, low) = asin_parts::<T, FMA>(x.abs());
    let large = from_quarters::<T, FMA>(T::TWO, -(s + s), -(low + low));
    (if small { s + low } else { large }).copysign(x)
}

#[inline(always)]
pub(super) fn acos<T: Real, const FMA: bool>(x: T) -> T {
    let (small, s, low) = asin_parts::<T, FMA>(x.abs());
    // π/2 - asin x; 2·asin s; π - 2·asin s.
    let positive = x > T::ZERO;
    let (s, low) = if small { (-s.copysign(x), -low.copysign(x)) } else { (s + s, low + low) };
    let (s, low) = if small | positive { (s, low) } else { (-s, -low) };
    let quarters = if positive { T::ZERO } else { T::TWO + T::TWO };
    from_quarters::<T, FMA>(if small { T::TWO } else { quarters }, s, low)
}

/// The angle of the point `(x, y)`, `y >= 0`, whose larger coordinate is of moderate size.
#[inline(always)]
fn angle<T: Real, const FMA: bool>(y: T, x: T) -> T {
    let width = x.abs();
    let steep = y > width;
    let (a, b) = if steep { (width, y) } else { (y, width) };
    // atan(a/b), or π/4 + atan((a - b)/(a + b)) above √2 - 1.
    let far = a > b * T::lit(0.414213562373);
    let (difference, difference_low) = two_sum(a, -b);
    let (sum, sum_low) = two_sum(b, a);
    let (top, top_low) = if far { (difference, difference_low) } else { (a, T::ZERO) };
    let (bottom, bottom_low) = if far { (sum, sum_low) } else { (b, T::ZERO) };
    let (t, t_low) = div_dw::<T, FMA>(top, top_low, bottom, bottom_low);
    let z = t * t;
    let low = fma::<T, FMA>(t * z, T::atan_poly::<FMA>(z), t_low);
    // Mirrored at the diagonal, then at the vertical.
    let quarters = if far { T::ONE } else { T::ZERO };
    let quarters = if steep { T::TWO - quarters } else { quarters };
    let left = x < T::ZERO;
    let quarters = if left { T::TWO + T::TWO - quarters } else { quarters };
    let minus = steep != left;
    let (t, low) = if minus { (-t, -low) } else { (t, low) };
    from_quarters::<T, FMA>(quarters, t, low)
}

#[inline(always)]
pub(super) fn atan<T: Real, const FMA: bool>(x: T) -> T {
    // Beyond the bound the angle is π/2 in either precision.
    let (size, bound) = (x.abs(), T::lit(1.0e30));
    angle::<T, FMA>(if size > bound { bound } else { size }, T::ONE).copysign(x)
}

#[inline(always)]
pub(super) fn atan2<T: Real, const FMA: bool>(y: T, x: T) -> T {
    angle::<T, FMA>(y.abs(), x).copysign(y)
}

/// Whether the larger coordinate is zero, not finite, or so large or small that sums and
/// reciprocals would over- or underflow.
#[inline(always)]
pub(super) fn atan2_is_rare<T: Real, const FMA: bool>(y: T, x: T) -> bool {
    let bound = T::lit(1.0e30);
    let small = T::lit(1.0e-30);
    let either = (y.abs() > small) | (x.abs() > small);
    let both = (y.abs() < bound) & (x.abs() < bound);
    !(either & both)
}
