//! What the elementary functions need of a float type: constants, bits, polynomials that are as
//! long as its precision asks, and the slow paths.
//!
//! Polynomials are minimax fits (Remez exchange in 200-bit arithmetic, relative error of the whole
//! function), rounded to the type; the interval and the error before rounding stand beside each.

use std::ops::{Add, Div, Mul, Neg, Sub};

/// `f32` or `f64`.
pub(crate) trait Real:
    Copy
    + PartialOrd
    + Add<Output = Self>
    + Sub<Output = Self>
    + Mul<Output = Self>
    + Div<Output = Self>
    + Neg<Output = Self>
    + 'static
{
    /// Adding and subtracting this rounds to an integer, ties to even (for `|x|` below 2²² or 2⁵¹).
    const ROUNDER: Self;
    const ZERO: Self;
    const ONE: Self;
    const TWO: Self;
    const HALF: Self;
    const INFINITY: Self;
    const NAN: Self;
    /// The smallest normal number.
    const MIN_POSITIVE: Self;
    const LOG2_E: Self;
    /// ln 2 to so few bits that its product with an exponent is exact, and the rest.
    const LN_2: (Self, Self);
    /// The rounded ln 2, and the rest.
    const LN_2_FULL: (Self, Self);
    /// π/4 to so few bits that its multiples up to four are exact, and the rest.
    const FRAC_PI_4: (Self, Self);
    const FRAC_1_PI: Self;
    /// `exp` is infinite above this, and 0 below its negative.
    const EXP_LIMIT: Self;
    /// The power of two, and its exponent, by which subnormal numbers are scaled up; a multiple of
    /// three for `cbrt`.
    const UP: (Self, Self);
    /// An exponent whose power of two keeps `exp`'s results and their halves normal.
    const SPLIT: (Self, Self, Self);
    /// `tanh` and `logistic` are 1 above this.
    const SATURATION: Self;
    /// `asinh(x)` is `ln(2x)` above this.
    const BIG: Self;
    /// Bound of [`Real::reduce`] with and without fused multiply-add.
    const TRIG_LIMIT: (Self, Self);
    /// `2/√π - 1`.
    const FRAC_2_SQRT_PI_LESS_1: Self;
    /// `erf` is 1 above this.
    const ERF_SATURATION: Self;
    /// Centre of the variable of [`Real::erfc_poly`], the argument above which `erfc` is 0, and the
    /// value at the centre.
    const ERFC: (Self, Self, Self);

    fn lit(x: f64) -> Self;
    fn wide(self) -> f64;
    fn mul_add(self, b: Self, c: Self) -> Self;
    fn abs(self) -> Self;
    fn sqrt(self) -> Self;
    fn trunc(self) -> Self;
    fn copysign(self, sign: Self) -> Self;
    /// The negative if the sum `n + ROUNDER` says that the integer `n` is odd.
    fn flip_if_odd(self, rounded: Self) -> Self;
    /// `2ᵏ` for an integer `k` whose power is normal.
    fn pow2(k: Self) -> Self;
    /// Mantissa in `[√½, √2)` and exponent of a positive normal number.
    fn split(self) -> (Self, Self);
    /// Mantissa in `[1, 2)` and exponent of a positive normal number.
    fn split_floor(self) -> (Self, Self);

    /// `(eʳ - 1 - r)/r²` for `|r| <= ln 2/2`.
    fn exp_poly<const FMA: bool>(r: Self) -> Self;
    /// `(tanh x - x)/x³` of `z = x²`, for `|x| <= 0.55`.
    fn tanh_poly<const FMA: bool>(z: Self) -> Self;
    /// `ln(1 + f) - f` for `1 + f` in `[√½, √2)`.
    fn log_tail<const FMA: bool>(f: Self) -> Self;
    /// `(sin r - r)/r³` of `z = r²`, for `|r| <= π/2`.
    fn sin_poly<const FMA: bool>(z: Self) -> Self;
    /// `(sin r - r)/r³` of `z = r²`, for `|r| <= π/4`.
    fn sin_quarter_poly<const FMA: bool>(z: Self) -> Self;
    /// `(cos r - 1 + r²/2)/r⁴` of `z = r²`, for `|r| <= π/4`.
    fn cos_quarter_poly<const FMA: bool>(z: Self) -> Self;
    /// `(atan t - t)/t³` of `z = t²`, for `|t| <= √2 - 1`.
    fn atan_poly<const FMA: bool>(z: Self) -> Self;
    /// `(asin s - s)/s³` of `z = s²`, for `|s| <= ½`.
    fn asin_poly<const FMA: bool>(z: Self) -> Self;
    /// `m^(-⅓)` for `m` in `[1, 2]`, to about four digits.
    fn inverse_cbrt_guess<const FMA: bool>(m: Self) -> Self;
    /// Halley steps from the guess to the precision of the type, less a last correction.
    const CBRT_STEPS: usize;
    /// `erf(x)/x - 1` of `z = x²`, for `|x| <= 1`.
    fn erf_poly<const FMA: bool>(z: Self) -> Self;
    /// `(erfc(x)·exp(x²)·(1 + 2x) - C)/t` of `t = (x - K)/(x + K)`, for `x >= 0.45`; `K`, `C` from
    /// [`Real::ERFC`].
    fn erfc_poly<const FMA: bool>(t: Self) -> Self;
    /// `-ln(erfc x)/x` for `x >= 1` up to [`Real::ERF_SATURATION`], as far as `erf` needs it.
    fn log_erfc_poly<const FMA: bool>(x: Self) -> Self;
    /// `x - q·π/2` as a sum of two, for an integer `q`, when `x` is within the limit.
    fn reduce<const FMA: bool>(x: Self, q: Self) -> (Self, Self);
    /// `|x|ʸ` for finite `y` and positive normal `x` (f32: also subnormal).
    fn pow_magnitude<const FMA: bool>(x: Self, y: Self) -> Self;

    /// `x % y` by one division, and whether that fails.
    fn rem<const FMA: bool>(self, y: Self) -> Self;
    fn rem_is_rare<const FMA: bool>(self, y: Self) -> bool;

    fn slow_sin(self) -> Self;
    fn slow_cos(self) -> Self;
    fn slow_tan(self) -> Self;
    fn slow_lgamma(self) -> Self;
    fn slow_digamma(self) -> Self;
    fn slow_pow(self, y: Self) -> Self;
    fn slow_atan2(self, x: Self) -> Self;
    fn slow_rem(self, y: Self) -> Self;
}

/// `a·b + c`, in one rounding where that is fast.
#[inline(always)]
pub(super) fn fma<T: Real, const FMA: bool>(a: T, b: T, c: T) -> T {
    if FMA { a.mul_add(b, c) } else { a * b + c }
}

/// A polynomial by Horner's scheme, lowest coefficient first.
macro_rules! poly {
    ($x:expr; $($c:expr),+ $(,)?) => {{
        let coefficients = [$($c),+];
        let mut i = coefficients.len() - 1;
        let mut sum = coefficients[i];
        while i > 0 {
            i -= 1;
            sum = $crate::simd::math::real::fma::<Self, FMA>(sum, $x, coefficients[i]);
        }
        sum
    }};
}

/// `a + b` and its rounding error, exactly, for any order of magnitude.
#[inline(always)]
pub(super) fn two_sum<T: Real>(a: T, b: T) -> (T, T) {
    let sum = a + b;
    let b_part = sum - a;
    (sum, (a - (sum - b_part)) + (b - b_part))
}

/// `a + b` and its rounding error for `|a| >= |b|` or `a = 0`.
#[inline(always)]
pub(super) fn fast_two_sum<T: Real>(a: T, b: T) -> (T, T) {
    let sum = a + b;
    (sum, b - (sum - a))
}

/// `a·b` and its rounding error, for products that neither overflow nor underflow.
#[inline(always)]
pub(super) fn two_prod<T: Real, const FMA: bool>(a: T, b: T) -> (T, T) {
    let product = a * b;
    if FMA {
        return (product, a.mul_add(b, -product));
    }
    let ((ah, al), (bh, bl)) = (halves(a), halves(b));
    (product, ((ah * bh - product) + ah * bl + al * bh) + al * bl)
}

/// A number as a sum of two with half of its digits each.
#[inline(always)]
fn halves<T: Real>(a: T) -> (T, T) {
    // 2^⌈digits/2⌉ + 1.
    let splitter = if size_of::<T>() == 4 { T::lit(4097.0) } else { T::lit(134217729.0) };
    let scaled = a * splitter;
    let high = scaled - (scaled - a);
    (high, a - high)
}

/// `(nh + nl)/(dh + dl)` as a sum of two, with one division. The low parts need not be small.
#[inline(always)]
pub(super) fn div_dw<T: Real, const FMA: bool>(nh: T, nl: T, dh: T, dl: T) -> (T, T) {
    let inverse = T::ONE / (dh + dl);
    let quotient = (nh + nl) * inverse;
    let (back, back_low) = two_prod::<T, FMA>(quotient, dh);
    let rest = ((nh - back) - back_low) + (nl - quotient * dl);
    (quotient, rest * inverse)
}

macro_rules! real_common {
    ($t:ident, $bits:ident, $rounder:literal, $digits:literal, $bias:literal) => {
        const ROUNDER: $t = $rounder;
        const ZERO: $t = 0.0;
        const ONE: $t = 1.0;
        const TWO: $t = 2.0;
        const HALF: $t = 0.5;
        const INFINITY: $t = $t::INFINITY;
        const NAN: $t = $t::NAN;
        const MIN_POSITIVE: $t = $t::MIN_POSITIVE;
        const LOG2_E: $t = std::$t::consts::LOG2_E;
        const FRAC_1_PI: $t = std::$t::consts::FRAC_1_PI;

        #[inline(always)]
        fn lit(x: f64) -> $t {
            x as $t
        }
        #[inline(always)]
        fn wide(self) -> f64 {
            self.into()
        }
        #[inline(always)]
        fn mul_add(self, b: $t, c: $t) -> $t {
            $t::mul_add(self, b, c)
        }
        #[inline(always)]
        fn abs(self) -> $t {
            $t::abs(self)
        }
        #[inline(always)]
        fn sqrt(self) -> $t {
            $t::sqrt(self)
        }
        #[inline(always)]
        fn trunc(self) -> $t {
            $t::trunc(self)
        }
        #[inline(always)]
        fn copysign(self, sign: $t) -> $t {
            $t::copysign(self, sign)
        }
        #[inline(always)]
        fn flip_if_odd(self, rounded: $t) -> $t {
            $t::from_bits(self.to_bits() ^ (rounded.to_bits() << ($bits::BITS - 1)))
        }
        #[inline(always)]
        fn pow2(k: $t) -> $t {
            // The sum's low bits are the integer `k + bias`; the rest is shifted out.
            let shifted = k + ($rounder + $bias);
            $t::from_bits(shifted.to_bits() << $digits)
        }
        #[inline(always)]
        fn split(self) -> ($t, $t) {
            let bits = self.to_bits();
            let half_root = std::$t::consts::FRAC_1_SQRT_2.to_bits();
            // The exponent of `self/√½`, biased to stay positive so that it can be read as float.
            let offset = bits.wrapping_sub(half_root).wrapping_add(($bias as $bits) << $digits);
            let biased = offset >> $digits;
            let mantissa = bits.wrapping_sub(
                (offset & ($bits::MAX << $digits)).wrapping_sub(($bias as $bits) << $digits),
            );
            // `2^digits` with these low bits is `2^digits + biased`.
            let base = $t::from_bits(((($bias as $bits) + $digits) << $digits) | biased);
            let exponent = base - (($bits::pow(2, $digits) as $t) + $bias);
            ($t::from_bits(mantissa), exponent)
        }
        #[inline(always)]
        fn split_floor(self) -> ($t, $t) {
            let bits = self.to_bits();
            let low = !($bits::MAX << $digits);
            let base = $t::from_bits(((($bias as $bits) + $digits) << $digits) | (bits >> $digits));
            let exponent = base - (($bits::pow(2, $digits) as $t) + $bias);
            ($t::from_bits((bits & low) | (($bias as $bits) << $digits)), exponent)
        }
        fn slow_pow(self, y: $t) -> $t {
            $t::powf(self, y)
        }
        fn slow_rem(self, y: $t) -> $t {
            self % y
        }
    };
}
pub(super) use {poly, real_common};
